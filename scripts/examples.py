"""Renders each flavor into docs/examples, where what the template renders can be read.

python -m scripts.examples --write    writes the examples; or: make examples
python -m scripts.examples --check    fails if they are not what the template renders now
"""

import argparse
import sys
import tempfile
from pathlib import Path

from devtools.golden import find_differences, render_examples, write_examples
from devtools.rendering import EXAMPLES, copy_tree


def main() -> int:
    """Write or check the examples; give the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--write", action="store_true", help="write the examples")
    group.add_argument("--check", action="store_true", help="compare, and write nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chat_store_") as directory:
        template = copy_tree(Path(directory) / "template")
        examples = render_examples(template, Path(directory) / "work")
    if arguments.write:
        write_examples(examples)
    elif differences := find_differences(examples):
        print(*differences, sep="\n")
        print(f"{EXAMPLES} is not what the template renders: run `make examples`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
