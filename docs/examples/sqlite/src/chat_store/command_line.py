"""The parser of this package's command lines."""

import argparse
import re
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors show no password."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with the status 2."""
        # argparse quotes unknown arguments, which may be URLs.
        super().error(re.sub(r"://\S*@", "://***@", message))
