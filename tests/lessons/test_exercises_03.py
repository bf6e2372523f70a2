"""The checks of lesson 03: each known mistake gets its own diagnosis."""

import exercises
import numpy as np
import pytest
from answering import refused

from tinymaml.check import complex_step

size = np.linalg.norm


# -- answers ------------------------------------------------------------------------------------------------


def my_central_difference(f, theta, v, h):
    return (f(theta + h * v) - f(theta - h * v)) / (2 * h)


def my_relative_error(mine, reference, floor=1e-3):
    if mine.shape != reference.shape:
        raise ValueError("shapes")
    return size(mine - reference) / max(size(mine), size(reference), floor)


def backward(theta, x, y, bias=lambda D: D.sum(axis=0, keepdims=True), loss=None, scale=1.0, transposed=False):
    z1 = x @ theta["W1"] + theta["b1"]
    a1 = np.tanh(z1)
    z2 = a1 @ theta["W2"] + theta["b2"]
    D2 = scale * 2 * (z2 - y) / len(x)
    D1 = (D2 @ theta["W2"].T) * (1 - a1**2)
    gradient = {"W1": x.T @ D1, "b1": bias(D1), "W2": a1.T @ D2, "b2": bias(D2)}
    if transposed:
        gradient["W1"] = gradient["W1"].T
    return ((z2 - y) ** 2).sum(1).mean() if loss is None else loss(z2, y), gradient


def passes(activation=np.tanh, out=lambda z: z, D=None, back=lambda D, W: D @ W.T, slope=lambda z, a: 1 - a**2):
    """3.4, with a line replaced."""

    def answer(theta, x, y):
        z1 = x @ theta["W1"] + theta["b1"]
        a1 = activation(z1)
        z2 = out(a1 @ theta["W2"] + theta["b2"])
        D2 = 2 * (z2 - y) / len(x) if D is None else D(z2, y)
        D1 = back(D2, theta["W2"]) * slope(z1, a1)
        gradient = {"W1": x.T @ D1, "b1": D1.sum(0, keepdims=True), "W2": a1.T @ D2, "b2": D2.sum(0, keepdims=True)}
        return ((z2 - y) ** 2).sum(1).mean(), gradient

    return answer


def same_shape(error):
    """A relative error that refuses two shapes, as it should, and makes one other mistake."""

    def answer(mine, reference, floor=1e-3):
        if mine.shape != reference.shape:
            raise ValueError("shapes")
        with np.errstate(all="ignore"):
            return error(mine, reference, floor)

    return answer


def unit(v):
    return v / np.sqrt((v * v).sum() if isinstance(v, np.ndarray) else v.dot(v))


def last_layer_only(D):
    return D.sum(keepdims=True) if D.shape[1] > 3 else D.sum(0, keepdims=True)


def planted_bias(D):
    return D.sum(keepdims=True)


