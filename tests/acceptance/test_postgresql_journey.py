"""The whole journey on PostgreSQL, with nothing but the command line, while people write."""

import json
from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from migration.demo.environment import PHASE, Environment
from migration.stages import Stage
from tests.acceptance.command import Strangler
from tests.acceptance.people import Crowd

SAVED = {"monolith": "saved_searches", "service": "saved_queries"}


class Journey:
    """One phase, taken through its stages by commands."""

    def __init__(self, environment: Environment, crowd: Crowd) -> None:
        self.environment = environment
        self.crowd = crowd
        self.strangler = Strangler(environment.plan_file)

    @property
    def phase(self) -> dict[str, object]:
        (phase,) = self.strangler("status")["phases"]
        return dict(phase)

    def advance(self, to: Stage) -> None:
        """Advance as soon as the gates are open: those of shadow ask for traffic first."""
        for _ in range(20):
            outcome = self.strangler.attempt("advance", PHASE, "--json")
            if outcome.code == 0:
                assert outcome.document["stage"] == to
                assert outcome.document["late_workers"] == []
                return
            assert outcome.code == 1, outcome
            assert outcome.document["gates"]
            self.crowd.read(50)
        pytest.fail(str(outcome))

    def assert_written_only_on(self, owner: str, epoch: int) -> None:
        """Every acknowledged write is with the owner, and nobody gets around the facade to the other."""
        self.crowd.go_on(10)
        with self.crowd.paused():
            assert self.crowd.failures == []
            assert self.crowd.refused == []
            assert self.crowd.differences(self.environment.databases, owner) == []
        other = "service" if owner == "monolith" else "monolith"
        engine = create_engine(getattr(self.environment.databases, other))
        with (
            pytest.raises(DBAPIError, match=rf"{owner}.*epoch {epoch}\b"),
            engine.begin() as connection,
        ):
            connection.execute(text(f"DELETE FROM {SAVED[other]}"))
        engine.dispose()


@pytest.fixture
def journey(environments: Callable[[str], Environment]):
    environment = environments("postgresql")
    with Crowd(environment.url) as crowd:
        yield Journey(environment, crowd)


@pytest.mark.timeout(600)
def test_i2_the_journey_on_postgresql_by_commands_alone(journey: Journey, tmp_path) -> None:
    strangler, crowd = journey.strangler, journey.crowd

    assert strangler("doctor")["ok"]
    assert journey.phase["stage"] == Stage.OFF
    assert "← next" in strangler.text("runbook", PHASE)

    crowd.go_on(10)
    synced = strangler("sync", PHASE)
    assert synced["complete"]
    assert synced["rows"].keys() == {"resources", "tags", "resource_tags", "saved_searches"}
    assert strangler("check", PHASE)["clean"]
    journey.assert_written_only_on("monolith", 1)

    journey.advance(Stage.SHADOW)
    journey.advance(Stage.RAMP)
    page = tmp_path / "shadow.html"
    shadow = strangler("shadow", PHASE, "--html", str(page))
    assert shadow["summary"]["total"]["compared"] >= 100
    assert page.read_text().startswith("<!doctype html>")

    assert strangler("ramp", PHASE, "--reads", "50")["late_workers"] == []
    crowd.read(30)
    (reads,) = [flag for flag in strangler("flags", "list")["flags"] if flag["name"] == f"{PHASE}.reads"]
    assert reads["percent"] == "50"
    assert strangler("flags", "set", f"{PHASE}.reads", "100")["late_workers"] == []
    crowd.read(30)

    journey.advance(Stage.LIVE)
    journey.assert_written_only_on("service", 2)
    assert strangler("check", PHASE)["clean"]
    refused = strangler.attempt("flags", "set", f"{PHASE}.writes", "50", "--json")
    assert refused.code == 2
    assert "fenced switch" in refused.document["message"]

    assert strangler("rollback", PHASE)["stage"] == Stage.SHADOW
    journey.assert_written_only_on("monolith", 3)

    assert strangler("check", PHASE)["clean"]
    journey.advance(Stage.RAMP)
    journey.advance(Stage.LIVE)
    journey.assert_written_only_on("service", 4)
    assert strangler("check", PHASE)["clean"]
    assert strangler("complete", PHASE)["stage"] == Stage.COMPLETE
    journey.assert_written_only_on("service", 4)
    assert strangler.attempt("rollback", PHASE).code == 2

    status = strangler("status")
    assert len(status["workers"]) == 2
    assert status["degraded"] == {}
    assert {step["state"] for step in strangler("runbook", PHASE)["steps"]} == {"behind"}
    assert_metrics_of_every_worker(journey.environment)


def assert_metrics_of_every_worker(environment: Environment) -> None:
    token = (environment.directory / ".strangler" / "admin-token").read_text().strip()
    with httpx.Client(base_url=environment.admin_url, trust_env=False) as client:
        assert client.get("/-/metrics").status_code == 401
        metrics = client.get("/-/metrics", headers={"Authorization": f"Bearer {token}"}).text
        assert json.loads(client.get("/-/readyz").text) == {"status": "ready", "workers": 2, "degraded": None}
    assert 'strangler_request_duration_seconds_count{phase="search"' in metrics
