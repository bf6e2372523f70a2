"""What the library accepts, and the one clear sentence it answers to anything else.

Every message says what was got, what was wanted, and what to do.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

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


def rates(name: str, value: object, theta: Mapping[str, np.ndarray]) -> float | Mapping:
    """Learning rates that a gradient of theta can be multiplied by: a number; one number a name; `Parameters`, one an entry.

    Of a mapping comes a dict with every name of theta, 0 for those that it leaves out. TypeError or ValueError for a
    single rate that is not above zero, and for names, shapes, precisions or values that do not fit.
    """
    if not isinstance(value, Mapping):
        return rate(name, value)
    if unknown := [key for key in value if key not in theta]:
        raise ValueError(f"{name} has a rate for {unknown[0]!r}, expected names of theta: choose among {', '.join(theta)}")
    if not hasattr(value, "unflatten"):  # what makes a mapping Parameters
        for key, number in value.items():
            if isinstance(number, bool) or not isinstance(number, numbers.Number) or not np.isfinite(number):
                raise ValueError(f"{name} of {key} is {number!r}, expected a finite number: pass a float such as 0.01, or 0")
        plain = lambda number: complex(number) if isinstance(number, numbers.Complex) and number.imag else float(number.real)
        return {key: plain(value[key]) if key in value else 0.0 for key in theta}
    for key, array in theta.items():
        if key not in value:
            raise ValueError(f"{name} has no rates for {key}: Parameters hold one rate an entry, 0 where theta does not move")
        if value[key].shape not in (array.shape, array.shape[1:]):
            raise ValueError(f"{name} of {key} has shape {value[key].shape}, expected {array.shape}: one rate an entry")
        finite(f"{name} of {key}", value[key])
        _one_precision(f"{name} of {key}", value[key], array, "theta")
    return value


def one_of(name: str, value: object, known: object) -> None:
    """ValueError unless `value` is one of the names in `known`."""
    names = list(known)
    if value not in names:
        raise ValueError(f"unknown {name} {value!r}: choose one of {', '.join(map(str, names))}")


def flag(name: str, value: object) -> bool:
    """True or False; else TypeError."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, expected True or False: pass one of them")
    return value


def named(what: str, name: object, known: Iterable[Any]) -> Any:
    """The one of `known`, objects that have a `name`, which has this one; else ValueError with all the names."""
    for each in (known := tuple(known)):
        if each.name == name:
            return each
    raise ValueError(f"unknown {what} {name!r}: choose one of {', '.join(each.name for each in known)}")


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


def examples(x: np.ndarray, y: np.ndarray | None, d: int, d_out: int = 1) -> None:
    """That x (..., n, d) and, if there are targets, y (..., n, d_out) are finite floats, row for row."""
    finite("x", floats("x", x))
    if x.ndim < 2 or x.shape[-1] != d or x.shape[-2] < 1:
        raise ValueError(f"x has shape {x.shape}, expected (n, {d}) or (tasks, n, {d}): {_mend('x', x, d)}")
    if y is not None:
        finite("y", floats("y", y))
        if y.shape != (*x.shape[:-1], d_out):
            raise ValueError(f"y has shape {y.shape}, expected {(*x.shape[:-1], d_out)}: {_mend('y', y, d_out)}")
        _one_precision("y", y, x)


def fitting(what: str, theta: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], x: np.ndarray) -> None:
    """That theta, or a direction, has the names and shapes of a model and the precision of x; a task axis is that of x."""
    if not hasattr(theta, "unflatten"):  # what makes a mapping Parameters
        raise TypeError(f"{what} is a {type(theta).__name__}, expected Parameters: use Parameters({what})")
    if theta.keys() != shapes.keys():
        raise ValueError(f"{what} holds {list(theta)}, expected {list(shapes)}: make it with model.init(rng)")
    tasks, dtype = x.shape[:-2], x.dtype
    for name, array in theta.items():
        shape = shapes[name]
        if array.shape != shape and array.shape != tasks + shape:
            raise ValueError(
                f"{name} of {what} has shape {array.shape}, expected {shape}, or {tasks + shape} for the tasks of x: "
                "use parameters of this model and these tasks"
            )
        if array.dtype is not dtype:
            _one_precision(f"{name} of {what}", array, x)


def _mend(name: str, array: np.ndarray, width: int) -> str:
    return f"use {name}[:, None]" if array.ndim == 1 and width == 1 else "rows are examples, columns are what each has"


def _one_precision(name: str, array: np.ndarray, x: np.ndarray, of: str = "x") -> None:
    if array.dtype.char not in "fdFD":
        raise TypeError(f"{name} has dtype {array.dtype}, expected float64 or float32: use .astype(float)")
    if array.dtype.char.lower() != x.dtype.char.lower():  # D is complex d, F complex f
        raise TypeError(f"{name} is {array.dtype} and {of} is {x.dtype}: use .astype to make them the same")
