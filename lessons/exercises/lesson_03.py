"""The exercises of lesson 03: derivatives from values, the relative error, and a bug hidden by broadcasting."""

from __future__ import annotations

import dis
from collections.abc import Callable, Mapping

import numpy as np

from exercises.exercise import Exercise, Parts, edited, function
from exercises.guard import refuse
from tinymaml.check import Problem, WrongAnswer


def functions(rng: np.random.Generator) -> list[tuple]:
    """(f, theta, v): a function of an array that falls along v and one that rises, and the loss of a network."""
    scales = rng.uniform(1, 2, 3)
    problem = Problem(widths=(2, 3, 1), tasks=1, seed=int(rng.integers(2**31)))
    x, y = problem.batch.x_support[0], problem.batch.y_support[0]
    array = lambda *shape: (lambda w: np.exp(w / scales).sum(), rng.uniform(2, 3, shape), rng.uniform(0.5, 1.5, shape))
    f, w, v = array(3)
    return [(f, w, -v), array(2, 3), (lambda theta: problem.model.at(theta, x, y).loss, problem.theta, problem.v)]


ALONG = "v is scaled to length one: along 2v a function changes twice as fast"
UNIT = ("    return", "    v = float(1 / np.linalg.norm(v.flat)) * v\n    return", ALONG)
BOTH = "go to both sides of theta, and divide by 2h"
DIFFERENCE = "(f(theta + h * v) - f(theta - h * v)) / (2 * h)"
CENTRAL = Exercise(
    f'''def my_central_difference(f, theta, v, h):
    """d/dr f(theta + r v) at r = 0, from f at theta + h v and at theta - h v. Returns one number."""
    return {DIFFERENCE}
''',
    lambda rng: [(*given, h) for h in (0.05, 0.02) for given in functions(rng)],
    ("slope",),
    (
        (DIFFERENCE, "(f(theta + h * v) - f(theta)) / h",
         "this is the forward difference: its error is of the order h; go to both sides of theta"),
        (DIFFERENCE, "(f(theta) - f(theta - h * v)) / h",
         "this is the backward difference: its error is of the order h; go to both sides of theta"),
        ("(2 * h)", "h", "it is divided by h, not by 2h"),
        ("(2 * h)", "(4 * h)", "it is divided by 4h, not by 2h"),
        ("/ (2 * h)", "* h", "it is multiplied by h, not divided by 2h"),
        (" / (2 * h)", "", "it is not divided by 2h"),
        ("(2 * h)", "(2 * h * v)", "it is divided by v, too: the slope along v is one number"),
        ("/ (2 * h)", "/ 2 * h", "it is multiplied by h/2, not divided by 2h: write / (2 * h), with parentheses"),
        ("/ (2 * h)", "/ 2", "it is divided by 2 and not by h as well"),
        ("(2 * h)", "(2 * h**2)", "it is divided by 2h^2, not by 2h"),
        ("f(theta + h * v) - f(theta - h * v)", "f(theta - h * v) - f(theta + h * v)",
         "the sign is wrong: it is the value at theta + h v minus that at theta - h v"),
        (") - f", ") + f", "the two values are added: take their difference"),
        (DIFFERENCE, DIFFERENCE.replace("(f", "f", 1).replace("v))", "v)"),
         "the last division is of one term only: put the difference in parentheses"),
        (DIFFERENCE, "(f(theta + h * v) - 2 * f(theta) + f(theta - h * v)) / h**2",
         "this is the second derivative: the first is a difference of two values"),
        ("h * v", "v", "the points are theta +- v: the step is h v"),
        ("h * v", "h / 2 * v", "the points are theta +- h v / 2, which are h apart"),
        ("h * v", "2 * h * v", "the points are theta +- 2 h v, which are 4h apart"),
        ("h * v", "h * theta", "the step is h theta: it goes along v"),
        ("h * v", "h", "v is not used: the step is h v, not h in every number"),
        ("f(theta ", "f(0 * theta ", "theta is not used: the points are theta + h v and theta - h v"),
        ("    return", "    h = 0.01\n    return", "h is not used: the step is 0.01 v"),
        ("return (f", "return abs(f", "its sign is lost: a slope may be negative, so take no absolute value"),
        ("(2 * h)", "(2 * h * np.linalg.norm(v.flat))",
         "it is divided by the length of v: along 2v a function changes twice as fast"),
        UNIT,
    ),
    tuple((DIFFERENCE, new, sentence) for new, sentence in (
        ("f(theta + h * v) - f(theta + h * v)", "it is 0: are the two points the same?"),
        (DIFFERENCE.replace("h *", "1e-5 *").replace(" h)", " 1e-5)"),
         "it has more digits than a difference at the h that is given: use that h, and these two points only"),
        ("(8 * f(theta + h * v) - 8 * f(theta - h * v) - f(theta + 2 * h * v) + f(theta - 2 * h * v)) / (12 * h)",
         "it takes four points: use the two points theta + h v and theta - h v only"),
        ("(f(theta + h * v) - f(theta)) / (2 * h)", "the points are theta + h v and theta, which are h apart, and it is divided by 2h"),
        ("(f(theta) - f(theta - h * v)) / (2 * h)", "the points are theta and theta - h v, which are h apart, and it is divided by 2h"),
        ("f(theta + 1j * h * v).imag / h", "this is the complex step: take the two values of f at theta + h v and at theta - h v"),
        ("f(theta + h * v) - f(theta)", f"this is f(theta + h v) - f(theta), not divided by anything: {BOTH}"),
        ("f(theta) - f(theta - h * v)", f"this is f(theta) - f(theta - h v), not divided by anything: {BOTH}"),
        ("(f(theta + h * v) - f(theta)) / 2 * h", f"this is a forward difference, multiplied by h/2: {BOTH}"),
        ("(f(theta) - f(theta + h * v)) / h", f"this is the forward difference with the wrong sign: {BOTH}"),
        ("(f(theta - h * v) - f(theta)) / h", f"this is the backward difference with the wrong sign: {BOTH}"),
        ("(f(theta + 2 * h * v) - f(theta)) / (2 * h)", f"this is a forward difference, with the step 2h v: {BOTH}"),
        ("(f(theta) - f(theta - 2 * h * v)) / (2 * h)", f"this is a backward difference, with the step 2h v: {BOTH}"),
        ("(f(theta + 2 * h * v) - f(theta - 2 * h * v)) / (4 * h)",
         "the points are theta +- 2 h v: take theta +- h v, and divide by 2h"),
        ("(f(theta + h / 2 * v) - f(theta - h / 2 * v)) / h",
         "the points are theta +- h v / 2: take theta +- h v, and divide by 2h"),
    )),
)  # fmt: skip

