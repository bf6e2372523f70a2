"""The exercises of lesson 07: an episode, what a task-blind network can reach, the nearest mean."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from itertools import combinations, permutations
from typing import Any

import numpy as np

from exercises.exercise import ByHand, Exercise
from exercises.guard import refuse, several
from tinymaml.nn.losses import softmax

# -- 7.1: an episode, from arrays in which every example can be recognised --------------------------------------------

EPISODES = 400  # so many that whatever may happen does
PARTS = ("x_support", "y_support", "x_query", "y_query")
ONE_HOT = "a row is one-hot, as in np.eye(ways)[labels]"


def check_episode(answer: Callable, rng: np.random.Generator) -> None:
    """`episode(array, ways, shots, queries, rng)`: each episode by itself, and what comes in many of them."""
    for ways, shots, queries, count in ((4, 2, 5, EPISODES), (3, 1, 2, 30), (5, 3, 1, 30)):
        array = rng.standard_normal((12, 10, 3))
        places = {array[place].tobytes(): place for place in np.ndindex(array.shape[:2])}
        seeds = rng.integers(2**31, size=count)
        sizes = {"ways": ways, "shots": shots, "queries": queries}
        drawn = [answer(array, **sizes, rng=np.random.default_rng(seed)) for seed in (*seeds, seeds[0])]
        *made, again = [Episode(value, array, places, *sizes.values()) for value in drawn]
        for look in (_labels_mean_one_class, _nothing_twice, _nothing_shared):
            for episode in made:
                look(episode)
        keys, key = [list(episode.drawn.items()) for episode in made], list(again.drawn.items())  # the order of the classes counts
        if keys[0] != key:
            refuse("rng", "two calls with the same seed give two episodes: draw everything from the rng that is passed in")
        if all(other == key for other in keys):
            refuse("rng", "every episode is the same: draw from the rng that is passed in, make no new one")
        if count == EPISODES:
            _everything_comes(made)
            _each_class_draws_its_own(made)
            _labels_are_permuted(made)
    for dtype in (np.float64, np.float32):
        value = answer(array.astype(dtype), **sizes, rng=np.random.default_rng(0))
        for name, part in zip(PARTS, value, strict=True):
            _of_dtype(name, np.asarray(part).dtype, np.dtype(dtype))
    for name in (*PARTS, "examples", "labels"):
        print(f"{name:<12}  right, in {EPISODES} episodes and more")


def _of_dtype(name: str, found: np.dtype, wanted: np.dtype) -> None:
    if found != wanted:
        kind = {"b": "holds truth values,", "i": "holds whole numbers,", "u": "holds whole numbers,"}.get(found.kind, "is in")
        refuse(name, f"it {kind} {found}, and the array is in {wanted}: use dtype=array.dtype")


class Episode:
    """One answer, read back: `classes[part]` and `examples[part]` say where each row of x came from, `labels[part]` its label."""

    def __init__(self, value: Any, array: np.ndarray, places: dict[bytes, tuple], ways: int, shots: int, queries: int):
        given = dict(zip(PARTS, several(value, *PARTS), strict=True))
        for name, part in given.items():
            if part is None or np.asarray(part).dtype.kind not in "bif":
                refuse(name, f"it is {part!r}, expected an array of numbers")
        given = {name: np.asarray(part) for name, part in given.items()}
        self.N, self.total = ways, array.shape[:2]
        _shapes(given, array, ways, shots, queries)
        self.classes, self.examples, self.labels = {}, {}, {}
        for part, count in (("support", shots), ("query", queries)):
            x, y = given[f"x_{part}"], given[f"y_{part}"]
            if not (((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all()):
                refuse(f"y_{part}", f"its rows are not one 1 among zeros: {ONE_HOT}")
            found = [places.get(np.asarray(row, float).tobytes()) for row in x]
            if None in found:
                what = f"row {found.index(None)} is no example of the array: a row is array[class, example], unchanged"
                refuse(f"x_{part}", what)
            self.classes[part], self.examples[part] = np.array(found).T
            self.labels[part] = y.argmax(1)
            for label, number in enumerate(np.bincount(self.labels[part], minlength=ways)):
                if number != count:
                    each = "the same number of every class"
                    refuse(f"y_{part}", f"label {label} has {number} examples, expected {count}: {each}")

    @cached_property
    def class_of(self) -> tuple[int, ...]:
        """The class with label 0, 1, ..., by the support set."""
        return tuple(int(self.classes["support"][self.labels["support"] == label][0]) for label in range(self.N))

    @cached_property
    def drawn(self) -> dict[tuple[int, str], list[int]]:
        """The examples of each class in each part, in the order in which they come."""
        return {(c, part): self.examples[part][self.classes[part] == c].tolist() for c in self.class_of for part in self.classes}


def _shapes(given: dict[str, np.ndarray], array: np.ndarray, N: int, shots: int, queries: int) -> None:
    """Refuse other shapes, and say what they look like."""
    d, shapes = array.shape[-1], {name: part.shape for name, part in given.items()}
    wanted = {"x_support": (N * shots, d), "y_support": (N * shots, N), "x_query": (N * queries, d), "y_query": (N * queries, N)}
    if shapes == wanted:
        return
    for order in ("x_support, x_query, y_support, y_query", "x_query, y_query, x_support, y_support"):
        if [wanted[name] for name in order.split(", ")] == list(shapes.values()):
            refuse("the answer", f"it comes in the order {order}: return {', '.join(PARTS)}")
    name = next(name for name in PARTS if shapes[name] != wanted[name])
    got, (rows, columns), part = shapes[name], wanted[name], name[2:]
    both = [("shots", shots, "support"), ("queries", queries, "query")]
    (counts, count, _), (_, other, others) = both if part == "support" else both[::-1]
    why = next(why for so, why in (
        (got == (columns, rows), "it is transposed, rows are examples"),
        (got == (rows, len(array)),
         "a label is a place among the N classes of the task, not the number of the class in the array"),
        (got == (rows,), "these are labels, make them one-hot: np.eye(ways)[labels]"),
        (len(got) == 3 and got[:2] in ((N, count), (count, N)),
         "put the classes under one another, in one axis of rows: np.concatenate, not np.stack"),
        (got == (count, N * columns), "the classes stand side by side: put them under one another, in axis 0"),
        (got == (N * (array.shape[1] - shots), columns) and part == "query",
         "all other examples of a class are in it: draw `queries` of them"),
        (got == (N * (queries - shots), columns) and part == "query",
         "the query examples are those from `shots` on, and end at shots + queries"),
        (got == (N, columns), "there is one row for each class: there must be one for each example"),
        (got == (N * (count - 1), columns), "one example of each class is missing"),
        (got == (N * (count + 1), columns), "there is one example too many of each class"),
        (got[:1] == (N * other,), f"it has as many rows as the {others} set, and {counts} counts them here"),
        (len(got) == 2 and got[0] == count, f"{counts} counts the examples of each class, N times as many rows are wanted"),
        (got == (N * (shots + queries), columns), "support and query examples are both in it: split them"),
        (name[0] == "x", "rows are examples, N * count of them"),
        (True, ONE_HOT),
    ) if so)  # fmt: skip
    refuse(name, f"it has shape {got}, expected {(rows, columns)}: {why}")


def _labels_mean_one_class(episode: Episode) -> None:
    of, labels = episode.classes, episode.labels
    for part in of:
        for label in range(episode.N):
            classes = sorted(set(of[part][labels[part] == label].tolist()))
            if len(classes) > 1:
                _say_how_they_are_mixed(episode, part, f"label {label} is the classes {classes} at once")
    if len(set(episode.class_of)) < episode.N:
        classes = list(episode.class_of)
        refuse("classes", f"the labels 0, 1, .. are the classes {classes}, one is repeated: draw with replace=False")
    for label, here in enumerate(episode.class_of):
        there = int(of["query"][labels["query"] == label][0])
        if there != here:
            same = set(of["query"].tolist()) == set(episode.class_of)
            how = "permute the labels once an episode, for both sets" if same else "draw the classes once, for both sets"
            refuse("y_query", f"label {label} is class {here} in the support set and class {there} in the query set: {how}")


def _say_how_they_are_mixed(episode: Episode, part: str, at_once: str) -> None:
    N, rows, labels = episode.N, episode.classes[part], episode.labels[part]
    count = len(labels) // N
    number = np.unique(rows, return_counts=True)[1]
    if len(number) == N and (number == count).all():
        how = "np.repeat goes class by class, np.tile round and round; where x is shuffled, its y must be shuffled with it"
        refuse(f"y_{part}", f"{at_once}: the rows of x and of y are not in the same order ({how})")
    if count > 1 and all(len(set(episode.examples[part][labels == k].tolist())) == 1 for k in range(N)):
        refuse(f"x_{part}", f"{at_once}: axis 0 of the array is the class and axis 1 the example, they are swapped")
    refuse(f"y_{part}", f"{at_once}, and there are {len(number)} classes in the task: draw {N} classes first")


def _nothing_twice(episode: Episode) -> None:
    of = lambda part: list(zip(episode.classes[part].tolist(), episode.examples[part].tolist(), strict=True))
    rows = {part: of(part) for part in episode.classes}
    for part, of_part in rows.items():
        if len(set(of_part)) < len(of_part):
            refuse(f"x_{part}", "an example is there twice: draw the examples of a class with replace=False")


def _nothing_shared(episode: Episode) -> None:
    for c in episode.class_of:
        for m in sorted(set(episode.drawn[c, "support"]) & set(episode.drawn[c, "query"])):
            refuse("x_query", f"support and query share an example (class {c}, example {m}): it is judged on what it was shown")


def _everything_comes(made: list[Episode]) -> None:
    """Every class equally often, and every example of a class on both sides."""
    total, examples = made[0].total
    classes = Counter(c for episode in made for c in episode.class_of)
    missing = sorted(set(range(total)) - classes.keys())
    if missing and len({episode.class_of for episode in made}) == 1:
        refuse("classes", "they are the same in every episode: draw them from the rng that is passed in")
    if missing:
        refuse("classes", f"the classes {missing} never come, in {EPISODES} episodes: draw from all {total}")
    often, expected = max(classes, key=classes.__getitem__), EPISODES * made[0].N / total
    if classes[often] > 1.5 * expected:  # seven standard deviations
        refuse("classes", f"class {often} comes in {classes[often]} of {EPISODES} episodes, expected about {expected:.0f}")
    _all_pairs("classes", total, [episode.class_of for episode in made], "the classes {}", "with rng.permutation")
    come = {part: {int(m) for episode in made for m in episode.examples[part]} for part in ("support", "query")}
    missing = sorted(set(range(examples)) - come["support"] - come["query"])
    if missing:
        refuse("examples", f"the examples {missing} of a class never come: draw at random from all {examples}")
    if not come["support"] & come["query"]:
        only = [str(sorted(part)) for part in come.values()]
        told = f"it takes the examples {only[0]} of a class only, and the query set {only[1]} only"
        refuse("x_support", f"{told}: draw both from all {examples}")


def _all_pairs(name: str, total: int, groups: list, what: str, how: str) -> None:
    """Refuse if two of `total` never come in one group."""
    together = {pair for group in groups for pair in combinations(sorted(group), 2)}
    for pair in sorted(set(combinations(range(total), 2)) - together)[:1]:
        refuse(name, f"{what.format(list(pair))} never come together: draw them independently, {how}")


def _each_class_draws_its_own(made: list[Episode]) -> None:
    """The examples of a class are drawn anew for each class, and any two of them may come together."""
    support = [[episode.drawn[c, "support"] for c in episode.class_of] for episode in made]
    how = "use rng.choice or rng.permutation"
    if all(of_class == of[0] for of in support for of_class in of):
        refuse("x_support", "all classes of an episode have examples of the same numbers: draw them anew for each class")
    drawn, examples = [of_class for of in support for of_class in of], made[0].total[1]
    if all(min(abs(a - b), examples - abs(a - b)) == 1 for a, b in drawn):
        refuse("x_support", f"the examples of a class are always neighbours, a window of the array: {how}")
    if all(max(episode.drawn[c, "support"]) < min(episode.drawn[c, "query"]) for episode in made for c in episode.class_of):
        before = "its examples always stand before those of the query set in the array"
        refuse("x_support", f"{before}: split what was drawn before you sort it, if you must")
    for part, rest in (("support", ""), ("query", " that are not in the support set")):
        if missing := sorted(set(range(examples)) - {int(m) for episode in made for m in episode.examples[part]}):
            refuse(f"x_{part}", f"the examples {missing} of a class never come in the {part} set: draw at random from all{rest}")
    _all_pairs("x_support", examples, drawn, "the examples {} of a class", how)
    queries: dict[frozenset, set] = {}
    for episode in made:
        for c in episode.class_of:
            queries.setdefault(frozenset(episode.drawn[c, "support"]), set()).add(frozenset(episode.drawn[c, "query"]))
    if all(len(sets) == 1 for sets in queries.values()):
        refuse("x_query", f"the same support examples always come with the same query examples: draw both at random, {how}")
    for a, b in combinations(range(made[0].N), 2):
        shared = np.mean([len({*of[a]} & {*of[b]}) for of in support])
        if abs(shared - (expected := len(support[0][0]) ** 2 / examples)) > 0.2:  # seven standard deviations
            told = f"the support sets of two classes have {shared:.1f} numbers of examples in common, expected {expected:.1f} on average"
            refuse("x_support", f"{told}: draw them at random, anew for each class")


def _labels_are_permuted(made: list[Episode]) -> None:
    """All orders of the N classes are equally likely: Pearson's test, far beyond what chance does."""
    counts = Counter(tuple(np.argsort(episode.class_of).tolist()) for episode in made)
    N, why = made[0].N, "so a network can memorise labels instead of reading the support set"
    orders, expected = math.factorial(N), len(made) / math.factorial(N)
    before = {pair for episode in made for pair in combinations(episode.class_of, 2)}
    fixed = next(([a, b] for a, b in sorted(before) if (b, a) not in before), None)
    if sum((counts[order] - expected) ** 2 / expected for order in permutations(range(N))) < 6 * orders:
        if fixed:
            refuse("labels", f"of the classes {fixed} the first always has the smaller label, {why}: use rng.permutation")
        return
    if len(counts) == 1:
        refuse("labels", f"they are not permuted: of any two classes the same one always has the smaller label, {why}")
    if len(counts) == N == len({order.index(0) for order in counts}):
        refuse("labels", f"they are only rolled: of the {orders} orders of {N} classes only {N} come, {why}: use rng.permutation")
    few = f"of the {orders} orders of {N} classes only {len(counts)} come"
    few = few if len(counts) < orders else "some orders come far too often"
    refuse("labels", f"they are not permuted at random: {few}, {why}: use rng.permutation")


