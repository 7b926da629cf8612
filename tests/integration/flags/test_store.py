from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from flags import revision
from flags.errors import FlagError
from flags.percent import Precision
from flags.store import EmbeddedStore
from flags.tables import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        made = create_engine(f"sqlite:///{tmp_path}/control.db")
    else:
        make: Callable[[], str] = request.getfixturevalue("postgresql_database")
        made = create_engine(make())
    metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def store(engine: Engine) -> EmbeddedStore:
    return EmbeddedStore(engine, Precision.PERMYRIAD, clock=lambda: 1_700_000_000.0)


def test_nothing_is_on_at_first(store: EmbeddedStore) -> None:
    assert store.snapshot().revision == 0
    assert not store.snapshot().enabled("search.reads", "ann")
    assert store.list() == []
    assert store.get("search.reads") is None


def test_every_change_raises_the_revision_by_one(store: EmbeddedStore) -> None:
    assert store.set_share("search.reads", 50, "ann") == 1
    assert store.set_share("search.reads", 2000, "bob") == 2
    assert store.kill("search.reads", "ann") == 3
    assert store.import_(store.export(), "ann") == 4
    assert store.snapshot().revision == 4


def test_a_share_is_stored_with_who_and_when(store: EmbeddedStore) -> None:
    store.set_share("search.reads", 50, "ann")
    stored = store.get("search.reads")
    assert stored is not None
    assert (stored.share, stored.updated_by, stored.updated_at) == (50, "ann", 1_700_000_000.0)
    assert store.snapshot().share("search.reads") == 50


def test_killing_a_phase_turns_off_all_its_flags_and_a_share_turns_one_on_again(store: EmbeddedStore) -> None:
    for name in ("search.reads", "search.shadow", "search2.reads"):
        store.set_share(name, 5000, "ann")
    store.kill("search", "ann")
    assert [flag.share for flag in store.list()] == [0, 0, 5000]
    store.set_share("search.reads", 100, "ann")
    assert store.snapshot().share("search.reads") == 100


def test_killing_what_is_not_there_is_an_error_and_changes_nothing(store: EmbeddedStore) -> None:
    store.set_share("search.reads", 5000, "ann")
    with pytest.raises(FlagError, match="Did you mean 'search'"):
        store.kill("serch", "ann")
    assert store.snapshot().revision == 1


def test_an_imported_flag_keeps_its_group_when_its_share_changes(store: EmbeddedStore) -> None:
    parameters = {"rollout": "10", "stickiness": "userId", "groupId": "theirs"}
    strategy = {"name": "flexibleRollout", "parameters": parameters, "title": "kept by us"}
    document = {"version": 2, "features": [{"name": "x.reads", "enabled": True, "strategies": [strategy]}]}
    store.import_({**document, "query": {"environment": "production"}}, "ann")
    store.set_share("x.reads", 3000, "ann")
    (feature,) = store.export()["features"]
    assert feature["strategies"][0]["parameters"] == {**parameters, "rollout": "30"}


@pytest.mark.parametrize(
    "features",
    [
        [
            {"name": "ok", "enabled": True},
            {"name": "bad", "enabled": True, "strategies": [{"name": "unheardOf"}]},
        ],
        [{"name": "twice", "enabled": True}, {"name": "twice", "enabled": False}],
        [{"name": "half"}],
    ],
)
def test_an_import_is_whole_or_not_at_all(store: EmbeddedStore, features: list[dict[str, Any]]) -> None:
    with pytest.raises(FlagError):
        store.import_({"features": features}, "ann")
    assert store.list() == []
    assert store.snapshot().revision == 0


def test_steps_finer_than_the_plan_allows_are_refused(engine: Engine, store: EmbeddedStore) -> None:
    coarse = EmbeddedStore(engine, Precision.PERCENT)
    with pytest.raises(FlagError, match=r"0\.5 %.*permyriad"):
        coarse.set_share("search.reads", 50, "ann")
    store.set_share("search.reads", 50, "ann")
    with pytest.raises(FlagError, match=r"0\.5 %.*permyriad"):
        coarse.import_(store.export(), "ann")
    for outside in (-1, 10_001):
        with pytest.raises(FlagError, match="0 to 100"):
            store.set_share("search.reads", outside, "ann")


def test_a_change_can_join_the_callers_transaction(engine: Engine, store: EmbeddedStore) -> None:
    with engine.connect() as connection:
        store.set_share("search.reads", 5000, "ann", within=connection)
        assert store.snapshot(within=connection).share("search.reads") == 5000
        connection.rollback()
    assert store.snapshot().revision == 0
    with engine.begin() as connection:
        store.set_share("search.reads", 5000, "ann", within=connection)
        revision.bump(connection)
    assert store.snapshot().revision == 2


def test_no_change_is_lost_between_writers(engine: Engine, store: EmbeddedStore) -> None:
    store.set_share("search.reads", 100, "ann")

    def change(number: int) -> int:
        return store.set_share(f"phase{number}.reads", 100, "ann")

    with ThreadPoolExecutor(4) as pool:
        revisions = list(pool.map(change, range(24)))
    assert sorted(revisions) == list(range(2, 26))
    assert len(store.list()) == 25
