"""Freed memory is kept for the next array, since fresh pages of the system cost time in every step."""

from __future__ import annotations

import ctypes
import os
from functools import cache

VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")


@cache
def keep_freed_memory() -> None:
    """Let the C library of Linux keep up to 1 GB of freed memory, see mallopt(3); the first network and `train` call it.

    Results do not change. It has no effect on other systems, nor where one of VARIABLES is set in the environment.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, without this setting
        return
    if not any(os.environ.get(name) for name in VARIABLES):
        M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
        mallopt(M_MMAP_THRESHOLD, 2**25)  # bytes: smaller arrays come from the heap
        mallopt(M_TRIM_THRESHOLD, 2**30)
