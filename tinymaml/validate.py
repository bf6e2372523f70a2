"""What the library accepts, and the one clear sentence it answers to anything else.

Every message says what was got, what was wanted, and what to do.
"""

import math
import numbers

import numpy as np


def count(name: str, value: object, *, least: int = 1) -> int:
    """A whole number of at least `least`, as an int; else TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} is {value!r}, expected a whole number: pass an int of at least {least}")
    if value < least:
        raise ValueError(f"{name} is {value}, expected at least {least}: ask for {least} or more")
    return int(value)


def rate(name: str, value: object) -> float:
    """A finite learning rate above zero, as a Python float; else TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {value!r}, expected a number: pass a float such as 0.01")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}, expected a finite number above zero: try 0.01")
    return float(value)


def one_of(name: str, value: object, known: object) -> None:
    """ValueError unless `value` is one of the names in `known`."""
    names = list(known)
    if value not in names:
        raise ValueError(f"unknown {name} {value!r}: choose one of {', '.join(map(str, names))}")


def floats(name: str, value: object) -> np.ndarray:
    """`value` itself if it is a float32, float64 or complex array; TypeError for anything else."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a NumPy array: use np.asarray({name}, float)")
    if value.dtype.char not in "fdFD":
        raise TypeError(f"{name} has dtype {value.dtype}, expected float64 or float32: use {name}.astype(float)")
    return value


def finite(name: str, value: np.ndarray) -> np.ndarray:
    """`value` itself if no entry is NaN or infinite; else ValueError that counts them."""
    good = np.isfinite(value)
    if not good.all():
        raise ValueError(
            f"{name} holds {good.size - np.count_nonzero(good)} values that are NaN or infinite out of {good.size}, "
            f"expected finite data: clean {name} first"
        )
    return value
