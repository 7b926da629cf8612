"""The plan that `strangler serve` goes by: taken whole when it is valid, kept while a new one is not (I6)."""

import logging
from pathlib import Path

from migration.errors import MigrationError
from migration.facade_plan import facade_config
from migration.plan import Plan
from migration.wiring import Wiring
from migration.worker import KEPT_PLAN

_log = logging.getLogger(__name__)


class Reloading:
    """Keeps the text of the last valid plan in ``directory``, where every worker reads it: one that has to be
    started again while the plan's file is broken serves by the last valid one too.

    ``refused`` says what is wrong with the plan's file if it was not taken.
    """

    def __init__(self, wiring: Wiring, directory: Path) -> None:
        self.refused: str | None = None
        self._wiring = wiring
        self._directory = directory

    def take(self) -> Plan:
        """Read the plan's file and keep it. Raises MigrationError when it cannot be served by."""
        file = self._wiring.plan.file
        draft = self._directory / f"{KEPT_PLAN}.new"
        try:
            draft.write_bytes(file.read_bytes())
        except OSError as error:
            raise MigrationError(f"{file} cannot be read: {error.strerror}. Restore it.") from error
        plan = Plan.load(file, draft)
        facade_config(plan)
        self._stays(plan)
        draft.replace(self._directory / KEPT_PLAN)
        return plan

    def reload(self) -> bool:
        """Take the plan's file if it is valid. Whether the workers are to be replaced."""
        try:
            plan = self.take()
        except MigrationError as error:
            self.refused = f"the plan is not taken, the last valid one is served by: {error}"
            _log.error("%s", self.refused)
            return False
        self.refused = None
        self._wiring.replan(plan)
        _log.info("the plan is taken; the workers are replaced one by one")
        return True

    def _stays(self, plan: Plan) -> None:
        """Refuse what the parent process was started with."""
        before = self._wiring.plan
        fixed = {
            "control.database": (before.control.database_url, plan.control.database_url),
            "facade.listen": (before.facade.listen, plan.facade.listen),
            "facade.admin": (before.facade.admin, plan.facade.admin),
            "facade.tls": (before.facade.tls, plan.facade.tls),
        }
        changed = [key for key, (old, new) in fixed.items() if old != new]
        if changed:
            raise MigrationError(
                f"{' and '.join(changed)} cannot change while it serves. Take the change back, or restart."
            )
