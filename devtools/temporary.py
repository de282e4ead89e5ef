"""Keeps temporary files in memory: on many machines, the disk takes the tests most of their time."""

import os
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ENOUGH = 4 * 2**30  # bytes, as in `choices/database/server/process.py`


def use_memory() -> None:
    """Have this process and those that it starts make temporary files in memory.

    Not where TMPDIR is set, where there is too little of it, or where it cannot hold programs.
    """
    if "TMPDIR" in os.environ or not _MEMORY.is_dir():
        return
    state = os.statvfs(_MEMORY)
    if state.f_bavail * state.f_frsize > _ENOUGH and not state.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)
