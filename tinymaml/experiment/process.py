"""The threads of matrix products, for the command line, benchmarks and lessons; importing sets nothing."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinymaml import validate

# OpenBLAS of NumPy's own packages, OpenBLAS of the system, MKL, BLIS
SETTERS = (
    "scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads", "openblas_set_num_threads64_",
    "openblas_set_num_threads", "MKL_Set_Num_Threads", "bli_thread_set_num_threads",
)  # fmt: skip
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def matrix_threads(count: int | None = None) -> None:
    """Set the number of threads of NumPy's matrix products, even after NumPy is imported.

    None: one thread, unless a variable such as OPENBLAS_NUM_THREADS is set. The matrices of a task are small: while another
    program keeps a core busy, threads that wait for each other are many times slower than a single thread. ValueError for
    more threads than cores, and for a count if the matrix library is unknown.
    """
    if count is None and any(os.environ.get(name) for name in VARIABLES):
        return
    if count is not None and validate.count("threads", count) > (cores := os.cpu_count() or 1):
        raise ValueError(f"threads is {count} and this machine has {cores} cores: ask for {cores} or fewer")
    setters = _setters()
    for setter in setters:
        setter(ctypes.c_int(count or 1))
    if count is not None and not setters:
        raise ValueError(f"the threads of this NumPy's matrix library cannot be set: leave --threads out, or set {VARIABLES[1]}")


def _setters() -> list[Callable]:
    """The functions that set the number of threads, in the matrix libraries that NumPy has loaded."""
    numpy, found = Path(np.__file__).parent, []
    # looking up a symbol includes linked libraries, except on Windows, which needs the second pattern
    for path in (*numpy.glob("linalg/_umath_linalg.*"), *numpy.parent.glob("numpy.libs/*blas*")):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:  # not a library
            continue
        found += [getattr(library, name) for name in SETTERS if hasattr(library, name)]
    return found
