"""An invariant that could not be decided is refused before anything runs."""

import pytest
from pydantic import ValidationError

from migration.plan_check import Invariant


def test_an_invariant_needs_somebody_to_ask_and_something_to_compare() -> None:
    with pytest.raises(ValidationError, match="asks nobody"):
        Invariant(name="nobody", expect=1)
    with pytest.raises(ValidationError, match="Say what to `expect`"):
        Invariant(name="alone", monolith="SELECT 1")


def test_both_sides_or_an_expectation_are_enough() -> None:
    assert Invariant(name="both", monolith="SELECT 1", service="SELECT 1").expect is None
    assert Invariant(name="one", service="SELECT 1", expect=0).expect == 0
