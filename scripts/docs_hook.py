"""Fits the pages of docs/, which are written for GitHub, to the site that mkdocs builds of them.

A link to a file outside docs/ leads to that file on GitHub, but the site does not hold it, nor knows
where the repository is. There the file's name stands instead; where there is no such file, the
build fails.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).resolve().parent.parent

_LINK = re.compile(r"\[([^]]+)\]\((\.\./[^)#\s]*)[^)\s]*\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace the links of a page that lead out of docs/; mkdocs calls this for each page."""
    directory = posixpath.dirname(f"docs/{page.file.src_uri}")

    def name(link: "re.Match[str]") -> str:
        text, target = link.groups()
        path = posixpath.normpath(posixpath.join(directory, target))
        if path.startswith("docs/"):
            return link[0]
        if not (ROOT / path).exists():
            raise PluginError(f"{page.file.src_uri} links to {path}, which does not exist")
        return text if path in text else f"{text} (`{path}`)"

    return _LINK.sub(name, markdown)
