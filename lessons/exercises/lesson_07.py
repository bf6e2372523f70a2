"""The checks of lesson 07: an episode by hand, the cross-entropy differentiated twice, what a task-blind network can reach."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from itertools import combinations, permutations
from typing import Any

import numpy as np

from exercises.guard import Known, beside, combined, factors, judge, refuse, several
from exercises.terms import made_of
from tinymaml.check import compare, complex_step, complex_step_gradient
from tinymaml.check.compare import close
from tinymaml.nn.losses import cross_entropy, softmax

EPISODES = 600  # so many that whatever may happen does
OWN_LARGEST = "subtract the largest logit of every example first, z.max(-1, keepdims=True), which changes no p"

# -- 7.1: an episode -----------------------------------------------------------------------------------------


def check_episode(answer: Callable, rng: np.random.Generator) -> None:
    """`episode(array, ways, shots, queries, rng)` on arrays in which every example can be recognised."""
    for ways, shots, queries, count in ((4, 2, 5, EPISODES), (3, 1, 2, 30), (5, 3, 1, 30)):
        array = rng.standard_normal((12, 9, 3))
        seeds = rng.integers(2**31, size=count)
        sizes = {"ways": ways, "shots": shots, "queries": queries}
        made = [_Episode(answer(array, **sizes, rng=np.random.default_rng(seed)), array, sizes) for seed in seeds]
        again = _Episode(answer(array, **sizes, rng=np.random.default_rng(seeds[0])), array, sizes)
        for check in (_labels_mean_one_class, _nothing_twice):
            for episode in made:
                check(episode)
        _drawn_from_the_rng(made, again)
        if count == EPISODES:
            first = made
            _everything_comes(made)
            _each_class_draws_its_own(made)
            _labels_are_permuted(made)
    _right("x_support", first[0].shapes["x_support"], "2 of each class, from the array")
    _right("y_support", first[0].shapes["y_support"], "one-hot, each label one class")
    _right("x_query", first[0].shapes["x_query"], "5 others of the same classes")
    _right("y_query", first[0].shapes["y_query"], "the same label for the same class")
    _right("examples", "", f"every pair comes at some time, in {EPISODES} episodes")
    _right("labels", "", "all orders equally often")


class _Episode:
    """One answer, read back: `classes[part]` and `examples[part]` say where each row of x came from, `labels[part]` its label."""

    def __init__(self, value: Any, array: np.ndarray, sizes: dict[str, int]):
        names = ["x_support", "y_support", "x_query", "y_query"]
        parts = {name: _numbers(name, part) for name, part in zip(names, several(value, *names), strict=True)}
        N, d = sizes["ways"], array.shape[-1]
        self.N, self.total = N, array.shape[:2]
        counts = {"support": sizes["shots"], "query": sizes["queries"]}
        wanted = {f"{axis}_{part}": (N * count, {"x": d, "y": N}[axis]) for part, count in counts.items() for axis in "xy"}
        _shapes(parts, wanted, sizes, len(array))
        self.shapes, self.classes, self.examples, self.labels = wanted, {}, {}, {}
        for part, count in counts.items():
            x, y = parts[f"x_{part}"], parts[f"y_{part}"]
            one_hot = "a row is one-hot, as in np.eye(ways)[labels]"
            if not (((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all()):
                refuse(f"y_{part}", f"its rows are not one 1 among zeros: {one_hot}")
            found = (x[:, None, None] == array).all(-1)  # (rows, classes, examples)
            if not found.any((1, 2)).all():
                row = int(np.argmin(found.any((1, 2))))
                refuse(f"x_{part}", f"row {row} is no example of the array: a row is array[class, example], unchanged")
            _, self.classes[part], self.examples[part] = np.nonzero(found)
            self.labels[part] = y.argmax(1)
            for label, number in enumerate(np.bincount(self.labels[part], minlength=N)):
                if number != count:
                    each = "the same number of every class"
                    refuse(f"y_{part}", f"label {label} has {number} examples, expected {count}: {each}")

    @cached_property
    def class_of(self) -> tuple[int, ...]:
        """The class with label 0, 1, ..., by the support set."""
        return tuple(int(self.classes["support"][self.labels["support"] == label][0]) for label in range(self.N))

    def drawn(self, part: str) -> dict[int, list[int]]:
        """The examples of each class, in the order in which they come."""
        return {c: self.examples[part][self.classes[part] == c].tolist() for c in self.class_of}


def _shapes(parts: dict[str, np.ndarray], wanted: dict[str, tuple], sizes: dict[str, int], classes: int) -> None:
    """Refuse other shapes, and say what they look like."""
    shapes = {name: part.shape for name, part in parts.items()}
    N, shots, queries = sizes.values()
    d = wanted["x_support"][1]
    if shapes == wanted:
        return
    for order in ("x_support, x_query, y_support, y_query", "x_query, y_query, x_support, y_support"):
        if [wanted[name] for name in order.split(", ")] == list(shapes.values()):
            refuse("the answer", f"it comes in the order {order}: return x_support, y_support, x_query, y_query")
    name = next(name for name in wanted if shapes[name] != wanted[name])
    got, (rows, columns), part = shapes[name], wanted[name], name[2:]
    count = shots if part == "support" else queries
    why = "rows are examples, N * count of them" if name[0] == "x" else "a row is one-hot, as in np.eye(ways)[labels]"
    if got == (columns, rows):
        why = "it is transposed, rows are examples"
    elif got == (rows, classes):
        why = "a label is a place among the N classes of the task, not the number of the class in the array"
    elif got == (rows,):
        why = "these are labels, make them one-hot: np.eye(ways)[labels]"
    elif len(got) == 3 and got[:2] in ((N, count), (count, N)):
        why = "put the classes under one another, in one axis of rows: np.concatenate, not np.stack"
    elif part == "support" and got[0] == N * queries:
        why = "it has as many rows as the query set, and shots counts them here"
    elif part == "query" and got[0] == N * shots:
        why = "it has as many rows as the support set, and queries counts them here"
    elif got == (N, columns):
        why = "one row for each class, where all of its examples are wanted"
    elif len(got) == 2 and got[0] == count and N > 1:
        why = f"{'shots' if part == 'support' else 'queries'} counts the examples of each class, N times as many rows are wanted"
    elif got in ((N * (shots + queries), columns), (N * (shots + queries), d)):
        why = "support and query examples are both in it: split them"
    refuse(name, f"it has shape {got}, expected {(rows, columns)}: {why}")


def _labels_mean_one_class(episode: _Episode) -> None:
    of = {part: episode.classes[part] for part in ("support", "query")}
    for part in ("support", "query"):
        each = [set(of[part][episode.labels[part] == label].tolist()) for label in range(episode.N)]
        mixed = [label for label, classes in enumerate(each) if len(classes) > 1]
        if mixed:
            _say_how_they_are_mixed(episode, part, mixed[0], sorted(each[mixed[0]]))
    if len(set(episode.class_of)) < episode.N:
        classes = list(episode.class_of)
        refuse("classes", f"the labels 0, 1, .. are the classes {classes}, one is repeated: draw with replace=False")
    for label in range(episode.N):
        there = int(of["query"][episode.labels["query"] == label][0])
        if there != episode.class_of[label]:
            told = f"label {label} is class {episode.class_of[label]} in the support set and class {there} in the query set"
            same = set(of["query"].tolist()) == set(episode.class_of)
            how = "permute the labels once an episode, for both sets" if same else "draw the classes once, for both sets"
            refuse("y_query", f"{told}: {how}")


def _say_how_they_are_mixed(episode: _Episode, part: str, label: int, classes: list[int]) -> None:
    at_once = f"label {label} is the classes {classes} at once"
    rows, labels, count = episode.classes[part], episode.labels[part], len(episode.labels[part]) // episode.N
    number = np.unique(rows, return_counts=True)[1]
    examples = [set(episode.examples[part][labels == k].tolist()) for k in range(episode.N)]
    if len(number) == episode.N and (number == count).all():
        if (rows.reshape(episode.N, count) == rows.reshape(episode.N, count)[:, :1]).all():
            around = labels.reshape(count, episode.N)
            if (around == around[:1]).all():
                refuse(f"y_{part}", f"{at_once}: x goes class by class and y round and round, np.repeat, not np.tile")
        elif (rows.reshape(count, episode.N) == rows[: episode.N]).all() and (np.diff(labels) >= 0).all():
            refuse(f"y_{part}", f"{at_once}: x goes round and round and y class by class, np.tile, not np.repeat")
        refuse(f"y_{part}", f"{at_once}: the rows of x and of y are not in the same order")
    if all(len(set_) == 1 for set_ in examples) and count > 1:
        refuse(f"x_{part}", f"{at_once}: axis 0 of the array is the class and axis 1 the example, they are exchanged")
    refuse(f"y_{part}", f"{at_once}, and there are {len(number)} classes in the task: draw {episode.N} classes first")


def _nothing_twice(episode: _Episode) -> None:
    of = lambda part: zip(episode.classes[part].tolist(), episode.examples[part].tolist(), strict=True)
    rows = {part: list(of(part)) for part in ("support", "query")}
    shared = set(rows["support"]) & set(rows["query"])
    if shared:
        c, m = min(shared)
        refuse("x_query", f"support and query share an example (class {c}, example {m}): it is judged on what it was shown")
    for part, of_part in rows.items():
        if len(set(of_part)) < len(of_part):
            refuse(f"x_{part}", "an example is there twice: draw the examples of a class with replace=False")


def _drawn_from_the_rng(made: list[_Episode], again: _Episode) -> None:
    key = lambda episode: (episode.class_of, *(tuple(episode.examples[part]) for part in ("support", "query")))
    if key(made[0]) != key(again):
        refuse("rng", "two calls with the same seed give two episodes: draw everything from the rng that is passed in")
    if len({key(episode) for episode in made}) == 1:
        refuse("rng", "every episode is the same: draw from the rng that is passed in, make no new one")


def _everything_comes(made: list[_Episode]) -> None:
    """Every class equally often, and every example of a class on both sides."""
    total, examples = made[0].total
    classes = Counter(c for episode in made for c in episode.class_of)
    missing = sorted(set(range(total)) - classes.keys())
    if missing:
        refuse("classes", f"the classes {missing} never come, in {EPISODES} episodes: draw from all {total}")
    often, expected = max(classes, key=classes.__getitem__), EPISODES * made[0].N / total
    if classes[often] > 1.5 * expected:  # nine standard deviations
        refuse("classes", f"class {often} comes in {classes[often]} of {EPISODES} episodes, expected about {expected:.0f}")
    together = {frozenset(pair) for episode in made for pair in combinations(episode.class_of, 2)}
    apart = next((pair for pair in combinations(range(total), 2) if frozenset(pair) not in together), None)
    if apart:
        refuse("classes", f"the classes {list(apart)} never come together: draw them independently, with rng.permutation")
    come = {part: {int(m) for episode in made for m in episode.examples[part]} for part in ("support", "query")}
    missing = sorted(set(range(examples)) - come["support"] - come["query"])
    if missing:
        refuse("examples", f"the examples {missing} of a class never come: draw at random from all {examples}")
    if not come["support"] & come["query"]:
        only = [str(sorted(part)) for part in come.values()]
        told = f"it takes the examples {only[0]} of a class only, and the query set {only[1]} only"
        refuse("x_support", f"{told}: draw both from all {examples}")


def _each_class_draws_its_own(made: list[_Episode]) -> None:
    """The examples of a class are drawn anew for each class, and any two of them may come together."""
    drawn = [(episode.drawn("support"), episode.drawn("query")) for episode in made]
    if all(len(set(map(tuple, support.values()))) == 1 for support, _ in drawn):
        refuse("x_support", "all classes of an episode have examples of the same numbers: draw them anew for each class")
    pairs = {frozenset(of_class) for support, _ in drawn for of_class in support.values()}
    examples = made[0].total[1]
    how = "use rng.choice or rng.permutation"
    if all(min(abs(a - b), examples - abs(a - b)) == 1 for a, b in pairs):
        refuse("x_support", f"the examples of a class are always neighbours, a window of the array: {how}")
    if all(max(support[c]) < min(query[c]) for support, query in drawn for c in support):
        before = "its examples always stand before those of the query set in the array"
        refuse("x_support", f"{before}: split what was drawn before you sort it, if you must")
    apart = next((pair for pair in combinations(range(examples), 2) if frozenset(pair) not in pairs), None)
    if apart:
        refuse("x_support", f"the examples {list(apart)} of a class never come together: draw them independently, {how}")


def _labels_are_permuted(made: list[_Episode]) -> None:
    """All orders of the N classes are equally likely: Pearson's test, far beyond what chance does."""
    counts = Counter(tuple(np.argsort(episode.class_of).tolist()) for episode in made)
    N, why = made[0].N, "so a network can memorise labels instead of reading the support set"
    orders, expected = math.factorial(N), len(made) / math.factorial(N)
    before = {pair for episode in made for pair in combinations(episode.class_of, 2)}
    fixed = next(((a, b) for a, b in sorted(before) if (b, a) not in before), None)
    if sum((counts[order] - expected) ** 2 / expected for order in permutations(range(N))) < 6 * orders:
        if fixed:
            refuse("labels", f"of the classes {list(fixed)} the first always has the smaller label, {why}: use rng.permutation")
        return
    if len(counts) == 1:
        refuse("labels", f"they are not permuted: of any two classes the same one always has the smaller label, {why}")
    place = Counter(order.index(0) for order in counts)
    if len(counts) == N and len(place) == N:
        refuse("labels", f"they are only rolled: of the {orders} orders of {N} classes only {N} come, {why}: use rng.permutation")
    few = f"of the {orders} orders of {N} classes only {len(counts)} come"
    few = few if len(counts) < orders else "some orders come far too often"
    refuse("labels", f"they are not permuted at random: {few}, {why}: use rng.permutation")


