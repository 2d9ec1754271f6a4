"""A page about growth: a table of ratios, and a chart for each kind of cost."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onward.bench.charts import Chart, Line, html_page, svg, table

_EMPTY_AT, _SHORTEST = 0.3, 3.0
"""Where the empty chain stands on an axis of powers of ten, and which power stands at 0."""
_KB = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A chart: which figures, by which names, in which unit, and what they say."""

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    note: str
    divisor: float = 1.0


_CHARTS = (
    _Shown(
        title="Processor time of one validator for a transaction",
        unit="verifications of a signature",
        lines=(
            ("cpu_verifications", "closed loop"),
            ("cpu_verifications_at_rate", "fixed rate"),
        ),
        note="Measured against what one signature's verification took in the same run, so that a "
        "slower hour of the machine does not look like a cost of the chain.",
    ),
    _Shown(
        title="Throughput of the closed loop",
        unit="settled per second",
        lines=(("settled_per_s", "settled"),),
        note="All validators and the load generator on the same cores; what the disk holds up "
        "shows here and not in processor time.",
    ),
    _Shown(
        title="Latency to finality at the fixed rate",
        unit="milliseconds",
        lines=(
            ("p50_ms", "p50"),
            ("p99_ms", "p99"),
        ),
        note="The same rate at all lengths: transactions a second by the clock, whatever became of "
        "the earlier ones.",
    ),
    _Shown(
        title="Bytes on the disk for a transaction",
        unit="kilobytes",
        lines=(
            ("disk_bytes", "home"),
            ("written_bytes", "written"),
        ),
        note="Home: all that a validator keeps, divided by the transactions of its chain. Written: "
        "what it gave the disk under load, journals and the database's own rewriting "
        "included.",
        divisor=_KB,
    ),
    _Shown(
        title="Memory of a validator",
        unit="megabytes",
        lines=(
            ("idle_rss_mb", "idle"),
            ("rss_mb", "after load"),
        ),
        note="Caches have bounds; what remains is what the allocator and the open tables keep.",
    ),
    _Shown(
        title="From the start of a process to its first answer",
        unit="seconds",
        lines=(("boot_s", "start"),),
        note="One validator alone, with its files in the page cache. It reads the journal, the "
        "last blocks' headers and the end of the batch log, and replays the database's own "
        "log.",
    ),
    _Shown(
        title="A receipt",
        unit="bytes",
        lines=(("receipt_bytes", "size"),),
        note="One inclusion path: 44 characters more whenever the log doubles.",
    ),
)


def growth_page(
    result: dict[str, Any], *, title: str = "Onward: cost and the chain's length"
) -> str:
    """The page of a growth document."""
    known = result["machine"]
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        (
            f"<p><code>{html.escape(result['command'])}</code><br>{result['validators']} "
            f"validators on {known['cores']} cores of {html.escape(str(known['cpu']))}, Python "
            f"{html.escape(known['python'])}, commit {html.escape(str(known['commit']))}</p>"
        ),
        "<p>In brackets: the ratio to the first column.</p>",
        table(*growth_table(result)),
    ]
    for chart, note in growth_charts(result):
        parts += [svg(chart), f"<p>{html.escape(note)}</p>"]
    return html_page(title, parts)


def growth_table(result: dict[str, Any]) -> tuple[list[str], list[list[str | None]]]:
    """Head and rows: each figure at each size, with its ratio to the first one."""
    sizes = result["sizes"]
    head = ["", *(_name(size["transactions"]) for size in sizes)]
    rows: list[list[str | None]] = []
    for key, words in result["figures"].items():
        row: list[str | None] = [words]
        for place, size in enumerate(sizes):
            value, ratio = size["figures"][key], size["ratios"][key]
            told = None if value is None else figure(value)
            row.append(
                told if told is None or place == 0 or ratio is None else f"{told} ({ratio:.2f})"
            )
        rows.append(row)
    return head, rows


def growth_charts(result: dict[str, Any]) -> list[tuple[Chart, str]]:
    """Each chart with a sentence about what it shows."""
    sizes = result["sizes"]
    names = tuple((_place(size["transactions"]), _name(size["transactions"])) for size in sizes)
    found = [
        (_ratios(sizes, names), "Each figure divided by that of the first chain: 1 is no growth.")
    ]
    for shown in _CHARTS:
        chart = Chart(
            title=shown.title,
            x_label="transactions on the chain",
            y_label=shown.unit,
            lines=tuple(_line(sizes, key, name, shown.divisor) for key, name in shown.lines),
            x_names=names,
        )
        found.append((chart, shown.note))
    return found


def figure(value: float) -> str:
    """A figure with as many digits as it is worth."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _ratios(sizes: Sequence[dict[str, Any]], names: tuple[tuple[float, str], ...]) -> Chart:
    lines = (
        ("cpu_verifications", "CPU"),
        ("written_bytes", "written"),
        ("p50_ms", "p50"),
        ("rss_mb", "memory"),
    )
    return Chart(
        title="Growth",
        x_label="transactions on the chain",
        y_label="ratio to the first",
        lines=tuple(_line(sizes, key, name, 1.0, part="ratios") for key, name in lines),
        x_names=names,
    )


def _line(
    sizes: Sequence[dict[str, Any]], key: str, name: str, divisor: float, part: str = "figures"
) -> Line:
    return Line(
        name=name,
        points=tuple(
            (_place(size["transactions"]), size[part][key] / divisor)
            for size in sizes
            if size[part][key] is not None
        ),
    )


def _place(transactions: int) -> float:
    """On an axis of powers of ten, on which the empty chain has a place too."""
    if transactions == 0:
        return _EMPTY_AT
    return max(_EMPTY_AT, math.log10(transactions) - _SHORTEST)


def _name(transactions: int) -> str:
    if transactions == 0:
        return "empty"
    for unit, word in ((1_000_000, " M"), (1_000, " k")):
        if transactions % unit == 0:
            return f"{transactions // unit}{word}"
    return f"{transactions:,}"
