"""What a switch compares once more at the fence: the keys that changed last."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine

from dual_write.check import Recheck
from dual_write.flows import flows
from dual_write.replication import Replication
from flags.side import Side

RECHECKED_KEYS = 200
"""How many keys of each table: clients wait meanwhile."""

Comparison = Callable[[float], Sequence[str]]
"""The rows that differ, in words, until a deadline of ``time.monotonic``: tables that it leaves no time for
are left out."""


@contextmanager
def recheck(replication: Replication, source: Engine, target: Engine, to: Side) -> Iterator[Comparison]:
    """Get ready to compare what ``to`` is about to own with what it follows, while nobody waits yet.

    Raises DataError when the rows cannot be compared.
    """
    compared = flows([mapping for mapping in replication.mappings if not mapping.follow], to)
    with Recheck(source, target, compared) as rows:

        def differing(deadline: float) -> list[str]:
            found: list[str] = []
            for flow in compared:
                if time.monotonic() < deadline:
                    keys = replication.changed_last(to, flow, RECHECKED_KEYS)
                    found += [
                        f"{each.table} {list(each.key)} is {each.kind}" for each in rows.findings(flow, keys)
                    ]
            return found

        yield differing
