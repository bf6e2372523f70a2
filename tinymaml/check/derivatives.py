"""Derivatives from function values alone: complex step and central differences.

    complex_step(f, point, v)          Im f(point + i h v) / h, exact up to rounding, since nothing is subtracted
    central_difference(f, point, v)    weighted differences of f(point +- k h v), for an f that rejects complex numbers

Both differentiate along a direction v and use no rule of differentiation, so they can check every rule. `point` and
`v` are arrays of the same shape, or both `Parameters`; the derivative has the form of the value of f: a number, an array
or `Parameters`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from tinymaml import validate
from tinymaml.check.compare import flatten
from tinymaml.parameters import Parameters

Point = TypeVar("Point", np.ndarray, Parameters)
Value = float | np.ndarray | Parameters

MOST = 4000  # the maximum number of entries perturbed one by one: their directions are MOST^2 numbers
STEP = 1e-30  # its square is negligible in any precision: the complex step has no truncation error
# weights of f(+kh) - f(-kh), k = 1, 2, ..: the error is of the order h^2, h^4, h^6, h^8
STENCILS = {2: (1 / 2,), 4: (2 / 3, -1 / 12), 6: (3 / 4, -3 / 20, 1 / 60), 8: (4 / 5, -1 / 5, 4 / 105, -1 / 280)}


def complex_step(f: Callable[[Point], Value], point: Point, v: Point, *, h: float = STEP) -> Value:
    """d/dr f(point + r v) at r = 0, as Im f(point + i h v) / h (Squire and Trapp 1998).

    f must consist of analytic operations, without abs, conj, max or .real. TypeError if the value of f is real, since
    then an operation has dropped the imaginary part; ValueError if the shapes differ.

    >>> complex_step(np.exp, np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    array([1., 0.])
    """
    validate.function("f", f)
    validate.rate("h", h, STEP)
    return _imaginary_part(f(_shifted(point, 1j * h, v)), h)


def central_difference(f: Callable[[Point], Value], point: Point, v: Point, *, h: float = 1e-5, points: int = 2) -> Value:
    """d/dr f(point + r v) at r = 0, from `points` values of f: 2, 4, 6 or 8, with an error of the order h^points.

    A large h causes a truncation error, a small h cancellation; f may be complex. ValueError if point and v differ in shape.

    >>> round(float(central_difference(np.sin, np.array(0.0), np.array(1.0))), 9)
    1.0
    """
    validate.function("f", f)
    validate.rate("h", h, 1e-5)
    if validate.count("points", points) not in STENCILS:
        raise ValueError(f"points is {points}, expected 2, 4, 6 or 8: ask for one of them")
    terms = [
        (f(_shifted(point, k * h, v)) - f(_shifted(point, -k * h, v))) * (weight / h)
        for k, weight in enumerate(STENCILS[points], start=1)
    ]
    return sum(terms)


def adaptive_difference(f: Callable[[Point], Value], point: Point, v: Point) -> Value:
    """`central_difference` of 8 points at an adaptive step: a relative error of 1e-10 or better, also near kinks.

    The step is the one of 2^-5, 2^-6, ... at which halving it changes the result least. Within one linear region of a ReLU
    network f is a polynomial and the difference is exact; the distance to the next kink is not known in advance. The search
    stops when the change is only rounding.
    """
    validate.function("f", f)
    _check_form("v", v)
    h, length = 2.0**-5, _length(v)
    best = before = central_difference(f, point, v, h=h / length, points=8)
    least = np.inf
    for _ in range(24):
        h = h / 2
        after = central_difference(f, point, v, h=h / length, points=8)
        change, size = np.linalg.norm(flatten(after) - flatten(before)), np.linalg.norm(flatten(after))
        if change < least:
            best, least = before, change
        if change <= 1e-12 * size or 4 * least < change <= 1e-8 * size:  # only rounding is left, and it grows
            break
        before = after
    return best


def on_a_kink(f: Callable[[Point], Value], point: Point, v: Point) -> bool:
    """Whether the one-sided derivatives of f along v differ at the point, so that there is no derivative.

    Where f is smooth, the slopes over a distance h on the two sides differ by h f'', or by rounding / h if that is more; on a
    kink they differ by a number that does not depend on h.
    """
    length, here = _length(v), flatten(f(point))
    slope = lambda h: (flatten(f(_shifted(point, h / length, v))) - here) / h
    jumps = [np.linalg.norm(slope(h) - slope(-h)) for h in (2e-6, 2e-7, 2e-8)]
    size = np.linalg.norm(here) + np.linalg.norm(slope(2e-6))
    return bool(max(jumps) < 2 * min(jumps) and min(jumps) > 1e-7 + 1e-6 * size)


def gradient_by_entries(f: Callable[[Point], float], point: Point, *, derivative: Callable = complex_step) -> Point:
    """The gradient of a scalar f, one entry of `point` at a time, by a directional derivative of this module."""
    validate.function("f", f)
    validate.function("derivative", derivative)
    _check_form("point", point)
    unit = np.eye(np.size(point) if not isinstance(point, Parameters) else point.size)
    entries = [derivative(f, point, _with_form(e, point)) for e in unit]
    return _with_form(np.array(entries).reshape(len(unit)), point)


def complex_step_gradient(f: Callable[[Point], np.ndarray], point: Point) -> Point:
    """The gradient of a scalar function by complex step, all entries in one call.

    f gets P copies of `point` along a new leading axis, one for each of its P entries, and returns P values, (P,).
    """
    validate.function("f", f)
    if not isinstance(point, Parameters):
        validate.floats("point", point)
    tile = lambda array: np.broadcast_to(array, (point.size, *array.shape))
    copies = point.map(tile) if isinstance(point, Parameters) else tile(point)
    return _with_form(complex_step(f, copies, basis(point)), point)


def basis(point: Point) -> Point:
    """The unit directions of all P entries of `point`, along a new leading axis: (P, ...). ValueError if P > `MOST`."""
    if point.size > MOST:
        raise ValueError(
            f"{point.size:,} numbers would be perturbed one by one, expected at most {MOST:,}: take a smaller network"
        )
    unit = np.eye(point.size)
    if not isinstance(point, Parameters):
        return unit.reshape(point.size, *point.shape)
    columns = np.split(unit, np.cumsum([array.size for array in point.values()])[:-1], axis=1)
    return Parameters({
        name: part.reshape(-1, *array.shape) for (name, array), part in zip(point.items(), columns, strict=True)
    })


def _length(v: Point) -> float:
    return max(np.linalg.norm(flatten(v)), 1e-30)


def _shifted(point: Point, r: complex, v: Point) -> Point:
    """point + r v."""
    _check_form("point", point)
    if isinstance(point, Parameters):
        validate.parameters("v", v)
        return point + r * v
    _check_form("v", v)
    if np.shape(point) != np.shape(v):
        raise ValueError(f"the point has shape {np.shape(point)} and the direction v {np.shape(v)}: they must be the same")
    return point + r * np.asarray(v)


def _check_form(name: str, point: Point) -> None:
    """TypeError unless it is `Parameters`, an array of floats or a number."""
    if isinstance(point, np.ndarray):
        validate.floats(name, point)
    elif not isinstance(point, Parameters):
        validate.number(name, point)


def _imaginary_part(value: Value, h: float) -> Value:
    if not np.iscomplexobj(flatten(value)):
        raise TypeError(
            "f gave a real answer at a complex point, so its derivative is lost: "
            "take abs, max, .real and casts out of f, or use central_difference"
        )
    return value.map(lambda array: array.imag / h) if isinstance(value, Parameters) else value.imag / h


def _with_form(flat: np.ndarray, like: Point) -> Point:
    return like.unflatten(flat) if isinstance(like, Parameters) else flat.reshape(np.shape(like))
