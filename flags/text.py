"""Text as Unleash's engine reads it: it writes flags out as rules, with what they say in double quotes."""

from collections.abc import Iterable

from flags.errors import FlagError

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's: Python's own notion of it has four more."""


def listed(text: str) -> list[str]:
    """The parts between commas, without white space around them."""
    return [part.strip(WHITE_SPACE) for part in text.split(",")]


def require_quotable(flag: str, what: str, texts: Iterable[str], *, escaped: bool = False) -> None:
    """Raise FlagError for a text that would break out of its quotes. The engine escapes quotes itself in some
    places (``escaped``), and nowhere a backslash before the closing one."""
    for text in texts:
        if text.endswith("\\") or ('"' in text and not escaped):
            over = "a backslash at the end" if escaped else "double quotes, and a backslash at the end"
            raise FlagError(
                f"flag {flag!r} has the {what} {text!r}: Unleash's engine stumbles over {over}. "
                "Choose another."
            )
