"""Secrets taken out before a sample leaves memory (invariant I9).

What is recognised, and replaced by ``[redacted …]``:

- anything *named* like a secret: headers (``Authorization``, ``Cookie`` …), query values, JSON members, and
  ``name=value`` or ``"name": "value"`` inside a text;
- values that *look* like one, wherever they stand: JWTs, ``Bearer``/``Basic``/``Digest`` credentials,
  passwords in URLs, private keys in PEM, payment card numbers, e-mail addresses, and long opaque strings such
  as API keys, session ids and hex digests.

UUIDs, times, slugs and short numbers stay: a difference is useless without them. A secret that is short, has
an innocent name and looks like a word cannot be recognised; keep such a route out of the shadow.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any
from urllib.parse import unquote, unquote_plus

from facade.evidence import Difference

REDACTED = "[redacted]"
_LONGEST = 200
"""Characters of a text that a sample keeps."""
_READ = 4000
"""Characters of a text that are looked at; the rest could not be kept anyway."""

_SECRET_PARTS = re.compile(
    "pass(word|wd|phrase|code)|secret|token|(api|access|private|signing|session)key|authorization|credential"
    "|sessionid|cookie|[cx]srf|jwt|bearer|signature|cardnumber|creditcard|securitycode"
)
_SECRET_WORDS = re.compile("auth|card|cvc|cvv|iban|otp|pan|pin|pwd|sessid|session|sid|sig|ssn")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[^A-Za-z0-9]+")
_MEMBER = re.compile(r"\.([A-Za-z_]\w*)|\['((?:[^'\\]|\\.)*)'\]")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a header, parameter or member of this name holds a secret, in any style of spelling."""
    words = [word for word in _NOT_WORD.split(_CAMEL.sub(" ", name).lower()) if word]
    return _SECRET_PARTS.search("".join(words)) is not None or any(map(_SECRET_WORDS.fullmatch, words))


def redact_text(text: str) -> str:
    """``text`` without what looks like a secret, or is called one inside it."""
    if len(text) < 6:
        return text
    if len(text) > _READ:
        text = text[:_READ].rpartition(" ")[0] or text[:_READ]  # never half a secret at the end
    for pattern, substitute in _LOOKS:
        text = pattern.sub(substitute, text)
    return _redact_named(text)


def redact_target(target: str) -> str:
    """A request target without the secrets of its path segments and its query."""
    path, mark, query = target.partition("?")
    segments = [_coded(segment, unquote) for segment in path.split("/")]
    return "/".join(segments) + mark + "&".join(_parameter(part) for part in query.split("&"))


def redact_header(name: str, value: str) -> str:
    """A header's value without its secrets. Of a cookie that is set, the name and the attributes stay."""
    if name.lower() == "set-cookie":
        pair, semicolon, attributes = value.partition(";")
        return f"{redact_text(pair.partition('=')[0])}={REDACTED}{semicolon}{redact_text(attributes)}"
    return REDACTED if is_secret_name(name) else _cut(redact_text(value))


def redact_json(value: Any) -> str:
    """A short text of a JSON value in which secret members, at any depth, have lost their values."""
    text = ""
    for piece in _pieces(value):
        text += piece
        if len(text) > _LONGEST:
            break
    return _cut(text)


