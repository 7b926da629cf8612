import pytest

from migration.plan_claims import conflicts
from migration.plan_gateway import Aggregate
from migration.plan_sections import Phase


def phase(
    name: str, *routes: str, tables: tuple[str, ...] = (), follow: bool = False, port: int = 8001
) -> Phase:
    return Phase.model_validate(
        {
            "name": name,
            "routes": routes,
            "tables": [{"monolith": table, "follow": follow} for table in tables],
            "service": {"url": f"http://127.0.0.1:{port}", "database": f"sqlite:///{name}.db"},
        }
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GET /items", "GET /items"),
        ("GET /items/{id}", "GET /items/{item}"),
        ("GET /items/{id}/", "GET /items/{id:str}"),
        ("GET /f/{a:path}", "GET /f/{b:path}"),
        ("* /items", "POST /items"),
        ("GET /items/{id}.json", "GET /items/{name}.json"),
    ],
)
def test_a_route_belongs_to_one_phase(one: str, other: str) -> None:
    ((place, message),) = conflicts([phase("a", one), phase("b", "GET /b", other)])
    assert place == ("phases", 1, "routes", 1)
    assert "phase 'a'" in message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GET /items", "POST /items"),
        ("GET /items/{id}", "GET /items/latest"),
        ("GET /items/{id}", "GET /items/{id:int}"),
        ("GET /items/{id}", "GET /items/{rest:path}"),
    ],
)
def test_a_more_exact_route_may_be_in_another_phase(one: str, other: str) -> None:
    assert list(conflicts([phase("a", one), phase("b", other)])) == []


def test_a_phase_may_refine_its_own_wildcard_but_not_repeat_itself() -> None:
    assert list(conflicts([phase("a", "* /items", "GET /items")])) == []
    ((place, _),) = conflicts([phase("a", "GET /items", "GET /items")])
    assert place == ("phases", 0, "routes", 1)


def split(*tables: dict[str, object]) -> Phase:
    service = {"url": "http://127.0.0.1:8001", "database": "sqlite:///a.db"}
    return Phase.model_validate({"name": "a", "tables": tables, "service": service})


@pytest.mark.parametrize(
    "tables",
    [
        [{"monolith": "a"}, {"monolith": "a", "service": "b", "optional": True}],
        [{"monolith": "a", "where": "x"}, {"monolith": "a", "service": "b", "where": "not x"}],
        [{"monolith": "a"}, {"monolith": "b", "service": "a"}],
        [
            {"monolith": "a", "where": "x", "service": "c"},
            {"monolith": "b", "service": "c", "where": "not x"},
        ],
        [{"monolith": "a"}, {"monolith": "a", "service": "b", "follow": True}],
    ],
)
def test_a_table_may_be_split_within_its_phase(tables: list[dict[str, object]]) -> None:
    assert list(conflicts([split(*tables)])) == []


@pytest.mark.parametrize(
    ("tables", "index", "said"),
    [
        ([{"monolith": "a"}, {"monolith": "a"}], 0, "carried to 'a' twice"),
        (
            [{"monolith": "a"}, {"monolith": "a", "service": "b"}, {"monolith": "b"}],
            1,
            "Split a table on one side only",
        ),
        ([{"monolith": "a"}, {"monolith": "b", "service": "a", "follow": True}], 0, "only follows"),
        ([{"monolith": "a"}, {"monolith": "a", "service": "b", "where": "x"}], 1, "each has a `where`"),
        ([{"monolith": "a", "optional": True}], 0, "`optional` is for the second"),
        (
            [{"monolith": "a", "optional": True}, {"monolith": "a", "service": "b"}],
            0,
            "`optional` is for the second",
        ),
        (
            [
                {"monolith": "a", "where": "x"},
                {"monolith": "a", "service": "b", "where": "y", "optional": True},
            ],
            1,
            "`optional` is for the second",
        ),
    ],
)
def test_a_split_that_cannot_be_right(tables: list[dict[str, object]], index: int, said: str) -> None:
    (place, text), *_ = conflicts([split(*tables)])
    assert place == ("phases", 0, "tables", index)
    assert said in text


def test_a_table_is_split_within_one_phase_only() -> None:
    other = {"monolith": "a", "service": "b", "where": "x"}
    first, second = split({**other, "service": "a"}), split(other)
    ((_, text),) = conflicts([first, second.model_copy(update={"name": "b"})])
    assert "claimed already by phase 'a'" in text


def test_a_table_belongs_to_one_phase_and_may_be_followed_by_others() -> None:
    ((place, message),) = conflicts([phase("a", tables=("t",)), phase("b", tables=("u", "t"))])
    assert place == ("phases", 1, "tables", 1)
    assert "`follow = true`" in message
    assert list(conflicts([phase("a", tables=("t",)), phase("b", tables=("t",), follow=True)])) == []


def test_tables_of_two_phases_are_not_carried_into_one() -> None:
    merged = {**phase("a", tables=("u",)).model_dump(), "name": "b"}
    merged["tables"][0]["service"] = "t"
    ((place, message),) = conflicts([phase("a", tables=("t",)), Phase.model_validate(merged)])
    assert place == ("phases", 1, "tables", 0)
    assert "filled already from 't'" in message


def test_phases_have_names_of_their_own() -> None:
    ((place, _),) = conflicts([phase("a", "GET /a"), phase("a", "GET /b")])
    assert place == ("phases", 1, "name")


def aggregate(path: str, **parts: str) -> Aggregate:
    return Aggregate.model_validate({"path": path, "parts": parts})


@pytest.mark.parametrize(
    ("route", "aggregates", "place"),
    [
        ("GET /all", [aggregate("/all", a="/a")], (0, "path")),
        ("* /all/{x}", [aggregate("/all/{id}", a="/a")], (0, "path")),
        ("GET /a", [aggregate("/all", a="/a"), aggregate("/all/", b="/b")], (1, "path")),
        ("GET /a", [aggregate("/all", a="/a"), aggregate("/more", a="/a", all="/all")], (1, "parts", "all")),
        ("GET /a", [aggregate("/all", this="/all")], (0, "parts", "this")),
    ],
)
def test_an_aggregate_has_its_own_path_and_plain_parts(
    route: str, aggregates: list[Aggregate], place: tuple[str | int, ...]
) -> None:
    ((found, message),) = conflicts([phase("a", route)], aggregates)
    assert found == ("facade", "aggregates", *place)
    assert "/all" in message


def test_an_aggregate_beside_routes_of_other_methods_and_paths_claims_nothing_twice() -> None:
    phases = [phase("a", "GET /a", "POST /all", "GET /{any}")]
    assert not list(conflicts(phases, [aggregate("/all", a="/a"), aggregate("/all/{id}", a="/a")]))


def test_a_part_has_no_parameter_of_its_own() -> None:
    with pytest.raises(ValueError, match=r"the part 'a' has a parameter {name} that `path` has not"):
        aggregate("/all/{id}", a="/a/{name}")
