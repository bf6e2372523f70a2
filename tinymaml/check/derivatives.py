"""Derivatives from function values alone: complex step and central differences.

    complex_step(f, point, v)          Im f(point + i h v) / h, exact to rounding: nothing is subtracted
    central_difference(f, point, v)    weighted differences of f(point +- k h v): for an f that refuses complex numbers

Both differentiate along a direction v and know no rule of differentiation, so they can judge every rule. `point` and
`v` are arrays of one shape, or both `Parameters`; f may return a number, an array or `Parameters`, and the answer
comes in the same form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from tinymaml import validate
from tinymaml.parameters import Parameters

Point = TypeVar("Point", np.ndarray, Parameters)
Value = float | np.ndarray | Parameters

MOST = 4000  # entries that are moved one by one: their directions are MOST^2 numbers
STEP = 1e-30  # its square is lost against 1 in any precision: the complex step has no truncation error
# weights of f(+kh) - f(-kh), k = 1, 2, ..: the error is of the order h^2, h^4, h^6, h^8
STENCILS = {2: (1 / 2,), 4: (2 / 3, -1 / 12), 6: (3 / 4, -3 / 20, 1 / 60), 8: (4 / 5, -1 / 5, 4 / 105, -1 / 280)}


def complex_step(f: Callable[[Point], Value], point: Point, v: Point, *, h: float = STEP) -> Value:
    """d/dr f(point + r v) at r = 0, as Im f(point + i h v) / h (Squire and Trapp 1998).

    f must be made of analytic operations: no abs, conj, max or .real on the way from point to value. TypeError if
    the answer is real, since then the imaginary part was dropped on the way; ValueError if the shapes differ.

    >>> complex_step(np.exp, np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    array([1., 0.])
    """
    validate.function("f", f)
    validate.rate("h", h, STEP)
    return _imaginary(f(_along(point, 1j * h, v)), h)


def central_difference(f: Callable[[Point], Value], point: Point, v: Point, *, h: float = 1e-5, points: int = 2) -> Value:
    """d/dr f(point + r v) at r = 0, from `points` values of f: 2, 4, 6 or 8, with an error of the order h^points.

    Too large an h truncates, too small an h cancels; f may be complex. ValueError if the shapes of point and v differ.

    >>> round(float(central_difference(np.sin, np.array(0.0), np.array(1.0))), 9)
    1.0
    """
    validate.function("f", f)
    validate.rate("h", h, 1e-5)
    if validate.count("points", points) not in STENCILS:
        raise ValueError(f"points is {points}, expected 2, 4, 6 or 8: ask for one of them")
    terms = [
        (f(_along(point, k * h, v)) - f(_along(point, -k * h, v))) * (weight / h)
        for k, weight in enumerate(STENCILS[points], start=1)
    ]
    return sum(terms[1:], start=terms[0])


def adaptive_step(difference: Callable[[float], Value], largest: float = 2.0**-5) -> float:
    """The step h = largest, largest/2, ... where halving changes `difference(h)` least: neither truncation nor a kink.

    Inside one linear region of a ReLU network the function is a polynomial and an 8-point difference is exact, but no
    one can say in advance how far away the next kink is: this finds out. Stops as soon as the change is rounding.
    """
    h, before = largest, vector(difference(largest))
    best, least = h, np.inf
    for _ in range(24):
        after = vector(difference(h / 2))
        change, size = np.linalg.norm(after - before), np.linalg.norm(after)
        if change < least:
            best, least = h, change
        if change <= 1e-12 * size or 4 * least < change <= 1e-8 * size:  # rounding alone is left, and grows
            break
        h, before = h / 2, after
    return best


def adaptive_difference(f: Callable[[Point], Value], point: Point, v: Point) -> Value:
    """`central_difference` of 8 points at its `adaptive_step`: a relative error of 1e-10 or better, kinks included."""
    validate.function("f", f)
    _known("v", v)
    length = max(np.linalg.norm(vector(v)), 1e-30)  # a step of h moves the point by h, whatever the length of v
    difference = lambda h: central_difference(f, point, v, h=h / length, points=8)
    return difference(adaptive_step(difference))


def on_a_kink(f: Callable[[Point], Value], point: Point, v: Point) -> bool:
    """Whether f has another slope to the right of the point than to the left, along v: then there is no derivative.

    The slopes at a distance h differ by h f'' where f is smooth, by rounding / h where that is more, and on a kink by a number
    that depends on h in neither way.
    """
    length, here = max(np.linalg.norm(vector(v)), 1e-30), vector(f(point))
    slope = lambda h: (vector(f(_along(point, h / length, v))) - here) / h
    jumps = [np.linalg.norm(slope(h) - slope(-h)) for h in (2e-6, 2e-7, 2e-8)]
    size = np.linalg.norm(here) + np.linalg.norm(slope(2e-6))
    return bool(max(jumps) < 2 * min(jumps) and min(jumps) > 1e-7 + 1e-6 * size)


def gradient_by_entries(f: Callable[[Point], float], point: Point, *, derivative: Callable = complex_step) -> Point:
    """The whole gradient of a scalar f, one entry of `point` after another, by either derivative of this module."""
    validate.function("f", f)
    validate.function("derivative", derivative)
    _known("point", point)
    flat = vector(point)
    unit = np.eye(flat.size)
    return _shaped(np.array([derivative(f, point, _shaped(e, point)) for e in unit]).reshape(flat.shape), point)


def complex_step_gradient(f: Callable[[Point], np.ndarray], point: Point, *, h: float = STEP) -> Point:
    """The whole gradient of a scalar function by complex step, all entries in one call.

    f gets one copy of `point` for each of its P entries, along a new leading axis, and returns P values: (P,).
    """
    validate.function("f", f)
    validate.rate("h", h, STEP)
    if not isinstance(point, Parameters):
        validate.floats("point", point)
    copies = _along(tile(point), 1j * h, basis(point))
    return _shaped(_imaginary(f(copies), h), point)


def basis(point: Point) -> Point:
    """The unit directions of all P entries of `point`, along a new leading axis: (P, ...). ValueError if P is beyond `MOST`."""
    if point.size > MOST:
        raise ValueError(f"{point.size:,} numbers are to be moved one by one, expected at most {MOST:,}: take a smaller network")
    if not isinstance(point, Parameters):
        return np.eye(point.size).reshape(point.size, *point.shape)
    unit, units, start = np.eye(point.size), {}, 0
    for name, array in point.items():
        units[name] = unit[:, start:start + array.size].reshape(-1, *array.shape)
        start += array.size
    return Parameters(units)


def tile(point: Point) -> Point:
    """One copy of `point` for each of its P entries, along a new leading axis: (P, ...)."""
    copy = lambda array: np.broadcast_to(array, (point.size, *array.shape))
    return point.map(copy) if isinstance(point, Parameters) else copy(point)


def vector(value: Value) -> np.ndarray:
    """All numbers of a number, an array or `Parameters` in one row."""
    return value.flat if isinstance(value, Parameters) else np.ravel(value)


def _along(point: Point, r: complex, v: Point) -> Point:
    """point + r v."""
    _known("point", point)
    if isinstance(point, Parameters):
        validate.parameters("v", v)
        return point + r * v
    _known("v", v)
    if np.shape(point) != np.shape(v):
        raise ValueError(f"the point has shape {np.shape(point)} and the direction v {np.shape(v)}: they must be the same")
    return point + r * np.asarray(v)


def _known(name: str, point: Point) -> None:
    """TypeError unless it is `Parameters`, an array of floats or a number."""
    if isinstance(point, np.ndarray):
        validate.floats(name, point)
    elif not isinstance(point, Parameters):
        validate.number(name, point)


def _imaginary(value: Value, h: float) -> Value:
    if not np.iscomplexobj(vector(value)):
        raise TypeError(
            "f gave a real answer at a complex point, so its derivative is lost: "
            "take abs, max, .real and casts out of f, or use central_difference"
        )
    return value.map(lambda array: array.imag / h) if isinstance(value, Parameters) else value.imag / h


def _shaped(flat: np.ndarray, like: Point) -> Point:
    return like.unflatten(flat) if isinstance(like, Parameters) else flat.reshape(np.shape(like))
