"""What a program of this package asks of its own process; importing the package asks for nothing."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinymaml import validate

# OpenBLAS as NumPy's own packages have it, and as a system has it; MKL; BLIS
SETTERS = (
    "scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads", "openblas_set_num_threads64_",
    "openblas_set_num_threads", "MKL_Set_Num_Threads", "bli_thread_set_num_threads",
)  # fmt: skip
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def matrix_threads(count: int | None = None) -> None:
    """Have NumPy's matrix products run in `count` threads, also if NumPy is imported already.

    None: in one, unless the environment says how many, as OPENBLAS_NUM_THREADS=2 does. The matrices of a task are
    small: where another program keeps a core busy, threads that wait for each other take many times as long as one.
    ValueError for more threads than cores, and for a number where the matrix library is of another sort.
    """
    if count is None and any(os.environ.get(name) for name in VARIABLES):
        return
    if count is not None and validate.count("threads", count) > (cores := os.cpu_count() or 1):
        raise ValueError(f"threads is {count} and this machine has {cores} cores: ask for {cores} or fewer")
    setters = _setters()
    for setter in setters:
        setter(ctypes.c_int(count or 1))
    if count is not None and not setters:
        raise ValueError(f"the threads of this NumPy's matrix library cannot be set: leave it out, or set {VARIABLES[1]}")


def _setters() -> list[Callable]:
    """The functions of the matrix libraries that NumPy has loaded which set the number of their threads."""
    numpy, found = Path(np.__file__).parent, []
    # a search in the first goes on in the libraries that it is linked to, but on Windows, which needs the second
    for path in (*numpy.glob("linalg/_umath_linalg.*"), *numpy.parent.glob("numpy.libs/*blas*")):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:  # no library
            continue
        found += [getattr(library, name) for name in SETTERS if hasattr(library, name)]
    return found


def keep_freed_memory() -> None:
    """Fresh pages cost time in every step: have Linux's C library, see mallopt(3), keep freed memory, up to 1 GB.

    The command line, the benchmarks and the lessons call it; it changes no number. Elsewhere than on Linux it does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, which has no such setting
        return
    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
    mallopt(M_MMAP_THRESHOLD, 2**25)  # bytes: smaller arrays come from the heap
    mallopt(M_TRIM_THRESHOLD, 2**30)
