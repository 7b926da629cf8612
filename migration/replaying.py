"""A replay of recorded reads, before there is live traffic or beside it.

Its evidence goes into a control database of its own, which is thrown away with the report's making: no gate
asks for a replay, for a recording cannot show what live traffic would.
"""

import asyncio
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path

from facade.replay import Pace, Recorded, Replay
from migration.control import Control
from migration.errors import EvidenceError
from migration.evidence import ControlEvidence, shadow_summary
from migration.facade_plan import facade_config, retentions
from migration.plan import Plan
from migration.recording import read_recording
from migration.summary import ShadowSummary, View

_FLUSH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay has shown, and how many recorded requests were not asked, by reason."""

    summary: ShadowSummary
    skipped: dict[str, int]


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of requests; ``limit`` of them are replayed, each with these fields in place of its own."""

    file: Path
    limit: int | None = None
    fields: Sequence[tuple[bytes, bytes]] = ()

    def requests(self) -> Iterable[Recorded]:
        """Raises EvidenceError where the file is not as it should be."""
        ours = {name.lower() for name, _ in self.fields}
        for request in islice(read_recording(self.file), self.limit):
            kept = (each for each in request.fields if each[0].lower() not in ours)
            yield replace(request, fields=(*kept, *self.fields))


def replay(
    plan: Plan,
    phase: str,
    recording: Recording,
    pace: Pace,
    view: View,
    progress: Callable[[int, int], None],
    stopped: Callable[[], bool],
) -> Replayed:
    """Ask both sides the recorded reads of the phase, and compare. Blocks; ``progress`` gets done and total.

    Raises EvidenceError before anything is asked when the recording cannot be read to its end.
    """
    total = sum(1 for _ in recording.requests())
    if total == 0:
        raise EvidenceError(f"{recording.file} holds no request. Record some reads, and replay them.")
    replaying = Replay(facade_config(plan), plan.route_table(), phase, pace)
    asked = takewhile(lambda _: not stopped(), recording.requests())
    with tempfile.TemporaryDirectory(prefix="strangler-replay-") as scratch:
        control = Control.open(f"sqlite:///{scratch}/evidence.db")
        try:
            evidence = ControlEvidence(control, retentions(plan))
            asyncio.run(_run(replaying, asked, evidence, lambda done: progress(done, total)))
            summary = shadow_summary(control, phase, 0.0, view=view)
        finally:
            control.close()
    return Replayed(replace(summary, source=str(recording.file)), dict(replaying.skipped))


async def _run(
    replaying: Replay,
    requests: Iterable[Recorded],
    evidence: ControlEvidence,
    progress: Callable[[int], None],
) -> None:
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        progress(done)

    over = asyncio.Event()

    async def flush() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _FLUSH_SECONDS)
            await asyncio.to_thread(evidence.record, "replay", *replaying.accounts.take())

    flushing = asyncio.create_task(flush())
    try:
        await replaying.run(requests, one_more)
    finally:
        over.set()
        await flushing


def header_fields(file: Path) -> list[tuple[bytes, bytes]]:
    """The header fields in a file, a line of ``Name: value`` each. Raises EvidenceError and OSError."""
    fields = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        name, colon, value = line.partition(b":")
        if not colon or not name.strip() or name != name.strip():
            raise EvidenceError(f"{file}:{number}: this is no header field. Write `Name: value`.")
        fields.append((name, value.strip()))
    return fields
