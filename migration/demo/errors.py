"""What can keep a demonstration from starting; every message says what to do."""


class DemoError(Exception):
    """The root of this package's errors; its text can be shown to a user as it is."""


class ProcessError(DemoError):
    """A child process that did not start or was not ready in time; the message ends with its last output."""


class ServerUnavailableError(DemoError):
    """A server that none of the ways tried could provide."""