# -- 7.2: the cross-entropy ------------------------------------------------------------------------------------


def check_cross_entropy(answer: Callable, rng: np.random.Generator) -> None:
    """`cross_entropy(z, y, r)`, for each example: the gradient and the Hessian-vector product of eq. 10."""
    for n, ways in ((7, 3), (3, 3), (1, 5)):
        z, y, r = _logits(rng, n, ways)
        gradient, hvp = several(answer(z, y, r), "gradient", "hvp")
        own = lambda z, y=y: (np.log(np.exp(z).sum(-1)) - (y * z).sum(-1)).sum(-1)  # summed: each row moves its own only
        _each_example("gradient", gradient, complex_step_gradient(own, z), r)
        parts = _parts(z, y, r)
        terms, products = ({name: parts[name] for name in names} for names in (("p", "-y"), ("p r", "-p sum(p r)")))
        judge("gradient", gradient, complex_step_gradient(own, z), _gradients(z, y, r),
              otherwise=partial(made_of, gradient, terms, parts))  # fmt: skip
        bent = complex_step(lambda z, y=y: cross_entropy.gradient(z, y), z, r)
        _each_example("hvp", hvp, bent, r)
        judge("hvp", hvp, bent, _hvps(z, y, r), otherwise=partial(made_of, hvp, products, parts))

    z, y, r = _logits(rng, 4, 3)
    heights = np.array([[0.0], [1500.0], [3000.0], [700.0]])
    apart = "one number is taken from the logits of all examples, and some are far from it"
    not_largest = "what is taken from the logits of an example is not the largest of them, and e^z overflows"
    for name, large, endless, wrong in (
        ("z + 1000", z + 1000, "e^z overflows for logits near 1000", "a constant added to all logits of an example changes no p"),
        ("rows apart", z + heights, apart, "the p of an example must not depend on the logits of the others"),
        ("z - 1500", z - 1500, "for logits near -1500 every e^z is 0", "a constant added to all logits changes no p"),
        ("wide rows", 2000 * z, not_largest, "where one logit is far above the others, its p is 1"),
    ):
        with np.errstate(all="ignore"):
            mine = several(answer(large, y, r), "gradient", "hvp")
        p = softmax(large)
        for part, got, right in zip(("gradient", "hvp"), mine, (p - y, _weighted(p, r)), strict=True):
            if not np.isfinite(_numbers(part, got)).all():
                refuse(part, f"it holds NaN or infinite numbers: {endless}; {OWN_LARGEST}")
            compare(f"{part[:4]} {name}", got, right, tolerance=1e-8, diagnosis=lambda near, wrong=wrong: wrong)


