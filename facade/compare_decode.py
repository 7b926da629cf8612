"""JSON read so that nothing is lost of it: exact numbers, and names that an object gives more than once."""

import json
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn


class NotJsonError(ValueError):
    """A body is not a JSON document; the message says why in a few words, without quoting it."""


class Repeated(list[Any]):
    """The values of a member whose name an object gives more than once."""


def decode(body: bytes) -> Any:
    """The document in ``body``: whole numbers as int, others as Decimal. Raises NotJsonError."""
    try:
        return _DECODER.decode(body.decode("utf-8-sig"))
    except NotJsonError:
        raise
    except UnicodeDecodeError:
        raise NotJsonError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise NotJsonError(f"not JSON from character {error.pos} on") from None
    except (ValueError, InvalidOperation):
        raise NotJsonError("holds a number too large to read") from None
    except RecursionError:
        raise NotJsonError("nested too deeply to read") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        for name in (name for name, count in counts.items() if count > 1):
            members[name] = Repeated(value for key, value in pairs if key == name)
    return members


def _constant(name: str) -> NoReturn:
    raise NotJsonError(f"holds {name}, which JSON does not have")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=Decimal, parse_constant=_constant)
