import os
from pathlib import Path

import pytest

from flags.percent import Precision
from migration.errors import MigrationError, PlanError
from migration.plan import Plan

HEAD = """\
[monolith]
url = "http://127.0.0.1:8000/"
database = "sqlite:///monolith.db"
"""
SEARCH = """\
[[phases]]
name = "search"
routing_key = "jwt:sub"
routes = ["GET /search", "* /search/saved", { method = "POST", path = "/search/count", kind = "read" }]
[phases.service]
url = "http://127.0.0.1:8001"
database = "sqlite:///search.db"
[[phases.tables]]
monolith = "saved_searches"
columns = { label = { sql = "lower(name)" }, owner = "user_id", total = { column = "price", cast = "REAL" } }
"""
USERS = """\
[[phases]]
name = "users"
routes = ["GET /users/{id}"]
service.url = "http://127.0.0.1:8002"
"""


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("STRANGLER_")]:
        monkeypatch.delenv(name)


def load(directory: Path, text: str) -> Plan:
    file = directory / "strangler.toml"
    file.write_text(text)
    return Plan.load(file)


def refused(directory: Path, text: str) -> PlanError:
    with pytest.raises(PlanError) as caught:
        load(directory, text)
    assert caught.value.file == str(directory / "strangler.toml")
    return caught.value


def test_a_plan_is_read_with_its_defaults(tmp_path: Path) -> None:
    plan = load(tmp_path, HEAD + SEARCH + USERS)
    search, users = plan.phases
    assert plan.monolith.url == "http://127.0.0.1:8000"
    assert plan.monolith.database == f"sqlite:///{tmp_path}/monolith.db"
    assert plan.control.database_url == f"sqlite:///{tmp_path}/.strangler/control.db"
    assert plan.facade.timeouts.hold == 1.0
    assert plan.flags.precision is Precision.PERCENT
    assert search.tables[0].service == "saved_searches"
    assert search.tables[0].columns["owner"].column == "user_id"
    assert users.service.database_url is None
    assert [route.name for route in plan.route_table().routes][:2] == ["GET /search", "* /search/saved"]
    assert plan.directory == tmp_path


def test_a_postgresql_url_gets_the_driver_that_is_used(tmp_path: Path) -> None:
    plan = load(tmp_path, HEAD.replace("sqlite:///monolith.db", "postgresql://ann@db/shop") + SEARCH)
    assert plan.monolith.database == "postgresql+psycopg://ann@db/shop"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRANGLER_MONOLITH__URL", "http://127.0.0.1:9000")
    monkeypatch.setenv("STRANGLER_FACADE__WORKERS", "7")
    monkeypatch.setenv("STRANGLER_FACADE__TIMEOUTS__HOLD", "0.5")
    plan = load(tmp_path, HEAD + SEARCH)
    assert (plan.monolith.url, plan.facade.workers) == ("http://127.0.0.1:9000", 7)
    assert plan.facade.timeouts.hold == 0.5


def test_a_bad_value_from_the_environment_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRANGLER_FACADE__WORKERS", "many")
    error = refused(tmp_path, HEAD + SEARCH)
    assert error.line is None
    assert error.key == "environment variable STRANGLER_FACADE__WORKERS"


def test_an_unreadable_value_from_the_environment_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRANGLER_FACADE", "{")
    assert "facade" in str(refused(tmp_path, HEAD + SEARCH))


@pytest.mark.parametrize("text", ["[monolith\n", "x = \n", '[a]\nb = "\n', "a = [1,\n"])
def test_broken_toml_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    error = refused(tmp_path, "# a plan\n" + text)
    assert error.line is not None
    assert error.line >= 2
    assert "not TOML" in error.message


def test_a_plan_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="strangler init"):
        Plan.load(tmp_path / "strangler.toml")
    with pytest.raises(PlanError, match="cannot be read"):
        Plan.load(tmp_path)


def test_a_plan_that_is_not_text_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "strangler.toml").write_bytes(b"# one\n# \xff\n")
    with pytest.raises(PlanError, match=r"strangler\.toml:2: is not UTF-8"):
        Plan.load(tmp_path / "strangler.toml")


