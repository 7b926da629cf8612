import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa

from migration.errors import InitError
from migration.init import write_plan
from migration.plan import Plan

DOCUMENT = {
    "openapi": "3.1.0",
    "paths": {
        "/api/v1/items": {"get": {}, "post": {}, "parameters": []},
        "/api/v1/items/{item-id}": {"get": {}, "put": {}},
        "/users/{id}": {"get": {}},
        "/orders/{id}": {"get": {"tags": ["Order Handling"]}},
        "/odd/{x}}": {"get": {}},
        "/": {"get": {}},
    },
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
}
ANSWERS = {
    "/openapi.json": (200, orjson.dumps(DOCUMENT)),
    "/docs": (200, b"<html>"),
    "/list": (200, b"[]"),
    "/empty": (200, b'{"openapi": "3.1.0", "paths": {}}'),
}
TABLES = """
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, owner_id INTEGER REFERENCES users(id));
CREATE TABLE item_tags (item_id INTEGER REFERENCES items(id), tag TEXT, PRIMARY KEY (item_id, tag));
CREATE TABLE order_lines (order_id INTEGER, item_id INTEGER);
CREATE TABLE orders (id INTEGER PRIMARY KEY);
CREATE TABLE metrics_daily (day TEXT);
CREATE TABLE alembic_version (version_num TEXT PRIMARY KEY)
"""


@pytest.fixture(scope="module")
def monolith() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = ANSWERS.get(self.path, (404, b"{}"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def create_tables(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in TABLES.split(";"):
            connection.exec_driver_sql(statement)
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("CREATE VIRTUAL TABLE items_fts USING fts5(name)")
    engine.dispose()


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/shop.db"
    create_tables(url)
    return url


def test_a_running_monolith_gives_a_plan_that_loads(tmp_path: Path, monolith: str, database: str) -> None:
    out = tmp_path / "strangler.toml"
    started = write_plan(monolith, database, out)
    plan = Plan.load(out)
    assert [phase.name for phase in plan.phases] == ["items", "users", "order-handling", "root"]
    items, root = plan.phases[0], plan.phases[-1]
    assert [route.name for route in items.routes] == [
        "GET /api/v1/items",
        "POST /api/v1/items",
        "GET /api/v1/items/{item_id}",
        "PUT /api/v1/items/{item_id}",
    ]
    assert [[table.monolith for table in phase.tables] for phase in plan.phases] == [
        ["item_tags", "items"],
        ["users"],
        ["orders"],
        [],
    ]
    assert root.service.database is None
    assert items.routing_key == "jwt:sub"
    assert plan.monolith.url == monolith
    assert plan.monolith.database == database
    assert [table.name for table in started.unassigned] == ["metrics_daily"]
    assert len({plan.facade.listen, plan.facade.admin, *(phase.service.url for phase in plan.phases)}) == 6


def test_the_plan_says_what_is_to_be_decided(tmp_path: Path, monolith: str, database: str) -> None:
    text = write_plan(monolith, database, tmp_path / "strangler.toml").file.read_text()
    assert 'database = "sqlite:///shop.db"' in text  # relative to the plan, so that both can move
    assert '"metrics_daily"   (has no primary key' in text
    assert '"order_lines" has no primary key' in text
    assert '"owner_id" refers to "users", which belongs to phase users' in text
    assert '"GET /odd/{x}}"' in text  # not routable, so named in a comment
    assert "fts" not in text
    assert "alembic" not in text


def test_i9_a_password_is_used_but_not_written(
    tmp_path: Path, monolith: str, postgresql_database: Callable[[], str]
) -> None:
    url = sa.make_url(postgresql_database())
    create_tables(url.render_as_string(hide_password=False))
    secret = url.set(password=url.password or "hunter2").render_as_string(hide_password=False)
    out = tmp_path / "strangler.toml"
    write_plan(monolith, secret, out)
    assert (url.password or "hunter2") not in out.read_text()
    assert "STRANGLER_MONOLITH__DATABASE_PASSWORD" in out.read_text()
    assert [table.monolith for table in Plan.load(out).phase("items").tables] == ["item_tags", "items"]


def test_a_plan_is_not_overwritten_without_force(tmp_path: Path, monolith: str, database: str) -> None:
    out = tmp_path / "strangler.toml"
    out.write_text("mine")
    with pytest.raises(InitError, match="--force"):
        write_plan(monolith, database, out)
    assert out.read_text() == "mine"
    write_plan(monolith, database, out, force=True)
    assert Plan.load(out).phases


@pytest.mark.parametrize(
    ("path", "said"),
    [("/docs", "not JSON"), ("/list", "no `paths`"), ("/empty", "no `paths`"), ("/nowhere", "answers 404")],
)
def test_what_is_no_openapi_document_is_refused(
    tmp_path: Path, monolith: str, database: str, path: str, said: str
) -> None:
    with pytest.raises(InitError, match=f"{said}.*--openapi"):
        write_plan(monolith + path, database, tmp_path / "strangler.toml")
    assert not (tmp_path / "strangler.toml").exists()


def test_a_monolith_that_does_not_answer_is_named(tmp_path: Path, database: str) -> None:
    with pytest.raises(InitError, match=r"127\.0\.0\.1:1/openapi\.json does not answer"):
        write_plan("http://127.0.0.1:1", database, tmp_path / "strangler.toml")
    with pytest.raises(InitError, match="not an address"):
        write_plan("monolith", database, tmp_path / "strangler.toml")


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("sqlite:///nowhere/at/all.db", "no database file"),
        ("postgresql://ann:hunter2@127.0.0.1:1/shop", "does not answer"),
        ("mysql://ann:hunter2@localhost/shop", "not supported"),
        ("postgresql://ann:hunter2@localhost:port/shop", "no usable URL"),
        ("hunter2", "no usable URL"),
    ],
)
def test_i9_a_database_that_cannot_be_read_is_named_without_its_password(
    tmp_path: Path, monolith: str, database: str, said: str
) -> None:
    with pytest.raises(InitError, match=said) as caught:
        write_plan(monolith, database, tmp_path / "strangler.toml")
    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "nowhere").exists()
