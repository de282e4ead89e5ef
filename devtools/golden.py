"""The examples in docs/examples: what is rendered for each flavor, kept to be read.

`scripts/examples.py` writes them, and compares them with what the template renders now.
"""

from pathlib import Path

from devtools.combinations import FLAVORS
from devtools.rendering import ANSWERS_FILE, EXAMPLES, ROOT, files_of, names_of, questions, render

DIRECTORY = ROOT / EXAMPLES
ANSWERS = {"store_example_server": True}
"""What is answered in every example, so that each file that can be rendered is in one."""


def render_examples(template: Path, work: Path) -> dict[str, bytes]:
    """Render the flavors.

    Args:
        template: Where the template is.
        work: An empty directory to render into.

    Returns:
        The files of the examples, by their path below docs/examples. The suite is only in the
        example of the default database, since it hardly differs.
    """
    default = questions()["store_database"]["default"]
    examples: dict[str, bytes] = {}
    for flavor, answers in FLAVORS.items():
        files = files_of(render(template, work / flavor, {**answers, **ANSWERS}))
        # Where the template was, and which commit of it, is another thing each time.
        lines = files[ANSWERS_FILE].splitlines(keepends=True)
        files[ANSWERS_FILE] = b"".join(line for line in lines if not line.startswith(b"_"))
        for name, content in files.items():
            if answers["store_database"] == default or not name.startswith("tests/"):
                examples[f"{flavor}/{name}"] = content
    return examples


def find_differences(examples: dict[str, bytes], directory: Path = DIRECTORY) -> list[str]:
    """Say which files of a directory are not those of the examples."""
    kept = _names_kept(directory)
    changed = [name for name in kept & examples.keys() if _read(directory, name) != examples[name]]
    return sorted(
        [f"{name} is rendered differently now" for name in changed]
        + [f"{name} is missing" for name in examples.keys() - kept]
        + [f"{name} is not rendered any more" for name in kept - examples.keys()]
    )


def write_examples(examples: dict[str, bytes], directory: Path = DIRECTORY) -> None:
    """Make the files of a directory those of the examples; what lies beside their directories stays."""
    for name in _names_kept(directory) - examples.keys():
        (directory / name).unlink()
    for name, content in examples.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)


def _names_kept(directory: Path) -> set[str]:
    return {name for name in names_of(directory) if "/" in name}


def _read(directory: Path, name: str) -> bytes:
    return (directory / name).read_bytes()