EPISODE = ByHand(
    """def episode(array, ways, shots, queries, rng):
    x_support, x_query = [], []
    for c in rng.choice(len(array), ways, replace=False):  # label 0, 1, .. in this order
        drawn = rng.choice(array.shape[1], shots + queries, replace=False)
        x_support.append(array[c, drawn[:shots]])
        x_query.append(array[c, drawn[shots:]])
    one_hot = np.eye(ways, dtype=array.dtype)
    y_support, y_query = np.repeat(one_hot, shots, axis=0), np.repeat(one_hot, queries, axis=0)
    return np.concatenate(x_support), y_support, np.concatenate(x_query), y_query
""",
    check_episode,
)

# -- 7.2: what a task-blind network can reach --------------------------------------------------------------------


def answers(rng: np.random.Generator) -> list[tuple]:
    """p from 0.6 down to 1e-20: the largest, the smallest and the median are in another place each time; then 1/N everywhere."""
    drawn = lambda *z: (softmax(np.array(z) + 0.2 * rng.random(len(z))),)
    return [drawn(-1, 0, -24, -2.5, -4), drawn(-46, -1, 0, -2.5), drawn(-1, -24, 0), drawn(-1, -4, -2.5, 0, -46), (np.full(5, 0.2),)]


SMALL = "a small number is added to p, or p is cut off, before the logarithm"
BLIND_LOSS = Exercise(
    """def blind_loss(p):
    return -np.log(p).mean()
""",
    answers,
    ("loss",),
    (
        ("-np.log(p).mean()", "-(p * np.log(p)).sum()",
         "this is the entropy of p: the label is not drawn from p, each of the N has probability 1/N"),
        ("np.log(p)", "(p * np.log(p))", "the losses are weighted with p: each label has probability 1/N"),
        (".mean()", ".sum()", "it is the sum over the labels: the expectation weights each with 1/N"),
        ("-np.log(p)", "np.log(p)", "the sign is wrong: the loss of label i is -ln p_i"),
        (".mean()", ".mean() / len(p)", "it is divided by N twice: the mean has the 1/N in it"),
        (".mean()", ".sum() / (len(p) - 1)", "it is divided by N - 1 and not by N"),
        ("-np.log(p).mean()", "-np.log(p.mean())", "this is ln N, or -log of the mean of p: the loss is the mean of -log p"),
        (".mean()", ".max()", "this is the loss of the likeliest label only: every label comes with probability 1/N"),
        (".mean()", ".min()", "this is the loss of the unlikeliest label only: every label comes with probability 1/N"),
        (".mean()", "[0]", "this is the loss of the first label only: every label comes with probability 1/N"),
        (".mean()", "[-1]", "this is the loss of the last label only: every label comes with probability 1/N"),
        ("np.log(p).mean()", "np.median(np.log(p))", "this is the median: an expectation is a mean"),
        (".mean()", "", "these are losses of single labels, take their mean"),
        ("np.log", "np.log2", "the logarithm has base 2: cross-entropy has the natural one"),
        ("np.log", "np.log10", "the logarithm has base 10: cross-entropy has the natural one"),
        ("-np.log(p).mean()", "1 - p.mean()", "this is the expected error rate: the loss of a label is -log p"),
        ("-np.log(p).mean()", "-p.mean()", "the logarithm is missing: this is minus the mean of p"),
        ("-np.log(p).mean()", "(p * np.log(p * len(p))).sum()",
         "this is how far p is from 1/N, weighted with p: the losses -ln p_i have the weight 1/N each"),
        ("-np.log(p).mean()", "p.mean()", "the logarithm is missing: this is the mean of p"),
        ("np.log(p)", "np.log(np.exp(p) / np.exp(p).sum())", "p is taken for logits: it is a probability already, without another softmax"),
        ("-np.log(p).mean()", "-np.log(p).mean() - np.log(len(p))", "ln N is taken off: this is how much worse p is than 1/N everywhere"),
        ("-np.log(p).mean()", "np.exp(-np.log(p).mean())", "e to the loss is taken: the loss itself is asked for"),
        ("np.log(p)", "np.log(1 - p)", "this is the mean of -ln(1 - p), the loss of what is not the label: of label i it is -ln p_i"),
        ("np.log(p).mean()", "np.log(p)[1:].sum() / len(p)", "the first label is left out of the sum: range(N) begins at 0"),
        (".mean()", "[0] / len(p)", "this is the loss of the first label only, divided by N: sum up over all labels"),
        (".mean()", ".max() / len(p)", "this is the loss of the likeliest label only, divided by N: sum up over all labels"),
        (".mean()", " / len(p)", "these are the terms of the mean, not yet summed up"),
        ("np.log(p)", "(np.log(p) + (len(p) - 1) * np.log(1 - p))",
         "this is a binary cross-entropy, with -ln(1 - p_i) for the labels that are wrong: the loss of label i is -ln p_i"),
        ("-np.log(p).mean()", "((p - np.eye(len(p))) ** 2).sum(1).mean()", "this is the squared error: the loss of label i is -ln p_i"),
        ("-np.log(p).mean()", "np.log((1 / p).mean())", "the mean stands inside the logarithm: take the mean of ln(1 / p)"),
        *(("np.log(p)", f"np.log(p + 1e-{k})", SMALL) for k in (6, 7, 8, 9, 10, 12, 15)),
        *(("np.log(p)", f"np.log(np.maximum(p, 1e-{k}))", SMALL) for k in (3, 6, 7, 8, 10, 12, 15)),
    ),
)  # fmt: skip

