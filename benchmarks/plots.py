"""Draws bars as SVG, with text that reads on a light and on a dark page."""

from collections.abc import Mapping
from html import escape

# Each stands out from white and from GitHub's dark gray; color is never the only sign.
_COLORS = ("#2f81f7", "#8b949e", "#bf8700", "#db61a2")
_STYLE = (
    "text { font: 12px system-ui, sans-serif; fill: #6e7681 } "
    ".title { font-size: 14px; font-weight: 600 } "
    "@media (prefers-color-scheme: dark) { text { fill: #9198a1 } }"
)
_WIDTH = 760


def bars(title: str, groups: Mapping[str, Mapping[str, float]], unit: str) -> str:
    """Draw horizontal bars with their figures; each group has a scale of its own.

    Args:
        title: What stands above.
        groups: For each group, the value of each name.
        unit: What the values are.
    """
    parts = [_text(8, 18, title, "title")]
    y = 44
    for group, values in groups.items():
        parts.append(_text(8, y, group, "title"))
        y += 10
        for (name, value), color in zip(values.items(), _COLORS, strict=False):
            width = round(max(1, 380 * value / max(values.values())))
            parts += [
                _text(205, y + 13, name, anchor="end"),
                f'<rect x="213" y="{y + 2}" width="{width}" height="14" fill="{color}"/>',
                _text(219 + width, y + 13, f"{_short(value)} {unit}"),
            ]
            y += 19
        y += 26
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y - 16}" '
        f'width="{_WIDTH}" height="{y - 16}" role="img" aria-label="{escape(title)}">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _text(x: int, y: int, text: str, kind: str = "", anchor: str = "start") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{name}>{escape(text)}</text>'


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
