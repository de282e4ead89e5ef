"""A library that makes each `fsync` of a process slower, for LD_PRELOAD."""

import subprocess
from pathlib import Path

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

static int slowly(const char *name, int file) {
    int (*call)(int) = dlsym(RTLD_NEXT, name);
    usleep(4000);
    return call(file);
}

int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }
"""


def compiled(directory: Path) -> Path:
    """Compile the library, with gcc; each `fsync` then takes 4 ms more."""
    library = directory / "slow_disk.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", str(library), "-x", "c", "-", "-ldl"],
        input=_SOURCE,
        text=True,
        check=True,
    )
    return library
