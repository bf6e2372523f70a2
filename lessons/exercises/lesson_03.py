"""The checks of lesson 03: derivatives from values, the relative error, and a bug hidden by broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import permutations
from operator import add
from typing import Any

import numpy as np

from exercises.guard import combined, judge, judge_derived, one_number, refuse, several
from tinymaml.check import Derivation, Problem, WrongAnswer, central_difference, complex_step
from tinymaml.check.compare import close, mismatch


def _functions(rng: np.random.Generator) -> list[tuple[str, Callable, Any, Any]]:
    """(name, f, point, v): a function of an array, and the loss of a network as a function of theta."""
    scales = rng.uniform(1, 2, 3)
    problem = Problem(widths=(2, 3, 1), tasks=1, seed=int(rng.integers(2**31)))
    x, y = problem.batch.x_support[0], problem.batch.y_support[0]
    return [
        ("an array", lambda w: np.exp(w / scales).sum(), rng.uniform(2, 3, 3), rng.uniform(0.5, 1.5, 3)),
        ("a network", lambda theta: problem.model.at(theta, x, y).loss, problem.theta, problem.v),
    ]


def _central(answer: Callable, rng: np.random.Generator) -> None:
    cases = [(f"of {name}", f, point, v, h) for h in (0.05, 0.02) for name, f, point, v in _functions(rng)]
    mine, stopped = [], None
    for name, *given in cases:
        try:
            value = answer(*given)
            _slope(name, value)
            if isinstance(value, bool | np.bool_):
                refuse(name, f"the answer is {value}: return the slope, a number")
        except WrongAnswer as wrong:  # what was answered before may say more, as of `theta + h`, which a network refuses
            if not mine:
                raise
            stopped = wrong
            break
        mine.append(value)
    cases = cases[: len(mine)]
    right = [central_difference(f, point, v, h=h) for _, f, point, v, h in cases]
    numbers = all(np.size(value) == 1 and np.isrealobj(value) and not isinstance(value, str) for value in mine)

    def known(i: int) -> Iterator[tuple[str, float]]:
        """Those mistakes that give the answer in every case, with what they give in case i."""
        for listed in (_mistakes_in_difference, _other_quotients) if numbers else ():
            for pairs in zip(*(listed(*given) for _, *given in cases), strict=True):
                if all(close(value, wrong) for value, (_, wrong) in zip(mine, pairs, strict=True)):
                    yield pairs[i]
                    return

    for i, (name, *_) in enumerate(cases):
        judge(name, mine[i], right[i], known(i))
    if stopped:
        raise stopped


def _mistakes_in_difference(f: Callable, point: Any, v: Any, h: float) -> list:
    here, ahead, behind = f(point), f(point + h * v), f(point + -h * v)
    length = float(np.sqrt((v * v).sum() if isinstance(v, np.ndarray) else v.dot(v)))
    squares = v * v if isinstance(v, np.ndarray) else v.map(np.square)
    ones = np.ones_like(v) if isinstance(v, np.ndarray) else v.map(np.ones_like)
    known = [
        ("this is the forward difference: its error is of the order h; go to both sides of theta", (ahead - here) / h),
        ("this is the backward difference: its error is of the order h; go to both sides of theta", (here - behind) / h),
        ("this is the forward difference with a step of 2h: go to both sides of theta", (f(point + 2 * h * v) - here) / (2 * h)),
        ("the points are theta + h v and theta, which are h apart, and it is divided by 2h", (ahead - here) / (2 * h)),
        ("the points are theta and theta - h v, which are h apart, and it is divided by 2h", (here - behind) / (2 * h)),
        ("it is the value at theta minus that at theta + h v: the sign is wrong, and one side of theta is missing",
         (here - ahead) / h),
        ("it is the value at theta - h v minus that at theta: the sign is wrong, and one side of theta is missing",
         (behind - here) / h),
        ("this is the mean of the two values: take their difference", (ahead + behind) / 2),
        ("the step is h theta: it goes along v", (f(point + h * point) - f(point + -h * point)) / (2 * h)),
        ("v is squared: the step is h v", central_difference(f, point, squares, h=h)),
        ("it is divided by the square of the length of v: divide by 2h", (ahead - behind) / (2 * h * length**2)),
        ("it is rounded to a whole number", (ahead - behind) // (2 * h)),
        ("its sign is lost: a slope may be negative, so take no absolute value", abs(ahead - behind) / (2 * h)),
        ("the sign is wrong", (behind - ahead) / (2 * h)),
        ("it is 0: are the two points the same?", 0.0),
        ("it is divided by h: the two points are 2h apart", (ahead - behind) / h),
        ("it is divided by 2 and not by h as well", (ahead - behind) / 2),
        ("it is not divided by 2h", ahead - behind),
        ("it is divided by h^2: the two points are 2h apart", (ahead - behind) / h**2),
        ("it is divided by 2h^2: the two points are 2h apart", (ahead - behind) / (2 * h**2)),
        ("it is multiplied by h/2, not divided by 2h: write / (2 * h), with parentheses", (ahead - behind) / 2 * h),
        ("the last division is of one term only: put the difference in parentheses", ahead - behind / (2 * h)),
        ("the two values are added: take their difference", (ahead + behind) / (2 * h)),
        ("this is the second derivative: the first is a difference of two values", (ahead - 2 * here + behind) / h**2),
        ("v is scaled to length one: along 2v a function changes twice as fast", central_difference(f, point, v / length, h=h)),
        ("it is divided by the length of v: along 2v a function changes twice as fast", (ahead - behind) / (2 * h * length)),
        ("it is multiplied by the length of v, which is in f(theta + h v) already", (ahead - behind) / (2 * h) * length),
        ("v is not used: the step is h v, not h in every number", central_difference(f, point, ones, h=h)),
        ("theta is not used: the points are theta + h v and theta - h v", (f(h * v) - f(-h * v)) / (2 * h)),
        ("the points are theta +- v: the step is h v", (f(point + v) - f(point + -1 * v)) / (2 * h)),
        ("the points are theta +- v, and it is divided by 2: the step is h v", (f(point + v) - f(point + -1 * v)) / 2),
        ("the points are theta +- h v / 2, which are h apart", (f(point + h / 2 * v) - f(point + -h / 2 * v)) / (2 * h)),
        ("the points are theta +- h v / 2: take theta +- h v, and divide by 2h", central_difference(f, point, v, h=h / 2)),
        ("the points are theta +- 2 h v: take theta +- h v, and divide by 2h", central_difference(f, point, v, h=2 * h)),
    ]
    all_digits = "it has more digits than a difference at the h that is given: use that h, and these two points only"
    fixed = [(f"h is not used: the step is {length:g} v", central_difference(f, point, v, h=length)) for length in (0.1, 0.01)]
    known += fixed
    exact = [complex_step(f, point, v), *(central_difference(f, point, v, h=h, points=points) for points in (4, 6, 8))]
    return [*known, *((all_digits, value) for value in exact)]


def _other_quotients(f: Callable, point: Any, v: Any, h: float) -> Iterator[tuple[str, float]]:
    """Sums of f at up to three points, divided by other numbers."""
    ones = np.ones_like(v) if isinstance(v, np.ndarray) else v.map(np.ones_like)
    unit = v / np.sqrt((v * v).sum()) if isinstance(v, np.ndarray) else v * float(v.dot(v) ** -0.5)
    steps = {"h v": h * v, "2 h v": 2 * h * v, "h v / 2": h / 2 * v, "v": v, "h^2 v": h * h * v, "sqrt(h) v": h**0.5 * v,
             "h": h * ones, "h theta": h * point, "h v / |v|": h * unit, "v / h": 1 / h * v, "v / |v|": unit}  # fmt: skip
    with np.errstate(all="ignore"):  # a step v / h is long
        values = {"theta": f(point), "v": f(v), "h v": f(h * v), "-h v": f(-h * v), "theta h v": f(h * (point * v))}
        values |= {f"theta + {name}": f(point + step) for name, step in steps.items()}
        values |= {f"theta - {name}": f(point + -1.0 * step) for name, step in steps.items()}
    below = {"1": 1.0, "2": 2.0, "h": h, "(2 h)": 2 * h, "(3 h)": 3 * h, "(4 h)": 4 * h, "(h / 2)": h / 2, "(2 / h)": 2 / h,
             "(1 / h)": 1 / h, "h^2": h * h, "(2 h^2)": 2 * h * h, "(4 h^2)": 4 * h * h, "(2 sqrt(h))": 2 * h**0.5,
             "(2 + h)": 2 + h, "(2 h |v|)": 2 * h * float(np.sqrt((v * v).sum() if isinstance(v, np.ndarray) else v.dot(v)))}
    asked = "take two points, one step h v from theta on either side, and divide by their distance"
    for name, number in below.items():
        here, ahead, behind, far = (values[at] for at in ("theta", "theta + h v", "theta - h v", "theta + 2 h v"))
        for way, sum_ in {
            "f(theta + h v) - 2 f(theta) + f(theta - h v)": ahead - 2 * here + behind,
            "f(theta + h v) + f(theta - h v)": ahead + behind,
            "f(theta + h v) - f(theta) - f(theta - h v)": ahead - here - behind,
            "f(theta + h v) - f(theta) + f(theta - h v)": ahead - here + behind,
            "-3 f(theta) + 4 f(theta + h v) - f(theta + 2 h v)": -3 * here + 4 * ahead - far,
            "f(theta + h v) f(theta - h v)": ahead * behind,
            "f(theta + h v)^2 - f(theta - h v)^2": ahead**2 - behind**2,
            "2 f(theta + h v) - f(theta - h v)": 2 * ahead - behind,
            "f(theta + h v) - 2 f(theta - h v)": ahead - 2 * behind,
        }.items():
            yield f"this is ({way}) / {name}: {asked}", sum_ / number
        yield f"the difference of both sides is divided by {name}: divide by their distance, 2 h", (ahead - behind) / number
    for (one, first), (other, second) in permutations(values.items(), 2):
        for name, number in below.items():
            yield f"this is (f({one}) - f({other})) / {name}: {asked}", (first - second) / number
            yield f"this is f({one}) / {name} - f({other}), or a parenthesis is lost: {asked}", first / number - second
            yield f"this is f({one}) - f({other}) / {name}, or a parenthesis is lost: {asked}", first - second / number
    for one, other, number in (("h v", "h v", 2 * h), ("h v", "h v", h), ("v", "v", 1.0), ("v", "v", 2.0)):
        first, second = values[f"theta + {one}"], values[f"theta - {other}"]
        yield f"the last value is multiplied, not divided: {asked}", first - second * number
    for number in (1.0, 2 * h, h):
        yield f"the points are subtracted, and f is taken of their distance: {asked}", f(2 * h * v) / number
        exchanged = f(v + h * point) - f(v + -h * point)
        yield "theta and v are exchanged: the points are theta + h v and theta - h v", exchanged / number
    for one, first in values.items():
        for name, number in below.items():
            yield f"this is f({one}){'' if name == '1' else f' / {name}'}, a value and no slope: {asked}", first / number
    yield "the difference is divided by the value at theta: that is a relative change", (ahead - behind) / (2 * h * here)
    yield "this is the quotient of the two values: take their difference", ahead / behind


def _slope(name: str, mine: Any) -> None:
    """`WrongAnswer` for a slope that is not one number."""
    if isinstance(mine, Mapping):
        refuse(name, "the answer has a number for each parameter: the slope along v is one number")
    one_number(name, mine, "the slope along v, whatever the shape of theta")


def _complex(answer: Callable, rng: np.random.Generator) -> None:
    for name, f, point, v in _functions(rng):
        reference = complex_step(f, point, v)
        for h in (None, 1e-20, 0.1):  # the default, one that must make no difference, and one so long that it must
            asked = []

            def watched(at: Any, f: Callable = f, asked: list = asked) -> Any:
                asked.append(bool(np.iscomplexobj(at) if isinstance(at, np.ndarray) else at.dtype.kind == "c"))
                return f(at)

            mine = answer(watched, point, v) if h is None else answer(watched, point, v, h=h)
            which = f"of {name}" if h is None else f"{name}, {h:g}"
            _imaginary(which, mine, reference, any(asked))
            length = 1e-30 if h is None else h
            wanted = f(point + 1j * length * v).imag / length
            _judge_complex(which, mine, wanted, reference, _mistakes_in_complex_step(f, point, v, length))


def _judge_complex(name: str, mine: Any, wanted: float, exact: float, known: list) -> None:
    ignored = [] if close(wanted, exact) else [("h is not used: take the h that is given, which has a default", exact)]
    try:
        judge(name, mine, wanted, [*known, *ignored], tolerance=1e-12)
    except WrongAnswer as wrong:
        if wrong.error > 1e-3 or not close(wanted, exact) or wrong.diagnosis.startswith("the sign"):
            raise
        some = "only some digits are right: a step of another length, which truncates, or a precision below float64"
        sentence = f"{name} is wrong: {some}"
        raise WrongAnswer(sentence, name=wrong.name, error=wrong.error, diagnosis=some, line=wrong.line) from None


def _mistakes_in_complex_step(f: Callable, point: Any, v: Any, h: float) -> list:
    there, straight = f(point + 1j * h * v), f(point + 1j * v)
    length = float(np.sqrt((v * v).sum() if isinstance(v, np.ndarray) else v.dot(v)))
    ones = np.ones_like(v) if isinstance(v, np.ndarray) else v.map(np.ones_like)
    slope = there.imag / h
    return [
        ("the real part, or the absolute value, is divided by h: the derivative is in the imaginary part", there.real / h),

        ("the angle is divided by h: take the imaginary part, .imag", np.angle(there) / h),
        ("it is divided by 2h: nothing is subtracted here, so divide by h", slope / 2),
        ("it is multiplied by h: divide", slope * h * h),
        ("it is divided by h twice", slope / h),
        ("it is twice too large: the step is 2 i h v, or two points are 2h apart, and it is divided by h", 2 * slope),
        ("the step has a real part: it has to be i h v", f(point + (1 + 1j) * h * v).imag / h),
        ("theta is multiplied by i: the point is theta + i h v", f(1j * point + h * v).imag / h),
        ("the step is i v times the root of h: it has to be i h v", f(point + 1j * np.sqrt(h) * v).imag / h),
        ("the step is i v: it has to be i h v", straight.imag),
        ("the step is i v: it has to be i h v", straight.imag / h),
        ("theta is not used: the point is theta + i h v", f(1j * h * v).imag / h),
        ("v is not used: the step is i h v, not i h in every number", f(point + 1j * h * ones).imag / h),
        ("the step is i h theta: it goes along v", f(point + 1j * h * point).imag / h),
        ("v is scaled to length one: along 2v a function changes twice as fast", f(point + 1j * (h / length) * v).imag / h),
        ("this is the value of f: its derivative is in the imaginary part", there.real),
    ]


def _imaginary(name: str, mine: Any, reference: float, at_complex_points: bool) -> None:
    """`WrongAnswer` for a complex answer, for values at real points, and for the two mistakes that leave next to nothing."""
    _slope(name, mine)
    if isinstance(mine, str):
        return
    if not at_complex_points:
        told = "made of real values" if mine else "0, as a real step of 1e-30 changes nothing"
        refuse(name, f"f is never called at a complex point, and the answer is {told}: the step is 1j * h * v")
    if np.iscomplexobj(mine):
        refuse(name, "the answer is complex: the derivative is its imaginary part, .imag")
    if mine == 0:
        refuse(name, "the answer is 0: the imaginary part was dropped on the way, or the points are equal")
    if abs(mine) < 1e-15 * abs(reference):
        refuse(name, f"the answer is {mine:.1e}: the imaginary part has to be divided by h")


def _relative_error(answer: Callable, rng: np.random.Generator) -> None:
    reference = np.sort(rng.uniform(1, 9, 6)).reshape(3, 2)
    mine = reference * np.sort(rng.uniform(1.5, 3, 6))[::-1].reshape(3, 2)  # far from the small entries most of all
    gap, a, b = _size(mine - reference), _size(mine), _size(reference)
    by_mine = "it is divided by |mine| only, so that it is not symmetric: divide by the larger norm"
    by_reference = "it is divided by |reference| only, so that it is not symmetric: divide by the larger norm"
    added = ("the floor is added: it is the least that is divided by, so take the maximum", gap / (a + 1e-3))
    smaller = ("it is divided by the smaller of the two norms: take the larger", gap / min(a, b))
    one, other = _of_equal_shapes(answer, mine, reference), _of_equal_shapes(answer, reference, mine)
    below = smaller if not mismatch(other, gap) and close(other, gap / b) else (by_reference, gap / b)
    judge("mine > ref", one, gap / a, [below, *_mistakes_in_relative_error(mine, reference), added])
    judge("mine < ref", other, gap / a, [(by_mine, gap / b)])
    signs = np.where(np.arange(24) % 3 == 0, -1.0, 1.0).reshape(2, 3, 4)
    mine, reference = signs * rng.uniform(1, 3, (2, 3, 4)), signs * rng.uniform(1, 3, (2, 3, 4))
    gap, a, b = _size(mine - reference), _size(mine), _size(reference)
    judge("(2, 3, 4)", _of_equal_shapes(answer, mine, reference), gap / max(a, b), _mistakes_in_relative_error(mine, reference))
    _floor(answer)
    _refuses(answer)


def _mistakes_in_relative_error(mine: np.ndarray, reference: np.ndarray) -> list:
    gap, a, b = _size(mine - reference), _size(mine), _size(reference)
    apart, norm, larger = np.abs(mine - reference), np.linalg.norm, max(_size(mine), _size(reference))
    entries = apart / np.maximum(np.abs(mine), np.abs(reference))
    known = [
        ("this is the absolute error: divide by the larger of the two norms", gap),
        ("it is divided by the sum of the norms: take the larger", gap / (a + b)),
        ("it is divided by the mean of the norms: take the larger", 2 * gap / (a + b)),
        ("it is divided by the root of the product of the norms: take the larger", gap / np.sqrt(a * b)),
        ("it is divided by the norm of the sum: take the larger of the two norms", gap / _size(mine + reference)),
        ("it is divided by the square of the norm: take the larger of the two norms", gap / larger**2),
        ("it is divided by the floor: the floor is the least that is divided by, so take the maximum", gap / 1e-3),
        ("it is in percent: leave out the factor 100", 100 * gap / larger),
        ("it is divided by the root of the sum of both squares: take the larger of the two norms", gap / np.hypot(a, b)),
        ("it is divided by a standard deviation: take the larger of the two norms", gap / max(mine.std(), reference.std())),
        ("it is divided by the norm of the larger entries: take the larger of the two norms",
         gap / _size(np.maximum(mine, reference))),
        ("this is the mean error of the rows: take the norms of all numbers together",
         np.mean(norm(mine - reference, axis=-1) / np.maximum(norm(mine, axis=-1), norm(reference, axis=-1)))),
        ("this is its logarithm: leave it as a number", np.log10(gap / larger)),
        ("it is subtracted from 1: take the error itself", 1 - gap / larger),
        ("this is the largest error of an entry: take the norms of all numbers together", entries.max()),
        ("this is the mean error of the entries: take the norms of all numbers together", entries.mean()),
        ("this is the norm of the entries' errors: take the norms of all numbers first, then divide", _size(entries)),
        ("this is the error of every entry: take the norms of all numbers together", entries),
        ("the square roots are missing: these are squared norms", gap**2 / larger**2),
        ("a square root is missing: the numerator is a squared norm", gap**2 / larger),
        ("a square root is too much: np.linalg.norm takes it already", np.sqrt(gap / larger)),
        ("this is the difference of the norms: take the norm of the difference", abs(a - b) / larger),
        ("these are sums of entries, not Euclidean norms", apart.sum() / max(np.abs(mine).sum(), np.abs(reference).sum())),
        ("the largest entries are divided by each other: take Euclidean norms", apart.max() / max(
            np.abs(mine).max(), np.abs(reference).max())),
    ]  # fmt: skip
    if mine.min() < 0:
        signed = abs((mine - reference).sum()) / max(abs(mine.sum()), abs(reference.sum()))
        known += [("these are sums of entries, in which signs cancel, not Euclidean norms", signed)]
    if mine.ndim == 2:
        known += [
            ("this is the spectral norm of a matrix: take the Euclidean norm of all numbers, or ravel first",
             norm(mine - reference, 2) / max(norm(mine, 2), norm(reference, 2))),
            ("these are norms of a matrix by columns (ord=1): take the Euclidean norm of all numbers",
             norm(mine - reference, 1) / max(norm(mine, 1), norm(reference, 1))),
            ("these are norms of a matrix by rows (ord=inf): take the Euclidean norm of all numbers",
             norm(mine - reference, np.inf) / max(norm(mine, np.inf), norm(reference, np.inf))),
        ]  # fmt: skip
    return known


def _size(array: np.ndarray) -> float:
    return float(np.sqrt((array * array).sum()))


def _of_equal_shapes(answer: Callable, mine: np.ndarray, reference: np.ndarray, **floor: float) -> Any:
    """The answer for two arrays of one shape, which must be one number; a refusal of them is explained."""
    try:
        value = answer(mine, reference, **floor)
    except WrongAnswer as wrong:
        own = isinstance(wrong.__cause__, ValueError) and "norm" not in str(wrong.__cause__).lower()
        if isinstance(wrong.__cause__, ValueError) and not own:
            refuse("the answer", f"it stops for an array of shape {mine.shape}: np.linalg.norm without `ord` takes any shape")
        if own:
            refuse("shapes", f"it refuses two arrays of one shape, {mine.shape}: raise only if mine.shape != reference.shape")
        raise
    if isinstance(value, BaseException):
        refuse("the answer", "it returns an error: raise it")
    if isinstance(value, bool | np.bool_):
        refuse("the answer", f"it is {value}: return the error itself, a number")
    one_number("the answer", value, "take the norms of all numbers together")
    return value


def _floor(answer: Callable) -> None:
    """0 against 0, and 1e-17 against 0: rounding, not errors."""
    zero, tiny = np.zeros(2), np.array([1e-17, 0.0])
    for name, mine, wanted in (("0 and 0", zero, 0.0), ("1e-17 and 0", tiny, 1e-14)):
        with np.errstate(all="ignore"):
            value = _of_equal_shapes(answer, mine, zero)
        if np.ndim(value) == 0 and (np.isnan(value) or abs(value - 1) < 1e-6):
            bare = "the floor is missing: around zero, rounding looks like a large error; divide by the floor at least"
            raise WrongAnswer(f"{name} is wrong: the answer is {value:.2g}; {bare}", name=name, error=1.0, diagnosis=bare)
        if np.ndim(value) == 0 and 0 < abs(value) < 2e-17:
            bare = "this is the absolute error: below the floor, divide by the floor"
            raise WrongAnswer(f"{name} is wrong: the answer is {value:.2g}; {bare}", name=name, error=1.0, diagnosis=bare)
        known = {
            "below the floor the answer is set to 0: divide by the floor": 0.0,
            "the answer is never below the floor: the floor is the least that is divided by": 1e-3,
            "these are root mean squares, beside which the floor is another one: take sums of squares": wanted / np.sqrt(2),
            "the floor is compared with squared norms: take the roots first": 1e-17 / np.sqrt(1e-3),
        }
        for sentence, wrong in known.items():
            if np.isclose(value, wrong, rtol=1e-6, atol=0) and wrong != wanted:
                refuse(name, sentence)
        judge(name, value, wanted, tolerance=1e-6, floor=1e-20)
    mine, reference = np.array([3e-3, 4e-3]), np.array([0.0, 4e-3])
    near = [
        ("the floor is added: it is the least that is divided by, so take the maximum", 3e-3 / 6e-3),
        ("the floor is compared with squared norms: take the roots first", 3e-3 / np.sqrt(1e-3)),
    ]
    judge("near floor", _of_equal_shapes(answer, mine, reference), 3e-3 / 5e-3, near)
    known = [
        ("the floor is fixed: use the argument", 3e-3 / 5e-3),
        ("the floor is added: it is the least that is divided by, so take the maximum", 3e-3 / 1.005),
        ("these are root mean squares, beside which the floor is another one: take sums of squares", 3e-3 / np.sqrt(2)),
        ("the answer is never below the floor: the floor is the least that is divided by", 1.0),
        ("below the floor the answer is set to 0: divide by the floor", 0.0),
    ]
    judge("floor = 1", _of_equal_shapes(answer, mine, reference, floor=1.0), 3e-3, known)
    raised = [("the floor is fixed: use the argument", 3e-3 / 0.5), ("the floor is added: take the maximum", 3e-3 / 0.505)]
    judge("floor = 0.5", _of_equal_shapes(answer, mine, reference, floor=0.5), 3e-3 / 0.5, raised[1:])


PAIRS = [((3,), (3, 1)), ((1, 1), (1, 3)), ((1, 4), (4, 1)), ((2, 1), (2, 3)), ((4,), (1, 4)), ((), (1,)), ((1, 6, 1), (2, 1, 3))]
SAME = {  # what may be compared in place of the shape: a function of a shape
    "`ndim` is compared, the number of axes": len,
    "`size` is compared, the number of entries": lambda shape: int(np.prod(shape)),
    "`ndim` and `size` are compared": lambda shape: (len(shape), int(np.prod(shape))),
    "the lengths are compared": lambda shape: shape[:1],
    "the last axes are compared": lambda shape: shape[-1:],
    "the shapes are compared as sets or sorted": lambda shape: tuple(sorted(shape)),
    "the shapes are not compared": lambda shape: 0,
}


def _refuses(answer: Callable) -> None:
    """Arrays of two shapes must not be broadcast."""
    passed, values = [], []
    for one, two in PAIRS:
        try:
            values.append(answer(np.full(one, 2.0), np.full(two, 1.0)))
            passed.append((one, two))
        except WrongAnswer as refusal:
            if not isinstance(refusal.__cause__, ValueError):
                raised = type(refusal.__cause__).__name__
                refuse("shapes", f"for {one} against {two} it stops with {raised}, expected ValueError: `raise ValueError(...)`")
    for value in values:
        no_number = isinstance(value, float) and not np.isfinite(value)
        if value is ValueError or isinstance(value, BaseException) or no_number:
            refuse("shapes", f"for two shapes it returns {value!r}, expected that it raises an error: `raise ValueError(...)`")
    if passed:
        one, two = passed[0]
        alike = (what for what, of in SAME.items() if passed == [pair for pair in PAIRS if of(pair[0]) == of(pair[1])])
        why = next(alike, "not all shapes that differ are refused")
        told = f"{why}, so {one} against {two} was broadcast to {np.broadcast_shapes(one, two)}"
        refuse("shapes", f"{told}: raise ValueError if mine.shape != reference.shape")
    print(f"{'shapes':<12}  {f'{len(PAIRS)} pairs':<12}  {'refused with a ValueError':<24}  right")


def _mended(answer: Callable, rng: np.random.Generator) -> None:
    for widths, shots in (((1, 6, 1), 5), ((2, 4, 3), 7)):
        problem = Problem(widths=widths, shots=shots, seed=int(rng.integers(2**31)))
        x, y = problem.batch.x_support[0], problem.batch.y_support[0]
        derivation = Derivation(problem.model, problem.theta, x, y)
        here = problem.model.at(problem.theta, x, y)
        loss, gradient = several(answer(problem.theta, x, y), "loss", "gradient")
        if isinstance(loss, Mapping) and not isinstance(gradient, Mapping):
            refuse("the answer", "the two are exchanged: return loss, gradient, in this order")
        if not isinstance(gradient, Mapping) or gradient.keys() != problem.theta.keys():
            holds = ", ".join(map(str, gradient)) if isinstance(gradient, Mapping) else f"a {type(gradient).__name__}"
            refuse("the gradient", f"it holds {holds or 'nothing'}, expected a dict with {', '.join(problem.theta)}")
        print(f"on a network {' - '.join(map(str, widths))}:")
        _loss(loss, here)
        ways = cache(lambda given=(problem.theta, x, y): list(_backward_ways(*given)))  # made where something is wrong
        mine, a1 = {"loss": loss, **gradient}, here.a[1]

        def known(key: str, before: tuple[str, ...], ways: Callable = ways, mine: dict = mine) -> Iterator[tuple[str, Any]]:
            """What gives the numbers that were judged before as well: what is wrong from there on shows in no earlier line."""
            for told, way in ways():
                if all(close(way[other], mine[other]) for other in before):
                    yield told, way[key]

        judge_derived(derivation, "loss", loss, known("loss", ()))
        order = ("loss", "W2", "b2", "W1", "b1")
        for i, key in enumerate(order[1:], start=1):
            name = f"d{key[0]}[{key[1]}]"
            if key[0] == "b":
                _bias(name, gradient[key], here.D[int(key[1])])
            entering = {"W1": [("a1 stands where x belongs (eq. 3)", a1), ("z1 stands where x belongs (eq. 3)", here.z[1])],
                        "W2": [("x stands where a1 belongs (eq. 3)", x)]}.get(key, [])  # fmt: skip
            for told, left in entering:
                product = left.T @ here.D[int(key[1])]
                if not mismatch(gradient[key], product) and close(gradient[key], product):
                    refuse(name, told)
            judge_derived(derivation, name, gradient[key], known(key, order[:i]))


def _loss(loss: Any, here: Any) -> None:
    """`WrongAnswer` for losses over other things than the examples."""
    z, y, n = here.prediction, here.y, here.n
    squares, pairs = (z - y) ** 2, (z[:, 0] - y[:, :1]) ** 2  # (n, d), (n, n)
    if np.shape(loss) == (n,) and close(loss, squares.sum(1)):
        refuse("loss", f"these are the losses of the {n} examples: take their mean, one number")
    if np.ndim(loss) > 0:
        refuse("loss", f"the answer has shape {np.shape(loss)}, expected one number, (): the mean over the examples")
    if not isinstance(loss, float | int | np.number):
        return
    if y.shape[1] == 1 and any(close(loss, value) for value in (pairs.mean(), pairs.sum() / n)):
        what = f"the loss is taken over all ({n}, {n}) pairs of a prediction and a target: one of the two lost its last axis"
        refuse("loss", f"{what}, and broadcasting paired everything")
    known = {
        "it is the mean over examples and outputs: sum over the outputs, then take the mean over the examples": squares.mean(),
        "a factor 1/n is missing: take the mean over the examples": squares.sum(),
        "it is halved: the squared error here has no 1/2 (eq. 9)": squares.sum() / n / 2,
        "it is the root of the loss: leave it squared": np.sqrt(squares.sum() / n),
        "these are absolute values: take squares": np.abs(z - y).sum() / n,
        "only the first output is taken: sum over the outputs": squares[:, 0].mean(),
        "it is 0: return the loss too": 0.0,
    }
    right = squares.sum() / n
    for sentence, value in known.items():
        if close(loss, value) and not close(value, right):
            refuse("loss", sentence)


def _backward_ways(theta: Any, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[str, dict[str, Any]]]:
    """(sentence, the loss and the gradient) of the forward and the backward pass with one line wrong, then with two."""
    n, d, W1, W2, b1, b2 = *y.shape, theta["W1"], theta["W2"], theta["b1"], theta["b2"]
    entering = [("", x @ W1 + b1), ("the bias is missing in z1 (eq. 1)", x @ W1), ("b1 is subtracted in z1 (eq. 1)", x @ W1 - b1)]
    activations = [
        ("", np.tanh), ("the activation is missing, a1 is z1 (eq. 1)", lambda z: z),
        ("a1 is the ReLU of z1", lambda z: z * (z > 0)),
        ("a1 is the logistic function of z1, not the tanh", lambda z: 1 / (1 + np.exp(-z))),
        ("a1 is the sine of z1, not the tanh", np.sin),
    ]  # fmt: skip
    leaving = [
        ("", lambda a: a @ W2 + b2), ("the bias is missing in z2 (eq. 1)", lambda a: a @ W2),
        ("b2 is subtracted in z2 (eq. 1)", lambda a: a @ W2 - b2),
        ("tanh is applied to the output: the last layer has no activation", lambda a: np.tanh(a @ W2 + b2)),
    ]  # fmt: skip
    last = [
        ("", lambda z: 2 * (z - y) / n),
        ("D is divided by 20, the number of examples in the lesson: divide by n = len(x) (eq. 2)", lambda z: 2 * (z - y) / 20),
        ("a factor 2 is missing in D2 (eq. 9)", lambda z: (z - y) / n),
        ("1/n is missing in D2 (eq. 2)", lambda z: 2 * (z - y)),
        ("1/n and the factor 2 are missing in D2 (eqs. 2, 9)", lambda z: z - y),
        ("D is divided by the number of outputs too: 1/n only (eq. 2)", lambda z: 2 * (z - y) / n / d),
        ("D is divided by the number of outputs, in place of n (eq. 2)", lambda z: 2 * (z - y) / d),
        ("the sign of D2 is wrong: it has the prediction minus the target (eq. 9)", lambda z: 2 * (y - z) / n),
        ("D2 has the squares of the errors: the derivative of a square is 2 (z2 - y)", lambda z: (z - y) ** 2 / n),
        ("D2 has the squares of the errors: the derivative of a square is 2 (z2 - y)", lambda z: 2 * (z - y) ** 2 / n),
        ("D2 has the signs of the errors: the derivative of a square is 2 (z2 - y)", lambda z: 2 * np.sign(z - y) / n),
        ("D2 has the prediction, without the target (eq. 9)", lambda z: 2 * z / n),
        ("D2 is multiplied by s' of the output, which has no activation", lambda z: 2 * (z - y) * (1 - np.tanh(z) ** 2) / n),
        ("D2 is multiplied by 1 - z2^2, and the output has no activation", lambda z: 2 * (z - y) * (1 - z**2) / n),
        ("it is divided by n twice: 1/n is in D already (eq. 3)", lambda z: 2 * (z - y) / n**2),
        ("D2 is multiplied by n: it is divided (eq. 2)", lambda z: 2 * (z - y) * n),
    ]
    slopes = [
        ("", lambda z, a: 1 - a**2), ("s' is 1 - a1: it has to be 1 - a1^2 (eq. 4)", lambda z, a: 1 - a),
        ("s' is 1 - z1^2: it is a function of a1, 1 - a1^2 (eq. 4)", lambda z, a: 1 - z**2),
        ("s' is taken at a1: 1 - a1^2 has the tanh of z1 in it already (eq. 4)", lambda z, a: 1 - np.tanh(a) ** 2),
        ("s' has the wrong sign: it is 1 - a1^2 (eq. 4)", lambda z, a: a**2 - 1),
        ("s' is missing in eq. 4", lambda z, a: np.ones_like(a)),
        ("s' is (1 - a1)^2: the square is of a1 alone, 1 - a1^2 (eq. 4)", lambda z, a: (1 - a) ** 2),
        ("s' is 1 + a1^2: it has to be 1 - a1^2 (eq. 4)", lambda z, a: 1 + a**2),
        ("s' is a1^2: 1 minus it is asked for (eq. 4)", lambda z, a: a**2),
        ("s' is 1 - 2 a1: it has to be 1 - a1^2 (eq. 4)", lambda z, a: 1 - 2 * a),
        ("s' is 1 - 2 a1^2: it has to be 1 - a1^2 (eq. 4)", lambda z, a: 1 - 2 * a**2),
        ("a1 (1 - a1) is s' of the logistic function: that of tanh is 1 - a1^2 (eq. 4)", lambda z, a: a * (1 - a)),
        ("s'' stands where s' belongs (eq. 4)", lambda z, a: -2 * a * (1 - a**2)),
        ("a1 stands where s' belongs (eq. 4)", lambda z, a: a), ("z1 stands where s' belongs (eq. 4)", lambda z, a: z),
        ("s' is that of ReLU: that of tanh is 1 - a1^2 (eq. 4)", lambda z, a: z > 0),
        ("s' is there twice (eq. 4)", lambda z, a: (1 - a**2) ** 2),
        ("s' is multiplied by a1 (eq. 4)", lambda z, a: a * (1 - a**2)),
        ("s' is the root of 1 - a1^2 (eq. 4)", lambda z, a: np.sqrt(np.abs(1 - a**2))),
    ]  # fmt: skip
    back = [
        ("", lambda D: D @ W2.T), ("D1 is divided by n again: 1/n is in D2 already", lambda D: D @ W2.T / n),
        ("D1 has a 2 of its own: it is in D2 already", lambda D: 2 * (D @ W2.T)),
        ("W2 is missing in eq. 4: D2 is summed over the outputs", lambda D: D.sum(1, keepdims=True) * np.ones((1, len(W2)))),
        ("in eq. 4 the mean over the outputs is taken: D2 @ W2.T adds them", lambda D: D @ W2.T / d),
        ("D1 has the sign of D2 turned", lambda D: -D @ W2.T),
        ("W2 comes once more in eq. 4", lambda D: D @ W2.T @ W2 @ W2.T),
        ("the absolute values of W2 stand in eq. 4", lambda D: D @ np.abs(W2.T)),
        ("the bias stands beside W2 in eq. 4", lambda D: D @ (W2 + b2).T),
    ]
    outputs = [
        ("", lambda z, a: a), ("z1 stands where a1 belongs in dW[2] (eq. 3)", lambda z, a: z),
        ("s' stands where a1 belongs in dW[2] (eq. 3)", lambda z, a: 1 - a**2),
        ("a1^2 stands where a1 belongs in dW[2] (eq. 3)", lambda z, a: a**2),
        ("s'(z1) a1 stands where a1 belongs in dW[2] (eq. 3)", lambda z, a: a * (1 - a**2)),
    ]  # fmt: skip
    sums = [("", 1.0), ("the weights have the mean over the examples: 1/n is in D already (eq. 3)", 1 / n)]
    parts = entering, activations, leaving, last, slopes, back, outputs, sums
    side_by_side = ([(told, (value,)) for told, value in part] for part in parts)
    for told, (z, s, out, D, slope, way, left, scale) in combined(*side_by_side, join=add):
        a = s(z)
        p = out(a)
        D2 = D(p)
        D1 = way(D2) * slope(z, a)
        yield told, {
            "loss": ((p - y) ** 2).sum() / n, "W1": scale * x.T @ D1, "b1": D1.sum(0, keepdims=True),
            "W2": scale * left(z, a).T @ D2, "b2": D2.sum(0, keepdims=True)}  # fmt: skip


def _bias(name: str, mine: Any, D: np.ndarray) -> None:
    """`WrongAnswer` for a bias gradient that broadcasting would let through."""
    n, d = D.shape
    got, sentence = np.shape(mine), ""
    if got == (1, d) and close(mine, D.sum(0, keepdims=True)):
        return  # where all D have one sign, their absolute values have the same sum
    if got != (1, d) and d > 1 and np.size(mine) == 1 and close(np.ravel(mine), np.ravel(D.sum())):
        sentence = (
            f"it is the sum over examples and units. Beside b of shape (1, {d}) broadcasting spreads this one number "
            f"over all {d} units: each moves by the same amount. Sum over the examples only"
        )
    elif got == (1, d) and d > 1 and close(mine, np.broadcast_to(D.sum(), (1, d))):
        sentence = "every unit has the sum over all units: sum over the examples only, then nothing needs to be spread"
    elif np.size(mine) == n and close(np.ravel(mine), D.sum(1)) and (n > 1 or d > 1):
        spread = f". b - lr * db would become ({n}, {d}), a bias for every example, without a word" if got == (n, 1) else ""
        sentence = f"it has one number for each example, where each unit needs one{spread}. Sum over axis 0"
    elif got == D.shape and n > 1 and close(mine, D):
        sentence = f"these are the rows of D, one for each of the {n} examples: sum over axis 0 (eq. 3)"
    elif got == (1, d) and n > 1 and (close(mine, D[:1]) or close(mine, D[-1:])):
        sentence = "it is the D of one example: sum over all examples (eq. 3)"
    elif np.size(mine) == d and n > 1 and any(close(np.ravel(mine), of(D, axis=0)) for of in (np.max, np.min, np.median)):
        sentence = "it is the largest, the least or the middle one of the examples: take their sum (eq. 3)"
    elif got == (1, d) and close(mine, -D.sum(0, keepdims=True)) and not close(mine, -mine):
        sentence = "its sign is wrong: it is the sum of D, which has its sign already (eq. 3)"
    elif np.size(mine) == d and n > 1 and close(np.ravel(mine), abs(D).sum(0)):
        sentence = "it is the sum of the absolute values: keep the signs (eq. 3)"
    elif np.size(mine) == d and n > 1 and close(np.ravel(mine), D.mean(0)):
        sentence = "yours is the mean over the examples: take their sum, since 1/n is in D already (eq. 3)"
    elif np.size(mine) == 1 and d > 1 and close(np.ravel(mine), np.ravel(D.mean())):
        sentence = "yours is the mean over examples and units: take the sum, over the examples only"
    if sentence:
        shapes = f"the answer has shape {got}, expected {(1, d)}: " if got != (1, d) else ""
        raise WrongAnswer(f"{name} is wrong: {shapes}{sentence}", name=name, error=np.inf, diagnosis=sentence)


CHECKS = {"3.1": _central, "3.2": _complex, "3.3": _relative_error, "3.4": _mended}

