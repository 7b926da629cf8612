"""The plan: ``strangler.toml`` with what the environment overrides, validated whole before anything runs."""

import hashlib
import json
from difflib import get_close_matches
from pathlib import Path
from typing import Self

from pydantic import PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from dual_write.kafka_settings import Brokers
from facade import routes as facade_routes
from facade.routes import RouteTable
from flags.cohort import Cohorts
from flags.unleash_account import Account
from migration import plan_secrets, plan_source
from migration.errors import MigrationError, PlanError, Problem
from migration.plan_claims import conflicts
from migration.plan_columns import ColumnRule
from migration.plan_flags import Flags
from migration.plan_gates import Gates
from migration.plan_kafka import Kafka
from migration.plan_lines import Place
from migration.plan_sections import (
    Control,
    Database,
    Facade,
    Monolith,
    Phase,
    Relay,
    Route,
    Service,
    Table,
    Timeouts,
)
from migration.plan_shadow import Shadow
from migration.runbook import locate, templates

__all__ = [
    "ColumnRule",
    "Control",
    "Facade",
    "Flags",
    "Gates",
    "Kafka",
    "Monolith",
    "Phase",
    "Plan",
    "PlanError",
    "Relay",
    "Route",
    "Service",
    "Shadow",
    "Table",
    "Timeouts",
]


class Plan(BaseSettings):
    """The whole plan. Get one with ``Plan.load``: files are then absolute and passwords read.

    ``STRANGLER_MONOLITH__URL`` overrides ``url`` under ``[monolith]``, and so on for every section but the
    phases, which are as the file says.
    """

    model_config = SettingsConfigDict(
        env_prefix=plan_source.ENVIRONMENT_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    monolith: Monolith
    control: Control = Control()
    facade: Facade = Facade()
    relay: Relay = Relay()
    flags: Flags = Flags()
    kafka: Kafka | None = None
    phases: tuple[Phase, ...] = ()

    _file: Path = PrivateAttr(default=Path("strangler.toml"))
    _hash: str = PrivateAttr(default="")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings gives all five by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The environment wins over the file, and nothing else is read.
        return env_settings, init_settings

    @classmethod
    def load(cls, path: Path | str, kept: Path | None = None) -> "Plan":
        """Read and validate the plan at ``path``, or a copy ``kept`` of it, as if that were still there.

        Raises PlanError with everything that is wrong with it.
        """
        source = plan_source.read(Path(path), kept)
        # pydantic-settings would take these as its own arguments.
        if private := [source.unknown((key,), cls) for key in source.document if key.startswith("_")]:
            raise PlanError(source.path, private)
        try:
            plan = cls(**source.document)
        except ValidationError as error:
            raise PlanError(source.path, plan_source.problems(error, source, cls)) from error
        except SettingsError as error:
            raise PlanError(source.path, [Problem(None, "environment", f"{error}.")]) from error
        if plan.facade.jwt is None:
            message = "the phase wants tokens, but which are good? Say so in [facade.jwt]."
            wanting = [n for n, phase in enumerate(plan.phases) if phase.authenticate]
            if unlocked := [source.problem(("phases", n, "authenticate"), message) for n in wanting]:
                raise PlanError(source.path, unlocked)
        if lost := [
            source.problem(
                ("phases", number, "runbook"),
                f"there is no runbook {phase.runbook!r}. Built in: {', '.join(templates())}; or name a file.",
            )
            for number, phase in enumerate(plan.phases)
            if locate(phase.runbook, source.path.absolute().parent) is None
        ]:
            raise PlanError(source.path, lost)
        doubled = conflicts(plan.phases, plan.facade.aggregates)
        if problems := [source.problem(place, message) for place, message in doubled]:
            raise PlanError(source.path, problems)
        return plan._placed(source)

    @property
    def file(self) -> Path:
        """The plan's file, absolute."""
        return self._file

    @property
    def directory(self) -> Path:
        """Where relative files of the plan are, and where ``.strangler/`` is kept."""
        return self._file.parent

    @property
    def hash(self) -> str:
        """Names the plan's content, with what the environment overrides but without secrets."""
        return self._hash

    def phase(self, name: str) -> Phase:
        """The phase called ``name``. Raises MigrationError when the plan has none."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        names = [phase.name for phase in self.phases]
        close = get_close_matches(name, names, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"The plan has: {', '.join(names) or 'none yet'}."
        raise MigrationError(f"there is no phase {name!r} in {self.file}. {hint}")

    def route_table(self) -> RouteTable:
        """The routes of all phases and the aggregates; requests that match none are the monolith's."""
        routes = [
            facade_routes.Route(route.method, route.path, phase.name, route.kind, route.retired, route.name)
            for phase in self.phases
            for route in phase.routes
        ]
        return RouteTable.compile([*routes, *(each.route() for each in self.facade.aggregates)])

    @property
    def cohorts(self) -> dict[str, Cohorts]:
        """Who comes first and who never, by the phases that say so."""
        return {
            phase.name: phase.cohorts.cohorts()
            for phase in self.phases
            if phase.cohorts.model_fields_set - {"properties"}
        }

    def admin_token(self) -> str:
        """The admin port's bearer token, made on first use when none is given. Raises MigrationError."""
        return plan_secrets.admin_token(self.facade, self.directory)

    def brokers(self) -> Brokers | None:
        """Kafka, when the plan wants it. Raises MigrationError when the password's file cannot be read."""
        if self.kafka is None:
            return None
        password = plan_secrets.kafka_password(self.kafka, self.directory)
        return self.kafka.brokers(self.directory, password)

    def unleash(self) -> Account | None:
        """The Unleash server that keeps the flags, if one does. Raises MigrationError for a token's file."""
        return plan_secrets.unleash_account(self.flags, self.directory)

    def _placed(self, source: plan_source.Source) -> Self:
        """This plan with files made absolute and passwords read. Raises PlanError when one cannot be."""
        self._file = source.path.absolute()
        self._hash = hashlib.sha256(
            json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()
        ).hexdigest()
        sections: dict[Place, Database] = {("monolith",): self.monolith, ("control",): self.control}
        sections |= {("phases", n, "service"): phase.service for n, phase in enumerate(self.phases)}
        for place, section in sections.items():
            try:
                sections[place] = plan_secrets.settled(section, self.directory)
            except MigrationError as error:
                problem = source.problem((*place, "database_password_file"), str(error))
                raise PlanError(source.path, [problem]) from error
        phases = tuple(
            phase.model_copy(update={"service": sections["phases", n, "service"]})
            for n, phase in enumerate(self.phases)
        )
        return self.model_copy(
            update={"monolith": sections["monolith",], "control": sections["control",], "phases": phases}
        )