WRONG = {
    "3.1": [
        (lambda f, t, v, h: (f(t + h * v) - f(t)) / h, "this is the forward difference"),
        (lambda f, t, v, h: (f(t) - f(t - h * v)) / h, "this is the backward difference"),
        (lambda f, t, v, h: (f(t + h * v) - f(t - h * v)) / h, "it is divided by h: the two points are 2h apart"),
        (lambda f, t, v, h: f(t + h * v) - f(t - h * v), "it is not divided by 2h"),
        (lambda f, t, v, h: (f(t + h * v) - f(t - h * v)) / 2 * h, "with parentheses"),
        (lambda f, t, v, h: (f(t - h * v) - f(t + h * v)) / (2 * h), "the sign is wrong"),
        (lambda f, t, v, h: my_central_difference(f, t, unit(v), h), "v is scaled to length one"),
        (lambda f, t, v, h: (f(t + v) - f(t - v)) / (2 * h), "the step is h v"),
        (lambda f, t, v, h: (f(t + h / 2 * v) - f(t - h / 2 * v)) / (2 * h), "which are h apart"),
        (lambda f, t, v, h: h * v, "has shape (3,), expected one number"),
    ],
    "3.2": [
        (lambda f, t, v, h=1e-30: f(t + 1j * h * v).imag, "the imaginary part has to be divided by h"),
        (lambda f, t, v, h=1e-30: f(t + 1j * h * v).real / h, "the real part, or the absolute value, is divided"),
        (lambda f, t, v, h=1e-30: abs(f(t + 1j * h * v)) / h, "the absolute value, is divided by h"),
        (lambda f, t, v, h=1e-30: f(t + 1j * h * v) / h, "the derivative is its imaginary part"),
        (lambda f, t, v, h=1e-30: f(t + h * v).imag / h, "never called at a complex point, and the answer is 0"),
        (lambda f, t, v, h=1e-30: (f(t + h * v) - f(t - h * v)) / (2 * h), "never called at a complex point"),
        (lambda f, t, v, h=1e-30: f(t - 1j * h * v).imag / h, "the sign is wrong"),
        (lambda f, t, v, h=1e-30: f(t + 1j * h * v).imag / (2 * h), "it is divided by 2h: nothing is subtracted here"),
        (lambda f, t, v, h=1e-3: f(t + 1j * h * v).imag / h, "only some digits are right"),
    ],
    "3.3": [
        (same_shape(lambda m, r, floor: size(m - r)), "this is the absolute error"),
        (same_shape(lambda m, r, floor: size(m - r) / max(size(r), floor)), "it is divided by |reference|"),
        (same_shape(lambda m, r, floor: size(m - r) / max(size(m), floor)), "it is divided by |mine|"),
        (same_shape(lambda m, r, floor: size(m - r) / max(size(m) + size(r), floor)), "divided by the sum of the norms"),
        (same_shape(lambda m, r, floor: size(m - r) / max((size(m) + size(r)) / 2, floor)), "divided by the mean of the norms"),
        (same_shape(lambda m, r, floor: (abs(m - r) / np.maximum(abs(m), abs(r))).max()), "the largest error of an entry"),
        (same_shape(lambda m, r, floor: (abs(m - r) / np.maximum(abs(m), abs(r))).mean()), "the mean error of the entries"),
        (same_shape(lambda m, r, floor: abs(m - r) / np.maximum(abs(m), abs(r))), "has shape (3, 2), expected one number"),
        (same_shape(lambda m, r, floor: (size(m - r) / max(size(m), size(r), floor)) ** 2), "the square roots are missing"),
        (same_shape(lambda m, r, floor: abs(size(m) - size(r)) / max(size(m), size(r), floor)), "the difference of the norms"),
        (same_shape(lambda m, r, floor: abs(m - r).sum() / max(abs(m).sum(), abs(r).sum(), floor)), "not Euclidean norms"),
        (same_shape(lambda m, r, floor: abs(m - r).max() / max(abs(m).max(), abs(r).max(), floor)), "the largest entries are"),
        (same_shape(lambda m, r, floor: size(m - r, 2) / max(size(m, 2), size(r, 2), floor)), "this is the spectral norm"),
        (same_shape(lambda m, r, floor: size(m - r) / max(size(m), size(r))), "the floor is missing"),
        (same_shape(lambda m, r, floor: size(m - r) / (max(size(m), size(r)) + floor)), "the floor is added"),
        (same_shape(lambda m, r, floor: size(m - r) / max(size(m), size(r), 1e-3)), "the floor is fixed"),
        (
            same_shape(lambda m, r, floor: size(m - r) / (max(size(m), size(r)) if max(size(m), size(r)) > floor else 1)),
            "below the floor, divide by the floor",
        ),
        (lambda m, r, floor=1e-3: size(m - r) / max(size(m), size(r), floor), "(3,) against (3, 1) was broadcast to (3, 3)"),
        (
            lambda m, r, floor=1e-3: my_relative_error(m, r, floor) if m.size == r.size > 3 or m.shape == r.shape else 0.0,
            "raise ValueError if mine.shape != reference.shape",
        ),
    ],
    "3.4": [
        (lambda theta, x, y: backward(theta, x, y, planted_bias), "broadcasting spreads this one number over all 6 units"),
        (lambda theta, x, y: backward(theta, x, y, np.sum), "db[2]: the answer has shape (), expected (1, 1)"),
        (lambda theta, x, y: backward(theta, x, y, lambda D: D.sum() + 0 * D[:1]), "every unit has the sum"),
        (lambda theta, x, y: backward(theta, x, y, last_layer_only), "broadcasting spreads this one number"),
        (lambda theta, x, y: backward(theta, x, y, lambda D: D.sum(1, keepdims=True)), "a bias for every example"),
        (lambda theta, x, y: backward(theta, x, y, lambda D: D.sum(0)), "the numbers are right, keep the axis"),
        (lambda theta, x, y: backward(theta, x, y, lambda D: D.mean(0, keepdims=True)), "yours is the mean over the examples"),
        (lambda theta, x, y: backward(theta, x, y, lambda D: D.mean(keepdims=True)), "yours is the mean"),
        (lambda theta, x, y: backward(theta, x, y, scale=len(x)), "1/n is missing in D2"),
        (lambda theta, x, y: backward(theta, x, y, transposed=True), "it is transposed"),
        (lambda theta, x, y: backward(theta, x, y, loss=lambda z, y: ((z[:, 0] - y) ** 2).mean()), "all (5, 5) pairs"),
        (lambda theta, x, y: backward(theta, x, y, loss=lambda z, y: ((z - y) ** 2).sum()), "a factor 1/n is missing"),
        (lambda theta, x, y: backward(theta, x, y)[1], "expected 2 things: end with `return loss, gradient`"),
        (lambda theta, x, y: backward(theta, x, y)[::-1], "the two are exchanged"),
        (lambda theta, x, y: (backward(theta, x, y)[0], {"W1": 0.0}), "the gradient: it holds W1, expected a dict"),
    ],
}


