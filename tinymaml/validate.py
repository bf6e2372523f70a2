"""Checks of arguments that would otherwise fail silently: shapes, integers, precisions, ranges, names, NaN.

Every message states the given value, the expected one, and the remedy. Errors that Python or NumPy already
reports clearly are not checked here.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

PRECISIONS = (np.dtype(np.float32), np.dtype(np.float64))


def require(good: bool, name: str, value: object, expected: str) -> None:
    """TypeError, with the expected type and a remedy, unless `good`."""
    if not good:
        raise TypeError(f"{name} is {brief(value)}, expected {expected}")


def _is(kind: type, value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def count(name: str, value: object, *, least: int = 1, most: float = math.inf) -> int:
    """An integer from `least` to `most`, as an int; else TypeError or ValueError."""
    require(_is(numbers.Integral, value), name, value, f"a whole number: pass an int of at least {least}")
    if not least <= value <= most:
        limit, more = (f"at least {least}", "more") if value < least else (f"at most {most}", "fewer")
        raise ValueError(f"{name} is {brief(value)}, expected {limit}: ask for {limit.split()[-1]} or {more}")
    return int(value)


def number(
    name: str, value: object, such: float | str = 0.01, *, expected: str = "a finite number",
    fits: Callable[[float], bool] = lambda value: True, least: float = -math.inf, most: float = math.inf,
) -> float:  # fmt: skip
    """A real number as a float; else TypeError, or ValueError outside the range; the message suggests `such`."""
    require(_is(numbers.Real, value), name, value, f"a number: pass a float such as {such}")
    try:
        found = float(value)
    except OverflowError:  # an integer larger than any float
        found = math.inf
    if not (math.isfinite(found) and fits(found)):
        raise ValueError(f"{name} is {brief(value)}, expected {expected}: try {such}")
    if not least <= found <= most:
        limit = f"at least {least:g}" if found < least else f"at most {most:g}"
        raise ValueError(f"{name} is {found:g}, expected {limit}: try {such}")
    return found


rate = partial(number, expected="a finite number above zero", fits=lambda value: value > 0)
decay = partial(number, such=0.9, expected="0 or more and less than 1", fits=lambda value: 0 <= value < 1)
discount = partial(number, such=0.99, expected="above 0 and at most 1", fits=lambda value: 0 < value <= 1)
deviation = partial(number, such=0.1, least=0)
tolerance = partial(number, such=1e-8, least=0)


def text(name: str, value: object) -> str:
    """A str; else TypeError."""
    require(isinstance(value, str), name, value, "a str: put it in quotes")
    return value


def interval(name: str, value: object) -> None:
    """(lowest, highest), both finite; else TypeError or ValueError."""
    pair = isinstance(value, tuple | list) and len(value) == 2
    require(pair, name, value, "(lowest, highest): pass two numbers such as (0.0, 1.0)")
    if number(name, value[0]) > number(name, value[1]):
        raise ValueError(f"{name} is {brief(tuple(value))}, expected (lowest, highest): put the smaller one first")


def rates(name: str, value: object, theta: Mapping[str, np.ndarray]) -> float | Mapping:
    """Learning rates for a gradient of theta: a number, one number per name, or `Parameters`, one per entry.

    Any finite number is valid, since learned rates may be negative. A mapping of numbers becomes a dict with
    every name of theta, 0 for missing ones. TypeError or ValueError for names, shapes, precisions or values
    that do not fit theta.
    """
    if not isinstance(value, Mapping):
        return number(name, value)
    if unknown := [key for key in value if key not in theta]:
        raise ValueError(f"{name} has a rate for {unknown[0]!r}, expected names of theta: choose among {', '.join(theta)}")
    if not hasattr(value, "unflatten"):  # not Parameters
        plain = lambda key, each: each if isinstance(each, complex) else number(f"{name} of {key}", each)
        return {key: plain(key, value.get(key, 0.0)) for key in theta}
    for key, array in theta.items():
        if key not in value:
            raise ValueError(f"{name} has no rates for {key}: give one rate per entry, 0 where theta is fixed")
        if value[key].shape not in (array.shape, array.shape[1:]):
            raise ValueError(f"{name} of {key} has shape {value[key].shape}, expected {array.shape}: give one rate per entry")
        finite(f"{name} of {key}", value[key])
        _one_precision(f"{name} of {key}", value[key], array, "theta")
    return value


def weights(name: str, value: object) -> list[float]:
    """A non-empty list of numbers of zero or above whose sum is 1; else TypeError or ValueError."""
    require(isinstance(value, list | tuple), name, value, "one number for each step: pass a list such as [0.5, 0.5]")
    if not value or min(found := [number(name, each, 0.5) for each in value]) < 0 or abs(sum(found) - 1) > 1e-9:
        raise ValueError(f"{name} is {brief(value)}, expected numbers of zero or above whose sum is 1: divide by their sum")
    return found


def one_of(name: str, value: object, known: Iterable[str]) -> str:
    """One of the names in `known`; else ValueError with all names."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"unknown {name} {brief(value)}: choose one of {', '.join(known)}")
    return value


def named(what: str, name: object, known: Sequence[Any]) -> Any:
    """The object of `known` with this `name`; else ValueError with all names. ValueError if two have the same name."""
    names = [each.name for each in known]
    if twice := [each for each in names if names.count(each) > 1]:
        raise ValueError(f"{what} {twice[0]!r} is listed twice: give each its own name")
    return known[names.index(one_of(what, name, names))]