# Each line: what to change in the plan, the text that stands on the line of the error, its key, its remedy.
BAD: list[tuple[tuple[str, str], str, str, str]] = [
    (("url = ", "ulr = "), "ulr", "monolith.ulr", "Did you mean 'url'"),
    (("[monolith]", "[monolit]"), "[monolit]", "monolit", "Did you mean 'monolith'"),
    (("routing_key", "routing_kye"), "routing_kye", "phases[0].routing_kye", "Did you mean 'routing_key'"),
    (("{ sql =", "{ sq ="), "{ sq =", "phases[0].tables[0].columns.label.sq", "Did you mean 'sql'"),
    (("[monolith]", "_env_file = 'x'\n[monolith]"), "_env_file", "_env_file", "no such key"),
    (('kind = "read"', 'kind = "reed"'), "reed", "phases[0].routes[2].kind", "'read' or 'write'"),
    (("jwt:sub", "jtw:sub"), "jtw:sub", "phases[0].routing_key", "jwt:sub, header:X-User"),
    (("jwt:sub", "body:user"), "body:user", "phases[0].routing_key", "JSON pointer"),
    (("jwt:sub", "path:id"), "[[phases]]", "phases[0]", "no route has a parameter {id}"),
    (('"GET /search"', '"/search"'), "routes", "phases[0].routes[0]", "GET /items/{id}"),
    (('"GET /search"', '"GET search"'), "routes", "phases[0].routes[0].path", "slash"),
    (('"GET /search"', '"GET /search?q"'), "routes", "phases[0].routes[0].path", "query"),
    (('"GET /search"', '"GET /{a}/{a}"'), "routes", "phases[0].routes[0].path", "twice"),
    (('"GET /search"', '"G3T /a"'), "routes", "phases[0].routes[0].method", "GET, POST"),
    (("http://127.0.0.1:8001", "127.0.0.1:8001"), "8001", "phases[0].service.url", "http://host:port"),
    (
        ("sqlite:///search.db", "mysql://h/d"),
        "mysql",
        "phases[0].service.database",
        "sqlite:/// or postgresql://",
    ),
    (("sqlite:///search.db", "sqlite://"), "sqlite://", "phases[0].service.database", "sqlite:///file.db"),
    (("sqlite:///search.db", "nonsense"), "nonsense", "phases[0].service.database", "sqlite:///file.db"),
    (('database = "sqlite:///search.db"', ""), "[[phases]]", "phases[0]", "needs a `database`"),
    (('name = "search"', 'name = "Search!"'), "Search!", "phases[0].name", "lower-case"),
    (('name = "search"', ""), "[[phases]]", "phases[0].name", "missing"),
    (('{ sql = "lower(name)" }', "{ }"), "columns", "phases[0].tables[0].columns.label", "exactly one"),
    (
        ('{ sql = "lower(name)" }', '{ python = "lower" }'),
        "columns",
        "phases[0].tables[0].columns.label.python",
        "module:function",
    ),
    (
        ('{ sql = "lower(name)" }', '{ python = "names:lower" }'),
        "columns",
        "phases[0].tables[0].columns.label",
        "Say both",
    ),
    (
        ("columns = {", 'reverse = { name = { sql = "a", python = "n:f", columns = ["a"] } }\ncolumns = {'),
        "reverse",
        "phases[0].tables[0].reverse.name",
        "exactly one of `sql` and `python`",
    ),
    (
        ("columns = {", "optional = true\ncolumns = {"),
        "[[phases.tables]]",
        "phases[0].tables[0]",
        "`optional` is for the second",
    ),
    (
        ("columns = {", 'where = ""\ncolumns = {'),
        "where",
        "phases[0].tables[0].where",
        "at least 1 character",
    ),
    (("monolith = ", "monolith = 3 # "), "monolith = 3", "phases[0].tables[0].monolith", "string"),
    (("[[phases]]", "[[facade]]\n[[phases]]"), "[[facade]]", "facade", "table"),
    (("[[phases]]", "facade.workers = 0\n[[phases]]"), "workers", "monolith.facade", "no such key"),
    (("[monolith]", "facade.workers = 0\n[monolith]"), "workers", "facade.workers", "greater"),
    (("[monolith]", "facade.listen = '8080'\n[monolith]"), "listen", "facade.listen", "127.0.0.1:8080"),
    (("[monolith]", "facade.admin = '127.0.0.1:8080'\n[monolith]"), "admin", "facade", "address of its own"),
    (
        ("[monolith]", "facade.trusted_proxies = ['x']\n[monolith]"),
        "x",
        "facade.trusted_proxies[0]",
        "10.0.0.0/8",
    ),
    (("[monolith]", "facade.rate_limit = {}\n[monolith]"), "rate_limit", "facade.rate_limit.rate", "missing"),
    (
        ("[monolith]", "facade.rate_limit = {rate=1, by='key'}\n[monolith]"),
        "rate_limit",
        "facade",
        "belongs to a phase",
    ),
    (
        ("[monolith]", "facade.jwt = {algorithms=['HS256']}\n[monolith]"),
        "facade.jwt",
        "facade.jwt",
        "secret_file",
    ),
    (
        ("[monolith]", "facade.jwt = {algorithms=['RS256']}\n[monolith]"),
        "facade.jwt",
        "facade.jwt",
        "keys from `jwks`",
    ),
    (
        (
            "[monolith]",
            "facade.jwt = {algorithms=['ES256'], jwks='https://i', forward={sub='Host'}}\n[monolith]",
        ),
        "facade.jwt",
        "facade.jwt.forward.sub",
        "X-User-Id",
    ),
    (("[monolith]", "facade.override = {}\n[monolith]"), "override", "facade.override", "OVERRIDE__SECRET"),
    (
        ("[monolith]", "facade.override.secret = 'x'\n[monolith]"),
        "secret",
        "facade.override.secret",
        "secret_file",
    ),
    (
        ('name = "search"', 'name = "search"\nauthenticate = true'),
        "authenticate",
        "phases[0].authenticate",
        "[facade.jwt]",
    ),
    (('"http://127.0.0.1:8001"', '["http://a", "http://a"]'), "url", "phases[0].service.url", "listed twice"),
    (('"http://127.0.0.1:8001"', "[]"), "url", "phases[0].service.url", "neither a URL"),
    (
        ('url = "http://127.0.0.1:8001"', 'url = "http://a"\nhealth = { path = "healthz" }'),
        "health",
        "phases[0].service.health.path",
        "/healthz",
    ),
    (
        ("[monolith]", "flags.precision = 'half'\n[monolith]"),
        "half",
        "flags.precision",
        "'percent' or 'permyriad'",
    ),
]