def unless(refused, error=ValueError):
    """The right relative error, with another condition on the shapes."""

    def answer(mine, reference, floor=1e-3):
        if refused(mine, reference):
            raise error("shapes")
        return size(mine - reference) / max(size(mine), size(reference), floor)

    return answer


def steps_in_place(theta, x, y):
    loss, gradient = backward(theta, x, y)
    for name in gradient:
        theta[name][...] -= 0.01 * gradient[name]
    return loss, gradient


def single(theta, x, y):
    loss, gradient = backward(theta, x, y)
    return loss, {name: array.astype(np.float32) for name, array in gradient.items()}


WRONG["3.1"] += [
    (lambda f, t, v, h: complex_step(f, t, v), "more digits than a difference at the h that is given"),
    (lambda f, t, v, h: my_central_difference(f, t, v, 1e-5), "more digits than a difference at the h that is given"),
    (lambda f, t, v, h: (f(t + h * v) - f(t)) / (2 * h), "which are h apart, and it is divided by 2h"),
    (lambda f, t, v, h: (f(t + h * v) - 2 * f(t) + f(t - h * v)) / h**2, "this is the second derivative"),
    (lambda f, t, v, h: f(t + h * v) - f(t - h * v) / (2 * h), "the last division is of one term only"),
    (lambda f, t, v, h: (f(h * v) - f(-h * v)) / (2 * h), "theta is not used"),
    (lambda f, t, v, h: np.array([[my_central_difference(f, t, v, h)]]), "expected one number"),
    (lambda f, t, v, h: (my_central_difference(f, t, v, h),), "expected one number"),
    (lambda f, t, v, h: np.float32(my_central_difference(f, t, v, h)), "in float32, and float64 was given"),
]
WRONG["3.1"] += [
    (lambda f, t, v, h: my_central_difference(f, t, v, h**0.5), "this is (f(theta + sqrt(h) v) - f(theta - sqrt(h) v))"),
    (lambda f, t, v, h: (f(t + h * v) - f(t - 2 * h * v)) / (3 * h), "this is (f(theta + h v) - f(theta - 2 h v)) / (3 h)"),
]
WRONG["3.1"] += [  # the same mistake is told where it explains every case, so that a lost sign is no turned one
    (lambda f, t, v, h: abs(my_central_difference(f, t, v, h)), "its sign is lost"),
    (lambda f, t, v, h: (f(t + h) - f(t - h)) / (2 * h), "v is not used"),  # a network's theta refuses a plain number
    (lambda f, t, v, h: my_central_difference(f, t, v, 0.01), "h is not used: the step is 0.01 v"),
    (lambda f, t, v, h: (f(t + h * v) - f(t + h * v)) / (2 * h), "it is 0: are the two points the same?"),
    (lambda f, t, v, h: (f(t + h * v) - 2 * f(t) + f(t - h * v)) / (2 * h), "this is (f(theta + h v) - 2 f(theta) + f(theta - h"),
    (lambda f, t, v, h: (f(t + h * v) - f(t - h * v)) / (4 * h), "the difference of both sides is divided by (4 h)"),
    (lambda f, t, v, h: f(t + h * v) - f(t) / h, "this is f(theta + h v) - f(theta) / h, or a parenthesis is lost"),
]
WRONG["3.2"] += [
    (lambda f, t, v, h=1e-30: my_central_difference(f, t, v, 1e-6), "never called at a complex point"),
    (lambda f, t, v, h=1e-30: f(t + 1j * v).imag / h, "the step is i v"),
    (lambda f, t, v, h=1e-30: f(t + 1e-20j * v).imag / 1e-20, "h is not used"),
    (lambda f, t, v, h=1e-30: f(1j * h * v).imag / h, "theta is not used"),
    (lambda f, t, v, h=1e-30: np.angle(f(t + 1j * h * v)) / h, "the angle is divided by h"),
    (lambda f, t, v, h=1e-30: [f(t + 1j * h * v).imag / h], "expected one number"),
]
WRONG["3.3"] += [
    (unless(lambda m, r: m.ndim != r.ndim), "`ndim` is compared"),
    (unless(lambda m, r: m.size != r.size), "`size` is compared"),
    (unless(lambda m, r: m.ndim != r.ndim or m.size != r.size), "`ndim` and `size` are compared"),
    (unless(lambda m, r: m.shape is not r.shape), "it refuses two arrays of one shape"),
    (unless(lambda m, r: m.shape != r.shape, AssertionError), "it stops with AssertionError, expected ValueError"),
    (same_shape(lambda m, r, floor: size(m - r) / max(min(size(m), size(r)), floor)), "the smaller of the two norms"),
    (same_shape(lambda m, r, floor: max(size(m - r) / max(size(m), size(r), 1e-300), floor)), "never below the floor"),
    (same_shape(lambda m, r, floor: np.array([size(m - r) / max(size(m), size(r), floor)])), "expected one number"),
]
WRONG["3.4"] += [
    (lambda theta, x, y: backward(theta, x, y, scale=1 / len(x)), "it is divided by n twice"),
    (lambda theta, x, y: backward(theta, x, y, scale=len(x) / 20), "the number of examples in the lesson"),
    (lambda theta, x, y: backward(theta, x, y, lambda D: D[:1]), "it is the D of one example"),
    (lambda theta, x, y: backward(theta, x, y, loss=lambda z, y: ((z - y) ** 2).sum(1)), "the losses of the 5 examples"),
    (lambda theta, x, y: backward(theta, x, y, loss=lambda z, y: ((z - y) ** 2).mean()), "the mean over examples and outputs"),
    (steps_in_place, "in place, and others still need it"),
    (single, "in float32, and float64 was given"),
]
WRONG["3.4"] += [  # one wrong line, and two
    (lambda theta, x, y: backward(theta, x, y, lambda D: -D.sum(0, keepdims=True)), "it is the sum of D, which has its sign"),
    (passes(slope=lambda z, a: (1 - a) ** 2), "s' is (1 - a1)^2"),
    (passes(slope=lambda z, a: a * (1 - a)), "a1 (1 - a1) is s' of the logistic function"),
    (passes(activation=lambda z: z * (z > 0)), "a1 is the ReLU of z1"),
    (passes(out=np.tanh), "tanh is applied to the output"),
    (passes(D=lambda z, y: (z - y) ** 2 / len(y)), "D2 has the squares of the errors"),
    (passes(D=lambda z, y: (z - y) / len(y), slope=lambda z, a: a), "a factor 2 is missing in D2"),
    (passes(back=lambda D, W: D @ W.T / len(D), slope=lambda z, a: 1 - z**2), "s' is 1 - z1^2"),
    (passes(back=lambda D, W: D @ W.T / len(D), slope=lambda z, a: 1 - z**2), "; and D1 is divided by n again"),
]
RIGHT = [  # written in other ways
    ("3.1", lambda f, t, v, h: ((f(t + h * v) - f(t)) / h + (f(t) - f(t - h * v)) / h) / 2),
    ("3.2", lambda f, t, v, h=1e-30: (f(t + 1j * h * v) - f(t - 1j * h * v)).imag / (2 * h)),
    ("3.2", lambda f, t, v, h=1e-30: -np.imag(f(t - 1j * h * v)) / h),
    ("3.3", same_shape(lambda m, r, floor: np.sqrt(((m - r) ** 2).sum()) / np.max([size(m.ravel()), size(r.ravel()), floor]))),
    ("3.4", lambda theta, x, y: backward(theta, x, y, lambda D: np.ones((1, len(D))) @ D)),
]
CASES = [(number, i) for number, wrong in WRONG.items() for i in range(len(wrong))]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("number,i", CASES)
def test_every_known_mistake_is_named(number, i, seed):
    answer, diagnosis = WRONG[number][i]
    assert diagnosis in refused(number, answer, seed=seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("number", "answer"), RIGHT)
def test_a_right_answer_written_in_another_way_is_accepted(number, answer, seed):
    exercises.check(number, answer, seed=seed)


def test_the_planted_bug_passes_with_one_output_and_not_with_three(capsys):
    """A student who mends b1 only."""
    half = lambda D: D.sum(keepdims=True) if D.shape[1] in (1, 3) else D.sum(0, keepdims=True)
    sentence = refused("3.4", lambda theta, x, y: backward(theta, x, y, half))
    assert "on a network 1 - 6 - 1" in capsys.readouterr().out and sentence.startswith("db[2]")
    assert "broadcasting spreads this one number over all 3 units" in sentence


