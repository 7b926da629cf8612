"""Documents of every shape, asked with many contexts: the rules answer as Unleash's own engine does."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from yggdrasil_engine.engine import UnleashEngine

from flags.document import inlined, parse_features
from flags.errors import FlagError
from flags.rule import compile_features
from tests.unit.flags.documents import contexts, documents
from tests.unit.flags.engine import ChanceError, compare


def test_a_hundred_thousand_answers_are_those_of_unleashs_engine() -> None:
    compared = drawn = refused = 0
    engine = UnleashEngine()

    @settings(max_examples=250)
    @given(documents, st.integers(0, 2**32))
    def every_answer_is_the_same(document: dict[str, Any], seed: int) -> None:
        nonlocal compared, drawn, refused
        try:
            rules = compile_features(inlined(parse_features(document)))
        except FlagError:
            refused += 1
            return
        engine.take_state(json.dumps(document))
        for said in contexts(document, seed, 160):
            for name, rule in rules.items():
                try:
                    compare(engine, name, rule, said)
                except ChanceError:
                    drawn += 1
                else:
                    compared += 1

    every_answer_is_the_same()
    assert compared >= 100_000
    assert drawn < compared / 2
    assert refused < 50
