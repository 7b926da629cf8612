"""Changing flags by hand: each change is in the audit log, and none goes around the fence."""

from collections.abc import Mapping
from typing import Any

from flags.errors import FlagError
from flags.rule import OFF, Rule
from flags.store import EmbeddedStore
from migration import refusals
from migration.actor import this_actor
from migration.control import Change, Control
from migration.errors import StageError
from migration.takebacks import raises, require_unlocked


class FlagDesk:
    """Sets flags on behalf of ``actor``. Every method returns the revision that workers will report."""

    def __init__(self, control: Control, flags: EmbeddedStore, actor: str | None = None) -> None:
        self._control = control
        self._flags = flags
        self._actor = actor or this_actor()

    def set_share(self, name: str, share: int) -> int:
        """Turn ``name`` on for ``share`` (‱). Raises FlagError for a ``.writes`` flag: those move fenced."""
        _require_unfenced(name)
        with self._control.change() as change:
            before = self._flags.get(name, within=change.connection)
            if name.endswith(".reads") and raises(before, share):
                _require_unlocked(change, name.removesuffix(".reads"))
            revision = self._flags.set_share(name, share, self._actor, within=change.connection)
            self._control.audit(
                change.connection,
                self._actor,
                f"flag {name}",
                {"share": None if before is None else before.share},
                {"share": share},
            )
        return revision

    def kill(self, name: str) -> int:
        """Turn a flag, or those of a phase, off for everybody. Raises FlagError when there is none.

        Who writes stays as it is: that would not be a kill, but a change of writer around the fence.
        """
        _require_unfenced(name)
        with self._control.change() as change:
            revision = change.revision
            flags = self._flags.list(within=change.connection)
            of_phase = [flag.name for flag in flags if flag.name.startswith(f"{name}.")]
            for each in [flag for flag in of_phase if not _fenced(flag)] if of_phase else [name]:
                revision = self._flags.kill(each, self._actor, within=change.connection)
            self._control.audit(
                change.connection, self._actor, f"flag {name} killed", {"on": True}, {"on": False}
            )
        return revision

    def import_(self, document: Mapping[str, Any]) -> int:
        """Create or replace flags from a document in Unleash's format.

        Raises FlagError, also when a ``.writes`` flag would come to say something else than it does.
        """
        with self._control.change() as change:
            before = self._shares(change)
            writing = self._writing(change)
            revision = self._flags.import_(document, self._actor, within=change.connection)
            for name, rule in self._writing(change).items():
                # Who writes is asked of the routing key alone, by whatever reads the flag.
                if rule.rollouts is None or rule != writing.get(name, OFF):
                    _require_unfenced(name)
            after = self._shares(change)
            for name in after:
                if name.endswith(".reads") and after[name] > before.get(name, 0):
                    _require_unlocked(change, name.removesuffix(".reads"))
            self._control.audit(change.connection, self._actor, "flags imported", before, after)
        return revision

    def _writing(self, change: Change) -> dict[str, Rule]:
        rules = self._flags.snapshot(within=change.connection).rules
        return {name: rule for name, rule in rules.items() if _fenced(name)}

    def _shares(self, change: Change) -> dict[str, int]:
        return {flag.name: flag.share for flag in self._flags.list(within=change.connection)}


def _require_unlocked(change: Change, phase: str) -> None:
    """What the guard took back is not raised behind its back."""
    try:
        require_unlocked(change.connection, phase)
    except StageError as error:
        raise FlagError(str(error)) from error


def _fenced(name: str) -> bool:
    return name.endswith(".writes")


def _require_unfenced(name: str) -> None:
    if _fenced(name):
        raise FlagError(refusals.writes_move_fenced(name.removesuffix(".writes")))
