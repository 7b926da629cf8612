"""What of the monolith can be deleted once a phase is complete."""

from migration.leftovers import KeptTable, judged
from migration.plan_sections import Phase

SEARCH = {"name": "search", "service": {"url": "http://s:1", "database": "sqlite:///s.db"}}
ORDERS = {"name": "orders", "service": {"url": "http://o:1", "database": "sqlite:///o.db"}}


def phase(base: dict[str, object], *tables: dict[str, object]) -> Phase:
    return Phase.model_validate({**base, "routes": ["GET /search", "* /search/saved"], "tables": tables})


def test_routes_and_tables_of_a_phase_are_left_over() -> None:
    own = phase(SEARCH, {"monolith": "saved"}, {"monolith": "resources", "follow": True})
    left = judged([own], own, [("saved", "users"), ("saved_tags", "tags")])
    assert left.routes == ["GET /search", "* /search/saved"]
    assert left.tables == ["saved"]
    assert left.kept == []
    assert left.lines()[1] == "These of its tables can be dropped: saved."


def test_a_table_that_somebody_reads_is_kept() -> None:
    own = phase(SEARCH, {"monolith": "saved"}, {"monolith": "alerts"}, {"monolith": "runs"})
    other = phase(ORDERS, {"monolith": "saved", "follow": True})
    left = judged([own, other], own, [("invoices", "alerts"), ("runs", "alerts"), ("invoices", "alerts")])
    assert left.tables == ["runs"]
    assert left.kept == [
        KeptTable("saved", ("phase orders, which follows it",)),
        KeptTable("alerts", ("the monolith's table invoices, which refers to it",)),
    ]
    assert left.lines()[-1].startswith("Its table alerts is needed by the monolith's table invoices")
