"""Runs the rendered suite on Stores as people publish them, and tells which promises each breaks.

python -m scripts.patterns            prints the tables
python -m scripts.patterns --write    writes them to docs/published-patterns.md, and how many rules are
                                      kept in all to README.md
python -m scripts.patterns --check    fails if one of these files says something else
"""

import argparse
import inspect
import os
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devtools import published_patterns
from devtools.rendering import ROOT, copy_tree, render, run
from devtools.temporary import use_memory

DOCUMENT = ROOT / "docs" / "published-patterns.md"
README = ROOT / "README.md"
CONTRACT = ROOT / "docs" / "contract.md"

# The adapter of each pattern; none is the Store that this template renders.
PATTERNS: dict[str, type[published_patterns.Adapter] | None] = {
    "this template": None,
    "in memory": published_patterns.Memory,
    "connection per call": published_patterns.ConnectionPerCall,
    "`INSERT OR REPLACE`": published_patterns.InsertOrReplace,
    "check, then insert": published_patterns.CheckThenInsert,
}
SIGNS = {"kept": "kept", "BROKEN": "**broken**", "not tested": "–", None: "–"}

HEAD = """\
# Published patterns against the contract

How four ways to write a Store, which recur in tutorials and repositories, keep the [contract](contract.md). We wrote the
four ourselves, in [devtools/published_patterns.py](../devtools/published_patterns.py):

{patterns}

`make patterns` runs the [suite](testing.md#any-other-store) on each and writes this page. A rule is broken if one of its tests
fails, perhaps because something that the test builds on is broken. It is kept if all tests that could run have passed. What
takes more than the adapters offer, such as a way to cut connections, could not be tested: {untested}.

How many rules are kept, of those that could be tested:

{summary}
Each rule by itself:

| | promise | {names} |
|---|---|{rule}
"""

# What the rules of each chapter of the contract are about, for the first table.
ABOUT = {
    "Threads and items": "updates and deletions",
    "Owners": "owners with the same ids",
    "Paging": "every item exactly once",
    "Time": "one order, in any time zone",
    "Data": "everything comes back equal",
    "Running": "Stop, `kill -9`, dying connections, many writers",
    "Others who change the same things": "concurrent changes of a thread",
    "What one caller may cost the others": "large pages, slow texts, floods",
}
IN_README = re.compile(
    r"(?<=<!-- written by `make patterns` -->\n\n).*?(?=\n<!-- end -->)", re.DOTALL
)


def main() -> int:
    """Run the suites; give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--write", action="store_true", help="write the files")
    group.add_argument("--check", action="store_true", help="compare with the files")
    options = parser.parse_args()

    use_memory()
    with tempfile.TemporaryDirectory(prefix="chat_store_") as directory:
        project = Path(directory) / "project"
        render(copy_tree(Path(directory) / "template"), project, {"store_tests": "full"})
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            verdicts = list(pool.map(lambda name: judge(project, name), PATTERNS))
    of = dict(zip(PATTERNS, verdicts, strict=True))
    row = totals(of)
    readme, places = IN_README.subn(lambda _: row, README.read_text("utf-8"))
    if places != 1:
        raise SystemExit(f"{README.name} has {places} places for the row, and not 1")
    texts = {DOCUMENT: document(of), README: readme}
    others = [file for file, text in texts.items() if file.read_text("utf-8") != text]
    if options.write:
        for file in others:
            file.write_text(texts[file], encoding="utf-8")
    elif others or not options.check:
        print(texts[DOCUMENT], row, sep="\n")
    if options.check and others:
        print(", ".join(file.name for file in others), "would change: run `make patterns`")
        return 1
    return 0


def judge(project: Path, name: str) -> dict[str, tuple[str, str]]:
    """Run the suite on a pattern.

    Returns:
        For each rule, its promise and whether it is kept.
    """
    adapter = PATTERNS[name]
    environment = {"PYTHONPATH": str(ROOT)}
    if adapter is not None:
        environment["CHAT_STORE_TEST_ADAPTER"] = f"{adapter.__module__}:{adapter.__name__}"
    done = run(
        # Nobody reads why an assertion failed, and to explain it can take long.
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=no", "--assert=plain"),
        "tests",
        cwd=project,
        env=environment,
        without="PYTEST_",
    )
    lines = re.findall(r"^(R\d\d)  (.*?) +(kept|BROKEN|not tested)$", done.stdout, re.MULTILINE)
    if not lines:
        raise SystemExit(f"The suite said nothing of {name}:\n{done.stdout}")
    return {rule: (promise, verdict) for rule, promise, verdict in lines}


def document(verdicts: dict[str, dict[str, tuple[str, str]]]) -> str:
    """Make the page."""
    patterns = "\n".join(
        f"- **{name}**: {inspect.getdoc(adapter.STORE)}"
        for name, adapter in PATTERNS.items()
        if adapter is not None
    )
    rows: list[str] = []
    untested: list[str] = []
    others = {name: of for name, of in verdicts.items() if name != "this template"}
    for rule, (promise, _) in verdicts["this template"].items():
        cells = [SIGNS[of.get(rule, (None, None))[1]] for of in others.values()]
        if set(cells) == {SIGNS[None]}:
            untested.append(rule)
        else:
            rows.append(f"| {rule} | {promise} | {' | '.join(cells)} |\n")
    head = HEAD.format(
        patterns=patterns,
        untested=", ".join(untested),
        summary=summary(verdicts),
        names=" | ".join(others),
        rule="---|" * len(others),
    )
    return head + "".join(rows)


def summary(verdicts: dict[str, dict[str, tuple[str, str]]]) -> str:
    """Make the first table: how many rules of each chapter of the contract are kept."""
    chapters: dict[str, list[str]] = {}
    for chapter, rule in re.findall(
        r"^##(?: (.+)|# (R\d\d): .+)$", CONTRACT.read_text("utf-8"), re.MULTILINE
    ):
        if chapter:
            rules = chapters[chapter] = []
        else:
            rules.append(rule)
    lines = [f"| rules | | {' | '.join(PATTERNS)} |", f"|---|---|{'---|' * len(PATTERNS)}"]
    for chapter, rules in chapters.items():
        link = f"[{chapter}](contract.md#{chapter.lower().replace(' ', '-')})"
        lines.append(_counts(f"{link} | {ABOUT[chapter]}", rules, verdicts))
    lines.append(_counts("all |", [*verdicts["this template"]], verdicts))
    return "\n".join(lines) + "\n"


def totals(verdicts: dict[str, dict[str, tuple[str, str]]]) -> str:
    """Make the table of the README: how many rules are kept in all."""
    lines = [f"| | {' | '.join(PATTERNS)} |", f"|---|{'---|' * len(PATTERNS)}"]
    lines.append(_counts("promises kept", [*verdicts["this template"]], verdicts))
    return "\n".join(lines) + "\n"


def _counts(head: str, rules: list[str], verdicts: dict[str, dict[str, tuple[str, str]]]) -> str:
    cells = []
    for verdict in verdicts.values():
        said = [verdict[rule][1] for rule in rules if rule in verdict]
        cells.append(f"{said.count('kept')} of {len(said) - said.count('not tested')}")
    return f"| {head} | {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
