"""Draws the README's picture of a terminal, from commands that are run: `make picture`.

What they print is cut to what fits; lines that are left out are marked.
"""

import html
import re
import sys
import tempfile
from pathlib import Path

from devtools.history import TODAY, build
from devtools.rendering import ROOT, render, run

PICTURE = ROOT / "docs" / "picture.svg"

COPY = "uvx copier copy ../copier-chatkit-store ."
TEST = "python -m pytest tests/chat_store"

WIDTH, SIZE, LINE = 84, 14, 20  # in characters, and in pixels
LEFT_OUT = "…"


def main() -> int:
    """Run the commands, and draw what they print.

    Returns:
        The exit status: 0 if all went as it should.
    """
    with tempfile.TemporaryDirectory() as name:
        template = build(Path(name) / "template")
        project = render(template, Path(name) / "project", {}, vcs_ref=TODAY)
        made = sorted(path.relative_to(project) for path in project.rglob("*.py"))
        done = run(
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/chat_store"),
            cwd=project,
            without="PYTEST_",
        )
    if done.returncode:
        print(done.stdout)
        return 1
    created = [f"    create  {path}" for path in made]
    lines = [
        f"$ {COPY}",
        *created[:3],
        f"    {LEFT_OUT}       {len(made) - 4} more",
        created[-1],
        "",
        f"$ {TEST}",
        *shortened(done.stdout.splitlines()),
    ]
    PICTURE.write_text(drawn(lines), encoding="utf-8")
    return 0


def shortened(lines: list[str]) -> list[str]:
    """Keep the dots' last line, some promises, and the end."""
    dots = [line for line in lines if line.endswith("%]")]
    promises = [line for line in lines if re.match(r"R\d\d ", line)]
    kept = [line for line in lines if re.match(r"\d+ promises kept", line)]
    return [
        dots[0],
        LEFT_OUT,
        *promises[:5],
        LEFT_OUT,
        *promises[-5:],
        *kept,
        lines[-1].strip("= "),
    ]


def drawn(lines: list[str]) -> str:
    """Draw lines as a terminal shows them; it is dark on every page."""
    height = (len(lines) + 3) * LINE
    width = WIDTH * 8.5
    texts = [
        f'<text x="20" y="{(number + 2.6) * LINE:g}" class="{kind(line)}">{marked(line)}</text>'
        for number, line in enumerate(lines)
        if line
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" role="img">',
            "<title>copier copy renders the Store; its tests say that all promises are kept</title>",
            "<style>",
            f"text {{ font: {SIZE}px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace;",
            "  white-space: pre; fill: #c9d1d9 }",
            ".command { fill: #ffffff; font-weight: bold } .faint { fill: #8b949e }",
            ".kept { fill: #3fb950 }",
            "</style>",
            f'<rect width="{width:g}" height="{height}" rx="8" fill="#0d1117" stroke="#30363d"/>',
            *(
                f'<circle cx="{24 + 20 * number}" cy="20" r="6" fill="{color}"/>'
                for number, color in enumerate(("#ff5f56", "#ffbd2e", "#27c93f"))
            ),
            *texts,
            "</svg>\n",
        ]
    )


def kind(line: str) -> str:
    """Say how a line looks."""
    if line.startswith("$ "):
        return "command"
    if "promises kept" in line:
        return "kept"
    is_faint = line.strip().startswith(LEFT_OUT) or "create  " in line
    return "faint" if is_faint else "plain"


def marked(line: str) -> str:
    """Write a line as XML, the promise's verdict in its color."""
    text = html.escape(line.rstrip()[:WIDTH])
    return re.sub(r"kept$", '<tspan class="kept">kept</tspan>', text)


if __name__ == "__main__":
    sys.exit(main())
