"""Draws plots as SVG: bars and lines, with text that reads on a light and on a dark page."""

import math
from collections.abc import Mapping, Sequence
from html import escape

# Each stands out from white and from GitHub's dark grey; colour is never the only sign.
COLOURS = ("#2f81f7", "#8b949e", "#bf8700", "#db61a2", "#57ab5a", "#e5534b", "#986ee2", "#39a0a8")
STYLE = (
    "text { font: 12px system-ui, sans-serif; fill: #6e7681 } .title { font-size: 14px; "
    "font-weight: 600 } path { stroke: #8b949e; fill: none } "
    "@media (prefers-color-scheme: dark) { text { fill: #9198a1 } }"
)
WIDTH = 760


def bars(title: str, groups: Mapping[str, Mapping[str, float]], unit: str) -> str:
    """Draw horizontal bars with their figures.

    Args:
        title: What stands above.
        groups: For each group, the value of each name.
        unit: What the values are.
    """
    parts = []
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    y = 44
    for group, values in groups.items():
        largest = max(values.values(), default=1)
        parts.append(_text(8, y, group, "title"))
        y += 10
        for name, value in values.items():
            width = max(1, 380 * value / largest)
            colour = COLOURS[names.index(name) % len(COLOURS)]
            parts.append(_text(205, y + 13, name, anchor="end"))
            parts.append(
                f'<rect x="213" y="{y + 2}" width="{width:.0f}" height="14" fill="{colour}"/>'
            )
            parts.append(_text(213 + round(width) + 6, y + 13, f"{_short(value)} {unit}"))
            y += 19
        y += 26
    return _svg(title, y - 16, parts)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str) -> str:
    """Draw lines, logarithmic to the right and linear from zero upwards.

    Args:
        title: What stands above.
        series: For each name, its points.
        x: What is to the right.
        y: What is upwards.
    """
    left, top, width, height = 60, 44, 480, 240
    points = [point for line in series.values() for point in line]
    low, high = (f(math.log10(point[0]) for point in points) for f in (min, max))
    largest = max(point[1] for point in points) * 1.1
    parts = [
        f'<path d="M{left} {top}V{top + height}H{left + width}"/>',
        _text(left, top - 8, y),
        _text(left + width, top + height + 34, x, anchor="end"),
    ]

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = (math.log10(point[0]) - low) / max(high - low, 1e-9)
        return left + across * width, top + height * (1 - point[1] / largest)

    for value in sorted({point[0] for point in points}):
        across, _ = place((value, 0))
        parts.append(_text(round(across), top + height + 17, f"{value:,.0f}", anchor="middle"))
    for step in range(1, 5):
        value = largest * step / 4
        parts.append(
            _text(left - 6, round(place((10**low, value))[1]) + 4, _short(value), anchor="end")
        )
    last = -math.inf
    ends = sorted(series.items(), key=lambda item: place(item[1][-1])[1])
    for name, line in ends:
        colour = COLOURS[list(series).index(name) % len(COLOURS)]
        at = [place(point) for point in line]
        drawn = "L".join(f"{across:.1f} {up:.1f}" for across, up in at)
        parts.append(f'<path d="M{drawn}" style="stroke:{colour};stroke-width:2"/>')
        parts += [
            f'<circle cx="{across:.1f}" cy="{up:.1f}" r="3" fill="{colour}"/>' for across, up in at
        ]
        last = max(at[-1][1] + 4, last + 14)
        parts.append(_text(left + width + 10, round(last), name))
    return _svg(title, top + height + 44, parts)


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-label="{escape(title)}">'
    )
    body = "\n".join([f"<style>{STYLE}</style>", _text(8, 18, title, "title"), *parts])
    return f"{head}\n<title>{escape(title)}</title>\n{body}\n</svg>\n"


def _text(x: int, y: int, text: str, kind: str = "", anchor: str = "start") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{name}>{escape(text)}</text>'


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
