"""The reports say what the figures mean, escape what they are given, and refer to nothing outside."""

import re
import sys
from html.parser import HTMLParser
from typing import Any

import pytest
from rich.console import Console

from facade.compare import Rules
from facade.evidence import Comparison, Difference, ShadowCounts
from migration.plan_gates import Gates
from migration.report import render_demo, render_shadow
from migration.report.changes import changes
from migration.report.demo import demo_faults
from migration.report.page import ms, percent, span
from migration.report.screen import demo_table, shadow_table
from migration.report.shadow import Split, split, unmatched_rules
from migration.report.verdict import Tone, judge, next_steps
from migration.summary import ShadowSummary, View, summarise, summarise_phase

SINCE = 1_700_000_000.0
GATES = Gates(min_match_rate=0.99, min_samples=100)


def counts(route: str = "GET /search", matched: int = 0, mismatched: int = 0, **more: Any) -> ShadowCounts:
    stale, drops = more.pop("stale", 0), more.pop("drops", {})
    eligible = matched + mismatched + stale + sum(drops.values())
    return ShadowCounts("search", route, eligible, matched, mismatched, stale, drops, **more)


def summary(
    *routes: ShadowCounts, samples: tuple[Comparison, ...] = (), times: int = 1, **more: Any
) -> ShadowSummary:
    """A summary of these routes, which came to the same in each of so many minutes."""
    slots = [(SINCE + 60 * minute, route) for minute in range(times) for route in routes]
    return summarise_phase("search", SINCE, SINCE + 3600, slots, samples, **more)


def comparison(*differences: Difference, at: float = 1.0, target: str = "/search?q=a") -> Comparison:
    return Comparison(
        "search", "GET /search", f"req-{at}", "GET", target, at, differences, 200, 200, 1.0, 2.0
    )


def demo(**changes: Any) -> dict[str, Any]:
    report: dict[str, Any] = {
        "requests": {"total": 48213, "failed": 0},
        "writes": {"acknowledged": 9120, "found": 9120, "lost": 0, "doubled": 0},
        "check": {"clean": True, "rows": 20412},
        "shadow": {"compared": 6120, "match_rate": 1.0},
        "switches": [
            {"to": "service", "pause_ms_p99": 143.2, "errors": 0},
            {"to": "monolith", "pause_ms_p99": 98.0, "errors": 0},
        ],
        "latency_ms": {stage: {"p50": 7.0, "p95": 15.0, "p99": 31.0} for stage in ("off", "dual_write")},
        "seconds": 112.4,
    }
    return {**report, **changes}


TIMELINE = [
    {"at": float(second), "stage": "off" if second < 5 else "dual_write", "rps": 400.0, "p95": 12.0}
    for second in range(10)
]
FULL = summary(
    counts(
        matched=990,
        mismatched=10,
        stale=3,
        drops={"queue_full": 7},
        fields={("$.items[*].score", "value"): 9, ("status", "status"): 1},
        rules={"ignore $.took_ms": 1000},
        primary_ms={4.0: 500, 9.0: 503},
        shadow_ms={5.0: 500, 20.0: 503},
    ),
    counts("GET /search/saved", matched=20),
    samples=(comparison(Difference("$.items[3].score", "value", "0.8812", "0.8809")),),
)
PAGES = {
    "shadow": lambda: render_shadow(FULL, Rules(ignore=("$.took_ms", "$.never")), GATES),
    "changed": lambda: render_shadow(FULL, changed=changes(summary(counts(matched=9)), FULL, "2h..1h")),
    "nothing compared": lambda: render_shadow(summary()),
    "demo": lambda: render_demo(demo(timeline=TIMELINE)),
    "demo of nothing": lambda: render_demo(
        demo(
            switches=[],
            latency_ms={},
            shadow={"compared": 0, "match_rate": None},
            requests={"total": 0, "failed": 0},
        )
    ),
}


