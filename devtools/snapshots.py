"""Kept releases: what Copier sees of each, in an archive that needs neither tags nor network.

`scripts/release.py` writes them. One that is out never changes.
"""

import gzip
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from devtools.rendering import ROOT

KEPT = ROOT / "tests" / "releases"
PARTS = ("choices", "copier.yml", "includes", "template")

Version = tuple[int, ...]


def archive_of(version: str) -> Path:
    """Say where the archive of a version such as 1.0.0 is kept."""
    return KEPT / f"v{version}.tar.gz"


def kept() -> list[str]:
    """Give the versions of the kept releases, oldest first."""
    names = [re.fullmatch(r"v(\d+\.\d+\.\d+)\.tar\.gz", path.name) for path in KEPT.iterdir()]
    return sorted((name[1] for name in names if name), key=parse)


def parse(version: str) -> Version:
    """Turn X.Y.Z into what compares by number."""
    return tuple(map(int, version.split(".")))


def pack(tree: Path, archive: Path) -> None:
    """Write what Copier sees of a tree; the same files give the same bytes."""
    archive.parent.mkdir(exist_ok=True)
    with (
        archive.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as members,
    ):
        for name in sorted(_names(tree)):
            # A new TarInfo has no owner, no time and the mode 0644.
            member = tarfile.TarInfo(name)
            member.size = (tree / name).stat().st_size
            with (tree / name).open("rb") as content:
                members.addfile(member, content)


def unpack(version: str, to: Path) -> Path:
    """Write the files of a kept release into a directory."""
    with tarfile.open(archive_of(version)) as members:
        for member in members:
            content = members.extractfile(member)
            assert content is not None, member.name  # a file, since nothing else is packed
            (to / member.name).parent.mkdir(parents=True, exist_ok=True)
            (to / member.name).write_bytes(content.read())
    return to


def _names(tree: Path) -> Iterator[str]:
    for part in PARTS:
        for path in (tree / part, *(tree / part).rglob("*")):
            if path.is_file():
                yield path.relative_to(tree).as_posix()
