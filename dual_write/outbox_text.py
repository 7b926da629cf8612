"""Which tables a statement given as text writes to, as far as its text tells. Pure."""

import re

_NOISE = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_QUOTED = re.compile(r"\$(\w*)\$.*?\$\1\$", re.DOTALL)
_RUNS_WHAT_IT_QUOTES = re.compile(r"\s*DO\b", re.IGNORECASE)
_PART = r'(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|\w+)'
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})?"
_WRITES = re.compile(
    r"\b(?:(?:INSERT|REPLACE)\s+(?:OR\s+\w+\s+)?INTO|REPLACE\s+INTO|DELETE\s+FROM|MERGE\s+INTO"
    r"|(?<!\bFOR\s)(?<!\bKEY\s)UPDATE(?:\s+OR\s+\w+)?|TRUNCATE(?:\s+TABLE)?|COPY)"
    rf"\s+(?:ONLY\s+)?({_NAME}(?:\s*,\s*{_NAME})*)",
    re.IGNORECASE,
)
_PARTS = re.compile(_PART)


def tables_written(sql: str) -> set[tuple[str, str]]:
    """Schema (``""`` when none is said) and name, unquoted names in lower case."""
    found = set()
    text = _NOISE.sub(" ", sql)
    if not _RUNS_WHAT_IT_QUOTES.match(text):
        text = _QUOTED.sub(" ", text)
    for listed in _WRITES.findall(text):
        for name in re.findall(_NAME, listed):
            schema, _, table = ".".join(map(_bare, _PARTS.findall(name))).rpartition(".")
            found.add((schema, table))
    return found


def _bare(part: str) -> str:
    if part[0] in '"`[':
        return part[1:-1].replace('""', '"')
    return part.lower()