def scalar_functions(rng: np.random.Generator) -> list[tuple]:
    """(f, theta): functions of arrays of several shapes, in which the entries do not act alike."""

    def made(sign: int, *shape: int) -> tuple:  # it rises or falls in every entry
        scales, weights = rng.uniform(1, 2, shape), rng.uniform(-1, 1, shape)
        return lambda w: sign * np.exp(w / scales).sum() + np.sin((w * weights).sum()), rng.uniform(1, 2, shape)

    return [made(1, 3), made(-1, 2, 3), made(1, 2, 1, 2)]


ZEROS = "it is 0: does i h reach f (a float array cannot hold it, `theta.astype(complex)` can), and is each derivative stored?"
COMPLEX = Exercise(
    '''def my_gradient(f, theta, h=1e-30):
    """The gradient of f at an array theta, of theta's shape, one complex step for each entry."""
    gradient = np.zeros(theta.shape)
    for place in np.ndindex(theta.shape):
        moved = theta.astype(complex)
        moved[place] += 1j * h
        gradient[place] = f(moved).imag / h
    return gradient
''',
    lambda rng: [(*given, *h) for given in scalar_functions(rng) for h in ((), (1e-20,), (0.1,))],  # 0.1 is so long that it matters
    ("gradient",),
    (
        (" / h", "", "it is not divided by h"),
        (".imag / h", ".imag / (2 * h)", "it is divided by 2h: nothing is subtracted here, so divide by h"),
        ("/ h", "* h", "it is multiplied by h: divide"),
        ("/ h", "/ h**2", "it is divided by h twice"),
        (".imag / h", ".real / h", "the real part is taken: the derivative is in the imaginary part"),
        (".imag / h", ".real", "these are values of f: the derivatives are in the imaginary part"),
        ("f(moved).imag", "abs(f(moved))", "the absolute value of f is taken: the derivative is in the imaginary part"),
        ("f(moved).imag", "np.angle(f(moved))", "the angle of f is taken: take the imaginary part, .imag"),
        ("f(moved).imag", "abs(f(moved).imag)", "its sign is lost: a derivative may be negative"),
        ("f(moved).imag / h", "((f(moved) - f(theta)) / h).real",
         "a difference of two values is taken, and only rounding is left: take the imaginary part"),
        ("moved[place] += 1j * h", "moved[place] -= 1j * h", "the sign is wrong: the step is + i h"),
        ("moved[place] += 1j * h", "moved[place] = 1j * h", "the entry is replaced by i h: add i h to it"),
        ("moved[place] += 1j * h", "moved[place] *= 1j * h", "the entry is multiplied by i h: add i h to it"),
        ("moved[place] += 1j * h", "moved[place] += h", ZEROS),
        ("moved[place] += 1j * h", "moved[place] += 1j", "the step is i: it has to be i h"),
        ("moved[place] += 1j * h", "moved += 1j * h", "all entries move at once: one at a time gives one derivative each"),
        ("moved[place] += 1j * h", "moved[place] += 1j * h * theta[place]", "the step is i h times the entry: it is i h"),
        ("moved[place] += 1j * h", "moved[place] += (1 + 1j) * h", "the step has a real part: it is i h"),
        ("        moved = theta.astype(complex)\n", "        moved = theta.astype(complex) if not any(place) else moved\n",
         "the entries that were moved before stay moved: begin each step at theta"),
        ("return gradient", "return gradient.sum()", "the derivatives are added up: give one for each entry"),
        ("return gradient", "return gradient / gradient.size", "they are divided by the number of entries: each is a derivative by itself"),
        ("return gradient", "return gradient.ravel()", "the numbers are in one row: the gradient has the shape of theta"),
        ("    gradient = np", "    h = 1e-30\n    gradient = np", "h is not used: take the h that is given, which has a default"),
        *(("    gradient = np", f"    h = {h}\n    gradient = np", "h is not used: take the h that is given, which has a default")
          for h in ("1e-3", "1e-5", "1e-6", "1e-8")),
        ("    return gradient", "    for place in np.ndindex(theta.shape):\n        up, down = theta.copy(), theta.copy()\n"
         "        up[place] += h\n        down[place] -= h\n        gradient[place] = (f(up) - f(down)) / (2 * h)\n    return gradient",
         "these are central differences: step by i h, and take the imaginary part"),
        ("    return gradient", "    for place in np.ndindex(theta.shape):\n        up = theta.copy()\n"
         "        up[place] += h\n        gradient[place] = (f(up) - f(theta)) / h\n    return gradient",
         "these are forward differences: step by i h, and take the imaginary part"),
    ),
    tolerance=1e-12,
)  # fmt: skip

