"""Moves that are refused, in words: what stands in the way, and what to do instead. Pure."""

from collections import Counter
from collections.abc import Sequence

from dual_write.parking import Parked
from facade.ports import WorkerStatus
from flags.percent import FULL, format_percent
from migration.plan import Phase
from migration.stages import PhaseRecord, Stage


def owned_by_service(record: PhaseRecord) -> str:
    return (
        f"phase {record.name!r} is {record.stage}: the service owns its rows, and there is nothing "
        f"to copy to it. `strangler check {record.name}` compares the two sides."
    )


def nothing_ahead(record: PhaseRecord) -> str:
    return f"phase {record.name!r} is {record.stage}, the last stage; there is nothing to advance to."


def completes_only_on_purpose(record: PhaseRecord) -> str:
    return (
        f"phase {record.name!r} is {record.stage}. What comes next ends the way back: "
        f"run `strangler complete {record.name}` when you are sure."
    )


def not_live(record: PhaseRecord) -> str:
    return (
        f"phase {record.name!r} is in {record.stage}; only a live phase can be completed. "
        f"`strangler runbook {record.name}` shows the steps until then."
    )


def moved_meanwhile(phase: str) -> str:
    return f"phase {phase!r} has moved meanwhile. Look at `strangler status` and decide anew."


def not_in_ramp(record: PhaseRecord) -> str:
    remedy = {
        Stage.LIVE: f"Its reads are the service's; `strangler rollback {record.name}` takes them back.",
        Stage.COMPLETE: "Its reads are the service's for good.",
    }.get(record.stage, f"`strangler advance {record.name}` leads there.")
    return f"phase {record.name!r} is in {record.stage}, and shares are ramped in the stage ramp. {remedy}"


def taken_back(phase: str, reason: str) -> str:
    return (
        f"the guard has taken the reads of phase {phase!r} back: {reason} "
        f"`strangler guard show {phase}` has the evidence. When you have looked, run "
        f"`strangler guard acknowledge {phase}`; until then no share is raised."
    )


def no_steps(phase: str) -> str:
    return (
        f"the plan has no steps for phase {phase!r}. Give it some, such as "
        "[phases.ramp] steps = [1, 5, 25, 50, 100], or use --reads."
    )


def nothing_to_climb(phase: str, share: int) -> str:
    return (
        f"{format_percent(share)} % of the reads of phase {phase!r} go to the service, the last step or "
        f"more. `strangler advance {phase}` leads on."
    )


def no_way_back(record: PhaseRecord) -> str:
    if record.stage is Stage.OFF:
        return f"phase {record.name!r} is off; there is nothing to roll back."
    return f"phase {record.name!r} is complete; its way back has ended, and the service owns its rows."


def split_writes(phase: Phase, share: int) -> str | None:
    """Why writes cannot be ramped to ``share`` (in ‱); None when there is nothing to refuse."""
    if share in {0, FULL}:
        return None
    if shared := sorted(_shared(phase)):
        return (
            f"phase {phase.name!r} splits or merges the table {shared[0]!r}, so a row may be made of rows "
            "that both sides write. Move all writes at once: use --writes 0 or 100."
        )
    if phase.routing_key is not None:
        return None
    return (
        f"phase {phase.name!r} has no routing_key, so nothing says which side owns a write. "
        'Give it one in the plan, such as routing_key = "jwt:sub", or use --writes 0 or 100.'
    )


def _shared(phase: Phase) -> set[str]:
    """The tables that several entries of the plan name on one side."""
    moved = [table for table in phase.tables if not table.follow]
    named = Counter(table.monolith for table in moved), Counter(table.service for table in moved)
    return {name for count in named for name, times in count.items() if times > 1}


def nothing_to_ramp(phase: str) -> str:
    return f"neither reads nor writes of phase {phase!r} are to change. Give --reads, --writes or both."


def conflicts(phase: str, parked: Sequence[Parked]) -> str:
    first = parked[0]
    return (
        f"{len(parked)} rows of phase {phase!r} were changed on both sides, the first in table "
        f"{first.table!r}, key {first.key}. Say which side's shall stay: "
        f"`strangler check {phase} --keep monolith` or `--keep service`."
    )


def silent(phase: str, workers: Sequence[WorkerStatus]) -> str:
    named = ", ".join(f"{each.worker} (process {each.pid} on {each.host})" for each in workers)
    return (
        f"{named} fell silent without having stopped. If it is only cut off, it sends writes of phase "
        f"{phase!r} by an old share, and while both sides write no database refuses them. End it: "
        "`strangler serve` on its host forgets it within 10 s, and every host after an hour."
    )


def writes_move_fenced(phase: str) -> str:
    return (
        f"{phase}.writes moves with the fenced switch, never by itself: use "
        f"`strangler ramp {phase} --writes P`, `strangler advance {phase}` or `strangler rollback {phase}`."
    )


def no_side_follows(phase: str) -> str:
    return (
        f"writes of phase {phase!r} are split, so neither side is the copy of the other. For rows that both "
        f"sides changed: `strangler check {phase} --keep monolith` or `--keep service`. For any other "
        f"difference end the split with `strangler ramp {phase} --writes 0`, and repair then."
    )


def no_conflict_possible(record: PhaseRecord) -> str:
    return (
        f"phase {record.name!r} has one writer, the {record.writer}: no row was changed on both sides. "
        f"`strangler check {record.name} --repair` mends what differs."
    )
