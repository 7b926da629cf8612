"""From suspect to finding: a difference counts only when both sides held still around it."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from dual_write.check_result import Finding, FindingKind, difference
from dual_write.digest_columns import Row
from dual_write.digest_keys import Key
from dual_write.digest_pair import TablePair
from dual_write.errors import CheckFailed

Settle = Callable[[], bool]
"""Waits until replication has passed the source log's end as of the call; False when it did not."""

# A row toggled back and forth may look still once; it hardly does so twice.
_STILL_LOOKS = 2
_LOOKS = 8
_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.5

State = bytes
"""A short digest of what both sides delivered."""
Looked = Mapping[Key, tuple[Row | None, Row | None]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of suspects; those that are equal by now are in none.

    ``tolerated``: by column, how many values differ by no more than the plan tolerates, in rows that have no
    other difference.
    """

    findings: tuple[Finding, ...]
    undecided: tuple[Key, ...]
    tolerated: Counter[str] = field(default_factory=Counter)


def confirm(pair: TablePair, suspects: Sequence[Key], settle: Settle | None, *, reveal: bool) -> Verdict:
    """Look at the suspects again and again, until each is equal, or still and different, or time is up.

    Without ``settle`` nothing is known to be on its way, and one second look is enough.
    Raises CheckFailed when replication did not catch up.
    """
    needed = _STILL_LOOKS if settle else 1
    rows = pair.rows(suspects)
    tolerated = _tolerated(pair, rows)
    looks = {key: (state, 0) for key, state in _states(pair, rows).items()}
    findings: list[Finding] = []
    for attempt in range(_LOOKS):
        if not looks:
            break
        _wait(attempt, settle, len(looks), pair.flow.target)
        rows = pair.rows(list(looks))
        tolerated += _tolerated(pair, rows)
        states = _states(pair, rows)
        still = {
            key: (states[key], looks[key][1] + 1 if states[key] == looks[key][0] else 0)
            for key in looks
            if key in states
        }
        findings += [
            _finding(pair, key, rows, reveal) for key, (_, count) in still.items() if count >= needed
        ]
        looks = {key: seen for key, seen in still.items() if seen[1] < needed}
    return Verdict(tuple(findings), tuple(looks), tolerated)


def _wait(attempt: int, settle: Settle | None, waiting: int, table: str) -> None:
    if attempt:
        time.sleep(min(_LONGEST_PAUSE_SECONDS, _PAUSE_SECONDS * 2**attempt))
    if settle and not settle():
        raise CheckFailed(
            f"replication into {table!r} did not catch up in time, so {waiting} rows that differed "
            "could not be judged; look at the lag with `strangler status`, and check again when it is low"
        )


def _states(pair: TablePair, rows: Looked) -> dict[Key, State]:
    """The states of those that differ beyond tolerance, told apart by text, since a NaN equals nothing."""
    return {
        key: blake2b(repr(both).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for key, both in rows.items()
        if _differ(pair, *both)
    }


def _differ(pair: TablePair, source: Row | None, target: Row | None) -> bool:
    if source is None or target is None:
        return source is not target
    return bool(pair.columns.intolerable(source, target))


def _tolerated(pair: TablePair, rows: Looked) -> Counter[str]:
    columns = pair.columns
    if all(column.tolerance is None for column in columns.columns):
        return Counter()
    return Counter(
        columns.columns[at].name
        for source, target in rows.values()
        if source is not None and target is not None and not columns.intolerable(source, target)
        for at in columns.differing(source, target)
    )


def _finding(pair: TablePair, key: Key, rows: Looked, reveal: bool) -> Finding:
    source, target = rows[key]
    if source is None or target is None:
        kind = FindingKind.MISSING if target is None else FindingKind.EXTRA
        return Finding(pair.flow.target, kind, key)
    columns = pair.columns
    return Finding(
        pair.flow.target,
        FindingKind.DIFFERENT,
        key,
        tuple(
            difference(columns.columns[at], source[at], target[at], reveal=reveal)
            for at in columns.intolerable(source, target)
        ),
    )
