"""Can this plan run? Every precondition asked of the real servers and databases, with nothing changed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from dual_write.database import open_engine
from dual_write.errors import DataError
from dual_write.mapping import TableMapping
from dual_write.resolve import resolve
from flags.errors import FlagError
from flags.side import Side
from migration import doctor_databases, doctor_tables
from migration.doctor_capture import drift, outbox_facts
from migration.doctor_databases import Fact
from migration.errors import MigrationError, PlanError
from migration.plan import Phase, Plan, Table
from migration.runbook import load, locate


class Level(StrEnum):
    """``fail``: the plan cannot run. ``warn``: it can, but read this first."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One finding about ``subject``, and what to do about it (empty when there is nothing to do)."""

    level: Level
    subject: str
    text: str
    remedy: str = ""


def diagnose(plan: Plan, phases: Sequence[str] | None = None) -> list[Diagnosis]:
    """Examine everything that ``phases`` (all of them by default) need, in the order in which it is needed.

    Raises MigrationError when the plan has no such phase; whatever else is wrong is a diagnosis.
    """
    chosen = plan.phases if phases is None else tuple(plan.phase(name) for name in phases)
    found = [_upstream("monolith", url, plan) for url in plan.monolith.urls]
    found.append(_control(plan))
    if plan.kafka is not None:
        found.append(_kafka(plan))
    if plan.flags.unleash is not None:
        found.append(_unleash(plan))
    with _opened(plan.monolith.database_url, "monolith", found) as monolith:
        found += _replica("monolith", monolith, plan.monolith.replica_url)
        for phase in chosen:
            found += [_upstream(f"{phase.name}: service", url, plan) for url in phase.service.urls]
            found.append(_key(phase))
            found.append(_runbook(phase, plan))
            found += _tables(phase, monolith)
    return found


def _upstream(subject: str, url: str, plan: Plan) -> Diagnosis:
    try:
        with (
            httpx.Client(timeout=plan.facade.timeouts.connect) as client,
            client.stream("GET", url) as answer,
        ):
            return Diagnosis(Level.OK, subject, f"{url} answers ({answer.status_code} for /)")
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        return Diagnosis(
            Level.FAIL,
            subject,
            f"{url} does not answer: {reason}.",
            f"Start it, or correct `url` in the plan's section of the {subject.rpartition(' ')[2]}.",
        )


def _runbook(phase: Phase, plan: Plan) -> Diagnosis:
    subject = f"{phase.name}: runbook"
    file = locate(phase.runbook, plan.directory)
    try:
        steps = load(file or plan.directory / phase.runbook).steps
    except PlanError as error:
        return Diagnosis(Level.FAIL, subject, str(error), "`strangler runbook` would refuse it.")
    return Diagnosis(Level.OK, subject, f"{phase.runbook} has {len(steps)} steps")


def _unleash(plan: Plan) -> Diagnosis:
    from flags.unleash_server import UnleashServer  # noqa: PLC0415 - as below

    subject = "Unleash"
    try:
        account = plan.unleash()
        assert account is not None  # noqa: S101 - asked only where there is one
        with UnleashServer(account) as server:
            server.read()
            server.look()
    except (FlagError, MigrationError) as error:
        return Diagnosis(Level.FAIL, subject, str(error), "Mend that, or keep the flags here.")
    said = f"{account.url} serves the flags of {account.environment} and knows both tokens"
    return Diagnosis(Level.OK, subject, said)


def _kafka(plan: Plan) -> Diagnosis:
    from dual_write import kafka_broker  # noqa: PLC0415 - slow to import, and few plans need it

    try:
        brokers = plan.brokers()
        assert brokers is not None  # noqa: S101 - asked for only when the plan has the section
        number = kafka_broker.reach(brokers)
    except (DataError, MigrationError) as error:
        return Diagnosis(Level.FAIL, "Kafka", f"{error}.", "Or take [kafka] out of the plan.")
    return Diagnosis(Level.OK, "Kafka", f"{number} brokers answer")


def _control(plan: Plan) -> Diagnosis:
    subject, url = "control database", sa.make_url(plan.control.database_url)
    if url.get_backend_name() == "sqlite":
        return _control_file(subject, Path(url.database or ""))
    engine = open_engine(url)
    try:
        doctor_databases.reach(engine)
        with engine.connect() as connection:
            if connection.scalar(sa.text("SELECT has_schema_privilege(current_schema(), 'CREATE')")):
                return Diagnosis(Level.OK, subject, "answers, and tables can be created in it")
            role = connection.scalar(sa.text("SELECT current_user"))
            return Diagnosis(
                Level.FAIL,
                subject,
                f"{role} may not create tables",
                f"GRANT CREATE ON SCHEMA public TO {role}.",
            )
    except (DataError, SQLAlchemyError) as error:
        return Diagnosis(
            Level.FAIL, subject, _first_line(error), "Start it, or correct `database` under [control]."
        )
    finally:
        engine.dispose()


def _control_file(subject: str, file: Path) -> Diagnosis:
    # The nearest directory that is there: the others are made when the control database is.
    directory = next(parent for parent in file.parents if parent.exists())
    possible = directory.is_dir() and os.access(directory, os.W_OK)
    if possible and (not file.exists() or (file.is_file() and os.access(file, os.W_OK))):
        return Diagnosis(Level.OK, subject, f"{file} can be written")
    return Diagnosis(
        Level.FAIL,
        subject,
        f"{file} cannot be written by this user" if file.exists() else f"nothing can be made in {directory}",
        "Give this user the right to write there, or name another file with `database` under [control].",
    )


