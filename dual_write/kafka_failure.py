"""Kafka's errors in our own words, each with what to do about it."""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from kafka import errors as kafka_errors

from dual_write.errors import BrokerError, MessagesLost, ShutOut

_SHUT_OUT = (kafka_errors.ProducerFencedError, kafka_errors.InvalidProducerEpochError)
_NOT_LET_IN = (
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.IllegalSaslStateError,
)
_LOST = (
    kafka_errors.OffsetOutOfRangeError,
    kafka_errors.NoOffsetForPartitionError,
    kafka_errors.LogTruncationError,
)


_TOO_LARGE = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)


class _Reason(logging.Filter):
    """Why the last connection failed: the library says it in its log alone, and raises a timeout."""

    last: Exception | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        for each in record.args if isinstance(record.args, tuple) else ():
            if isinstance(each, Exception) and not isinstance(each, kafka_errors.KafkaTimeoutError):
                self.last = each
        return False


# Every error comes back as ours; the library would tell each of its attempts, and at DEBUG the password.
logging.getLogger("kafka").setLevel(logging.CRITICAL)
_reason = _Reason()
_connecting = logging.getLogger("kafka.net.manager")
_connecting.setLevel(logging.WARNING)
_connecting.addFilter(_reason)


@contextmanager
def in_our_words(where: str, prefix: str, user: str | None) -> Iterator[None]:
    """Raises BrokerError, or a kind of it, for what the library raises inside.

    ``where`` names the brokers, ``prefix`` what the user must have rights on; ``user`` is None without SASL.
    """
    _reason.last = None
    try:
        yield
    except _SHUT_OUT as error:
        raise ShutOut(
            f"another relay publishes to Kafka at {where} now; this one goes on consuming"
        ) from error
    except _LOST as error:
        raise MessagesLost(f"Kafka at {where} no longer has the messages that come next") from error
    except kafka_errors.KafkaError as error:
        cause = _reason.last if isinstance(error, kafka_errors.KafkaTimeoutError) else None
        what, remedy = _told(cause or error, prefix, user)
        raise BrokerError(f"Kafka at {where} {what} ({_said(cause or error)}); {remedy}") from error
    except (OSError, ssl.SSLError) as error:
        raise BrokerError(f"Kafka at {where} cannot be spoken to: {error}") from error


def _told(error: Exception, prefix: str, user: str | None) -> tuple[str, str]:
    """What the brokers do, and what to do about it."""
    if isinstance(error, _NOT_LET_IN):
        told = f"does not let user {user!r} in", "correct `sasl_user`, `sasl_mechanism` or the password"
    elif isinstance(error, kafka_errors.AuthorizationError):
        told = (
            "does not allow it",
            f"let it read, write and describe topics, groups and transactional ids named {prefix}*",
        )
    elif isinstance(error, _TOO_LARGE):
        told = "finds a message too large", "raise the topic's max.message.bytes"
    elif not isinstance(error, kafka_errors.RetriableError):
        told = "refuses", "its log says more"
    elif user is None:
        told = "does not answer", "check that it runs, and `bootstrap` and `protocol` under [kafka]"
    else:
        # A broker that refuses a password hangs up before the library has read why.
        told = (
            f"does not answer, or does not let user {user!r} in",
            "check that it runs, and `bootstrap`, `protocol`, `sasl_*` and the password under [kafka]",
        )
    return told


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
