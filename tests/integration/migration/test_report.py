"""From two answers to the page: through the comparer, the control database and the report."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facade.compare import Answer, Outcome, Rules, compare
from facade.evidence import Comparison, ShadowCounts
from facade.redact import redact_target
from migration.control import Control
from migration.evidence import ControlEvidence, shadow_summary
from migration.report import render_shadow

CANARIES = {
    "password": "hunter2-plaintext",
    "session_id": "s-plain-session",
    "note": "Bearer c2VjcmV0LWJlYXJlcg",
    "owner": "canary.person@example.org",
    "key": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ",
}
ROUTE = "GET /search"


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    control = Control.open(f"sqlite:///{tmp_path / 'control.db'}")
    yield control
    control.close()


def answer(document: Any, cookie: str) -> Answer:
    headers = ((b"Content-Type", b"application/json"), (b"Set-Cookie", cookie.encode()))
    return Answer(200, headers, json.dumps(document).encode())


def record(control: Control, outcome: Outcome, target: str) -> None:
    at = 0.0
    with control.read() as connection:
        at = control.now(connection)
    counts = ShadowCounts("search", ROUTE, eligible=3, matched=1, mismatched=1, drops={"queue_full": 1})
    counts.fields.update(outcome.fields)
    counts.rules.update(outcome.rules)
    counts.primary_ms[4.0] = counts.shadow_ms[5.0] = 2
    sample = Comparison(
        "search", ROUTE, "req-1", "GET", redact_target(target), at, outcome.differences, 200, 200, 4.0, 5.0
    )
    ControlEvidence(control).record("worker-1", [counts], [sample])


def test_a_report_of_recorded_evidence_tells_what_differed(control: Control) -> None:
    primary = {"items": [{"id": 1, "price": 12}, {"id": 2, "price": 3}], "took_ms": 1}
    shadow = {"items": [{"id": 1, "price": 12.0}], "took_ms": 2}
    rules = Rules(ignore=("$.took_ms", "$.never"))
    record(control, compare(answer(primary, "a=1"), answer(shadow, "a=1"), rules), "/search?q=tax")
    page = render_shadow(shadow_summary(control, "search", 0.0), rules)
    for text in (
        ROUTE,
        "$.items[*].price",
        "$.items[*]",
        "$.items[1]",
        "GET /search?q=tax",
        "queue full",
        "$.never",
    ):
        assert text in page
    assert "12<mark>.0</mark>" in page
    assert "in 50.00 % of 2 comparisons" in page


def test_i9_planted_secrets_reach_neither_the_database_nor_the_page(control: Control, tmp_path: Path) -> None:
    outcome = compare(
        answer({"deep": [CANARIES], **CANARIES, CANARIES["owner"]: 1}, "sid=canary-cookie; Path=/"),
        answer({name: value[::-1] for name, value in CANARIES.items()}, "sid=canary-cookie; Path=/; Secure"),
        Rules(headers=("content-type", "set-cookie")),
    )
    record(control, outcome, f"/search?password={CANARIES['password']}&mail={CANARIES['owner']}")
    page = render_shadow(shadow_summary(control, "search", 0.0))
    assert "$.password" in page
    assert "header:set-cookie" in page
    written = page.encode() + b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for canary in (*CANARIES.values(), "c2VjcmV0LWJlYXJlcg", "canary-cookie"):
        assert canary.encode() not in written