@contextmanager
def _opened(url: str, subject: str, found: list[Diagnosis]) -> Iterator[sa.Engine | None]:
    """The database behind ``url``, or None and a diagnosis when it does not answer."""
    engine = open_engine(url)
    try:
        doctor_databases.reach(engine)
    except (DataError, SQLAlchemyError) as error:
        found.append(
            Diagnosis(
                Level.FAIL,
                f"{subject} database",
                f"{_first_line(error)}.",
                f"The plan names it as `database` in the section of the {subject.rpartition(' ')[2]}.",
            )
        )
        yield None
    else:
        yield engine
    finally:
        engine.dispose()


def _replica(subject: str, primary: sa.Engine | None, url: str | None) -> list[Diagnosis]:
    if primary is None or url is None:
        return []
    return [_said(f"{subject} replica", doctor_databases.replica(primary, url))]


def _key(phase: Phase) -> Diagnosis:
    if phase.routing_key is not None:
        return Diagnosis(Level.OK, phase.name, f"splits by {phase.routing_key}")
    return Diagnosis(
        Level.OK,
        phase.name,
        "has no routing key: a cookie keeps each client's reads on one side",
    )


def _tables(phase: Phase, monolith: sa.Engine | None) -> list[Diagnosis]:
    url = phase.service.database_url
    if not phase.tables or url is None:
        return [Diagnosis(Level.OK, phase.name, "has no tables: nothing is replicated")]
    found: list[Diagnosis] = []
    with _opened(url, f"{phase.name}: service", found) as service:
        if monolith is None or service is None:
            return found
        mappings: list[TableMapping] = []
        for shared, tables in doctor_tables.together(phase.tables):
            found += _group(phase, shared, tables, monolith, service, mappings)
        found += _replica(f"{phase.name}: service", service, phase.service.replica_url)
        for side, engine in ((Side.MONOLITH, monolith), (Side.SERVICE, service)):
            found += _side(phase, side, engine, mappings)
        found += [
            Diagnosis(
                Level.FAIL if each.blocks else Level.WARN, f"{phase.name}: schema drift", f"{each.text}."
            )
            for each in drift(phase, monolith, service)
        ]
    return found


def _group(
    phase: Phase,
    shared: Side | None,
    tables: Sequence[Table],
    monolith: sa.Engine,
    service: sa.Engine,
    mappings: list[TableMapping],
) -> list[Diagnosis]:
    """Whether tables that share one can be mapped; if so, their mappings are added to ``mappings``."""
    try:
        resolved = resolve([table.spec() for table in tables], monolith, service)
        said = list(doctor_tables.facts(tables, resolved, shared, monolith, service))
    except (DataError, SQLAlchemyError) as error:
        remedy = "Correct the table, or its section in the plan."
        return [Diagnosis(Level.FAIL, _subject(phase, tables[0]), _first_line(error), remedy)]
    mappings += resolved
    return [_said(_subject(phase, table), fact) for table, fact in said]


def _subject(phase: Phase, table: Table) -> str:
    return f"{phase.name}: {table.monolith} → {table.service}"


def _side(
    phase: Phase, side: Side, engine: sa.Engine, mappings: Sequence[TableMapping]
) -> Iterator[Diagnosis]:
    subject = f"{phase.name}: {side} database"
    # Also of tables that could not be mapped: a right that lacks may be why.
    names = (table.monolith if side is Side.MONOLITH else table.service for table in phase.tables)
    tables = list(dict.fromkeys(names))
    try:
        with engine.connect() as connection:
            for fact in doctor_databases.facts(connection, tables):
                yield _said(subject, fact)
            if side is Side.MONOLITH:
                for fact in outbox_facts(connection, phase):
                    yield _said(subject, fact)
            for name, mapping in {mapping.table(side): mapping for mapping in mappings}.items():
                if side is Side.SERVICE or not mapping.follow:
                    triggers = doctor_databases.foreign_triggers(connection, name)
                    yield from _triggers(f"{subject}: {name}", triggers, suppressed=mapping.suppress_triggers)
    except SQLAlchemyError as error:
        yield Diagnosis(Level.FAIL, subject, _first_line(error), "Mend the database, then run this again.")


def _said(subject: str, fact: Fact) -> Diagnosis:
    level = Level.OK if fact.good else Level.FAIL if fact.fatal else Level.WARN
    return Diagnosis(level, subject, fact.text, fact.remedy)


def _triggers(subject: str, names: Sequence[str], *, suppressed: bool) -> Iterator[Diagnosis]:
    if names and suppressed:
        yield Diagnosis(
            Level.WARN,
            subject,
            f"its own triggers ({', '.join(names)}) sleep while replicated changes are applied",
            'See that the tables they write to are carried too, or say `triggers = "fire"`.',
        )
    elif names:
        yield Diagnosis(
            Level.WARN,
            subject,
            f"its own triggers ({', '.join(names)}) fire also for replicated changes",
            'See that they do not do again what the other side did, or say `triggers = "suppress"`.',
        )


def _first_line(error: Exception) -> str:
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