def redact_differences(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """The differences with path and texts redacted; below a secret member the texts go altogether."""
    return tuple(_redact_difference(each) for each in differences)


@lru_cache(maxsize=4096)
def redact_path(path: str) -> str:
    """A path whose member names are harmless: some objects are keyed by e-mail address or by token."""
    return redact_text(path)


def _redact_difference(difference: Difference) -> Difference:
    texts = difference.primary, difference.shadow
    if any(is_secret_name(plain or quoted) for plain, quoted in _MEMBER.findall(difference.path)):
        primary, shadow = (text if text == ABSENT else REDACTED for text in texts)
    else:
        primary, shadow = (redact_text(text) for text in texts)
    return replace(difference, path=redact_path(difference.path), primary=primary, shadow=shadow)


ABSENT = "(absent)"
"""What stands for a value that one side does not have."""


def _pieces(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield "{"
        for count, (name, member) in enumerate(value.items()):
            yield ", " * (count > 0) + _quoted(redact_text(name)) + ": "
            if is_secret_name(name):
                yield REDACTED
            else:
                yield from _pieces(member)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for count, item in enumerate(value):
            yield ", " * (count > 0)
            yield from _pieces(item)
        yield "]"
    elif isinstance(value, str):
        yield _quoted(_cut(redact_text(value)))
    elif value is None or isinstance(value, bool):
        yield json.dumps(value)
    else:
        yield redact_text(str(value))


def _quoted(text: str) -> str:
    """As in JSON; lone surrogates stay escaped, so that the text can be encoded."""
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted.encode("utf-8", "backslashreplace").decode()


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _parameter(part: str) -> str:
    name, equals, value = part.partition("=")
    if is_secret_name(unquote_plus(name)) and value:
        return f"{_coded(name, unquote_plus)}={REDACTED}"
    return _coded(name, unquote_plus) + equals + _coded(value, unquote_plus)


def _coded(part: str, decode: Callable[[str], str]) -> str:
    """A percent-encoded part: as it was when it is harmless, otherwise decoded and redacted."""
    plain = decode(part)
    harmless = redact_text(plain)
    return part if harmless == plain else harmless


def _redact_named(text: str) -> str:
    """``text`` without the values that stand behind a secret name."""
    kept, at = "", 0
    for found in _NAMED.finditer(text):
        if found.start() < at or not is_secret_name(found["name"]):
            continue
        whole_line = found["name"].lower() in _CREDENTIAL_HEADERS and not found["quote"]
        value = (_LINE if whole_line else _VALUE).match(text, found.end())
        if value is not None:
            kept, at = kept + text[at : found.end()] + REDACTED, value.end()
    return kept + text[at:]


def _card(found: re.Match[str]) -> str:
    digits = [int(digit) for digit in found[0] if digit.isdigit()]
    doubled = [digit if at % 2 == 0 else sum(divmod(2 * digit, 10)) for at, digit in enumerate(digits[::-1])]
    return "[redacted card]" if sum(doubled) % 10 == 0 else found[0]


def _opaque(found: re.Match[str]) -> str:
    """Random strings change between letters, capitals and digits all the time; words and slugs do not."""
    text = found[0]
    if _UUID.fullmatch(text):
        return text
    changes = sum(
        _class(one) != _class(next_) for one, next_ in pairwise(text) if one.isalnum() and next_.isalnum()
    )
    random = changes >= (len(text) // 4 if "/" in text else 4)
    return "[redacted opaque]" if random or _UNBROKEN.search(text) else text


def _class(character: str) -> int:
    return 0 if character.isdigit() else 1 if character.islower() else 2


_UNBROKEN = re.compile(r"[A-Za-z0-9]{32,}")

_NAMED = re.compile(r"""(?<![\w-])(?P<quote>\\?["']?)(?P<name>[\w-]{2,})(?P=quote)\s*[:=]\s*""")
_VALUE = re.compile(r"""\\?"(?:[^"\\]|\\[^"])*\\?"?|'[^']*'?|[^\s,;&"'}\])]+[\])]?""")
_LINE = re.compile(r"[^\r\n]+")
_CREDENTIAL_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_LOOKS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL),
        "[redacted key]",
    ),
    (re.compile(r"(://)[^/\s@]+@"), rf"\1{REDACTED}@"),
    (re.compile(r"\beyJ[\w-]{4,}(?:\.[\w-]+){1,4}\.?"), "[redacted jwt]"),
    (
        re.compile(r"\b(bearer|basic|digest|negotiate)[ +]+[\w+/=.~-]{8,}", re.IGNORECASE),
        r"\1 [redacted]",
    ),
    (re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "[redacted email]"),
    (re.compile(r"(?<![\d.-])[2-6](?:[ -]?\d){12,18}(?![\d.-])"), _card),
    (
        re.compile(
            r"\b(?:A[KS]IA[A-Z0-9]{12,}|(?:sk|pk|rk|gh[a-z]|github_pat|glpat|xox[a-z])[_-][\w-]{12,})"
        ),
        "[redacted key]",
    ),
    (re.compile(r"[\w+/-]{20,}={0,2}"), _opaque),
)
