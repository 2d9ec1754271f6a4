"""Charts as SVG in one page of HTML that needs nothing else: no library, no font, no script."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

WIDTH, HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 40, 48
_COLOURS = ("#1b6ca8", "#c44536", "#2a7f4f", "#8a5a9e", "#b7791f", "#4a5568")
_STEPS = (1, 2, 2.5, 5, 10)
_TICKS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points in the order of x."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Lines over one pair of axes that begin at 0; `marks` are vertical lines with a word.

    `x_names`: places on the x axis and what stands there, instead of numbers.
    """

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    marks: tuple[tuple[float, str], ...] = ()
    x_names: tuple[tuple[float, str], ...] = ()


def page(results: Sequence[dict[str, Any]], *, title: str = "Onward: benchmark") -> str:
    """A page with the charts of some result documents."""
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for result in results:
        known = result["machine"]
        parts.append(
            f"<p><code>{html.escape(result['command'])}</code><br>"
            f"{known['cores']} cores of {html.escape(str(known['cpu']))}, "
            f"Python {html.escape(known['python'])}, commit {html.escape(str(known['commit']))}; "
            f"limit ratio {result['limit_ratio']}</p>"
        )
        parts += [svg(chart) for chart in charts_of(result)]
    return html_page(title, parts)


def html_page(title: str, parts: Sequence[str]) -> str:
    """Elements as a page of their own."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n"
        "<style>body{font-family:sans-serif;max-width:760px;margin:2em auto;color:#222}"
        "svg{display:block;margin:1.5em 0}"
        "td,th{padding:.2em .8em;text-align:right}td:first-child{text-align:left}</style>\n"
        f"{body}\n</html>\n"
    )


def charts_of(result: dict[str, Any]) -> list[Chart]:
    """Rate against latency, where there are several rates; the main run over time."""
    found = []
    by_rate = sorted(
        (run for run in result["runs"] if run["rate"] is not None), key=lambda run: run["rate"]
    )
    if len(by_rate) > 2:
        found.append(_latency_by_rate(by_rate))
        found.append(_throughput_by_rate(by_rate))
    run = result["runs"][result["main"]]
    found.append(_throughput_over_time(run))
    found.append(_latency_over_time(run))
    return found


def _latency_by_rate(runs: list[dict[str, Any]]) -> Chart:
    lines = tuple(
        Line(
            name=name,
            points=tuple(
                (run["rate"], run["latency_ms"][key])
                for run in runs
                if run["latency_ms"][key] is not None and run["holds"]
            ),
        )
        for key, name in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"))
    )
    marks = tuple((run["rate"], "does not hold") for run in runs if not run["holds"])[:1]
    return Chart(
        title="Latency to finality at each rate that holds",
        x_label="envelopes due per second",
        y_label="milliseconds",
        lines=lines,
        marks=marks,
    )


def _throughput_by_rate(runs: list[dict[str, Any]]) -> Chart:
    return Chart(
        title="What was settled of what was due",
        x_label="envelopes due per second",
        y_label="settled per second",
        lines=(
            Line(
                name="settled",
                points=tuple((run["rate"], _envelopes_per_s(run)) for run in runs),
            ),
            Line(name="due", points=tuple((run["rate"], run["rate"]) for run in runs)),
        ),
    )


def _envelopes_per_s(run: dict[str, Any]) -> float:
    throughput = run["throughput"]  # older documents know envelopes of one transaction only
    return float(throughput.get("envelopes_per_s", throughput["settled_per_s"]))


def _throughput_over_time(run: dict[str, Any]) -> Chart:
    return Chart(
        title="Throughput over time",
        x_label="seconds",
        y_label="per second",
        lines=(
            _over_time("settled", run, lambda window: window["settled_per_s"]),
            _over_time("client signatures", run, lambda window: window["signatures_per_s"]),
        ),
        marks=_faults(run),
    )


def _latency_over_time(run: dict[str, Any]) -> Chart:
    return Chart(
        title="Latency over time",
        x_label="seconds",
        y_label="milliseconds",
        lines=(
            _over_time("p50", run, lambda window: window["latency_ms"]["p50"]),
            _over_time("p99", run, lambda window: window["latency_ms"]["p99"]),
        ),
        marks=_faults(run),
    )


def charts_over_time(run: dict[str, Any], title: str) -> list[Chart]:
    """Throughput and latency of a run, with its faults marked."""
    found = (_throughput_over_time(run), _latency_over_time(run))
    return [replace(chart, title=f"{title}: {chart.title.lower()}") for chart in found]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """An HTML table; None is a dash."""
    cells = [
        "".join(f"<td>{html.escape('–' if item is None else str(item))}</td>" for item in row)
        for row in rows
    ]
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{row}</tr>\n" for row in cells)
    return f"<table>\n<tr>{names}</tr>\n{body}</table>"


def _faults(run: dict[str, Any]) -> tuple[tuple[float, str], ...]:
    """When each fault began and ended."""
    return tuple(
        mark
        for fault in run.get("faults", ())
        for mark in (
            (fault["at_s"], f"{fault['kind']} {fault['validator']}"),
            (fault["at_s"] + fault["for_s"], "back"),
        )
    )


def _over_time(name: str, run: dict[str, Any], value_of: Any) -> Line:
    return Line(
        name=name,
        points=tuple(
            (window["from_s"] + window["seconds"] / 2, value_of(window))
            for window in run["windows"]
            if value_of(window) is not None
        ),
    )


def svg(chart: Chart) -> str:
    """A chart as an SVG element."""
    points = [point for line in chart.lines for point in line.points]
    x_ticks = ticks(max([x for x, _ in points] + [x for x, _ in chart.marks], default=1))
    y_ticks = ticks(max((y for _, y in points), default=1))
    x_scale = (WIDTH - _LEFT - _RIGHT) / x_ticks[-1]
    y_scale = (HEIGHT - _TOP - _BOTTOM) / y_ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        return round(_LEFT + x * x_scale, 1), round(HEIGHT - _BOTTOM - y * y_scale, 1)

    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
        ),
        f'<text x="{_LEFT}" y="20" font-size="14">{html.escape(chart.title)}</text>',
    ]
    for x, name in chart.x_names or [(x, number(x)) for x in x_ticks]:
        at, _ = place(x, 0)
        out.append(_text(at, HEIGHT - _BOTTOM + 16, name, anchor="middle"))
    for y in y_ticks:
        _, at = place(0, y)
        out.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at}" y2="{at}" stroke="#ddd"/>')
        out.append(_text(_LEFT - 6, at + 4, number(y), anchor="end"))
    out.append(_text((WIDTH + _LEFT) / 2, HEIGHT - 10, chart.x_label, anchor="middle"))
    middle = (HEIGHT - _BOTTOM + _TOP) / 2
    out.append(
        f'<text x="14" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 14 {middle})">{html.escape(chart.y_label)}</text>'
    )
    for x, word in chart.marks:
        at, _ = place(x, 0)
        out.append(
            f'<line x1="{at}" x2="{at}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}" '
            'stroke="#888" stroke-dasharray="4 3"/>'
        )
        out.append(_text(at - 4, _TOP + 12, word, anchor="end"))
    for index, line in enumerate(chart.lines):
        out += _drawn(line, _COLOURS[index % len(_COLOURS)], index, place)
    return "\n".join([*out, "</svg>"])


def _drawn(line: Line, colour: str, index: int, place: Any) -> list[str]:
    places = [place(x, y) for x, y in line.points]
    path = " ".join(f"{x},{y}" for x, y in places)
    out = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    out += [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>' for x, y in places]
    at = WIDTH - _RIGHT - 130 * (index + 1)
    out.append(f'<rect x="{at}" y="26" width="10" height="10" fill="{colour}"/>')
    out.append(_text(at + 15, 35, line.name, anchor="start"))
    return out


def ticks(highest: float) -> list[float]:
    """Round numbers from 0 until one is not below the highest value."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * item for item in _STEPS if power * item >= rough * 0.999)
    return [index * step for index in range(math.ceil(highest / step - 1e-9) + 1)]


def number(value: float) -> str:
    """A tick's number without needless digits."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _text(x: float, y: float, words: str, *, anchor: str) -> str:
    return (
        f'<text x="{round(x, 1)}" y="{round(y, 1)}" text-anchor="{anchor}">'
        f"{html.escape(words)}</text>"
    )