@pytest.mark.parametrize(("change", "on_line", "key", "remedy"), BAD, ids=[f"{c[1]}" for c, *_ in BAD])
def test_a_mistake_is_refused_with_line_key_and_remedy(
    tmp_path: Path, change: tuple[str, str], on_line: str, key: str, remedy: str
) -> None:
    text = (HEAD + SEARCH).replace(*change, 1)
    error = refused(tmp_path, text)
    found = {problem.key: problem for problem in error.problems}
    assert key in found, str(error)
    assert remedy in found[key].message
    line = found[key].line
    assert line is not None
    assert on_line in text.splitlines()[line - 1]


SHADOW = """[phases.shadow]
headers = ["etag"]
ignore = ["$.took_ms"]
unordered = [
    "$.tags",
]
null_as_absent = ["$..deleted_at"]
superset = ["$.items[*]"]
keyed = { "$.items" = "id" }

[phases.shadow.tolerance]
"$.items[*].price" = 0.01
"$.ratio" = "1%"

[phases.shadow.routes."GET /search"]
shape = { "$.id" = "uuid" }
"""


def test_shadow_rules_reach_the_facade_as_written(tmp_path: Path) -> None:
    rules = load(tmp_path, HEAD + SEARCH + SHADOW).phase("search").shadow.rules()
    assert rules.headers == ("etag",)
    assert sorted(map(str, rules.every())) == [
        "ignore $.took_ms",
        "keyed $.items id",
        "null_as_absent $..deleted_at",
        "shape $.id uuid",
        "superset $.items[*]",
        "tolerance $.items[*].price 0.01",
        "tolerance $.ratio 1%",
        "unordered $.tags",
    ]
    assert len(rules.of("GET /search").rules) == len(rules.rules) + 1


@pytest.mark.parametrize(
    ("section", "remedy"),
    [
        ('[phases.shadow]\nsample = "key"', "needs a `routing_key`"),
        ('[phases.shadow.routes."GET /search"]\ngroup_by = "body:/op"', "needs `mirror = true`"),
    ],
)
def test_a_shadow_that_could_not_be_cast_is_refused(tmp_path: Path, section: str, remedy: str) -> None:
    keyless = SEARCH.replace('routing_key = "jwt:sub"\n', "")
    (problem,) = refused(tmp_path, HEAD + keyless + section).problems
    assert remedy in problem.message


