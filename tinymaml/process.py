"""What a program of this package asks of its own process; importing the package asks for nothing."""

import ctypes


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
