"""The schema, as numbered SQL files that are applied in order and never change once
released.

A file is named `0001_what_it_does.sql`; the number is the schema's version once it is
applied. A first line `-- runs with code from: 3` says that code which knows only
version 3 still works on the result (a new index, a column with a default); without that
line, older code is refused.
"""

import re
from dataclasses import dataclass
from importlib.resources import files

from ..errors import SchemaError


@dataclass(frozen=True)
class Migration:
    """One step of the schema.

    Attributes:
        version: The schema's version after it, from 1.
        name: The file's name without its ending, such as "0001_tables".
        runs_with: The oldest version whose code still runs on the result.
        sql: The file's text.
    """

    version: int
    name: str
    runs_with: int
    sql: str


def load() -> list[Migration]:
    """Read the SQL files that lie beside this module.

    Returns:
        The migrations, oldest first.

    Raises:
        SchemaError: There are none, since the package was installed without them.
    """
    migrations: list[Migration] = []
    for file in files(__name__).iterdir():
        if match := re.fullmatch(r"((\d{4})_\w+)\.sql", file.name):
            sql = file.read_text(encoding="utf-8")
            version = int(match[2])
            header = re.match(r"-- runs with code from: (\d+)$", sql, re.MULTILINE)
            runs_with = int(header[1]) if header else version
            migrations.append(Migration(version, match[1], runs_with, sql))
    if not migrations:
        raise SchemaError(
            f"The .sql files of {__name__} are not installed. Have the build of your project "
            "include them; in pyproject.toml, for setuptools: "
            f'[tool.setuptools.package-data] "{__name__}" = ["*.sql"]'
        )
    return sorted(migrations, key=lambda migration: migration.version)
