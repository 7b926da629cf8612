"""The facade's page says what the facade does: each limit with its value, each event, each duty's numbers."""

import re

from facade import (
    access_log,
    aggregate,
    ejection,
    instances,
    pins,
    protocol,
    rate,
    retry,
    server,
    tokens,
    trailers,
    upstream,
)
from facade import headers as fields
from facade.config import HealthCheck, Limits, Timeouts
from migration.plan_sections import Facade
from migration.plan_sections import Timeouts as Planned
from tests.acceptance.pages import REPOSITORY, section

PAGE = REPOSITORY / "docs" / "reference" / "facade.md"


def size(number: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number % unit == 0:
            return f"{number // unit} {name}"
    return f"{number} B"


def seconds(number: float) -> str:
    return f"{number:g} s"


LIMITS = {
    "a request's line and header": size(Limits().head),
    "a request's header fields": str(Limits().fields),
    "a request's body": size(Limits().body),
    "a body read for its routing key": size(Limits().key_body),
    "a message's trailers": size(trailers._MOST),
    "time for a request's head": seconds(Timeouts().head),
    "time between two pieces of a request's body": seconds(Timeouts().body),
    "a client's connection without a request": seconds(Timeouts().idle),
    "the same while the facade ends": seconds(protocol._LAST_CHANCE),
    "bytes of a next request read ahead": size(protocol._STASH),
    "time to read an error that ended an upload": seconds(protocol._LINGER),
    "`facade.timeouts.connect`, with waiting for a free connection": seconds(Planned().connect),
    "`facade.timeouts.first_byte`": seconds(Planned().first_byte),
    "`facade.timeouts.total`": seconds(Planned().total),
    "`facade.timeouts.hold`": seconds(Planned().hold),
    "writes held during a switch": str(Limits().held),
    "bytes of held writes read ahead, all together": size(Limits().held_body),
    "connections to one instance": str(Limits().connections),
    "an unused connection to an instance": seconds(Timeouts().upstream_idle),
    "an answer's status line and header": size(upstream._LONGEST_HEAD),
    "interim answers to one request": str(upstream._MOST_INTERIM),
    "parts of an answer made of parts": str(aggregate.MOST_PARTS),
    "one part's body (`max_body`)": size(aggregate.MOST),
    "time for all parts (`timeout`)": seconds(aggregate.PATIENCE),
    "an answer's or a request's body copied for the shadow": size(Limits().shadow_body),
    "shadow requests waiting": str(Limits().shadow_queue),
    "shadow requests at a side at a time": str(Limits().shadow_senders),
    "access log lines that the output does not take": str(access_log._MOST),
    "answers in progress when a worker ends": seconds(server._DRAIN),
    "connections waiting to be accepted": str(server._BACKLOG),
}


def test_each_limit_is_described_with_its_value() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", section(PAGE, "Limits"), re.MULTILINE)
    assert dict(rows[1:]) == LIMITS


def test_every_cap_and_deadline_of_a_worker_is_among_the_limits() -> None:
    assert len(Limits.__slots__) + len(Timeouts.__slots__) == 18, "a new one has its row, and its entry above"


def test_the_plan_and_the_facade_have_the_same_defaults() -> None:
    planned = Planned().model_dump()
    assert planned == {name: getattr(Timeouts(), name) for name in planned}


def test_what_happens_when_a_side_fails_has_its_numbers() -> None:
    text = section(PAGE, "When a side fails")
    check = HealthCheck("/")
    for said in (
        f"`facade.retries` = {Facade().retries} ",
        f"of up to {retry.PAUSE * 1000:g} ms",
        f"at most {instances.RETRIES} requests, or {instances.RETRY_SHARE:.0%}".replace("%", " %"),
        f"{ejection.ERRORS} failures in a row",
        f"after {seconds(ejection.FIRST_PAUSE)}",
        f"up to {seconds(ejection.LONGEST_PAUSE)}",
        f"every {seconds(check.interval)}, {seconds(check.timeout)}",
    ):
        assert said in text


def test_the_tables_of_a_host_and_a_worker_have_their_sizes() -> None:
    places = f"{rate.PLACES // 1000} {rate.PLACES % 1000}"
    assert f"{places} of them" in section(PAGE, "Rate limits")
    assert pins.PLACES == rate.PLACES
    assert f"({tokens._REMEMBERED} in a worker)" in section(PAGE, "Tokens")


def test_every_event_is_named() -> None:
    counted: set[str] = set()
    for file in (REPOSITORY / "facade").glob("*.py"):
        counted.update(re.findall(r'(?:\bcount|\bRefusal)\("(\w+)"', file.read_text(encoding="utf-8")))
    (row,) = re.findall(
        r"^\| `strangler_facade_events_total` \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(re.findall(r"`(\w+)`", row)) - {"event", "phase"} == counted


def test_every_status_of_its_own_is_explained() -> None:
    answered = r'\b(?:Refused|answer|refuse|Refusal|PartAnswer)\((?:"\w+", )?\s*([45]\d\d)'
    given: set[str] = set()
    for file in (REPOSITORY / "facade").glob("*.py"):
        given.update(re.findall(answered, file.read_text(encoding="utf-8")))
    rows = re.findall(r"^\| ([\d, ]+)[^|]* \|", section(PAGE, "What the facade answers itself"), re.MULTILINE)
    explained = {status for row in rows for status in re.findall(r"\d{3}", row)}
    assert {"400", "429", "503", "508"} <= given <= explained


def test_every_field_that_names_another_method_is_named() -> None:
    named = re.findall(r"`(X-[\w-]*Method[\w-]*)`", section(PAGE, "Which method counts"))
    assert {name.lower().encode() for name in named} == fields.METHOD_FIELDS