def flag(name: str, value: object) -> bool:
    """True or False; else TypeError."""
    require(isinstance(value, bool), name, value, "True or False: pass one of them")
    return value


def generator(rng: object) -> np.random.Generator:
    """`rng` itself if it is a NumPy Generator; else TypeError."""
    require(isinstance(rng, np.random.Generator), "rng", rng, "a NumPy Generator: use np.random.default_rng(0)")
    return rng


def precision(dtype: object) -> np.dtype:
    """float32 or float64, by type, name or dtype; else TypeError."""
    try:
        found = np.dtype(dtype) if isinstance(dtype, str | type | np.dtype) else None
    except TypeError:  # a name that NumPy does not know
        found = None
    require(found is not None and found in PRECISIONS, "dtype", dtype, "float32 or float64: use np.float64")
    return found


def shape(value: object) -> tuple[int, ...]:
    """A shape as a tuple, from one length or several; else TypeError or ValueError."""
    return tuple(count("shape", length) for length in (value if isinstance(value, tuple | list) else (value,)))


def rows(name: str, value: object, last: tuple[int, ...]) -> None:
    """TypeError or ValueError unless `value` is an array of floats (..., *last)."""
    if floats(name, value).shape[-len(last):] != last:
        raise ValueError(f"{name} has shape {value.shape}, expected its last axes to be {last}")


def function(name: str, value: object) -> None:
    """TypeError unless `value` can be called."""
    require(callable(value), name, value, "a function: pass one that can be called")


def model(value: object) -> None:
    """TypeError unless `value` has a method `at`; for objects that store a model without calling it."""
    require(hasattr(value, "at"), "model", value, "a model with a method `at`: pass one such as MLP([1, 40, 40, 1])")


def parameters(what: str, value: object) -> None:
    """TypeError unless `value` is a `Parameters`."""
    if not hasattr(value, "unflatten"):  # only Parameters has it; the class cannot be imported here
        raise TypeError(f"{what} is a {type(value).__name__}, expected Parameters: use Parameters({what})")


def shared(theta: Mapping[str, np.ndarray], gradient: Mapping[str, np.ndarray]) -> None:
    """ValueError unless every array of the gradient has the shape of theta with a leading task axis."""
    gradients = dict(gradient.items())
    for name, array in theta.items():
        if name not in gradients or gradients[name].shape[1:] != array.shape:
            got = gradients[name].shape if name in gradients else "none"
            raise ValueError(
                f"{name} of theta has shape {array.shape} and its gradient {got}, expected a leading task axis in "
                "the gradient only: theta is shared by the tasks; if it has one copy per task, use theta.task(0)"
            )


def brief(value: object) -> str:
    """A short description of the value for a message: its repr if that is short, else its start, type or shape."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, str) and len(plain) > 50:
        return f"{plain[:30]!r}..."
    written = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(plain)
    return written if len(written) <= 60 and "\n" not in written else f"a {type(value).__name__}"


def floats(name: str, value: object) -> np.ndarray:
    """`value` itself if it is a float or complex array, neither masked nor a matrix; else TypeError."""
    if type(value) is np.ndarray and value.dtype.char in "fdFD":  # called often
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a MaskedArray, whose mask would be lost: drop the masked entries, or use {name}.filled(0)"
        )
    if isinstance(value, np.matrix):
        raise TypeError(f"{name} is a matrix, in which * is the matrix product: use np.asarray({name})")
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
    """TypeError or ValueError unless x (..., n, d) and, if given, y (..., n, d_out) are finite floats that fit."""
    mend = lambda name, array, width: f"use {name}[:, None]" if array.ndim == width == 1 else "rows are examples"
    finite("x", floats("x", x))
    if x.ndim < 2 or x.shape[-1] != d or x.size == 0:
        raise ValueError(f"x has shape {x.shape}, expected (n, {d}) or (tasks, n, {d}): {mend('x', x, d)}")
    if y is not None:
        finite("y", floats("y", y))
        if y.shape != (*x.shape[:-1], d_out):
            raise ValueError(f"y has shape {y.shape}, expected {(*x.shape[:-1], d_out)}: {mend('y', y, d_out)}")
        _one_precision("y", y, x)


def one_hot(name: str, value: object, ways: int) -> None:
    """ValueError for class labels, as integers or of shape (n,) or (..., 1), instead of one-hot rows."""
    if isinstance(value, np.ndarray) and (value.dtype.kind in "iub" or value.ndim < 2 or value.shape[-1] != ways):
        raise ValueError(
            f"{name} has shape {value.shape} and dtype {value.dtype}, expected one-hot rows (..., {ways}) of floats: "
            f"use np.eye({ways})[labels], where labels (n,) are whole numbers"
        )


def fitting(what: str, theta: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], x: np.ndarray) -> None:
    """TypeError or ValueError unless theta, or a direction, fits a model and x.

    It must have the names and shapes of the model, the precision of x, and either no task axis or that of x.
    """
    parameters(what, theta)
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


def _one_precision(name: str, array: np.ndarray, x: np.ndarray, of: str = "x") -> None:
    if array.dtype.char.lower() != x.dtype.char.lower():  # D is complex d, F complex f
        raise TypeError(f"{name} is {array.dtype} and {of} is {x.dtype}: use .astype to make them the same")
