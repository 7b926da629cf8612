"""The section of the plan that says where the flags are kept."""

from pathlib import Path

import pytest

from migration.errors import MigrationError, PlanError
from migration.facade_plan import facade_config
from migration.plan import Plan

HEAD = """
[monolith]
url = "http://127.0.0.1:9000"
database = "sqlite:///monolith.db"
"""
UNLEASH = 'url = "https://unleash.shop.test", environment = "production"'
FILES = 'token_file = "token", admin_token_file = "admin-token"'


def load(directory: Path, flags: str) -> Plan:
    file = directory / "strangler.toml"
    file.write_text(f"{HEAD}\n[flags]\n{flags}\n")
    return Plan.load(file)


def test_without_the_key_the_control_database_keeps_them(tmp_path: Path) -> None:
    assert load(tmp_path, "").unleash() is None


def test_i9_tokens_come_from_files_and_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hidden-client\n")
    (tmp_path / "admin-token").write_text("hidden-admin\n")
    plan = load(tmp_path, f"unleash = {{ {UNLEASH}, {FILES} }}")
    account = plan.unleash()
    assert account is not None
    assert (account.url, account.project, account.environment) == (
        "https://unleash.shop.test",
        "default",
        "production",
    )
    assert (account.token, account.admin_token) == ("hidden-client", "hidden-admin")
    assert "hidden" not in f"{plan!r}{account!r}{plan.model_dump_json()}"


def test_i9_tokens_come_from_the_environment_and_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRANGLER_FLAGS__UNLEASH__TOKEN", "hidden-client")
    monkeypatch.setenv("STRANGLER_FLAGS__UNLEASH__ADMIN_TOKEN", "hidden-admin")
    plan = load(tmp_path, f"unleash = {{ {UNLEASH} }}")
    account = plan.unleash()
    assert account is not None
    assert (account.token, account.admin_token) == ("hidden-client", "hidden-admin")
    assert "hidden" not in f"{plan!r}{account!r}{plan.model_dump_json()}"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (f"unleash = {{ {UNLEASH} }}", "STRANGLER_FLAGS__UNLEASH__TOKEN"),
        (f'unleash = {{ {UNLEASH}, token_file = "token" }}', "admin token"),
        (f'precision = "permyriad"\nunleash = {{ {UNLEASH}, {FILES} }}', "whole percents only"),
        (f'unleash = {{ url = "unleash", environment = "e", {FILES} }}', "no URL to fetch"),
        (f'unleash = {{ url = "https://unleash.test", {FILES} }}', "environment"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, flags: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        load(tmp_path, flags)


def test_a_token_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    plan = load(tmp_path, f"unleash = {{ {UNLEASH}, {FILES} }}")
    with pytest.raises(MigrationError, match=r"token cannot be read.*correct its name"):
        plan.unleash()


PHASE = """
[[phases]]
name = "search"
routes = ["GET /search/{id}"]
[phases.service]
url = "http://127.0.0.1:9001"
"""


def cohorts(directory: Path, said: str, key: str = 'routing_key = "jwt:sub"') -> Plan:
    file = directory / "strangler.toml"
    text = PHASE.replace("routes", f"{key}\nroutes") + f"[phases.cohorts]\n{said}\n"
    file.write_text(HEAD + text)
    return Plan.load(file)


def test_cohorts_are_keys_and_values_of_properties(tmp_path: Path) -> None:
    plan = cohorts(
        tmp_path,
        """
        properties = { tenant = "jwt:tenant", group = "header:X-Group" }
        allow = ["ann"]
        deny = ["eve"]
        first = { group = ["staff"] }
        never = { tenant = ["bank"] }
        """,
    )
    found = plan.phase("search").cohorts.cohorts()
    assert (found.first_keys, found.never_keys) == ({"ann"}, {"eve"})
    assert (found.first, found.never) == ({"group": {"staff"}}, {"tenant": {"bank"}})
    places = facade_config(plan).properties["search"]
    assert {name: (where.source, where.name) for name, where in places.items()} == {
        "tenant": ("jwt", "tenant"),
        "group": ("header", "x-group"),
    }


@pytest.mark.parametrize(
    ("said", "key", "problem"),
    [
        ('allow = ["ann"]', "", "no `routing_key`"),
        ('allow = ["ann"]\ndeny = ["ann"]', 'routing_key = "jwt:sub"', "in `allow` and in `deny`"),
        ('first = { group = ["staff"] }', "", 'group = "header:X-Group"'),
        ('properties = { tenant = "body:/tenant" }', "", "would need the body"),
        ('properties = { tenant = "path:tenant" }', "", r"no route has a parameter \{tenant\}"),
        ('properties = { tenant = "somewhere" }', "", "tenant"),
    ],
)
def test_cohorts_that_cannot_be_are_refused(tmp_path: Path, said: str, key: str, problem: str) -> None:
    with pytest.raises(PlanError, match=problem):
        cohorts(tmp_path, said, key)
