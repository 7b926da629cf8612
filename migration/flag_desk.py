"""Changing flags by hand: each change is in the audit log, and none goes around the fence."""

from collections.abc import Mapping
from typing import Any

from flags.errors import FlagError
from flags.store import EmbeddedStore
from migration.control import Change, Control
from migration.transitions import this_actor


class FlagDesk:
    """Sets flags on behalf of ``actor``. Every method returns the revision that workers will report."""

    def __init__(self, control: Control, flags: EmbeddedStore, actor: str | None = None) -> None:
        self._control = control
        self._flags = flags
        self._actor = actor or this_actor()

    def set_share(self, name: str, share: int) -> int:
        """Turn ``name`` on for ``share`` (‱). Raises FlagError for a ``.writes`` flag: those move fenced."""
        phase, _, kind = name.rpartition(".")
        if kind == "writes":
            raise FlagError(
                f"{name} moves with the fenced switch, never by itself: use `strangler advance {phase}` "
                f"or `strangler rollback {phase}`."
            )
        with self._control.change() as change:
            before = self._flags.get(name, within=change.connection)
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
        """Turn a flag, or all flags of a phase, off for everybody. Raises FlagError when there is none."""
        with self._control.change() as change:
            revision = self._flags.kill(name, self._actor, within=change.connection)
            self._control.audit(
                change.connection, self._actor, f"flag {name} killed", {"on": True}, {"on": False}
            )
        return revision

    def import_(self, document: Mapping[str, Any]) -> int:
        """Create or replace flags from a document in Unleash's format. Raises FlagError."""
        with self._control.change() as change:
            before = self._shares(change)
            revision = self._flags.import_(document, self._actor, within=change.connection)
            after = self._shares(change)
            self._control.audit(change.connection, self._actor, "flags imported", before, after)
        return revision

    def _shares(self, change: Change) -> dict[str, int]:
        return {flag.name: flag.share for flag in self._flags.list(within=change.connection)}