# -- 7.3: the nearest mean -----------------------------------------------------------------------------------------


def sets(rng: np.random.Generator, shots: list[int], d: int, queries: int) -> tuple:
    """A support set with shots[c] examples of class c, in random order, and queries of all classes."""
    labels = rng.permutation(np.repeat(np.arange(len(shots)), shots))
    centres = rng.standard_normal((len(shots), d))
    x_support = centres[labels] + 0.5 * rng.standard_normal((len(labels), d))
    return x_support, np.eye(len(shots))[labels], rng.standard_normal((queries, d))


CENTRE = "    means = y_support.T @ x_support / y_support.sum(0)[:, None]\n"
DISTANCE = "    return -((x_query[:, None] - means) ** 2).sum(-1)\n"
NEEDS_ALL = "take the mean of the examples of each class"
SORTED = "the rows of the support set are taken to be in a fixed order of labels: y_support says which class a row has"
NEAREST_MEAN = Exercise(
    f"""def nearest_mean(x_support, y_support, x_query):
{CENTRE}{DISTANCE}""",
    lambda rng: [sets(rng, *how) for how in (([2, 2, 2, 2], 3, 7), ([3, 1, 2], 4, 5), ([1, 1, 1], 2, 4), ([5, 5], 6, 3), ([4, 2, 3], 5, 1))],
    ("logits",),
    (
        ("return -", "return ", "the sign is wrong: the nearest mean has the largest logit"),
        ("((x_query[:, None] - means) ** 2).sum(-1)", "np.sqrt(((x_query[:, None] - means) ** 2).sum(-1))",
         "a square root is taken: the exponent of the density is minus the squared distance"),
        ("return -", "return -0.5 * ", "there is a factor 1/2: the density e^(-|x - m|^2) has none"),
        ("-((x_query[:, None] - means) ** 2).sum(-1)", "2 * x_query @ means.T - (means**2).sum(-1)",
         "the term -|x|^2 is left out: the softmax is the same without it, and minus the squared distance has it"),
        ("-((x_query[:, None] - means) ** 2).sum(-1)", "x_query @ means.T - (means**2).sum(-1) / 2",
         "this is x . m - |m|^2 / 2, half of what the square has without its term -|x|^2: minus the squared distance is asked for"),
        ("-((x_query[:, None] - means) ** 2).sum(-1)", "2 * x_query @ means.T + (means**2).sum(-1)",
         "this is 2 x . m + |m|^2: multiplied out, minus the squared distance is -|x|^2 + 2 x . m - |m|^2"),
        ("-((x_query[:, None] - means) ** 2).sum(-1)",
         "-(x_query**2).sum(-1)[:, None] + 2 * x_query @ means.T + (means**2).sum(-1)",
         "the sign of |m|^2 is wrong: multiplied out, minus the squared distance is -|x|^2 + 2 x . m - |m|^2"),
        ("-((x_query[:, None] - means) ** 2).sum(-1)",
         "-(x_query**2).sum(-1)[:, None] + x_query @ means.T - (means**2).sum(-1)",
         "the 2 of 2 x . m is missing: multiplied out, minus the squared distance is -|x|^2 + 2 x . m - |m|^2"),
        ("-((x_query[:, None] - means) ** 2).sum(-1)", "-((x_query[:, None] - means).sum(-1)) ** 2",
         "the differences are summed up before they are squared: take the sum of their squares"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    o = -((x_query[:, None] - means) ** 2).sum(-1)\n    return o - o.max(-1, keepdims=True)\n",
         "the largest logit is subtracted from each: the softmax is the same, but a logit is to be 0 where x = m_c"),
        ("-((x_query[:, None] - means) ** 2).sum(-1)", "1 / ((x_query[:, None] - means) ** 2).sum(-1)",
         "this is one over the squared distance: the logit is minus the squared distance"),
        ("-((x_query[:, None] - means) ** 2).sum(-1)",
         "-((x_query[:, None] - means) ** 2).sum(-1) / 2 - x_query.shape[1] / 2 * np.log(2 * np.pi)",
         "this is the logarithm of the normal density: the density here is e^(-|x - m|^2)"),
        ("-((x_query[:, None] - means) ** 2).sum(-1)", "2 * x_query @ means.T",
         "this is 2 x . m alone: the terms -|x|^2 and -|m|^2 of the square are missing"),
        ("-((x_query[:, None] - means) ** 2).sum(-1)", "x_query @ means.T",
         "this is the product x . m: minus the squared distance is asked for"),
        ("-((x_query[:, None] - means) ** 2).sum(-1)", "-np.abs(x_query[:, None] - means).sum(-1)",
         "the absolute differences are summed: take their squares"),
        ("means) ** 2).sum(-1)", "means) ** 2).mean(-1)", "it is the mean over the features: a squared distance is their sum"),
        ("-((x_query[:, None] - means) ** 2).sum(-1)", "np.exp(-((x_query[:, None] - means) ** 2).sum(-1))",
         "this is the density: a logit is the logarithm of it"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    e = np.exp(-((x_query[:, None] - means) ** 2).sum(-1))\n    return e / e.sum(-1, keepdims=True)\n",
         "these are the probabilities: give the logits, before the softmax"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    e = np.exp(-((x_query[:, None] - means) ** 2).sum(-1))\n    return e / e.sum(0)\n",
         "these are numbers after a softmax over the queries: give the logits, before a softmax"),
        ("means) ** 2).sum(-1)", "means) ** 2).sum(1)", "the sum is over the classes: a squared distance sums over the features"),
        ("y_support.T @ x_support / y_support.sum(0)[:, None]", "x_support.mean(0)[None]",
         "there is one mean of all support examples: take one for each class"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    e = np.exp(-((x_query[:, None] - means) ** 2).sum(-1))\n    return np.log(e / e.sum(-1, keepdims=True))\n",
         "this is the logarithm of the softmax: give the logits, before the softmax"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    return ((x_query[:, None] - means) ** 2).sum(-1).argmin(-1)\n",
         "these are labels, the nearest mean of each query: give a logit for each class"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    return np.eye(len(means))[((x_query[:, None] - means) ** 2).sum(-1).argmin(-1)]\n",
         "these are one-hot answers: give a logit for each class"),
        ("x_query[:, None] - means) ** 2).sum(-1)", "x_query[:, None] - means) ** 2).sum(-1).T",
         "it is transposed: a row for each query, a column for each class"),
        (" / y_support.sum(0)[:, None]", "", "this is the distance to the sum of the examples of a class: divide by their number"),
        ("y_support.sum(0)[:, None]", "len(x_support)",
         "the sum of a class is divided by the number of all support examples: divide by the number of its own"),
        ("y_support.sum(0)[:, None]", "y_support.shape[1]",
         "the sum of a class is divided by the number of classes: divide by the number of its examples"),
        ("y_support.sum(0)[:, None]", "(len(x_support) / y_support.shape[1])",
         "every class is taken to have the same number of examples: count them, y_support.sum(0)"),
        ("y_support.T @ x_support / y_support.sum(0)[:, None]",
         "x_support.reshape(y_support.shape[1], -1, x_support.shape[1]).mean(1)", SORTED),
        ("y_support.T @ x_support / y_support.sum(0)[:, None]",
         "x_support.reshape(-1, y_support.shape[1], x_support.shape[1]).mean(0)", SORTED),
        ("y_support.T @ x_support / y_support.sum(0)[:, None]", "x_support[:y_support.shape[1]]", SORTED),
        ("y_support.T @ x_support / y_support.sum(0)[:, None]", "x_support[y_support.argmax(0)]",
         f"only the first example of each class is used: {NEEDS_ALL}"),
        ("y_support.T @ x_support / y_support.sum(0)[:, None]",
         "np.array([np.median(x_support[y == 1], axis=0) for y in y_support.T])", f"this is the median of each class: {NEEDS_ALL}"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    square = ((x_query[:, None] - x_support) ** 2).sum(-1)\n    return -square @ y_support / y_support.sum(0)\n",
         "this is the mean of the squared distances to the examples of a class: take the distance to their mean"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    return -((x_query[:, None] - x_support) ** 2).sum(-1) @ y_support\n",
         "this is the sum of the squared distances to the examples of a class: take the distance to their mean"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    near = np.exp(-((x_query[:, None] - x_support) ** 2).sum(-1))\n    return np.log(near @ y_support / y_support.sum(0))\n",
         "every example has a cloud of its own: the cloud of a class is around the mean of its examples"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    square = ((x_query[:, None] - x_support) ** 2).sum(-1)\n"
         "    return -np.array([square[:, y == 1].min(1) for y in y_support.T]).T\n",
         "this is the distance to the nearest example of each class: take that to the mean of its examples"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n", "    return -((x_query[:, None] - x_support) ** 2).sum(-1)\n",
         "there is a number for each support example: give one for each class, from the mean of its examples"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    norms = np.linalg.norm(x_query, axis=1)[:, None] * np.linalg.norm(means, axis=1)\n    return x_query @ means.T / norms\n",
         "this is the cosine of the angle to the mean: minus the squared distance is asked for"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    return -((x_query[:, None] - means) ** 2).sum(-1) / y_support.sum(0)\n",
         "the squared distance is divided by the number of examples of the class: only the mean is"),
        ("    return -((x_query[:, None] - means) ** 2).sum(-1)\n",
         "    return -((x_query[:, None] - means) ** 2).sum(-1) + np.log(y_support.sum(0) / len(y_support))\n",
         "the classes are weighted by their numbers of support examples: they are equally likely"),
    ),
)  # fmt: skip

CHECKS = {"7.1": EPISODE, "7.2": BLIND_LOSS, "7.3": NEAREST_MEAN}
nearest_mean = NEAREST_MEAN.solve  # the lesson goes on with it