PAIRS = [((3,), (3, 1)), ((1, 1), (1, 3)), ((1, 4), (4, 1)), ((2, 1), (2, 3)), ((4,), (1, 4)), ((), (1,)), ((1, 6, 1), (2, 1, 3))]
PAIRS += [((3, 4), (1, 4)), ((1, 4), (3, 4)), ((3, 4), (4,)), ((4,), (3, 4)), ((1,), ())]  # one has the shape of the result


class RelativeError(Exercise):
    """An exercise whose function must also raise a ValueError for two shapes, although NumPy would broadcast them."""

    def __call__(self, answer: Callable, rng: np.random.Generator) -> None:
        with np.errstate(all="ignore"):
            super().__call__(answer, rng)
            passed = _passed(answer)
            if passed:
                of_shapes = ((edit[2], function(edited(self.solution, edit)[0])) for edit in self.edits if edit[0] == CONDITION)
                alike = (sentence for sentence, mistaken in of_shapes if _passed(mistaken) == passed)
                told, (one, two) = next(alike, "not all shapes that differ are refused"), passed[0]
                refuse("shapes", f"{told}; {one} against {two} pass: `raise ValueError(...)` if mine.shape != reference.shape")
        print(f"{'shapes':<12}  {f'{len(PAIRS)} pairs':<12}  {'refused with a ValueError':<24}  right")

    def parts(self, answer: Callable, case: tuple, wanted: Parts | None = None) -> Parts:
        try:
            return super().parts(answer, case, wanted)
        except WrongAnswer as wrong:
            if isinstance(wrong.__cause__, ValueError) and _raised_by_hand(wrong.__cause__):
                refuse("shapes", f"it refuses two arrays of one shape, {case[0].shape}: raise only if the shapes differ")
            raise