class Outline(HTMLParser):
    """Tags left open, and everything that could reach outside the file or run."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.suspects: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.suspects += [tag] * (tag in {"script", "link", "iframe", "img", "object"})
        self.suspects += [
            name for name, _ in attrs if name in {"src", "href", "xlink:href"} or name.startswith("on")
        ]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_and_stands_alone(page: str) -> None:
    html = PAGES[page]()
    outline = Outline()
    outline.feed(html)
    outline.close()
    assert outline.open == []
    assert outline.suspects == []
    assert set(re.findall(r"https?://[^\s\"'<]+", html)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert not re.search(r"@import|url\(", html)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_the_same_figures_is_the_same_page(page: str) -> None:
    assert PAGES[page]() == PAGES[page]()


def test_what_came_from_clients_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    html = render_shadow(
        summary(
            counts(evil, 1, 1, drops={evil: 1}, fields={(f"$['{evil}']", "value"): 1}, rules={evil: 1}),
            samples=(comparison(Difference(f"$['{evil}']", "value", evil, evil + "x"), target=f"/{evil}"),),
        ),
    )
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "<script" not in render_demo(demo(latency_ms={evil: {"p50": 1, "p95": 1, "p99": 1}}))


def test_the_page_shows_each_side_of_a_sample_with_its_differing_part() -> None:
    html = PAGES["shadow"]()
    assert "0.88<mark>12</mark>" in html
    assert "0.88<mark>09</mark>" in html
    assert "$.items[3].score" in html
    assert "1,013 eligible" not in html
    assert "1,030 eligible = 1,010 matched + 10 differing + 3 stale + 7 not compared" in html
    assert "never matched" in html


@pytest.mark.parametrize(
    ("matched", "mismatched", "tone", "part"),
    [
        (0, 0, Tone.DOUBTFUL, "Nothing has been compared"),
        (50, 0, Tone.DOUBTFUL, "50 comparisons"),
        (900, 100, Tone.BAD, "90.00 %"),
        (199, 1, Tone.DOUBTFUL, "99.50 % of 200 comparisons (95 % interval 97.22 % to 99.91 %)"),
        (10_000, 1, Tone.GOOD, "99.99 %"),
        (10_000, 0, Tone.GOOD, "in 100 % of 10,000"),
    ],
)
def test_the_verdict_is_one_sentence_with_interval_and_number(
    matched: int, mismatched: int, tone: Tone, part: str
) -> None:
    verdict = judge(summarise(counts(matched=matched, mismatched=mismatched)), GATES)
    assert verdict.tone is tone
    assert part in verdict.sentence


def test_the_next_steps_name_the_worst_of_each_kind_and_the_command() -> None:
    steps = next_steps(FULL, ["$.never"], GATES)
    texts = [step.text for step in steps]
    assert texts[0].startswith("Look at status in GET /search (another status, 1 time)")
    assert texts[1].startswith("Look at $.items[*].score in GET /search (another value, 9 times)")
    assert steps[2].command == "strangler calibrate search --share 10"
    assert any("$.never" in text for text in texts)
    assert any("slower than the monolith" in text for text in texts)
    assert steps[-1].command == "strangler shadow search"
    assert next_steps(summary(counts(matched=9000)), [], GATES)[-1].command == "strangler advance search"
    assert next_steps(summary(), [], GATES)[-1].command == "strangler flags set search.shadow 100"


def test_a_field_shows_its_first_and_its_latest_sample_and_its_course() -> None:
    samples = tuple(
        comparison(Difference("$.x", "value", f"{at}", f"{at}.5"), at=float(at), target=f"/search?n={at}")
        for at in (3, 1, 2)
    )
    html = render_shadow(
        summary(counts(mismatched=1, fields={("$.x", "value"): 1}), samples=samples, times=3)
    )
    rows = re.findall(r'<td class="soft">(\w+)</td><td><span class="path">GET /search\?n=(\d)', html)
    assert rows == [("first", "1"), ("latest", "3")]
    assert html.count('<i style="height:100%">') == 3
    assert "<h2>Trend</h2>" in html


def test_a_page_says_what_it_leaves_out_and_what_it_was_made_of() -> None:
    view = View(routes=("search",), kinds=("type", "status"))
    html = render_shadow(summary(counts(matched=1), view=view, source="reads.har"), Rules(ignore=("$.x",)))
    assert "Only routes with “search”, and differences of the kind “type” or “status”." in html
    assert "Replayed from reads.har" in html
    assert "never matched" not in html, "a part of the routes cannot show that"


def test_a_replay_and_a_part_of_the_routes_never_say_that_a_gate_is_open() -> None:
    replayed = next_steps(summary(counts(matched=9000), source="reads.har"), [], GATES)[-1]
    assert "opens no gate" in replayed.text
    part = next_steps(summary(counts(matched=9000), view=View(routes=("search",))), [], GATES)[-1]
    assert part.command == "strangler shadow search"


def test_a_kind_that_the_report_does_not_know_is_shown_all_the_same() -> None:
    html = render_shadow(summary(counts(mismatched=1, fields={("$.x", "colour"): 1})))
    assert "<h3>Colour " in html


def test_many_drops_cast_doubt_on_the_figures() -> None:
    (step, *_) = next_steps(summary(counts(matched=900, drops={"queue_full": 100})), [], GATES)
    assert "10.00 % of the eligible requests were not compared, mostly for “queue full”" in step.text


def test_a_rule_that_hid_nothing_is_named() -> None:
    assert unmatched_rules(FULL, Rules(ignore=("$.took_ms", "$.never"))) == ["ignore $.never"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("abc", "abd", (Split("ab", "c", ""), Split("ab", "d", ""))),
        ("1", "11", (Split("1", "", ""), Split("1", "1", ""))),
        ("", "x", (Split("", "", ""), Split("", "x", ""))),
        ('{"a": 1}', '{"a": 2}', (Split('{"a": ', "1", "}"), Split('{"a": ', "2", "}"))),
    ],
)
def test_two_texts_are_split_around_what_differs(one: str, other: str, expected: tuple[Split, Split]) -> None:
    assert split(Difference("$", "value", one, other)) == expected


def test_the_demo_report_names_every_broken_promise() -> None:
    assert demo_faults(demo()) == []
    broken = demo(
        requests={"total": 10, "failed": 3},
        writes={"acknowledged": 9, "found": 5, "lost": 2, "doubled": 1},
        check={"clean": False, "rows": 1},
        switches=[{"to": "service", "pause_ms_p99": 1.0, "errors": 4}],
    )
    assert [fault.split()[0] for fault in demo_faults(broken)] == ["3", "2", "1", "4", "4", "The"]
    html = render_demo(broken)
    assert "did not keep its promises" in html
    assert "none failed" not in html


def test_a_share_is_never_rounded_to_all_or_nothing() -> None:
    assert [percent(share) for share in (0, 0.000001, 0.5, 0.999999, 1, None)] == [
        "0 %",
        "0.01 %",
        "50.00 %",
        "99.99 %",
        "100 %",
        "–",
    ]


def test_figures_have_units() -> None:
    assert (ms(1.26), ms(1234.5), ms(None)) == ("1.3 ms", "1,234 ms", "–")
    assert (span(1), span(90), span(7200), span(200_000)) == ("1 second", "90 seconds", "2 hours", "2 days")


def test_drawing_charts_leaves_no_import_hook_behind() -> None:
    assert PAGES["demo"]()
    assert not [finder for finder in sys.meta_path if type(finder).__module__.startswith("pygal")]


def on_screen(table: Any) -> str:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_the_screen_shows_the_same_figures() -> None:
    shown = on_screen(shadow_table(FULL))
    assert "GET /search/saved" in shown
    assert "99.02 %" in shown
    assert "Nothing failed, nothing was lost." in on_screen(demo_table(demo()))
    assert "2 acknowledged writes were lost." in on_screen(
        demo_table(demo(writes={"acknowledged": 9, "found": 7, "lost": 2, "doubled": 0}))
    )
