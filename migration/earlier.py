"""An earlier run of shadow traffic, to compare with: a report saved as JSON, or a period of this phase."""

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from migration.control import Control
from migration.errors import EvidenceError
from migration.evidence import shadow_summary
from migration.moments import is_period, period_of
from migration.summary import ShadowSummary, View

_SUMMARY = TypeAdapter(ShadowSummary)


def earlier_run(control: Control, phase: str, run: str, now: float, view: View) -> ShadowSummary:
    """The summary that ``run`` names: a file, or ``FROM..TO``. Raises EvidenceError.

    A file's figures stay those of the view it was saved with.
    """
    if Path(run).is_file():
        saved = _saved(Path(run))
        if saved.phase != phase:
            raise EvidenceError(f"{run} is a report of phase {saved.phase!r}, not of {phase!r}.")
        return saved
    if is_period(run):
        return shadow_summary(control, phase, *period_of(run, now), view)
    raise EvidenceError(
        f"{run!r} is neither a file nor a period. Give a report that was saved by "
        f"`strangler shadow {phase} --json > FILE`, or a period as in 2h..1h."
    )


def _saved(file: Path) -> ShadowSummary:
    told = "Save one with `strangler shadow PHASE --json > FILE`."
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EvidenceError(f"{file} is not JSON ({error}). {told}") from None
    if not isinstance(document, dict) or "summary" not in document:
        raise EvidenceError(f"{file} is no report of shadow traffic. {told}")
    try:
        return _SUMMARY.validate_python(document["summary"])
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise EvidenceError(
            f"{file}: `summary.{place}` is not as this version writes it ({first['msg']}). {told}"
        ) from None
