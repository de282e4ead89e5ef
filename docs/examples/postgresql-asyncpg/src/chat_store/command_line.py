"""What the command lines of this package share."""

import argparse
import re
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors show no password."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit with the status 2."""
        # argparse quotes what it does not understand, which may be a URL.
        super().error(re.sub(r"://\S*@", "://***@", message))
