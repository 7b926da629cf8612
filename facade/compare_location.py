"""What a URL in an answer means to the client that asked."""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

_PORTS = {"http": 80, "https": 443}
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True)
class Asked:
    """The request as its client sees it: the whole ``url``, or an empty one when that is not known.

    ``own`` are authorities (``host:port``) by which the two sides know themselves, where the facade calls
    them by these: in an answer they mean the client's.
    """

    url: str = ""
    own: frozenset[str] = frozenset()


def location(value: str, asked: Asked) -> str:
    """The URL that the client would go to: absolute, in its usual spelling. Unreadable ones as they are."""
    try:
        url = urlsplit(urljoin(asked.url, value))
        return _usual(_of_client(url, asked))
    except ValueError:
        return value


def _of_client(url: SplitResult, asked: Asked) -> SplitResult:
    if asked.url and _authority(url) in asked.own:
        base = urlsplit(asked.url)
        return url._replace(scheme=base.scheme, netloc=base.netloc)
    return url


def _authority(url: SplitResult) -> str:
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname or ""
    return f"{host}:{url.port or _PORTS.get(url.scheme, 0)}"


def _usual(url: SplitResult) -> str:
    if not url.netloc:
        return _ESCAPED.sub(_unescaped, url.geturl())
    user, at, _ = url.netloc.rpartition("@")
    plain = url._replace(netloc=user + at + _authority(url), path=url.path or "/")
    return _ESCAPED.sub(_unescaped, plain.geturl())


def _unescaped(escape: re.Match[str]) -> str:
    """``%7e`` is ``~`` (RFC 3986, 6.2.2); what has to be escaped is so in capitals."""
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0].upper()
