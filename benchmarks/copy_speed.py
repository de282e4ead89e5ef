"""How long `copier copy --defaults` of this template takes, beside copying the same files.

The measure is a template that holds the rendered files as they are: as many, as large, with no
question and no Jinja. Both are copied in this process, in turns: once from directories, which
shows what the questions and the rendering cost, and once from git repositories with a tag, which
Copier clones first (ours with its tests and documents, which are not rendered).

    .venv/bin/python -m benchmarks.copy_speed [--rounds 15] [--example-server]
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from devtools.rendering import FIRST, Answers, commit, copy_tree, files_of, git, render


def seconds(template: Path, project: Path, answers: Answers) -> float:
    """Time one copy."""
    start = time.perf_counter()
    render(template, project, answers)
    taken = time.perf_counter() - start
    shutil.rmtree(project)
    return taken


def static_template(directory: Path, files: dict[str, bytes]) -> Path:
    """Make a template of files that are only copied."""
    for path, content in files.items():
        (directory / "template" / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / "template" / path).write_bytes(content)
    (directory / "copier.yml").write_text("_subdirectory: template\n", "utf-8")
    return directory


def compare(
    what: str, ours: Path, static: Path, answers: Answers, rounds: int, project: Path
) -> None:
    """Copy both templates in turns, and print what it took."""
    times = in_turns(ours, static, answers, rounds, project)
    print(what)
    for name, taken in times.items():
        values = [1000 * value for value in taken]
        median, low, high = statistics.median(values), min(values), max(values)
        print(f"  {name:14} {median:5.0f} ms  ({low:.0f} to {high:.0f})")
    one, other = map(statistics.median, times.values())
    print(f"  ratio          {one / other:5.2f}")


def in_turns(
    ours: Path, static: Path, answers: Answers, rounds: int, project: Path
) -> dict[str, list[float]]:
    """Copy both templates in turns; give the seconds of each copy."""
    times: dict[str, list[float]] = {"this template": [], "static files": []}
    for _ in range(rounds):
        times["this template"].append(seconds(ours, project, answers))
        times["static files"].append(seconds(static, project, {}))
    return times


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--example-server", action="store_true", help="render it too")
    arguments = parser.parse_args()
    answers = {"store_example_server": True} if arguments.example_server else {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        project = directory / "project"
        ours = copy_tree(directory / "ours")
        files = files_of(render(ours, project, answers))
        shutil.rmtree(project)
        static = static_template(directory / "static", files)
        print(f"{len(files)} files; median of {arguments.rounds} rounds (fastest to slowest)")
        compare("From a directory:", ours, static, answers, arguments.rounds, project)
        for template in (ours, static):
            commit(template, FIRST)
            git(template, "gc", "--quiet")
        compare("From a git repository:", ours, static, answers, arguments.rounds, project)


if __name__ == "__main__":
    main()
