"""What can go wrong with flags; every message says what to do."""


class FlagError(Exception):
    """A flag, percentage or flag document that cannot be used; its text can be shown to a user as it is."""


class UnleashError(FlagError):
    """An Unleash server that cannot be reached, or answers what is no use; what was known stays valid."""
