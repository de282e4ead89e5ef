"""Writes what was found into `docs/`: the page, its plots, and the figures as JSON."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from . import plots
from .measuring import Figures, ratio
from .targets import STORE, Verdict

PAGE = Path(__file__).with_name("performance.md")


def write(run: Mapping[str, Any], verdicts: Sequence[Verdict], docs: Path) -> None:
    """Write the page, the plots and the JSON.

    Args:
        run: The machine, the settings and the results.
        verdicts: The judgement on them.
        docs: The directory to write into.
    """
    docs.mkdir(parents=True, exist_ok=True)
    text = Template(PAGE.read_text("utf-8")).substitute(
        machine=machine(run),
        verdicts=table_of(verdicts),
        rounds=run["settings"]["rounds"],
        other_rounds=run["settings"]["other rounds"],
        figures=figures(run["results"]),
        starts=starts(run["results"]),
    )
    (docs / "performance.md").write_text(text, "utf-8")
    (docs / "performance.json").write_text(json.dumps(_rounded(run), indent=1) + "\n", "utf-8")
    for name, plot in drawings(run["results"]).items():
        (docs / f"performance-{name}.svg").write_text(plot, "utf-8")


def machine(run: Mapping[str, Any]) -> str:
    """Say on what the figures were taken."""
    said = [f"- {name}: {value}" for name, value in run["machine"].items()]
    settings = [f"{name} {value}" for name, value in run["settings"].items()]
    return "\n".join([*said, f"- settings: {', '.join(settings)}"])


def table_of(verdicts: Sequence[Verdict]) -> str:
    """Write the table of targets."""
    rows = [
        (
            verdict.target.text,
            verdict.flavor,
            f"{verdict.figure} {verdict.target.unit}" if verdict.figure else "",
            f"at {'most' if verdict.target.is_most else 'least'} {verdict.target.limit:g}",
            verdict.text,
        )
        for verdict in verdicts
    ]
    return _table(("what", "flavor", "figure", "wanted", ""), rows)


def figures(results: Mapping[str, Any]) -> str:
    """Write a table of all cases for each flavor."""
    parts = []
    for flavor, found in results.items():
        if "figures" not in found:
            continue
        rows = []
        for case, measured in found["figures"].items():
            if case.endswith("by length"):
                each = [f"{name}: {_middle(values)}" for name, values in measured.items()]
                rows.append((case, _ends(measured), "; ".join(each), ""))
                continue
            for name, values in measured.items():
                against = "" if name == STORE else str(ratio(measured, STORE, name))
                rows.append((case if name == STORE else "", name, _middle(values), against))
        heading = f"### {flavor} ({found['server']})"
        parts.append(f"{heading}\n\n{_table(('case', 'who', 'figure', 'the Store ×'), rows)}")
    return "\n\n".join(parts)


def starts(results: Mapping[str, Any]) -> str:
    """Write the table of imports, openings and memory."""
    columns = {
        "import of the SDK, ms": "sdk_ms",
        "of the driver": "driver_ms",
        "of the package": "package_ms",
        "opening": "open_ms",
    }
    sizes = {
        "memory, MB": "imported_before_kb",
        "with the package": "imported_kb",
        "under load": "loaded_kb",
    }
    rows = []
    for flavor, found in results.items():
        if found.get("starts"):

            def middle(key: str, found: Any = found) -> float:
                values = [float(start[key]) for start in found["starts"] if key in start]
                return statistics.median(values)

            times = [f"{middle(key):.1f}" for key in columns.values()]
            memory = [f"{middle(key) / 1024:.0f}" for key in sizes.values()]
            rows.append((flavor, *times, *memory))
    return _table(("flavor", *columns, *sizes), rows)


def drawings(results: Mapping[str, Any]) -> dict[str, str]:
    """Draw the plots, by name."""

    def medians(case: str) -> dict[str, dict[str, float]]:
        return {
            flavor: {name: statistics.median(values) for name, values in measured.items()}
            for flavor, found in results.items()
            if (measured := found.get("figures", {}).get(case))
        }

    lengths: dict[str, list[tuple[float, float]]] = {}
    for flavor, found in results.items():
        if measured := found.get("figures", {}).get("middle page by length"):
            lengths[flavor] = [
                (float(length.replace(",", "")), 1000 / statistics.median(values))
                for length, values in measured.items()
            ]
    add = "add an item, {} tasks, 1 KB"
    both = {
        f"{flavor}, {tasks} tasks": values
        for tasks in (16, 64)
        for flavor, values in medians(add.format(tasks)).items()
        if tasks == 16 or flavor == "sqlite"
    }
    drawn = {
        "add": plots.bars("Adding an item of 1 KB, calls a second", both, "/s"),
        "turn": plots.bars(
            "A whole text turn, 16 tasks, turns a second",
            medians("text turn, 16 tasks, 1 KB"),
            "/s",
        ),
        "stall": plots.bars(
            "Longest stall of the event loop under load, median of the rounds",
            medians("stall, 64 tasks, 1 KB"),
            "ms",
        ),
    }
    if lengths:
        title = "A page of twenty from the middle of a thread"
        drawn["length"] = plots.lines(title, lengths, "items in the thread", "ms")
    return drawn


def _middle(values: Sequence[float]) -> str:
    middle = statistics.median(values)
    return f"{middle:,.0f}" if middle >= 100 else f"{middle:.1f}"


def _ends(measured: Figures) -> str:
    lengths = list(measured)
    return f"{lengths[0]} to {lengths[-1]} items: time × {ratio(measured, lengths[0], lengths[-1])}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return value
