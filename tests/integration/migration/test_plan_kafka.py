"""The plan's section about Kafka, and where its password comes from."""

import os
from pathlib import Path

import pytest

from migration.errors import MigrationError, PlanError
from migration.plan import Plan

HEAD = """\
[monolith]
url = "http://127.0.0.1:8000/"
database = "sqlite:///monolith.db"
"""
LOGIN = """\
[kafka]
bootstrap = ["one.example:9092", "two.example:9092"]
topic_prefix = "shop"
protocol = "SASL_SSL"
sasl_mechanism = "SCRAM-SHA-512"
sasl_user = "strangler"
ca = "ca.pem"
"""


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("STRANGLER_")]:
        monkeypatch.delenv(name)


def load(directory: Path, text: str) -> Plan:
    file = directory / "strangler.toml"
    file.write_text(HEAD + text)
    return Plan.load(file)


def test_without_the_section_nothing_goes_through_kafka(tmp_path: Path) -> None:
    assert load(tmp_path, "").brokers() is None


def test_one_address_is_enough(tmp_path: Path) -> None:
    brokers = load(tmp_path, '[kafka]\nbootstrap = "localhost:9092"').brokers()
    assert brokers is not None
    assert (brokers.bootstrap, brokers.topic_prefix, brokers.partitions) == (
        ("localhost:9092",),
        "strangler",
        4,
    )
    assert (brokers.replication, brokers.protocol, brokers.password) == (None, "PLAINTEXT", None)


def test_i9_the_password_comes_from_a_file_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "kafka.password").write_text("hidden\n")
    plan = load(tmp_path, LOGIN + 'sasl_password_file = "kafka.password"')
    brokers = plan.brokers()
    assert brokers is not None
    assert (brokers.password, brokers.user, brokers.mechanism) == ("hidden", "strangler", "SCRAM-SHA-512")
    assert brokers.ca == str(tmp_path / "ca.pem")
    assert "hidden" not in f"{plan!r}{brokers!r}{plan.model_dump_json()}"


def test_i9_the_password_comes_from_the_environment_and_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRANGLER_KAFKA__SASL_PASSWORD", "hidden")
    plan = load(tmp_path, LOGIN)
    brokers = plan.brokers()
    assert brokers is not None
    assert brokers.password == "hidden"
    assert "hidden" not in f"{plan!r}{brokers!r}{plan.model_dump_json()}"


def test_i9_a_password_in_the_plan_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="`sasl_password_file`") as caught:
        load(tmp_path, LOGIN + 'sasl_password = "hidden"')
    assert "hidden" not in str(caught.value)


def test_a_password_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    plan = load(tmp_path, LOGIN + 'sasl_password_file = "nowhere"')
    with pytest.raises(MigrationError, match="nowhere cannot be read"):
        plan.brokers()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[kafka]", "is missing"),
        ("[kafka]\nbootstrap = []", "at least 1 item"),
        ('[kafka]\nbootstrap = "localhost"', "is not host:port"),
        ('[kafka]\nbootstrap = "localhost:9092"\ntopic_prefix = "a b"', "cannot begin a topic's name"),
        ('[kafka]\nbootstrap = "localhost:9092"\npartitions = 0', "greater than or equal to 1"),
        ('[kafka]\nbootstrap = "localhost:9092"\nprotocol = "SASL_SSL"', "go with `sasl_mechanism`"),
        ('[kafka]\nbootstrap = "localhost:9092"\nsasl_user = "me"', "the others with none of them"),
        (LOGIN, "STRANGLER_KAFKA__SASL_PASSWORD"),
    ],
)
def test_a_mistake_is_refused_with_its_remedy(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PlanError, match=said) as caught:
        load(tmp_path, text)
    assert " kafka" in str(caught.value)
