"""Flags that a real Unleash keeps: what is said there arrives here, what is done here arrives there."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from flags.errors import FlagError
from flags.store import EmbeddedStore
from flags.unleash_account import Account
from migration.control import Control
from migration.doctor import Level, diagnose
from migration.flag_desk import FlagDesk
from migration.follow_metrics import FollowMetrics
from migration.following import follow, home
from migration.plan import Plan
from tests.servers.unleash import Unleash, until

READS, SHADOW, WRITES = "search.reads", "search.shadow", "search.writes"
GRADUAL = {
    "name": "flexibleRollout",
    "parameters": {"rollout": "30", "stickiness": "default", "groupId": "search"},
}


class Here:
    """A control database, and the following of Unleash as `strangler serve` does it."""

    def __init__(self, control: Control, account: Account) -> None:
        self.control, self.account = control, account
        self.flags = EmbeddedStore(control.engine)
        self.desk = FlagDesk(control, self.flags, "ann")

    @contextmanager
    def following(self) -> Iterator[None]:
        ending = threading.Event()
        thread = threading.Thread(target=follow, args=(self.control, self.account, ["search"], ending.wait))
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()

    def share(self, name: str = READS) -> int:
        return self.flags.snapshot().share(name)

    @property
    def degraded(self) -> str:
        return home(self.control, self.account.url).degraded or ""

    @property
    def untold(self) -> tuple[str, ...]:
        return home(self.control, self.account.url).untold


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    control = Control.open(f"sqlite:///{tmp_path}/control.db")
    yield control
    control.close()


@pytest.fixture
def here(control: Control, unleash: Unleash) -> Here:
    return Here(control, unleash.account)


def test_a_change_in_unleash_arrives_with_its_cohorts_and_is_in_the_audit_log(
    here: Here, unleash: Unleash
) -> None:
    acme = {"contextName": "tenant", "operator": "IN", "values": ["acme"]}
    unleash.create(READS, GRADUAL, {"name": "default", "constraints": [acme]})
    with here.following():
        until(lambda: here.share() == 3000)
        assert here.flags.snapshot().asking == {READS}
        revision = here.control.revision()
        unleash.move(READS, 60)
        until(lambda: here.share() == 6000)
        unleash.switch(READS, on=False)
        until(lambda: here.share() == 0)
        unleash.archive(READS)
        until(lambda: here.flags.get(READS) is None)
    assert here.control.revision() == revision + 3  # and no more: what is the same is not written again
    assert not here.degraded
    assert (
        "strangler_unleash_degraded 0.0"
        in FollowMetrics(here.control, here.account.url).exposition().decode()
    )


def test_a_change_here_is_served_at_once_and_told(here: Here, unleash: Unleash) -> None:
    with here.following():
        here.desk.set_share(READS, 1000)
        assert here.share() == 1000
        until(lambda: unleash.rollout(READS) == "10")
        until(lambda: not here.untold)
        here.desk.set_share(READS, 2500)
        until(lambda: unleash.rollout(READS) == "25")
        assert here.share() == 2500  # whatever Unleash served meanwhile
        here.desk.kill("search")
        until(lambda: unleash.rollout(READS) is None)
        unleash.switch(READS, on=True)
        unleash.move(READS, 90)
        # Nobody but who killed it gives it life again: an order here, not one there.
        here.desk.set_share(SHADOW, 10_000)
        until(lambda: unleash.rollout(SHADOW) == "100")
        assert here.share() == 0
        here.desk.set_share(READS, 500)
        until(lambda: unleash.rollout(READS) == "5")
    assert here.share() == 500


def test_strategies_that_choose_are_kept_when_the_share_moves(here: Here, unleash: Unleash) -> None:
    ann = {"contextName": "userId", "operator": "IN", "values": ["ann"]}
    chosen = {"name": "flexibleRollout", "parameters": {"rollout": "100"}, "constraints": [ann]}
    unleash.create(READS, chosen, {"name": "default"}, GRADUAL)
    with here.following():
        until(lambda: here.share() == 10_000)
        here.desk.set_share(READS, 0)
        until(lambda: unleash.rollout(READS) == "0")
        until(lambda: not here.untold)
    assert [each["parameters"]["rollout"] for each in unleash.strategies(READS)] == ["100", "0"]
    assert here.flags.snapshot().enabled(READS, "ann")
    assert not here.flags.snapshot().enabled(READS, "eve")


def test_i1_who_writes_is_no_matter_of_unleash(here: Here, unleash: Unleash) -> None:
    here.flags.set_share(WRITES, 2000, "the switch")
    unleash.create(WRITES, {"name": "default"})
    unleash.create(READS, GRADUAL)
    with here.following():
        until(lambda: here.share() == 3000)
        assert here.share(WRITES) == 2000
        unleash.archive(WRITES)
        unleash.move(READS, 40)
        until(lambda: here.share() == 4000)
        assert here.share(WRITES) == 2000
        assert unleash.admin.get(f"/api/admin/projects/default/features/{WRITES}").status_code == 404
    with pytest.raises(FlagError, match="ramp"):
        here.desk.set_share(WRITES, 5000)


def test_one_process_follows_at_a_time_and_another_takes_over(here: Here, unleash: Unleash) -> None:
    unleash.create(READS, GRADUAL)
    with here.following():
        until(lambda: here.share() == 3000)
        with here.following():
            unleash.move(READS, 50)
            until(lambda: here.share() == 5000)
            here.control.revision()
    with here.following():
        unleash.move(READS, 70)
        until(lambda: here.share() == 7000)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "knows both tokens"),
        ({"token": "default:development.wrong"}, "token that reads flags (401)"),
        ({"admin_token": "*:*.wrong"}, "token that changes flags (401)"),
        ({"project": "none"}, "answers 404"),
        ({"url": "http://127.0.0.1:9"}, "cannot be asked"),
    ],
)
def test_the_doctor_asks_the_server(
    tmp_path: Path, unleash: Unleash, wrong: dict[str, str], said: str
) -> None:
    account = replace(unleash.account, **wrong)
    (tmp_path / "token").write_text(account.token)
    (tmp_path / "admin-token").write_text(account.admin_token)
    plan = tmp_path / "strangler.toml"
    plan.write_text(
        f"""
        [monolith]
        url = "http://127.0.0.1:9"
        database = "sqlite:///monolith.db"
        [flags.unleash]
        url = "{account.url}"
        project = "{account.project}"
        environment = "{account.environment}"
        token_file = "token"
        admin_token_file = "admin-token"
        """
    )
    (found,) = [each for each in diagnose(Plan.load(plan)) if each.subject == "Unleash"]
    assert said in found.text
    assert (found.level is Level.OK) is (wrong == {})


# Outages. What was known stays valid, and it is said that it may be old.


def test_i6_a_server_that_is_gone_and_comes_back(here: Here, unleash: Unleash) -> None:
    unleash.create(READS, GRADUAL)
    with here.following():
        until(lambda: here.share() == 3000)
        unleash.kill()
        until(lambda: "cannot be asked" in here.degraded)
        assert here.share() == 3000
        assert (
            "strangler_unleash_degraded 1.0"
            in FollowMetrics(here.control, here.account.url).exposition().decode()
        )
        here.desk.kill("search")
        assert here.share() == 0
        assert here.untold == (READS,)
    # Started anew while it is gone.
    with here.following():
        until(lambda: "cannot be asked" in here.degraded)
        assert here.share() == 0
        unleash.start()
        until(lambda: not here.untold and not here.degraded)
    assert unleash.rollout(READS) is None
    assert home(here.control, here.account.url).age_seconds is not None


def test_i6_tokens_that_are_refused(here: Here, unleash: Unleash) -> None:
    unleash.create(READS, GRADUAL)
    with here.following():
        until(lambda: here.share() == 3000)
    here.account = replace(unleash.account, token="default:development.wrong")
    with here.following():
        until(lambda: "token that reads flags (401)" in here.degraded)
    here.account = replace(unleash.account, admin_token=unleash.account.token)
    here.desk.set_share(READS, 1000)
    with here.following():
        until(lambda: "token that changes flags (403)" in here.degraded)
    assert here.share() == 1000
    assert unleash.account.token not in here.degraded
    here.account = replace(unleash.account, environment="production")
    with here.following():
        until(lambda: "of the environment 'development'" in here.degraded)
    assert here.share() == 1000


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _dribble(client: socket.socket, ending: threading.Event) -> None:
    """A byte now and then: each alone is in time, and the answer never ends."""
    for byte in OK + b"X: " + b"x" * 10_000:
        client.sendall(bytes([byte]))
        if ending.wait(0.1):
            return


def _say(answer: bytes) -> Callable[[socket.socket, threading.Event], None]:
    return lambda client, _: client.sendall(answer)


def _body(body: bytes) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % len(body) + body


@contextmanager
def misbehaving(behave: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A server that answers like no Unleash; its URL."""
    ending = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)

        def serve() -> None:
            while not ending.is_set():
                try:
                    client, _ = listening.accept()
                except TimeoutError:
                    continue
                with client:
                    client.settimeout(1)
                    try:
                        client.recv(65536)
                        behave(client, ending)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ending.set()
            thread.join()


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (_dribble, "does not answer within 2 s"),
        (lambda _, ending: ending.wait(30), "does not answer within 2 s"),
        (_say(b"\x16\x03\x01garbage\r\n\r\n"), "cannot be asked"),
        (_say(b""), "cannot be asked"),
        (_say(_body(b"<html>It works</html>")), "no JSON"),
        (_say(_body(b"[]")), "no object"),
        (_say(_body(b'{"features": "none"}')), "no feature document"),
        (_say(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"), "answers 500: oops"),
        (_say(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n"), "answers 302"),
        (_say(OK + b"Content-Length: 999\r\n\r\n{"), "cannot be asked"),
    ],
)
def test_i6_a_server_that_is_slow_or_answers_garbage(
    control: Control, behave: Callable[[socket.socket, threading.Event], None], said: str
) -> None:
    with misbehaving(behave) as url:
        here = Here(control, Account(url, "default", "development", "token-of-a-client", "token-of-an-admin"))
        here.desk.set_share(READS, 3000)
        here.flags.told(here.flags.list()[0])
        with here.following():
            until(lambda: said in here.degraded)
            assert here.share() == 3000
            here.desk.kill("search")
            assert here.share() == 0
        assert "token-of" not in here.degraded


def test_i6_never_reached_is_the_monolith(control: Control) -> None:
    here = Here(control, Account("http://127.0.0.1:9", "default", "development", "a", "b"))
    assert "start `strangler serve`" in here.degraded
    with here.following():
        until(lambda: "cannot be asked" in here.degraded)
    assert not here.flags.snapshot().enabled(READS, "ann")
    assert home(control, here.account.url).age_seconds is None
    exposed = FollowMetrics(control, here.account.url).exposition().decode()
    assert "strangler_unleash_degraded 1.0" in exposed
    assert "age_seconds" not in exposed
