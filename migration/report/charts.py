"""Charts as inline SVG: drawn by pygal, then stripped of its scripts and styles, for the page's own to apply.

So a chart follows the page into dark mode and onto paper, and the file refers to nothing outside itself.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pygal
from markupsafe import Markup

# pygal adds an import hook for its maps to the whole process, of a protocol that Python no longer has: every
# later import that fails would warn of it. There are no maps here.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

_SIZE = {"width": 760, "height": 240, "margin": 4, "margin_left": 8, "margin_right": 8, "spacing": 6}
_FEW = 12
"""Points of a line that are drawn one by one."""
_SVG = "{http://www.w3.org/2000/svg}"


def bars(groups: Sequence[str], series: Mapping[str, Sequence[float | None]], title: str) -> Markup:
    """Upright bars of milliseconds: a group for each of ``groups``, with one bar per series."""
    chart = pygal.Bar(**_options(title), value_formatter=_ms, rounded_bars=2, include_x_axis=True)
    chart.x_labels = groups
    for name, values in series.items():
        chart.add(name, list(values))
    return _draw(chart)


def lying_bars(values: Sequence[tuple[str, float | None]], title: str) -> Markup:
    """Bars of milliseconds below one another, each with its label."""
    options = {**_options(title), "height": 40 + 38 * max(len(values), 2)}
    chart = pygal.HorizontalBar(**options, value_formatter=_ms, rounded_bars=2, include_x_axis=True)
    from_below = values[::-1]
    chart.x_labels = [label for label, _ in from_below]
    chart.add(title, [value for _, value in from_below])
    return _draw(chart)


def line(points: Sequence[tuple[float, float]], marks: Mapping[float, str], unit: str, title: str) -> Markup:
    """A line over seconds; ``marks`` names moments on the time axis."""
    chart = pygal.XY(
        **{**_options(title), "margin_bottom": 16},
        value_formatter=lambda value: f"{value:,.{0 if value >= 1000 or value == int(value) else 2}f} {unit}",
        show_dots=len(points) < _FEW,
        dots_size=2.5,
        fill=True,
        include_x_axis=True,
        x_label_rotation=25,
    )
    chart.x_labels = [{"value": at, "label": label} for at, label in marks.items()]
    chart.add(title, list(points))
    return _draw(chart)


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def _options(title: str) -> dict[str, Any]:
    return {
        **_SIZE,
        "title": None,
        "show_legend": False,
        "explicit_size": False,
        "disable_xml_declaration": True,
        "js": [],
        "css": [],
        "classes": ["chart"],
        "no_prefix": True,
        "max_scale": 6,
        "no_data_text": f"{title}: nothing measured",
    }


def _draw(chart: Any) -> Markup:
    chart.add_xml_filter(_bare)
    # pygal escapes the labels; what remains is its own markup.
    return Markup(chart.render(is_unicode=True))  # noqa: S704


def _bare(root: Any) -> Any:
    """Without scripts, styles, comments and tooltips; each value becomes the native title of its shape."""
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or _name(child) in {"defs", "title"} or _overlay(child):
                parent.remove(child)
        _entitle(parent)
    root.attrib.pop("id", None)
    return root


def _entitle(parent: Any) -> None:
    texts = {}
    for child in [each for each in parent if _name(each) == "desc"]:
        texts[child.get("class")] = child.text or ""
        parent.remove(child)
    if "value" in texts:
        title = parent.makeelement("title", {})
        title.text = " ".join(filter(None, (texts.get("x_label"), texts["value"])))
        parent.insert(0, title)


def _overlay(node: Any) -> bool:
    return "overlay" in node.get("class", "") or node.get("class") == "titles"


def _name(node: Any) -> str:
    return str(node.tag).removeprefix(_SVG)
