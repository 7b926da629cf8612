"""What a switch compares once more at the fence: the keys that changed last."""

import time

from sqlalchemy import Engine

from dual_write.check import recheck_keys
from dual_write.replication import Replication
from flags.side import Side

RECHECKED_KEYS = 200
"""How many keys of each table: clients wait meanwhile."""


def differing(
    replication: Replication, source: Engine, target: Engine, to: Side, deadline: float
) -> list[str]:
    """The rows on ``to`` that differ from those they follow, in words.

    ``deadline`` is in seconds of ``time.monotonic``: tables that it leaves no time for are left out.
    Raises DataError when the rows cannot be compared.
    """
    found: list[str] = []
    for mapping in replication.mappings:
        if mapping.follow or time.monotonic() >= deadline:
            continue
        flow = mapping.towards(to)
        keys = replication.changed_last(to, flow, RECHECKED_KEYS)
        findings = recheck_keys(source, target, flow, keys)
        found += [f"{each.table} {list(each.key)} is {each.kind}" for each in findings]
    return found
