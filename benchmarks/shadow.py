"""How long one comparison of two answers takes: a 29 KB list of which every tenth item changed.

Also beside DeepDiff, which is given the two bodies as well and reads them with `json.loads`, and with the
items in another order, paired by their key.
"""

import json
from collections.abc import Callable
from functools import partial
from random import Random
from time import perf_counter
from typing import Any

from deepdiff import DeepDiff

from benchmarks.rounds import Options, interleave, report
from facade.compare import Answer, Rules, compare
from facade.compare_rules import Rule, RuleKind

_JSON = ((b"content-type", b"application/json"),)


def listing() -> dict[str, Any]:
    """A page of a resource list as a monolith answers it, about 29 KB of JSON."""
    items = [
        {
            "id": number,
            "title": f"Resource number {number}",
            "summary": "what it is about, in a sentence of the usual length",
            "owner": {"id": number % 7, "name": "Ann"},
            "tags": ["alpha", "beta", "gamma"],
            "price": number * 1.25,
            "created_at": "2024-01-02T03:04:05Z",
            "deleted_at": None,
            "views": number * 3,
        }
        for number in range(116)
    ]
    return {"items": items, "total": 1000, "took_ms": 3}


def changed(document: dict[str, Any]) -> dict[str, Any]:
    """The same with every tenth item changed in two members."""
    items = [
        {**item, "price": item["price"] + 1, "title": item["title"] + "!"} if at % 10 == 0 else item
        for at, item in enumerate(document["items"])
    ]
    return {**document, "items": items}


def reordered(document: dict[str, Any]) -> dict[str, Any]:
    """The same with its items in another order."""
    return {**document, "items": Random(1).sample(document["items"], len(document["items"]))}


def deepdiff(primary: Answer, shadow: Answer) -> object:
    return DeepDiff(json.loads(primary.body), json.loads(shadow.body))


def answer(document: dict[str, Any]) -> Answer:
    return Answer(200, _JSON, json.dumps(document, separators=(",", ":")).encode())


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """How long ``work`` takes, on average over the repeats of one round."""
    begin = perf_counter()
    for _ in range(repeats):
        work()
    return (perf_counter() - begin) * 1000 / repeats


def main() -> None:
    options = Options.parse(__doc__)
    primary, shadow = answer(listing()), answer(changed(listing()))
    # Another object of the same bytes, as two answers from the wire are.
    twin = Answer(200, _JSON, bytes(bytearray(primary.body)))
    assert compare(primary, shadow, Rules()).fields == {
        ("$.items[*].price", "value"): 12,
        ("$.items[*].title", "value"): 12,
    }
    mixed, keyed = (
        answer(reordered(changed(listing()))),
        Rules(rules=(Rule(RuleKind.KEYED, "$.items", "id"),)),
    )
    unordered = Rules(rules=(Rule(RuleKind.UNORDERED, "$.items"),))
    for rules in (keyed, unordered):
        assert compare(primary, mixed, rules).fields == compare(primary, shadow, Rules()).fields
    repeats = 20 if options.quick else 100
    pairs = {
        "10 % changed": (shadow, Rules()),
        "10 % changed, one member ignored": (shadow, Rules(ignore=("$.items[*].price",))),
        "10 % changed, unordered by key": (mixed, keyed),
        "10 % changed, unordered": (mixed, unordered),
        "byte-equal": (twin, Rules()),
    }
    samples = interleave(
        {
            name: partial(milliseconds, partial(compare, primary, other, rules), repeats)
            for name, (other, rules) in pairs.items()
        }
        | {"10 % changed, DeepDiff": partial(milliseconds, partial(deepdiff, primary, shadow), 1)},
        rounds=5 if options.quick else 15,
    )
    report(
        f"Comparing two answers of {len(primary.body):,} bytes",
        samples,
        "ms",
        {
            "diff_29k_ms": samples.median("10 % changed"),
            "diff_29k_ruled_ms": samples.median("10 % changed, one member ignored"),
            "vs_deepdiff": samples.ratio("10 % changed, DeepDiff", "10 % changed"),
            "unordered_vs_ordered": samples.ratio("10 % changed, unordered by key", "10 % changed"),
            "byte_equal_ms": samples.median("byte-equal"),
            "body_bytes": len(primary.body),
        },
        options,
    )


if __name__ == "__main__":
    main()