def _raised_by_hand(error: BaseException) -> bool:
    """Whether a `raise` outside NumPy raised it."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    by_raise = trace.tb_frame.f_code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return by_raise and not str(trace.tb_frame.f_globals.get("__name__")).startswith("numpy")


def _passed(answer: Callable) -> list[tuple]:
    """The pairs of shapes that are not refused."""
    return [pair for pair in PAIRS if not _raises(answer, *pair)]


def _raises(answer: Callable, one: tuple, two: tuple) -> bool:
    """Whether two arrays of these shapes are refused as they should be."""
    try:
        value = answer(np.full(one, 2.0), np.full(two, 1.0))
    except (ValueError, WrongAnswer) as refusal:
        cause = refusal if isinstance(refusal, ValueError) else refusal.__cause__
        if not isinstance(cause, ValueError):
            what = f"stops with {type(cause).__name__}, expected ValueError" if cause else "does not raise a ValueError"
            refuse("shapes", f"for {one} against {two} it {what}: `raise ValueError(...)`")
        return True
    if value is ValueError or isinstance(value, BaseException | str) or (np.ndim(value) == 0 and not np.isfinite(value)):
        refuse("shapes", f"for {one} against {two} it returns {value!r}, expected an error: `raise ValueError(...)`")
    return False


def pairs(rng: np.random.Generator) -> list[tuple]:
    """(mine, reference) of several shapes, near zero and far from it; and with another floor."""
    reference = np.sort(rng.uniform(1, 9, 6)).reshape(3, 2)
    mine = reference * np.sort(rng.uniform(1.5, 3, 6))[::-1].reshape(3, 2)  # far from the small entries most of all
    solid = np.where(np.arange(24) % 3 == 0, -1.0, 1.0).reshape(2, 3, 4) * rng.uniform(1, 3, (2, 2, 3, 4))
    zero, tiny, near = np.zeros(2), np.array([1e-17, 0.0]), (np.array([3e-3, 4e-3]), np.array([0.0, 4e-3]))
    against = mine * np.where(np.arange(6) > 0, -1, 1).reshape(3, 2)  # all signs but one are the other ones
    return [(mine, reference), (reference, mine), (against, reference), tuple(solid), (tiny, zero), near, (*near, 1.0), (*near, 0.5), (near[0] / 9, near[1] / 9)]


QUOTIENT = "size(mine - reference) / max(size(mine), size(reference), floor)"
BELOW = "max(size(mine), size(reference), floor)"
UNSYMMETRIC = "so that it is not symmetric: divide by the larger norm"
ENTRIES = "abs(mine - reference) / np.maximum(abs(mine), abs(reference))"
TOGETHER = "take the norms of all numbers together"
LARGER = "take the larger"
CONDITION = "mine.shape != reference.shape"
RELATIVE_ERROR = RelativeError(
    f'''def my_relative_error(mine, reference, floor=1e-3):
    """|mine - reference| / max(|mine|, |reference|, floor), one number. ValueError unless the shapes agree."""
    if {CONDITION}:
        raise ValueError(f"mine has shape {{mine.shape}}, the reference {{reference.shape}}")
    size = np.linalg.norm
    return {QUOTIENT}
''',
    pairs,
    ("error",),
    (
        (f" / {BELOW}", "", "this is the absolute error: divide by the larger of the two norms"),
        (BELOW, "max(size(reference), floor)", f"it is divided by |reference| only, {UNSYMMETRIC}"),
        (BELOW, "max(size(mine), floor)", f"it is divided by |mine| only, {UNSYMMETRIC}"),
        (BELOW, "max(min(size(mine), size(reference)), floor)", f"it is divided by the smaller of the two norms: {LARGER}"),
        (BELOW, "max(size(mine) + size(reference), floor)", f"it is divided by the sum of the norms: {LARGER}"),
        (BELOW, "max((size(mine) + size(reference)) / 2, floor)", f"it is divided by the mean of the norms: {LARGER}"),
        (QUOTIENT, "2 * size(mine - reference) / max(size(mine) + size(reference), floor)",
         f"it is divided by the mean of the norms, and by half the floor: {LARGER}, and the floor itself"),
        (BELOW, "min(size(mine), size(reference), floor)", "it is divided by the smallest of the three: take the largest"),
        (BELOW, "(size(mine) + size(reference) + floor)",
         "it is divided by the sum of the norms and the floor: take the largest"),
        (BELOW, "max(size(mine), size(reference))",
         "the floor is missing, or used at 0 only: around zero, rounding looks like a large error; divide by the floor at least"),
        (BELOW, "(max(size(mine), size(reference)) + floor)",
         "the floor is added: it is the least that is divided by, so take the maximum"),
        (BELOW, f"({BELOW} if {BELOW} > floor else 1)", "below the floor it is not divided: divide by the floor"),
        (QUOTIENT, "max(size(mine - reference) / max(size(mine), size(reference), 1e-300), floor)",
         "the answer is never below the floor: the floor is the least that is divided by"),
        (QUOTIENT, f"0.0 if max(size(mine), size(reference)) < floor else {QUOTIENT}",
         "below the floor the answer is set to 0: divide by the floor"),
        ("    size =", "    floor = 1e-3\n    size =", "the floor is fixed: use the argument"),
        ("np.linalg.norm", "lambda a: (a * a).sum()", "the square roots are missing: these are squared norms"),
        ("np.linalg.norm", "lambda a: (a * a).mean() ** 0.5",
         "these are root mean squares, beside which the floor is another one: take sums of squares"),
        ("np.linalg.norm", "lambda a: np.linalg.norm(a, 2 if a.ndim < 3 else None)",
         "this is the spectral norm of a matrix: take the Euclidean norm of all numbers"),
        ("np.linalg.norm", "lambda a: abs(a).sum()", "absolute entries are added up here, which gives no Euclidean norm"),
        ("np.linalg.norm", "lambda a: abs(a).mean()", "absolute entries are added up here, which gives no Euclidean norm"),
        ("np.linalg.norm", "lambda a: abs(a).max()", "the largest entries are divided by each other: take Euclidean norms"),
        (QUOTIENT, f"({ENTRIES}).max()", f"this is the largest error of an entry: {TOGETHER}"),
        (QUOTIENT, f"({ENTRIES.replace('np.maximum', 'np.maximum(floor, np.maximum')})).max()",
         f"this is the largest error of an entry: {TOGETHER}"),
        (QUOTIENT, f"({ENTRIES}).mean()", f"this is the mean error of the entries: {TOGETHER}"),
        (QUOTIENT, f"({ENTRIES.replace('np.maximum', 'np.maximum(floor, np.maximum')})).mean()",
         f"this is the mean error of the entries: {TOGETHER}"),
        (QUOTIENT, f"100 * {QUOTIENT}", "this is the error in percent: there is no factor 100"),
        (QUOTIENT, f"min({QUOTIENT}, 1)", "the error is cut off at 1: it may be as large as 2"),
        ("size(mine - reference)", "size(abs(mine) - abs(reference))", "absolute values are subtracted, so that a wrong sign is no error"),
        (QUOTIENT, ENTRIES, f"this is the error of every entry: {TOGETHER}"),
        ("size(mine - reference)", "abs(size(mine) - size(reference))",
         "this is the difference of the norms: take the norm of the difference"),
        (CONDITION, "False", "no two shapes are refused"),
        (CONDITION, "mine.ndim != reference.ndim", "shapes are refused only if `ndim` differs, the number of axes"),
        (CONDITION, "mine.size != reference.size", "shapes are refused only if `size` differs, the number of entries"),
        (CONDITION, "mine.ndim != reference.ndim or mine.size != reference.size", "shapes are refused only if `ndim` or `size` differ"),
        (CONDITION, "mine.shape[:1] != reference.shape[:1]", "shapes are refused only if their lengths differ, `shape[0]`"),
        (CONDITION, "sorted(mine.shape) != sorted(reference.shape)", "shapes are refused only if their numbers differ, in any order"),
    ),
    floor=1e-20,
)  # fmt: skip


class Mended(Exercise):
    """An exercise that returns a loss and a gradient, whose arrays are compared one by one, from the output back."""

    def parts(self, answer: Callable, case: tuple, wanted: Parts | None = None) -> Parts:
        found, names = super().parts(answer, case, wanted), ("W2", "b2", "W1", "b1")
        loss, gradient = found["loss"], found["gradient"]
        if isinstance(loss, Mapping) and not isinstance(gradient, Mapping):
            refuse("the answer", "the two are exchanged: return loss, gradient, in this order")
        if not isinstance(gradient, Mapping) or gradient.keys() != set(names):
            holds = ", ".join(map(str, gradient)) if isinstance(gradient, Mapping) else f"a {type(gradient).__name__}"
            refuse("the gradient", f"it holds {holds or 'nothing'}, expected a dict with W1, b1, W2, b2")
        return {"loss": loss, **{f"d{name[0]}[{name[1]}]": gradient[name] for name in names}}


def network(rng: np.random.Generator, widths: tuple[int, ...], shots: int) -> tuple:
    """theta of a network with these widths, and the support set of a task."""
    problem = Problem(widths=widths, shots=shots, seed=int(rng.integers(2**31)))
    return problem.theta, problem.batch.x_support[0], problem.batch.y_support[0]


SUM = "sum(axis=0, keepdims=True)"
PAIRED = "every prediction is paired with every target: one of the two lost its last axis"
MENDED = Mended(
    '''def mended(theta, x, y):
    """The loss, a number, and its gradient, a dict with W1, b1, W2, b2. x: (n, d), y: (n, d_2)."""
    z1 = x @ theta["W1"] + theta["b1"]                    # (n, d_1)
    a1 = np.tanh(z1)
    z2 = a1 @ theta["W2"] + theta["b2"]                   # (n, d_2)
    D2 = 2 * (z2 - y) / len(x)
    D1 = (D2 @ theta["W2"].T) * (1 - a1**2)
    gradient = {
        "W1": x.T @ D1, "b1": D1.sum(axis=0, keepdims=True),
        "W2": a1.T @ D2, "b2": D2.sum(axis=0, keepdims=True),
    }
    return ((z2 - y) ** 2).sum(1).mean(), gradient
''',
    lambda rng: [network(rng, (1, 6, 1), 5), network(rng, (2, 4, 3), 7)],
    ("loss", "gradient"),
    (
        *((f"D{l}.{SUM}", new.replace("D", f"D{l}"), f"db[{l}] {sentence}") for l in (1, 2) for new, sentence in (
            ("D.sum(keepdims=True)",
             "is the sum over examples and units, which broadcasting spreads over all units: sum over the examples only"),
            ("0 * D[:1] + D.sum()", "is the sum over examples and units, the same for every unit: sum over the examples only"),
            ("D.sum(axis=1, keepdims=True)", "has one number for each example, where each unit needs one: sum over axis 0"),
            ("D.mean(axis=0, keepdims=True)", "is the mean over the examples: take their sum, 1/n is in D already (eq. 3)"),
            ("D[:1]", "is the D of one example: sum over all examples (eq. 3)"),
        )),
        (f"D1.{SUM}", f'(D2 @ theta["W2"].T).{SUM}', "db[1] is the sum of D2 W2^T, before s': it is the sum of D1"),
        ("2 * (z2", "(z2", "a factor 2 is missing in D2 (eq. 9)"),
        (" / len(x)", "", "1/n is missing in D2 (eq. 2)"),
        ("/ len(x)", "/ len(x) ** 2", "it is divided by n twice: 1/n is in D already (eq. 3)"),
        ("/ len(x)", "/ y.size", "D2 is divided by the number of outputs too: the loss sums over them (eq. 9)"),
        (".T @ D", ".T * len(x) @ D", "dW[2] and dW[1] are not divided by n: 1/n belongs to D2 (eq. 2)"),
        ("/ len(x)", "/ 20", "D is divided by 20, the number of examples in the lesson: divide by n = len(x) (eq. 2)"),
        ("2 * (z2 - y)", "2 * (y - z2)", "the sign is wrong in D2, or in all of the gradient: D2 has the prediction minus the target (eq. 9)"),
        ("(1 - a1**2)", "1", "s' is missing in eq. 4"),
        ("(1 - a1**2)", "(1 - a1)", "s' is 1 - a1: it has to be 1 - a1^2 (eq. 4)"),
        ("(1 - a1**2)", "(1 - a1)**2", "s' is (1 - a1)^2: the square is of a1 alone, 1 - a1^2 (eq. 4)"),
        ("(1 - a1**2)", "(1 - z1**2)", "s' is 1 - z1^2: it is a function of a1, 1 - a1^2 (eq. 4)"),
        ("(1 - a1**2)", "a1", "s' is a1: it has to be 1 - a1^2 (eq. 4)"),
        ("(1 - a1**2)", "a1 * (1 - a1)", "a1 (1 - a1) is s' of the logistic function: that of tanh is 1 - a1^2 (eq. 4)"),
        ('theta["W2"].T)', 'theta["W2"].T) / len(x)', "D1 is divided by n again: 1/n is in D2 already"),
        ("np.tanh(z1)", "z1", "the activation is missing, a1 is z1 (eq. 1)"),
        ("np.tanh(z1)", "np.maximum(z1, 0)", "a1 is the ReLU of z1, not its tanh"),
        ("    D2 =", "    z2 = np.tanh(z2)\n    D2 =", "tanh is applied to the output: the last layer has no activation"),
        ("2 * (z2 - y)", "(z2 - y) ** 2", "D2 has the squares of the errors: the derivative of a square is 2 (z2 - y)"),
        (' + theta["b1"]', "", "the bias is missing in z1 (eq. 1)"),
        (' + theta["b2"]', "", "the bias is missing in z2 (eq. 1)"),
        ("a1.T @", "z1.T @", "dW[2] is made with z1: eq. 3 has a1"),
        (".sum(1).mean()", ".mean()",
         "the loss is the mean over examples and outputs: sum over the outputs, then take the mean over the examples"),
        (".sum(1).mean()", ".sum(0).mean()",
         "the loss is summed over the examples (axis 0): sum over the outputs (axis 1), then take the mean"),
        (".sum(1).mean()", ".sum(1).mean() / 2", "the loss has a factor 1/2 too many: the squared error of eq. 9 has none"),
        (".sum(1).mean()", ".sum()", "a factor 1/n is missing in the loss: take the mean over the examples"),
        ("((z2 - y) ** 2).sum(1)", "((z2 - y[:, 0]) ** 2).sum(1)", PAIRED),
        ("((z2 - y) ** 2).sum(1)", "((z2 - y[:, 0]) ** 2)", PAIRED),
        (".sum(1).mean()", ".sum(1)", "these are the losses of the examples: take their mean, one number"),
    ),
)  # fmt: skip

CHECKS = {"3.1": CENTRAL, "3.2": COMPLEX, "3.3": RELATIVE_ERROR, "3.4": MENDED}
