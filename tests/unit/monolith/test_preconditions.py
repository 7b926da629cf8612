import pytest
from fastapi import HTTPException

from monolith.preconditions import entity_tag, not_modified, require_match

TAG = entity_tag(7, 3)


def test_an_entity_tag_is_strong_and_names_row_and_version() -> None:
    assert TAG == '"7.3"'


@pytest.mark.parametrize("condition", [None, "*", '"7.3"', '"7.2", "7.3"'])
def test_if_match_lets_the_current_version_pass(condition: str | None) -> None:
    require_match(condition, TAG)


@pytest.mark.parametrize("condition", ['"7.2"', 'W/"7.3"', "7.3", ""])
def test_if_match_refuses_other_versions_and_weak_tags(condition: str) -> None:
    with pytest.raises(HTTPException) as refused:
        require_match(condition, TAG)
    assert refused.value.status_code == 412


@pytest.mark.parametrize("condition", ["*", '"7.3"', 'W/"7.3"', '"x", "7.3"'])
def test_if_none_match_compares_weakly(condition: str) -> None:
    answer = not_modified(condition, TAG)
    assert answer is not None
    assert (answer.status_code, answer.headers["etag"], answer.body) == (304, TAG, b"")


@pytest.mark.parametrize("condition", [None, '"7.2"', ""])
def test_if_none_match_passes_what_has_changed(condition: str | None) -> None:
    assert not_modified(condition, TAG) is None
