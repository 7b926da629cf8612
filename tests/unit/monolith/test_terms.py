from hypothesis import given
from hypothesis import strategies as st

from monolith.search.terms import searchable, terms


def test_terms_are_folded_and_distinct_in_order() -> None:
    assert terms("  Oak  STRASSE straße\toak ") == ("oak", "strasse")


def test_an_empty_query_has_no_terms() -> None:
    assert terms(" \n ") == ()


@given(st.text(), st.text())
def test_every_word_of_title_and_body_can_be_found(title: str, body: str) -> None:
    text = searchable(title, body)
    assert all(term in text for term in (*terms(title), *terms(body)))


@given(st.text(alphabet="ab\n"), st.text(alphabet="ab\n"), st.text(alphabet="ab", min_size=1))
def test_no_term_spans_title_and_body(title: str, body: str, term: str) -> None:
    assert (term in searchable(title, body)) == (term in title or term in body)
