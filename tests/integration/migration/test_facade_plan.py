"""The facade's duties, from the plan's text to what a worker is set up with."""

import pickle
from pathlib import Path

import pytest

from facade.aggregate import Aggregate
from facade.config import Backend, HealthCheck, RateLimit, TokenRules, Trust, Upstream
from migration.errors import MigrationError
from migration.facade_plan import certificate, facade_config
from migration.plan import Plan
from tests.integration.facade.authority import Authority

TEXT = """\
[monolith]
url = ["http://127.0.0.1:8000", "http://127.0.0.1:8010"]
database = "sqlite:///monolith.db"
max_concurrent = 100
health = { path = "/healthz?deep", interval = 1.5 }
[facade]
workers = 4
retries = 1
rate_limit = { rate = 50 }
[facade.jwt]
algorithms = ["HS256", "RS256"]
secret_file = "secret"
jwks = "https://login.shop.test/keys"
issuer = "us"
forward = { sub = "X-User-Id" }
[facade.override]
[[facade.aggregates]]
path = "/overview/{id}"
parts = { hits = "/search", item = "/items/{id}" }
timeout = 2
[[phases]]
name = "search"
routing_key = "jwt:sub"
authenticate = true
rate_limit = { rate = 0.5, burst = 3, by = "key" }
routes = ["GET /search"]
service = { url = "http://127.0.0.1:8001", database = "sqlite:///search.db", max_concurrent = 2 }
tables = [{ monolith = "saved" }]
[[phases]]
name = "orders"
read_your_writes = false
routes = ["GET /orders"]
service = { url = "http://127.0.0.1:8002", database = "sqlite:///orders.db", host = "upstream" }
tables = [{ monolith = "orders" }]
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("STRANGLER_FACADE__OVERRIDE__SECRET", "from the environment")
    (tmp_path / "secret").write_text("from a file\n")
    (tmp_path / "strangler.toml").write_text(TEXT)
    return Plan.load(tmp_path / "strangler.toml")


def test_an_aggregate_is_a_route(plan: Plan) -> None:
    match = plan.route_table().match(b"GET", b"/overview/7")
    assert match is not None
    assert match.route.phase is None
    assert match.route.aggregate == Aggregate(
        (("hits", "/search"), ("item", "/items/{id}")), 2.0, 1024 * 1024
    )


def test_every_duty_reaches_the_workers(plan: Plan, tmp_path: Path) -> None:
    config = facade_config(plan, tmp_path)
    instances = (Upstream("127.0.0.1", 8000), Upstream("127.0.0.1", 8010))
    assert config.monolith == Backend(instances, 25, HealthCheck("/healthz?deep", 1.5, 2.0))
    assert config.services["search"] == Backend((Upstream("127.0.0.1", 8001),), 1)
    assert config.services["orders"] == Backend((Upstream("127.0.0.1", 8002, own_host=True),))
    assert config.services["orders"].concurrency is None
    assert config.rate_limits == {"": RateLimit(50, 50), "search": RateLimit(0.5, 3, by_key=True)}
    assert config.tokens == TokenRules(
        ("HS256", "RS256"),
        secret="from a file",
        jwks="https://login.shop.test/keys",
        issuer="us",
        forward={"sub": "X-User-Id"},
    )
    assert config.authenticated == {"search"}
    assert config.read_your_writes == {"search"}
    assert (config.retries, config.memory) == (1, str(tmp_path))
    assert config.override_secret == "from the environment"
    assert facade_config(plan, workers=10).monolith.concurrency == 10
    assert pickle.loads(pickle.dumps(config)) == config


def test_i9_no_secret_is_shown(plan: Plan) -> None:
    config = facade_config(plan)
    for shown in (repr(config), repr(plan), str(plan.model_dump()), plan.model_dump_json()):
        assert "from a file" not in shown
        assert "from the environment" not in shown


def test_a_secret_that_is_not_there_is_told(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "secret").unlink()
    with pytest.raises(MigrationError, match="cannot be read"):
        facade_config(plan)


SECURE = """\
[monolith]
url = "https://127.0.0.1:8000"
database = "sqlite:///monolith.db"
tls = { ca = "root.pem", certificate = "mine.pem", key = "mine.key" }
[facade]
tls = { certificate = "mine.pem", key = "mine.key" }
[[phases]]
name = "search"
routes = ["GET /search"]
service = { url = "https://127.0.0.1:8001", tls = { verify = false } }
"""


def secure(directory: Path, text: str = SECURE) -> Plan:
    (directory / "strangler.toml").write_text(text)
    return Plan.load(directory / "strangler.toml")


def test_tls_reaches_the_workers(tmp_path: Path) -> None:
    mine = Authority(tmp_path).found().certificate("mine")
    plan = secure(tmp_path)
    config = facade_config(plan)
    trust = Trust(str(tmp_path / "root.pem"), mine)
    assert config.monolith.instances == (Upstream("127.0.0.1", 8000, tls=True, trust=trust),)
    assert config.services["search"].instances[0].trust == Trust(verify=False)
    assert certificate(plan) == mine


def test_tls_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    plan = secure(tmp_path)
    with pytest.raises(MigrationError, match=r"`tls` of https://127.0.0.1:8000: .*root.pem cannot be used"):
        facade_config(plan)
    with pytest.raises(MigrationError, match=r"\[facade.tls\]: the certificate .*mine.pem .*No such file"):
        certificate(plan)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tls = { verify = false }", 'tls = { certificate = "a.pem" }', "go together"),
        ("https://127.0.0.1:8001", "http://127.0.0.1:8001", "begins with https://"),
    ],
)
def test_tls_that_makes_no_sense_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(MigrationError, match=said):
        secure(tmp_path, SECURE.replace(old, new))
