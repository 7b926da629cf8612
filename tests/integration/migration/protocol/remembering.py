"""Stand-ins for what journals, leases and records do: the real code's effect, recalled where it is known."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from migration.control import Change, Control
from migration.journal import Entry, Journal, Run
from migration.lease import TTL_SECONDS, Lease
from migration.procedure import Detail
from migration.stages import PhaseRecord
from tests.integration.migration.protocol.control import WITHIN, ModelControl


def remembering(control: ModelControl) -> dict[str, Any]:
    """What to put in place of what."""
    return {
        **_journal(control),
        **_lease(control),
        **_phases(control),
        "migration.workers.ControlWorkers.live_workers": lambda _: control.live_workers(),
        "migration.journal.secrets.token_hex": control.new_name,
        "migration.procedure.new_holder": control.new_name,
        "migration.reconcile.new_holder": control.new_name,
        "migration.guards.new_holder": control.new_name,
    }


def _journal(control: ModelControl) -> dict[str, Any]:
    begin, enter, commit, end = Journal.begin, Journal.enter, Journal.commit, Journal.end
    run, unfinished, entries = Journal.run, Journal.unfinished, Journal.entries

    def began(journal: Journal, lease: Lease, kind: str, intent: Detail, actor: str) -> Run:
        call = ("begin", lease.token, kind, repr(intent))
        return control.written(call, lambda: begin(journal, lease, kind, intent, actor))

    def entered(journal: Journal, lease: Lease, of: Run, step: int, name: str, *, done: Any) -> None:
        call = ("enter", lease.token, of.id, step, name, repr(done))
        control.written(call, lambda: enter(journal, lease, of, step, name, done=done))

    def committed(journal: Journal, lease: Lease, of: Run) -> None:
        control.written(("commit", lease.token, of.id), lambda: commit(journal, lease, of))

    def ended(journal: Journal, lease: Lease, of: Run, outcome: str, detail: Detail) -> None:
        call = ("end", lease.token, of.id, outcome, repr(detail))
        control.written(call, lambda: end(journal, lease, of, outcome, detail))

    def looked_at(journal: Journal, run_id: str) -> Run:
        return control.looked(("run", run_id), lambda: run(journal, run_id))

    def still_open(journal: Journal) -> list[Run]:
        return control.looked("unfinished", lambda: unfinished(journal))

    def lines(journal: Journal, run_id: str) -> list[Entry]:
        return control.looked(("entries", run_id), lambda: entries(journal, run_id))

    return {
        "migration.journal.Journal.begin": began,
        "migration.journal.Journal.enter": entered,
        "migration.journal.Journal.commit": committed,
        "migration.journal.Journal.end": ended,
        "migration.journal.Journal.run": looked_at,
        "migration.journal.Journal.unfinished": still_open,
        "migration.journal.Journal.entries": lines,
    }


def _lease(control: ModelControl) -> dict[str, Any]:
    acquire, release, hold = Lease.acquire.__func__, Lease.release, Lease.hold

    def still_held(lease: Lease, connection: Connection) -> None:
        if connection is WITHIN:
            control.part(("hold", lease.token), lambda real: hold(lease, real))
        else:
            hold(lease, connection)

    def acquired(cls: type[Lease], _: Control, name: str, holder: str, ttl: float = TTL_SECONDS) -> Lease:
        token = control.written(("acquire", holder), lambda: acquire(cls, control, name, holder, ttl).token)
        return cls(control, name, holder, token, ttl)

    def released(lease: Lease) -> None:
        try:
            control.written(("release", lease.token), lambda: release(lease))
        except SQLAlchemyError:
            return  # it runs out by itself

    return {
        "migration.lease.Lease.acquire": classmethod(acquired),
        "migration.lease.Lease.release": released,
        "migration.lease.Lease.hold": still_held,
    }


def _phases(control: ModelControl) -> dict[str, Any]:
    phase, phases, amend = Control.phase, Control.phases, Control.amend

    def one(_: Control, name: str) -> PhaseRecord:
        return control.looked("phase", lambda: phase(control, name))

    def every(_: Control) -> dict[str, PhaseRecord]:
        return control.looked("phases", lambda: phases(control))

    def amended(_: Control, change: Change, name: str, actor: str, what: str, **values: Any) -> PhaseRecord:
        call = ("amend", name, actor, what, repr(values))
        return control.part(
            call, lambda real: amend(control, Change(real, change.revision), name, actor, what, **values)
        )

    return {
        "migration.control.Control.phase": one,
        "migration.control.Control.phases": every,
        "migration.control.Control.amend": amended,
    }
