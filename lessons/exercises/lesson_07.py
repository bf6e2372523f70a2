"""The checks of lesson 07: an episode by hand, the cross-entropy differentiated twice, what a task-blind network can reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exercises.answers import judge, refuse, several
from tinymaml.check import compare, complex_step, gradient_at_once
from tinymaml.losses import cross_entropy, softmax

EPISODES = 200  # so many that whatever may happen does


# -- 7.1: an episode -----------------------------------------------------------------------------------------


def check_episode(answer: Callable, rng: np.random.Generator) -> None:
    """`episode(array, ways, shots, queries, rng)` on an array in which every example can be recognised."""
    array = rng.standard_normal((12, 9, 3))
    ways, shots, queries = (int(rng.integers(low, high + 1)) for low, high in ((3, 5), (2, 3), (4, 5)))
    seeds = rng.integers(2**31, size=EPISODES)
    sizes = {"ways": ways, "shots": shots, "queries": queries}
    made = [_Episode(answer(array, **sizes, rng=np.random.default_rng(seed)), array, sizes) for seed in seeds]
    again = _Episode(answer(array, **sizes, rng=np.random.default_rng(seeds[0])), array, sizes)

    for check in (_labels_mean_one_class, _nothing_twice):
        for episode in made:
            check(episode)
    _right("x_support", made[0].shapes["x_support"], f"{shots} of each class, from the array")
    _right("y_support", made[0].shapes["y_support"], "one-hot, each label one class")
    _right("x_query", made[0].shapes["x_query"], f"{queries} others of the same classes")
    _right("y_query", made[0].shapes["y_query"], "the same label for the same class")
    _drawn_from_the_rng(made, again)
    _right("examples", "", f"every one is drawn at some time, in {EPISODES} episodes")
    _labels_are_permuted(made)
    _right("labels", "", "permuted in every episode")


class _Episode:
    """One answer, read back: `classes[part]` and `examples[part]` say where each row of x came from, `labels[part]` its label."""

    def __init__(self, value: Any, array: np.ndarray, sizes: dict[str, int]):
        names = ["x_support", "y_support", "x_query", "y_query"]
        parts = dict(zip(names, several(value, *names), strict=True))
        N, d = sizes["ways"], array.shape[-1]
        self.N, self.total = N, array.shape[:2]
        self.shapes, self.classes, self.examples, self.labels = {}, {}, {}, {}
        for part, count in (("support", sizes["shots"]), ("query", sizes["queries"])):
            x, y = (_numbers(name, parts[name]) for name in (f"x_{part}", f"y_{part}"))
            _shape(f"x_{part}", x, (N * count, d), "rows are examples, N * count of them")
            one_hot = "a row is one-hot, as in np.eye(ways)[labels]"
            _shape(f"y_{part}", y, (N * count, N), one_hot)
            if not (((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all()):
                refuse(f"y_{part}", f"its rows are not one 1 among zeros: {one_hot}")
            found = (x[:, None, None] == array).all(-1)  # (rows, classes, examples)
            if not found.any((1, 2)).all():
                row = int(np.argmin(found.any((1, 2))))
                refuse(f"x_{part}", f"row {row} is no example of the array: a row is array[class, example], unchanged")
            self.shapes |= {f"x_{part}": x.shape, f"y_{part}": y.shape}
            _, self.classes[part], self.examples[part] = np.nonzero(found)
            self.labels[part] = y.argmax(1)
            for label, number in enumerate(np.bincount(self.labels[part], minlength=N)):
                if number != count:
                    refuse(
                        f"y_{part}", f"label {label} has {number} examples, expected {count}: the same number of every class"
                    )

    @property
    def class_of(self) -> tuple[int, ...]:
        """The class with label 0, 1, ..., by the support set."""
        return tuple(int(self.classes["support"][self.labels["support"] == label][0]) for label in range(self.N))


def _labels_mean_one_class(episode: _Episode) -> None:
    for part in ("support", "query"):
        for label in range(episode.N):
            classes = sorted(set(episode.classes[part][episode.labels[part] == label].tolist()))
            if len(classes) > 1:
                refuse(f"y_{part}", f"label {label} is the classes {classes} at once: draw {episode.N} classes first")
            if part == "query" and classes[0] != episode.class_of[label]:
                refuse(
                    "y_query",
                    f"label {label} is class {episode.class_of[label]} in the support set and class {classes[0]} in the query "
                    "set: permute the labels once an episode, for both sets",
                )
    if len(set(episode.class_of)) < episode.N:
        classes = list(episode.class_of)
        refuse("classes", f"the labels 0, 1, .. are the classes {classes}, one is repeated: draw with replace=False")


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
    classes, examples = made[0].total
    missing = sorted(set(range(classes)) - {c for episode in made for c in episode.class_of})
    if missing:
        refuse("classes", f"the classes {missing} never come, in {EPISODES} episodes: draw from all {classes}")
    for part in ("support", "query"):
        missing = sorted(set(range(examples)) - {int(m) for episode in made for m in episode.examples[part]})
        if missing:
            refuse(f"x_{part}", f"the examples {missing} of a class never come: draw at random from all {examples}")


def _labels_are_permuted(made: list[_Episode]) -> None:
    before = {(a, b) for episode in made for i, a in enumerate(episode.class_of) for b in episode.class_of[i + 1:]}
    if not any((b, a) in before for a, b in before):
        refuse(
            "labels",
            "the labels are not permuted: of any two classes the same one always has the smaller label, "
            "so a network can memorise labels instead of reading the support set",
        )


# -- 7.2: the cross-entropy ------------------------------------------------------------------------------------


def check_cross_entropy(answer: Callable, rng: np.random.Generator) -> None:
    """`cross_entropy(z, y, r)`, for each example: the gradient and the Hessian-vector product of eq. 10."""
    n, ways = 4, 3
    z, r = 2 * rng.standard_normal((n, ways)), rng.standard_normal((n, ways))
    y = np.eye(ways)[rng.integers(ways, size=n)]
    names = ["gradient", "hvp"]
    gradient, hvp = several(answer(z, y, r), *names)

    value = lambda z: (np.log(np.exp(z).sum(-1)) - (y * z).sum(-1)).sum(-1)  # summed: each row moves its own loss only
    right = gradient_at_once(value, z)
    judge("gradient", gradient, right, _gradients(z, y, r))
    bent = complex_step(lambda z: cross_entropy.gradient(z, y), z, r)
    judge("hvp", hvp, bent, _hvps(z, y, r))

    with np.errstate(all="ignore"):
        large = several(answer(z + 1000, y, r), *names)
    too_large = "e^z overflows for logits near 1000: subtract the largest logit of every row first, which changes no p"
    no_change = "a constant added to all logits of an example changes no p"
    for name, mine, true in zip(["grad z+1000", "hvp z+1000"], large, (right, bent), strict=True):
        if not np.isfinite(_numbers(name, mine)).all():
            refuse(name, too_large)
        compare(name, mine, true, tolerance=1e-8, diagnosis=lambda near: no_change)


def _gradients(z: np.ndarray, y: np.ndarray, r: np.ndarray) -> list[tuple[str, np.ndarray]]:
    p, over_examples = softmax(z), softmax(z.T).T
    return [
        ("the softmax is missing: dl/dz = p - y with p = softmax(z) (eq. 10)", z - y),
        ("the target is missing: dl/dz = p - y (eq. 10)", p),
        ("the softmax runs over the examples (axis 0): it runs over the classes, axis -1", over_examples - y),
        ("the softmax runs over all numbers of z: take the sum over axis -1, with keepdims", np.exp(z) / np.exp(z).sum() - y),
        ("it is divided by n: eq. 10 is for one example, 1/n enters in eq. 2", (p - y) / len(z)),
        ("this is dl/dp = -y / p, not dl/dz: the softmax has a derivative too", -y / p),
        ("only the logit of the right class gets a gradient: every logit is in the sum of the softmax", y * (p - y)),
        ("the exponential is not normalised: p = e^z / sum e^z", np.exp(z) - y),
        ("this is the Hessian-vector product: return gradient, hvp in this order", p * (r - (p * r).sum(-1, keepdims=True))),
    ]


def _hvps(z: np.ndarray, y: np.ndarray, r: np.ndarray) -> list[tuple[str, np.ndarray]]:
    p = softmax(z)
    mean = (p * r).sum(-1, keepdims=True)
    return [
        ("the term p * sum(p * r) of eq. 10 is missing: every logit moves the sum in the softmax", p * r),
        ("only the diagonal of the Hessian is there, p (1 - p): the others are -p_i p_j (eq. 10)", p * (1 - p) * r),
        ("the mean of r is not weighted: eq. 10 has sum(p * r)", p * (r - r.mean(-1, keepdims=True))),
        ("sum(p * r) runs over all examples: take it over axis -1, with keepdims", p * (r - (p * r).sum())),
        ("sum(p * r) runs over the examples (axis 0): take it over axis -1", p * (r - (p * r).sum(0))),
        ("the factor p before the bracket is missing (eq. 10)", r - mean),
        ("the two terms are added: eq. 10 subtracts sum(p * r)", p * (r + mean)),
        ("p - y stands where p belongs: the target drops out of the second derivative", _weighted(p - y, r)),
        ("y stands where p belongs: the target drops out of the second derivative", _weighted(y, r)),
        ("the second derivative of the loss is missing: this is r itself", r),
        ("this is the gradient times r: a Hessian-vector product needs the second derivative", (p - y) * r),
        ("it is divided by n: eq. 10 is for one example, 1/n enters in eq. 6", p * (r - mean) / len(z)),
    ]


def _weighted(p: np.ndarray, r: np.ndarray) -> np.ndarray:
    return p * (r - (p * r).sum(-1, keepdims=True))


# -- 7.3: what a task-blind network can reach --------------------------------------------------------------------


def check_blind_loss(answer: Callable, rng: np.random.Generator) -> None:
    """`blind_loss(p)`: the expected cross-entropy of the answer p (N,) when each of N labels is equally likely."""
    for ways in (2, 5):
        p = softmax(rng.standard_normal(ways))
        mine, right = answer(p), -np.log(p).mean()
        if np.shape(mine) == p.shape and np.allclose(mine, -np.log(p)):
            refuse("blind_loss", f"it has shape {p.shape}, expected (): these are losses of single labels, take their mean")
        judge(f"loss, N = {ways}", mine, right, _blind(p))
    uniform = np.full(5, 0.2)
    compare("all p = 1/5", answer(uniform), np.log(5))


def _blind(p: np.ndarray) -> list[tuple[str, float]]:
    log = np.log(p)
    return [
        ("this is the entropy of p: the label is not drawn from p, each of the N has probability 1/N", -(p * log).sum()),
        ("it is the sum over the labels: the expectation weights each with 1/N", -log.sum()),
        ("this is -log of the mean of p: the loss is the mean of -log p", -np.log(p.mean())),
        ("this is the loss of the likeliest label only: every label comes with probability 1/N", -log.max()),
        ("this is the loss of the first label only: every label comes with probability 1/N", -log[0]),
        ("the logarithm has base 2: cross-entropy has the natural one", -np.log2(p).mean()),
        ("the logarithm has base 10: cross-entropy has the natural one", -np.log10(p).mean()),
        ("this is the expected error rate: the loss of a label is -log p", 1 - p.mean()),
    ]


# -- what an answer is made of ------------------------------------------------------------------------------------


def _right(name: str, shape: Any, fact: str) -> None:
    print(f"{name:<12}  {shape!s:<12}  {fact:<58}  right")


def _numbers(name: str, value: Any) -> np.ndarray:
    array = np.asarray(value) if value is not None else np.array(None)
    if array.dtype.kind not in "bif":
        refuse(name, f"it is {value!r}, expected an array of numbers")
    return array


def _shape(name: str, array: np.ndarray, wanted: tuple[int, ...], why: str) -> None:
    if array.shape != wanted:
        refuse(name, f"it has shape {array.shape}, expected {wanted}: {why}")


CHECKS = {"7.1": check_episode, "7.2": check_cross_entropy, "7.3": check_blind_loss}