@pytest.mark.parametrize(
    ("change", "on_line", "key", "remedy"),
    [
        (('"$.took_ms"', '"took_ms"'), '"took_ms"', "ignore[0]", "begin with '$'"),
        (('"$.tags"', '"$.tags[?@.a]"'), "$.tags[?", "unordered[0]", "[*] for all items"),
        (('"etag"', '""'), "headers", "headers[0]", "at least 1"),
        (("0.01", '"a bit"'), "a bit", "tolerance.$.items[*].price", "0.01 for a distance"),
        (("0.01", "-1"), "-1", "tolerance.$.items[*].price", "0.01 for a distance"),
        (("0.01", "true"), "true", "tolerance.$.items[*].price", "0.01 for a distance"),
        (('"$.ratio"', '"ratio"'), '"ratio"', "tolerance.ratio", "begin with '$'"),
        (
            ('"uuid"', '"uid"'),
            "uid",
            "routes.GET /search.shape.$.id",
            "integer, text, time, token, url, uuid",
        ),
        (('"id" }', '"" }'), "keyed", "keyed.$.items", "at least 1"),
        (("null_as", "nul_as"), "nul_as", "nul_as_absent", "Did you mean 'null_as_absent'"),
        (("\nshape =", "\nshap ="), "shap =", "routes.GET /search.shap", "Did you mean 'shape'"),
        (("headers", 'sample = "user"\nheaders'), "user", "sample", "'request' or 'key'"),
        (("\nshape", '\ngroup_by = "body"\nshape'), "body", "routes.GET /search.group_by", "body:/user/id"),
    ],
)
def test_shadow_rules_are_understood_before_anything_runs(
    tmp_path: Path, change: tuple[str, str], on_line: str, key: str, remedy: str
) -> None:
    text = HEAD + SEARCH + SHADOW.replace(*change, 1)
    (problem,) = refused(tmp_path, text).problems
    assert problem.key == f"phases[0].shadow.{key}"
    assert remedy in problem.message
    assert problem.line is not None
    assert on_line in text.splitlines()[problem.line - 1]


def test_shadow_rules_of_a_route_that_is_not_there_are_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, HEAD + SEARCH + SHADOW.replace("GET /search", "GET /nowhere"))
    assert "'GET /nowhere', which is no route of the phase" in error.message
    assert "GET /search" in error.message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    error = refused(tmp_path, (HEAD + SEARCH).replace("url", "ulr"))
    assert len(error.problems) == 4
    assert str(error).count("strangler.toml:") == 4


@pytest.mark.parametrize(
    "secret", ["postgresql://ann:hunter2@db/x", "postgresql://ann@db/x?password=hunter2"]
)
def test_i9_a_password_in_the_plan_is_refused_and_not_repeated(tmp_path: Path, secret: str) -> None:
    error = refused(tmp_path, HEAD + SEARCH.replace("sqlite:///search.db", secret))
    assert error.key == "phases[0].service.database"
    assert "database_password_file" in error.message
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("line", ["database_password = 'hunter2'", "admin_token = 'hunter2'"])
def test_i9_a_secret_under_its_own_key_is_refused_too(tmp_path: Path, line: str) -> None:
    error = refused(tmp_path, HEAD + line + "\n" + SEARCH)
    assert error.line == 4
    assert "_file" in error.message
    assert "hunter2" not in str(error)


def test_i9_passwords_come_from_files_and_the_environment_and_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRANGLER_MONOLITH__DATABASE_PASSWORD", "hunter2")
    (tmp_path / "secret").write_text("p@ss/word\n")
    text = (HEAD + SEARCH).replace("sqlite:///monolith.db", "postgresql://ann@db/x")
    text = text.replace('"sqlite:///search.db"', '"postgresql://bob@db/y"\ndatabase_password_file = "secret"')
    plan = load(tmp_path, text)
    assert plan.monolith.database_url == "postgresql+psycopg://ann:hunter2@db/x"
    assert plan.phase("search").service.database_url == "postgresql+psycopg://bob:p%40ss%2Fword@db/y"
    for shown in (repr(plan), str(plan), plan.model_dump_json()):
        assert "hunter2" not in shown
        assert "p@ss" not in shown


def test_a_password_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path, HEAD + 'database_password_file = "nowhere"\n' + SEARCH)
    assert (error.line, error.key) == (4, "monolith.database_password_file")
    assert "nowhere" in error.message


def test_the_admin_token_is_made_once_and_kept_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = load(tmp_path, HEAD + SEARCH)
    token = plan.admin_token()
    assert len(token) > 30
    assert load(tmp_path, HEAD + SEARCH).admin_token() == token
    assert (tmp_path / ".strangler" / "admin-token").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("STRANGLER_FACADE__ADMIN_TOKEN", "given")
    assert load(tmp_path, HEAD + SEARCH).admin_token() == "given"


def test_an_unknown_phase_is_answered_with_the_likely_one(tmp_path: Path) -> None:
    plan = load(tmp_path, HEAD + SEARCH + USERS)
    assert plan.phase("users").name == "users"
    with pytest.raises(MigrationError, match="Did you mean 'search'"):
        plan.phase("serch")
    with pytest.raises(MigrationError, match="The plan has: search, users"):
        plan.phase("billing")


def test_the_hash_follows_the_content_and_not_its_layout_or_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(tmp_path, HEAD + SEARCH).hash
    assert load(tmp_path, "# a comment\n" + HEAD + SEARCH).hash == first
    assert load(tmp_path, HEAD + SEARCH.replace("8001", "8009")).hash != first
    monkeypatch.setenv("STRANGLER_MONOLITH__DATABASE_PASSWORD", "hunter2")
    assert load(tmp_path, HEAD + SEARCH).hash == first