def _logits(rng: np.random.Generator, n: int, ways: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    z, r = 2 * rng.standard_normal((n, ways)), rng.standard_normal((n, ways))
    return z, np.eye(ways)[rng.integers(ways, size=n)], r


def _each_example(name: str, mine: Any, right: np.ndarray, r: np.ndarray) -> None:
    """Refuse by name what is no row for each example, or not finite."""
    mine, (n, ways) = _numbers(name, mine), right.shape
    got = f"it has shape {mine.shape}, expected {right.shape}"
    if mine.shape == (n, ways, ways):
        refuse(name, f"{got}: a matrix for each example, multiply it by r")
    for over, reduced in (
        ("the sum over the examples", right.sum(0)),
        ("the mean over the examples", right.mean(0)),
        ("the sum over the classes", right.sum(1)),
        ("the product with r a second time, one number for each example", (r * right).sum(1)),
    ):
        if mine.size == reduced.size != right.size and close(mine.ravel(), reduced):
            refuse(name, f"{got}: this is {over}")
    if mine.shape == right.shape and not np.isfinite(mine).all():
        refuse(name, f"it holds NaN or infinite numbers, for small logits already: {OWN_LARGEST}")


def _gradients(z: np.ndarray, y: np.ndarray, r: np.ndarray) -> Iterator[Known]:
    p, over_examples = softmax(z), softmax(z.T).T
    forms = [
        ("the softmax is missing: dE/dz = p - y with p = softmax(z) (eq. 10)", z - y),
        ("the target is missing: dE/dz = p - y (eq. 10)", p),
        ("the softmax runs over the examples (axis 0): it runs over the classes, axis -1", over_examples - y),
        ("the softmax runs over all numbers of z: take the sum over axis -1, with keepdims", np.exp(z) / np.exp(z).sum() - y),
        ("it is divided by n: eq. 10 is for one example, 1/n enters in eq. 2", (p - y) / len(z)),
        ("it is divided by N: the loss sums over the classes", (p - y) / z.shape[1]),
        ("this is dE/dp = -y / p, not dE/dz: the softmax has a derivative too", -y / p),
        ("only the logit of the right class gets a gradient: every logit is in the sum of the softmax", y * (p - y)),
        ("the exponential is not normalised: p = e^z / sum e^z", np.exp(z) - y),
        ("a sigmoid stands where the softmax belongs: the N probabilities add up to 1", 1 / (1 + np.exp(-z)) - y),
        ("the logarithm of the softmax stands where p belongs", np.log(p) - y),
        ("the largest probability is made 1 and all others 0: p itself belongs here", np.eye(z.shape[1])[z.argmax(1)] - y),
        ("this is p (1 - p), the derivative of one p in its own logit: dE/dz = p - y (eq. 10)", p * (1 - p)),
        ("the largest logit is taken over the examples (axis 0), which changes p: over axis -1", softmax(z - z.max(0)) - y),
        ("this is eq. 9, of the squared error: cross-entropy has p - y (eq. 10)", 2 * (z - y)),
        ("this is the Hessian-vector product: return gradient, hvp in this order", _weighted(p, r)),
        ("this is the loss -y ln p, not its derivative", -y * np.log(p)),
        ("the logarithm of the softmax stands where p belongs, and the sign is wrong", y - np.log(p)),
        ("this is -ln p, the loss of each class: dE/dz = p - y (eq. 10)", -np.log(p)),
        ("this is z itself: dE/dz = p - y with p = softmax(z) (eq. 10)", z),
        ("the softmax is missing, and the sign is wrong: dE/dz = p - y with p = softmax(z) (eq. 10)", y - z),
        ("the target is added: dE/dz = p - y (eq. 10)", p + y),
        ("1 - y stands where y belongs", p - (1 - y)),
        ("only p is divided by n, and eq. 10 has no such factor", p / len(z) - y),
        ("the softmax is of -z", softmax(-z) - y),
        ("the softmax is taken twice", softmax(p) - y),
        ("2^z stands where e^z belongs", softmax(z * np.log(2)) - y),
        ("the mean of y is subtracted, not y", p - y.mean()),
        ("it is p times y: dE/dz = p - y (eq. 10)", p * y),
        ("it is squared: this is the squared error of p, not a derivative", (p - y) ** 2),
        ("it is multiplied by p once more: dE/dz = p - y (eq. 10)", p * (p - y)),
        ("this is the gradient of the squared error of p, through the softmax", 2 * _weighted(p, p - y)),
        ("this is the gradient of the squared error of p, through the softmax", _weighted(p, p - y)),
        ("this is dE/dp of N separate yes-or-no losses", (1 - y) / (1 - p) - y / p),
        ("the number of the right class is subtracted, not its one-hot row", p - y.argmax(1)[:, None]),
        ("only the logits of the wrong classes get a gradient: that of the right one is p - 1", p * (1 - y)),
        ("only the logit of the right class gets a gradient, and its sign is wrong", y * (1 - p)),
        ("it is multiplied by r: the gradient is asked for, without r", (p - y) * r),
        ("the gradient is of the wrong row: y of the row before", p - np.roll(y, 1, 0)),
        ("the target is that of the next class: the columns are rolled", p - np.roll(y, 1, 1)),
        ("the absolute value is taken, a derivative has a sign", np.abs(p - y)),
        ("the softmax runs over the examples (axis 0): it runs over the classes, axis -1", over_examples),
    ]
    targets = {"1 - y": 1 - y, "p * y": p * y, "1": y * 0 + 1, "0": y * 0, "the y of the row before": np.roll(y, 1, 0),
               "the y of the next row": np.roll(y, -1, 0), "the y of the class before": np.roll(y, -1, 1), "z": z, "r": r,
               "the y of the next class": np.roll(y, 1, 1), "the mean of y": y.mean(0) + 0 * y,
               "1/N": 1 / z.shape[1] + 0 * y}  # fmt: skip
    told = "{} stands where {} belongs: dE/dz = p - y (eq. 10)"
    second = [("", -y), *((told.format(name, "y"), -value) for name, value in targets.items())]
    others = {"the root of p": p**0.5, "p^2": p**2, "1 - p": 1 - p, "p * y": p * y, "p * r": p * r, "tanh(z)": np.tanh(z),
              "the softmax of 2 z": softmax(2 * z), "the softmax of z / 2": softmax(z / 2),
              "the softmax of |z|": softmax(np.abs(z)),
              "the softmax of z y": softmax(z * y), "z over its sum": z / z.sum(-1, keepdims=True),
              "the softmax of r": softmax(r), "p less its mean": p - p.mean(0),
              "e^z over its largest": p / p.max(-1, keepdims=True),
              "e^z over its length": p / np.sqrt((p**2).sum(-1, keepdims=True)), "e^z over its mean": p * z.shape[1]}  # fmt: skip
    first = [("", p), *((told.format(name, "p"), value) for name, value in others.items())]
    multiplied = {"p": p, "1 - p": 1 - p, "p (1 - p)": p * (1 - p), "y": y, "1 - y": 1 - y, "p - y": p - y, "z": z, "r": r,
                  "tanh's slope": 1 - np.tanh(z) ** 2, "1 / p": 1 / p}  # fmt: skip
    times = [("", 1.0), *((f"p - y is multiplied by {name}: eq. 10 has it alone", value) for name, value in multiplied.items())]
    brackets = [("", p - y), *combined(first, second, join=np.add, most=1), *forms]
    return beside(forms, combined(times, brackets, factors(", which eq. 10 has not", n=len(z), N=z.shape[1])))


def _parts(z: np.ndarray, y: np.ndarray, r: np.ndarray) -> dict[str, np.ndarray]:
    """What an answer to 7.2 may be a sum of."""
    p, ones = softmax(z), np.ones_like(z)
    here = {"p": p, "-y": -y, "r": r, "z": z, "1": ones, "p r": p * r, "y r": y * r, "p y": p * y, "p^2": p**2, "p^2 r": p**2 * r,
            "(p - y)^2 r": (p - y) ** 2 * r, "z r": z * r, "p y r": p * y * r, "p z": p * z, "p r^2": p * r**2,
            "e^z": np.exp(z), "ln p": np.log(p), "y ln p": y * np.log(p)}  # fmt: skip
    sums = {"sum(p r)": p * r, "sum(r)": r, "sum(y r)": y * r, "sum(p^2 r)": p**2 * r, "sum(p y r)": p * y * r,
            "sum(p y)": p * y, "sum(p^2)": p**2}  # fmt: skip
    rows = {name: value.sum(-1, keepdims=True) for name, value in sums.items()} | {"max(r)": r.max(-1, keepdims=True)}
    for factor, value in (("-p ", -p), ("y ", y), ("", ones), ("p^2 ", p**2), ("p y ", p * y), ("r ", r)):
        here |= {f"{factor}{name}": value * row for name, row in rows.items()}
    return here


def _pieces(z: np.ndarray, y: np.ndarray, r: np.ndarray) -> list[list[Known]]:
    """Eq. 10's p * (r - sum(p * r)): the p before the bracket, the bracket and a factor, each right and wrong."""
    p, ones = softmax(z), np.ones_like(z)
    row = lambda value: value.sum(-1, keepdims=True)
    named = {"p": p, "y": y, "z": z, "1": ones, "p * r": p * r, "y * r": y * r, "p - y": p - y, "1 - p": 1 - p}
    first = [("", r), *((f"{name} stands where r belongs, in the bracket of eq. 10", value) for name, value in named.items())]
    sums = {
        "p * r": p * r, "sum(y * r)": row(y * r), "sum(r)": row(r), "the mean of r": row(r) / r.shape[1],
        "the mean of p * r": row(p * r) / r.shape[1], "the largest r": r.max(-1, keepdims=True), "sum(p * z)": row(p * z),
        "the sum of p * r over the examples": (p * r).sum(0), "the sum of p * r over everything": (p * r).sum(),
        "sum(p^2 * r)": row(p**2 * r), "sum(p * y * r)": row(p * y * r), "sum((p - y) * r)": row((p - y) * r), "sum(p)": ones,
        "sum(p * r^2)": row(p * r**2), "-sum(p * r)": -row(p * r), "the largest p * r": (p * r).max(-1, keepdims=True),
        "the absolute value of sum(p * r)": np.abs(row(p * r)), "sum(p^2)": row(p**2), "the smallest r": r.min(-1, keepdims=True),
        "the mean of sum(p * r) over the examples": row(p * r).mean(), "sum(p * |r|)": row(p * np.abs(r)),
    }  # fmt: skip
    told = "{} stands where sum(p * r) belongs (eq. 10)"
    second = [("", -row(p * r)), *((told.format(name), -value * ones) for name, value in sums.items())]
    named |= {"p (1 - p)": p * (1 - p), "p^2": p**2, "r": r, "p * y": p * y, "e^z": np.exp(z),
              "the softmax over the examples": softmax(z.T).T}  # fmt: skip
    told = "{} stands where p belongs, before the bracket of eq. 10"
    before = [("", p), *((told.format(name), value) for name, value in named.items())]
    bracket = [("", first[0][1] + second[0][1]), *combined(first, second, join=np.add, most=1)]
    return [before, bracket, factors(", which eq. 10 has not", n=len(z), N=z.shape[1])]


def _hvps(z: np.ndarray, y: np.ndarray, r: np.ndarray) -> Iterator[Known]:
    p = softmax(z)
    mean = (p * r).sum(-1, keepdims=True)
    known = [
        ("the term p * sum(p * r) of eq. 10 is missing: every logit moves the sum in the softmax", p * r),
        ("only the diagonal of the Hessian is there, p (1 - p): the others are -p_i p_j (eq. 10)", p * (1 - p) * r),
        ("the mean of r is not weighted: eq. 10 has sum(p * r)", p * (r - r.mean(-1, keepdims=True))),
        ("the sum of r is not weighted: eq. 10 has sum(p * r)", p * (r - r.sum(-1, keepdims=True))),
        ("it is the mean of p * r over the classes: eq. 10 has their sum", p * (r - mean / z.shape[1])),
        ("sum(p * r) runs over all examples: take it over axis -1, with keepdims", p * (r - (p * r).sum())),
        ("sum(p * r) runs over the examples (axis 0): take it over axis -1", p * (r - (p * r).sum(0))),
        ("the softmax runs over the examples (axis 0): it runs over the classes, axis -1", _weighted(softmax(z.T).T, r)),
        ("the factor p before the bracket is missing (eq. 10)", r - mean),
        ("y * r is summed where p * r belongs: the target drops out of the second derivative", _with_sum(p, r, y)),
        ("p is squared in the sum: eq. 10 has sum(p * r)", _with_sum(p, r, p**2)),
        ("p stands where sum(p * r) belongs", p * (r - p)),
        ("this is p: eq. 10 has p * (r - sum(p * r)) here", p),
        ("z stands where r belongs", _weighted(p, z)),
        ("p is missing before the bracket, and r is multiplied by 1 - p", (1 - p) * r),
        ("this is the gradient times (gradient . r), a product of first derivatives", (p - y) * ((p - y) * r).sum(-1)[:, None]),
        ("the bracket is p - sum(p * r): eq. 10 has r - sum(p * r)", p * (p - mean)),
        ("the absolute value is taken, a derivative has a sign", np.abs(p * (r - mean))),
        ("it is multiplied by p once more: eq. 10 has one factor p before the bracket", p**2 * (r - mean)),
        ("it is multiplied by r once more", r * p * (r - mean)),
        ("only the second term of eq. 10 is there, p * sum(p * r)", p * mean),
        ("only the second term of eq. 10 is there, p * sum(p * r)", -p * mean),
        ("the second term lost its factor p: eq. 10 is p * r - p * sum(p * r)", p * r - mean),
        ("the two terms are added: eq. 10 subtracts sum(p * r)", p * (r + mean)),
        ("p - y stands where p belongs: the target drops out of the second derivative", _weighted(p - y, r)),
        ("every number is 0, as with y where p belongs: the target drops out of the second derivative", _weighted(y, r)),
        ("this is eq. 9, of the squared error: cross-entropy has p * (r - sum(p * r)) (eq. 10)", 2 * r),
        ("z stands where p belongs: the softmax is missing", _weighted(z, r)),
        ("the second derivative of the loss is missing: this is r itself", r),
        ("this is the gradient times r: a Hessian-vector product needs the second derivative", (p - y) * r),
        ("this is the gradient again: eq. 10 has p * (r - sum(p * r)) here", p - y),
        ("it is divided by n: eq. 10 is for one example, 1/n enters in eq. 6", p * (r - mean) / len(z)),
        ("it is divided by N: eq. 10 has no such factor", p * (r - mean) / z.shape[1]),
        ("these are the derivatives of p without r, p (1 - p): multiply the Hessian by r", p * (1 - p)),
    ]
    return beside(known, combined(*_pieces(z, y, r)))


def _weighted(p: np.ndarray, r: np.ndarray) -> np.ndarray:
    return _with_sum(p, r, p)


def _with_sum(p: np.ndarray, r: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return p * (r - (weights * r).sum(-1, keepdims=True))


# -- 7.3: what a task-blind network can reach --------------------------------------------------------------------


def check_blind_loss(answer: Callable, rng: np.random.Generator) -> None:
    """`blind_loss(p)`: the expected cross-entropy of the answer p (N,) when each of N labels is equally likely."""
    drawn = [_probabilities(rng, ways) for ways in (5, 4, 3, 5, 4, 3, 5, 4, 5, 3)]  # a mistake has to explain several
    for p in drawn[:1]:
        mine = answer(p)
        if np.shape(mine) == p.shape and close(_numbers("blind_loss", mine), -np.log(p)):
            refuse("blind_loss", f"it has shape {p.shape}, expected (): these are losses of single labels, take their mean")
        judge(f"loss, N = {len(p)}", mine, -np.log(p).mean(), _explained(answer, mine, drawn),
              otherwise=lambda: _as_sum(answer, drawn))  # fmt: skip
    for p in drawn[1:3]:
        judge(f"loss, N = {len(p)}", answer(p), -np.log(p).mean(), _blind(p))
    uniform = np.full(5, 0.2)
    compare("all p = 1/5", answer(uniform), np.log(5))


def _probabilities(rng: np.random.Generator, ways: int) -> np.ndarray:
    """From 0.6 down to 1e-11, in an order in which neither the first nor the last is the largest, smallest or median of five."""
    logits = np.array([0.0, -1.0, -2.5, -4.0, -24.0]) + 0.2 * rng.random(5)
    return softmax(logits[[1, 0, 4, 2, 3]][:ways])


def _explained(answer: Callable, mine: Any, drawn: list[np.ndarray]) -> Iterator[Known]:
    """The mistakes that give the answer on five p that were drawn: one number says little."""
    others = [(answer(p), list(_blind(p))) for p in drawn[1:5]]
    for sentence, value in _blind(drawn[0]):
        if close(mine, value) and all(
            any(told == sentence and close(theirs, other) for told, other in known) for theirs, known in others
        ):
            yield sentence, value


def _as_sum(answer: Callable, drawn: list[np.ndarray]) -> str:
    """The answer on all that were drawn as a sum of means and sums."""
    of = lambda f: np.array([float(f(p)) for p in drawn])
    return made_of(of(answer), {"the mean of -ln p": of(lambda p: -np.log(p).mean())}, {
        "1": of(lambda p: 1), "ln N": of(lambda p: np.log(len(p))), "N": of(len), "1/N": of(lambda p: 1 / len(p)),
        "the entropy of p": of(lambda p: -(p * np.log(p)).sum()), "the sum of -ln p": of(lambda p: -np.log(p).sum()),
        "the sum of p^2": of(lambda p: p @ p), "the largest p": of(np.max),
        "-ln of the largest p": of(lambda p: -np.log(p.max())),
        "the entropy of p, divided by N": of(lambda p: -(p * np.log(p)).mean()),
        "the sum of p^2, divided by N": of(lambda p: p @ p / len(p)), "ln N, divided by N": of(lambda p: np.log(len(p)) / len(p)),
        "the mean of -ln p, divided by N": of(lambda p: -np.log(p).mean() / len(p)),
        "the mean of ln(1 - p)": of(lambda p: np.log(1 - p).mean()), "the sum of ln(1 - p)": of(lambda p: np.log(1 - p).sum()),
    })  # fmt: skip


def _blind(p: np.ndarray) -> Iterator[Known]:
    log, N = np.log(p), len(p)
    every = "every label comes with probability 1/N"
    small = "a small number is added to p, or p is cut off, before the logarithm"
    forms = [
        ("this is the entropy of p: the label is not drawn from p, each of the N has probability 1/N", -(p * log).sum()),
        ("this is the entropy of p, divided by N: 1/N takes the place of the weight p", -(p * log).mean()),
        ("it is the sum over the labels: the expectation weights each with 1/N", -log.sum()),
        ("it is divided by N twice: the mean has the 1/N in it", -log.mean() / N),
        ("it is divided by N - 1 and not by N", -log.sum() / (N - 1)),
        ("this is ln N, or -log of the mean of p: the loss is the mean of -log p", -np.log(p.mean())),
        (f"this is the loss of the likeliest label only: {every}", -log.max()),
        (f"this is the loss of the unlikeliest label only: {every}", -log.min()),
        (f"this is the loss of the first label only: {every}", -log[0]),
        (f"this is the loss of the last label only: {every}", -log[-1]),
        ("this is the median: an expectation is a mean", -np.median(log)),
        ("the logarithm has base 2: cross-entropy has the natural one", -np.log2(p).mean()),
        ("the logarithm has base 10: cross-entropy has the natural one", -np.log10(p).mean()),
        ("this is the expected error rate: the loss of a label is -log p", 1 - p.mean()),
        ("p is taken for logits: it is a probability already, without another softmax", -np.log(softmax(p)).mean()),
        ("ln N is taken off: this is how much worse p is than 1/N everywhere", -log.mean() - np.log(N)),
        ("this is ln N minus the entropy of p: each label has probability 1/N, whatever p is", np.log(N) + (p * log).sum()),
        ("the logarithm is missing: this is the mean of p", p.mean()),
        ("e to the loss is taken: the loss itself is asked for", np.exp(-log.mean())),
        ("this is the mean of -ln(1 - p), the loss of what is not the label: of label i it is -ln p_i", -np.log(1 - p).mean()),
        ("the logarithm is missing: this is the geometric mean of p", np.exp(log.mean())),
        ("this is a squared error of p, averaged over the labels", ((np.eye(N) - p) ** 2).sum(1).mean()),
        ("1 - p takes the place of the weight 1/N", -((1 - p) * log).sum()),
        ("the first label is left out: all N may come", -log[1:].mean()),
        ("the last label is left out: all N may come", -log[:-1].mean()),
        ("the labels that are wrong are counted too, with -ln(1 - p): the loss is -ln p of the right one", _yes_or_no(p)),
        ("1 is added to p before the logarithm", np.log1p(p).mean()),
        ("p adds up to 1, and -ln of this sum is 0: take the logarithms before the mean", -np.log(p.sum())),
        ("p is divided by its largest: it is a probability already", -np.log(p / p.max()).mean()),
        ("it is squared: the loss of label i is -ln p_i", (log**2).mean()),
        ("it is the mean of 1/p: the loss of label i is -ln p_i", (1 / p).mean()),
        ("it is the sum over the labels, with the logarithm in base 2", -np.log2(p).sum()),
        *(("it is rounded", np.round(-log.mean(), k)) for k in range(6)),
        ("it is cut off after the decimal point", np.floor(-log.mean())),
        *((small, -np.log(p + 10.0**-k).mean()) for k in range(2, 16)),
        *((small, -np.log(np.maximum(p, 10.0**-k)).mean()) for k in range(2, 16)),
        ("it is the spread of the losses, a standard deviation: an expectation is a mean", log.std()),
        ("it is the variance of the losses: an expectation is a mean", log.var()),
        ("p is its own weight once more: this is -ln of the sum of p^2", -np.log((p**2).sum())),
        ("the largest p takes the place of the weight 1/N", -p.max() * log.sum()),
        ("the logarithm is of the largest and the smallest p alone", -(log.max() + log.min()) / 2),
        ("it is the root of the mean of the squares: the loss is a plain mean", np.sqrt((log**2).mean())),
        ("the losses are weighted with their places, 0 to N - 1", -(np.arange(N) * log).mean()),
        ("it is a softmax of p whose logarithm is summed", -np.log(softmax(p)).sum()),
        ("it is the mean over p in another order, or of differences: each label counts once", -np.diff(log).mean()),
        ("it is doubled, as by a p that is squared before the logarithm", -np.log(p**2).mean()),
        ("it is halved, as by a root of p before the logarithm", -np.log(np.sqrt(p)).mean()),
        ("this is the loss with 1 - p of the likeliest label: of label i it is -ln p_i", -np.log(1 - p.max())),
        ("this is the loss at p = 1/2", np.log(2)), ("p is cut off at 1/N", -np.log(np.maximum(p, 1 / N)).mean()),
        ("the losses are added to those of 1 - p, and averaged", -(log + np.log(1 - p)).mean()),
        ("the losses are averaged with p as weights, over the sum of p^2", -(p * log).sum() / (p @ p)),
        ("this is the ratio of the largest and the smallest p, its logarithm", np.log(p.max() / p.min())),
        ("this is the mean of the absolute differences to 1/N", np.abs(p - 1 / N).mean()),
        ("this is the sum of the squares, the chance that two draws agree", p @ p),
        ("this is the perplexity, e to the entropy", np.exp(-(p * log).sum())),
        ("this is the loss of the label in the middle only", -log[len(p) // 2]),
        ("the product of all p is taken, and its logarithm is missing", p.prod()),
    ]
    named = [(told, value) for told, value in forms if np.isfinite(value) and told not in (small, "it is rounded")]
    named = [("", -log.mean()), *named]
    return beside(forms, combined(named, factors(", which the mean of N losses has not", N=N)))


def _yes_or_no(p: np.ndarray) -> float:
    return -np.mean(np.log(p)) - (1 - 1 / len(p)) * np.log(1 - p).sum()


# -- what an answer is made of ------------------------------------------------------------------------------------


def _right(name: str, shape: Any, fact: str) -> None:
    print(f"{name:<12}  {shape!s:<12}  {fact:<58}  right")


def _numbers(name: str, value: Any) -> np.ndarray:
    array = np.asarray(value) if value is not None else np.array(None)
    if array.dtype.kind not in "bif":
        refuse(name, f"it is {value!r}, expected an array of numbers")
    return array


CHECKS = {"7.1": check_episode, "7.2": check_cross_entropy, "7.3": check_blind_loss}
