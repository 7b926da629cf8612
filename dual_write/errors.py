"""What can go wrong with data; every message says what to do."""


class DataError(Exception):
    """The root of this package's errors; its text can be shown to a user as it is."""


class MappingError(DataError):
    """A mapping that cannot run in the direction asked for."""


class SchemaError(DataError):
    """A table, key or column that is missing, unmapped or of a type that cannot be carried."""


class UnreachableError(DataError):
    """A database that does not answer; the message names it without its password."""


class FencedError(DataError):
    """A direction that is closed, or that a newer epoch opened while this process worked for the older."""


class DrainTimeout(DataError):  # noqa: N818 - a deadline that passed, named as the standard library does
    """The change log's end was not reached in the time given."""


class LockedError(DataError):
    """A lock that another session held longer than the time allowed; trying again later is safe."""


class CheckFailed(DataError):  # noqa: N818 - it says what happened to the check, not what the check found
    """A check that could not be carried through: it says nothing about the data, neither good nor bad."""


class RepairRefused(DataError):  # noqa: N818 - as CheckFailed
    """A repair that would do more than was allowed."""


class UncapturedError(DataError):
    """A write that the outbox could not log; it is refused instead of being lost to the other side."""


class BrokerError(DataError):
    """A message broker that does not answer or refuses; nothing is lost, it stays in the change log."""


class ShutOut(BrokerError):  # noqa: N818 - as MessagesLost
    """Another publisher of the same stream has taken over."""


class MessagesLost(BrokerError):  # noqa: N818 - it says what happened
    """Messages that were not consumed yet are no longer in the broker; they have to be sent anew."""
