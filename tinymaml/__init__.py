"""tinymaml: Model-Agnostic Meta-Learning in NumPy, with every derivative by hand."""

import ctypes

from tinymaml.maml import adapt, meta_gradient
from tinymaml.mlp import MLP
from tinymaml.parameters import Parameters

__all__ = ["MLP", "Parameters", "adapt", "meta_gradient"]
__version__ = "0.1.0"


def _keep_freed_memory() -> None:
    """Fresh pages cost time in every step: have Linux's C library, see mallopt(3), keep freed memory, up to 1 GB."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, which has no such setting
        return
    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
    mallopt(M_MMAP_THRESHOLD, 2**25)  # bytes: smaller arrays come from the heap
    mallopt(M_TRIM_THRESHOLD, 2**30)


_keep_freed_memory()
