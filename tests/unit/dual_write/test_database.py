import pytest

from dual_write.database import normalised, redacted, unreachable
from dual_write.errors import DataError


@pytest.mark.parametrize(
    "given", ["postgres://u:p@h/d", "postgresql://u:p@h/d", "postgresql+psycopg2://u:p@h/d"]
)
def test_every_spelling_of_postgresql_gets_its_driver(given: str) -> None:
    assert normalised(given).drivername == "postgresql+psycopg"


@pytest.mark.parametrize(("given", "text"), [("mysql://h/d", "'mysql'"), ("not a url", "as a URL")])
def test_other_databases_are_refused(given: str, text: str) -> None:
    with pytest.raises(DataError, match=text):
        normalised(given)


@pytest.mark.parametrize(
    "given", ["postgresql://u:hunter2@h/d", "postgresql://u@h/d?password=hunter2", "hunter2"]
)
def test_i9_no_password_is_shown(given: str) -> None:
    assert "hunter2" not in redacted(given)


def test_i9_an_unreachable_database_is_named_without_its_password() -> None:
    error = unreachable("postgresql://u:hunter2@h/d", OSError("refused"))
    assert "u:***@h/d" in str(error)
    assert "refused" in str(error)
