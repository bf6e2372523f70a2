"""The exercises of lesson 10, and its eight runs with one fault each: read the lesson first, this file gives the faults away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from exercises.exercise import ByHand, Exercise, function
from exercises.guard import refuse
from tinymaml import MLP, Parameters, adapt, meta_gradient
from tinymaml.tasks import Episodes, Planes, Sinusoids, TaskBatch, pool
from tinymaml.training.evaluation import ACCURACY, evaluate
from tinymaml.training.optimizers import Adam

WAVES, NET = Sinusoids(), MLP([1, 40, 40, 1])
CLASSES = MLP([10, 40, 40, 5], activation="tanh", loss="cross_entropy")


@dataclass(frozen=True)
class Run:
    """What a run shows: losses of sine waves, accuracies of classes.

    curve   the meta-loss of every iteration
    own     on tasks as in training, before and after one step
    new     on 300 new tasks, after 0..5 steps
    lost    how many of the new tasks have diverged, after 0..5 steps
    alone   of classes: the accuracy after one step, on query sets that hold one class only
    """

    curve: np.ndarray
    own: np.ndarray
    new: np.ndarray
    lost: np.ndarray
    alone: float | None = None


def train(model: MLP, sample: Callable, gradient: Callable, iterations: int, outer_lr: float) -> tuple[Parameters, np.ndarray]:
    """The outer loop: theta, and the meta-loss of every iteration."""
    rng, optimizer = np.random.default_rng(1), Adam(outer_lr)
    theta = model.init(rng)
    state, curve = optimizer.start(theta), []
    for _ in range(iterations):
        meta = gradient(theta, sample(rng))
        curve.append(float(meta.loss))
        theta, state = optimizer.step(theta, meta.gradient, state)
    return theta, np.array(curve)


def waves(
    sample: Callable | None = None, inner_lr: float = 0.01, gradient: Callable | None = None, test: Sinusoids = WAVES,
    own: TaskBatch | None = None,
) -> Run:  # fmt: skip
    """A run on sine waves: without arguments a healthy one."""
    rng = np.random.default_rng(0)
    sample = sample or (lambda rng: WAVES.sample(rng, tasks=25, shots=10, queries=10))
    gradient = gradient or (lambda theta, batch: meta_gradient(NET, theta, batch, inner_lr=inner_lr))
    theta, curve = train(NET, sample, gradient, 600, 0.003)
    own = own or WAVES.sample(rng, tasks=300, shots=10, queries=50)
    new = evaluate(NET, theta, test.sample(rng, tasks=300, shots=10, queries=50), inner_lr=inner_lr, steps=5)
    before_and_after = evaluate(NET, theta, own, inner_lr=inner_lr, steps=1).mean
    return Run(curve, before_and_after, new.mean, new.diverged_count)


def planes(episodes: Episodes | None = None, model: MLP = CLASSES) -> Run:
    """A run on classes: without arguments a healthy one."""
    rng, every = np.random.default_rng(0), Episodes(Planes(), ways=5)
    episodes = episodes or every
    gradient = lambda theta, batch: meta_gradient(model, theta, batch, inner_lr=0.4)
    theta, curve = train(model, lambda rng: episodes.sample(rng, tasks=10, shots=1, queries=5), gradient, 400, 0.01)
    own, new = (source.sample(rng, tasks=300, shots=1, queries=5) for source in (episodes, every))
    found = evaluate(model, theta, new, inner_lr=0.4, steps=5, metric=ACCURACY)
    adapted = adapt(model, theta, new.x_support, new.y_support, inner_lr=0.4)
    right = [(model.predict(adapted, new.x_query[:, i : i + 5]).argmax(-1) == new.y_query[:, i : i + 5].argmax(-1)).mean()
             for i in range(0, 25, 5)]  # fmt: skip
    before_and_after = evaluate(model, theta, own, inner_lr=0.4, steps=1, metric=ACCURACY).mean
    return Run(curve, before_and_after, found.mean, found.diverged_count, float(np.mean(right)))


def at_theta(theta: Parameters, batch: TaskBatch) -> Any:
    here = NET.at(theta, batch.x_query, batch.y_query)
    return SimpleNamespace(loss=here.loss.mean(), gradient=here.gradient.mean())


def support_as_query(rng: np.random.Generator) -> TaskBatch:
    batch = WAVES.sample(rng, tasks=25, shots=10, queries=10)
    return replace(batch, x_query=batch.x_support, y_query=batch.y_support)


def five_tasks() -> Run:
    few = WAVES.sample(np.random.default_rng(5), tasks=5, shots=10, queries=10)
    return waves(sample=lambda rng: few, own=few)


def fixed_labels() -> Run:
    array = pool(Planes(), np.random.default_rng(0), classes=5, examples=200, dtype=np.float64)
    return planes(Episodes(array, shuffled=False))


def batch_statistics() -> Run:
    return planes(model=MLP([10, 40, 40, 5], activation="relu", loss="cross_entropy", norm="batch"))


FAULTS = ("alpha too large", "few training tasks", "gradient at theta", "labels never shuffled", "leak through batch statistics",
          "one task a batch", "second-order term left out", "support used as query", "task shift")  # fmt: skip
WHAT = {"A": "few training tasks", "B": "gradient at theta", "C": "support used as query", "D": "alpha too large", "E": "task shift",
        "F": "one task a batch", "G": "leak through batch statistics", "H": "labels never shuffled"}  # fmt: skip
MADE = {
    "A": five_tasks,
    "B": lambda: waves(gradient=at_theta),
    "C": lambda: waves(sample=support_as_query),
    "D": lambda: waves(inner_lr=0.1),
    "E": lambda: waves(test=Sinusoids(amplitude=(5, 10))),
    "F": lambda: waves(sample=lambda rng: WAVES.sample(rng, tasks=1, shots=10, queries=10)),
    "G": batch_statistics,
    "H": fixed_labels,
    "healthy waves": waves,
    "healthy classes": planes,
}  # fmt: skip
DONE: dict[str, Run] = {}


def runs(names: str) -> dict[str, Run]:
    """The runs with these letters; each is made once."""
    for name in names:
        DONE[name] = DONE[name] if name in DONE else MADE[name]()
    return {name: DONE[name] for name in names}


def healthy() -> dict[str, Run]:
    """A run on waves and one on classes that have no fault."""
    for name in ("healthy waves", "healthy classes"):
        DONE[name] = DONE[name] if name in DONE else MADE[name]()
    return {name: DONE[name] for name in ("healthy waves", "healthy classes")}


def expected(fault: str, run: Run) -> str:
    """What this fault would show, and what the run shows in its place."""
    waves, end = run.alone is None, run.curve[-100:]
    (own, own_1), new = run.own, run.new
    if waves == (fault in ("labels never shuffled", "leak through batch statistics")):
        return "it needs classes, and this run has sine waves" if waves else "it would show on sine waves; this run has classes"
    return {
        "alpha too large": lambda: f"then later steps undo what the first one gained; here the loss is {new[1]:.2f} after one step and {new[5]:.2f} after five",
        "few training tasks": lambda: f"then the loss after a step is far lower on the training tasks than on new ones; here the two are {own_1:.2f} and {new[1]:.2f}",
        "gradient at theta": lambda: f"then no step helps much, on whatever tasks; here one takes the loss on tasks as in training from {own:.2f} to {own_1:.2f}, and five take that on new ones from {new[0]:.2f} to {new[5]:.2f}",
        "labels never shuffled": lambda: f"then the accuracy before any step is far above chance on tasks as in training; here it is {own:.0%}",
        "leak through batch statistics": lambda: f"then the accuracy falls when a query set holds one class only; here it is {new[1]:.0%} on all queries, and {run.alone:.0%} on one class at a time",
        "one task a batch": lambda: f"then the meta-loss jumps from one iteration to the next as much as it is large; here its mean is {end.mean():.2f} and its standard deviation {end.std():.2f}",
        "second-order term left out": lambda: "then all would look healthy, after more iterations (lesson 08); each of these runs shows more than that",
        "support used as query": lambda: f"then the meta-loss in training is far below the loss after a step on query sets of such tasks; here the two are {end.mean():.2f} and {own_1:.2f}",
        "task shift": lambda: f"then the loss before any step is several times as high on new tasks as on tasks as in training; here the two are {new[0]:.2f} and {own:.2f}",
    }[fault]()  # fmt: skip


def check_diagnosis(answer: Callable, rng: np.random.Generator) -> None:
    """Every letter; a wrong one is refused with what the fault that was named would show."""
    told = answer()
    if not isinstance(told, dict):
        refuse("the diagnosis", f"it is {type(told).__name__}, expected a dictionary: a fault for each letter")
    if set(map(str, told)) <= {*FAULTS}:
        refuse("the diagnosis", "the faults are its keys: a key is a letter, and its value is the fault")
    if lost := [letter for letter in WHAT if told.get(letter) is None]:
        refuse("the diagnosis", f"{', '.join(lost)} {'is' if len(lost) == 1 else 'are'} missing: name a fault for each letter")
    if other := [letter for letter in told if letter not in WHAT]:
        refuse("the diagnosis", f"{other[0]!r} is no run: the letters are {', '.join(WHAT)}")
    for letter, fault in told.items():
        name = str(fault).strip().lower()
        if name not in FAULTS:
            refuse(f"run {letter}", f"{fault!r} is none of the faults: choose one of {', '.join(FAULTS)}")
        if name != WHAT[letter]:
            refuse(f"run {letter}", f"it is not {name!r}: {expected(name, runs(letter)[letter])}")
        print(f"run {letter}   {name:<30}  right")


DIAGNOSIS = ByHand(
    """def diagnosis():
    return {"A": "few training tasks",             # 0.2 on its own five tasks, above 3 on new ones
            "B": "gradient at theta",              # a step helps little on any tasks
            "C": "support used as query",          # the meta-loss is half of the loss on query sets
            "D": "alpha too large",                # the first step helps, later ones harm
            "E": "task shift",                     # healthy on its own tasks, far off on new ones before any step
            "F": "one task a batch",               # a meta-loss that jumps
            "G": "leak through batch statistics",  # at chance when a query set has one class
            "H": "labels never shuffled"}          # right before any step
""",
    check_diagnosis,
)


def check_shuffled(answer: Callable, rng: np.random.Generator) -> None:
    """Labels of support and query set are swapped in the same way, by an order of each task's own, in all orders."""
    seen: dict[int, set] = {2: set(), 3: set()}
    batches: list[set] = []  # the orders of each
    for ways, shots, queries in ((3, 2, 4), (2, 1, 3), (3, 1, 1)):
        tasks = 60
        draw = lambda each, ways=ways: np.eye(ways)[np.stack([rng.permutation(np.repeat(np.arange(ways), each)) for _ in range(60)])]
        y_support, y_query = draw(shots), draw(queries)
        found = answer(y_support, y_query, rng)
        if not isinstance(found, tuple | list) or len(found) != 2:
            refuse("the answer", "expected 2 things: y_support and y_query")
        new = [np.asarray(array) for array in found]
        for name, array, old in zip(("y_support", "y_query"), new, (y_support, y_query), strict=True):
            if array.shape != old.shape:
                refuse(name, f"it has shape {array.shape}, expected {old.shape}")
            if not np.array_equal(np.sort(array, axis=-1), np.sort(old, axis=-1)):
                refuse(name, "some rows are not one-hot any more: exchange the columns, and leave the numbers")
        orders = []
        labels, old_labels = ([array.argmax(-1) for array in arrays] for arrays in (new, (y_support, y_query)))
        by_rows = all(np.array_equal(np.sort(a), np.sort(b)) for a, b in zip(labels, old_labels, strict=True))
        for t in range(tasks):
            sets = ((y_support[t], new[0][t]), (y_query[t], new[1][t]))
            pairs = [sorted({(int(a), int(b)) for a, b in zip(old.argmax(-1), array.argmax(-1), strict=True)}) for old, array in sets]
            for name, pair in zip(("support", "query"), pairs, strict=True):
                if len(pair) > ways:
                    rows = "its rows stand in another order, and each row still has its label: exchange the columns"
                    refuse(f"the {name} set", rows if by_rows else "examples of one class get different labels: a task has one order for all its rows")
                if len({b for _, b in pair}) < ways:
                    refuse(f"the {name} set", "two classes get the same label: an order has each label once")
            for name, array, old in (("support", new[0], y_support), ("query", new[1], y_query)):
                if pairs[0] != pairs[1] and np.array_equal(array, old):
                    refuse(f"the {name} set", "it keeps its old labels, and the other set gets new ones: a class must keep one label in both")
            if pairs[0] != pairs[1]:
                refuse("the two sets", "support and query set of a task are shuffled in different ways: a class must keep one label in both")
            one = dict(pairs[0])
            orders.append(tuple(one[k] for k in range(ways)))
        batches.append(set(orders))
        seen[ways] |= batches[-1]
    if set().union(*batches) == {(0, 1), (0, 1, 2)}:
        refuse("the labels", "nothing is shuffled, each class has the label that it had: every task draws its own order")
    if min(map(len, batches)) == 1:
        refuse("the tasks", "all tasks of the batch have the same order: every task draws its own order")
    if len(seen[3]) < 6 or len(seen[2]) < 2:
        refuse("the orders", "some orders never come: with three classes there are six, and the old one is among them")
    print(f"{'labels':<12}  180 tasks     one order for both sets of a task, all orders occur  right")


SHUFFLED = ByHand(
    """def shuffle_labels(y_support, y_query, rng):
    ways = y_support.shape[-1]
    orders = np.stack([rng.permutation(ways) for _ in y_support])[:, None]  # (T, 1, N)
    return (np.take_along_axis(y_support, orders, axis=-1),
            np.take_along_axis(y_query, orders, axis=-1))
""",
    check_shuffled,
)

BEST_OF = Exercise(
    """def best_of(errors, m):
    errors, R = np.sort(errors), len(errors)
    choices = [math.comb(R - 1 - i, m - 1) for i in range(R)]  # the other m - 1 are all larger
    return np.dot(choices, errors) / math.comb(R, m)
""",
    lambda rng: [(rng.exponential(1.0, runs) + 1, m) for runs, m in ((5, 2), (6, 3), (4, 4), (7, 1), (8, 5))],
    ("best",),
    (
        ("np.sort(errors)", "np.sort(errors)[::-1]", "this is the expected worst of m: the best has the least error"),
        ("errors, R = np.sort(errors), len(errors)", "R = len(errors)", "the errors are not sorted: the i-th smallest is the best of m if all others are larger"),
        ("math.comb(R - 1 - i, m - 1)", "math.comb(R - 1 - i, m)", "m - 1 others are chosen from the larger ones, not m"),
        ("math.comb(R - 1 - i, m - 1)", "math.comb(R - i, m - 1)", "the i-th smallest has R - 1 - i larger ones, counted from i = 0"),
        (" / math.comb(R, m)", "", "it is not divided by the number of choices of m runs"),
        ("/ math.comb(R, m)", "/ sum(math.comb(R, j) for j in range(m + 1))", "it is divided by the choices of at most m runs: there are comb(R, m) of m"),
        ("return np.dot(choices, errors) / math.comb(R, m)", "return errors[0]", "this is the best of all runs: of m of them, the best is the least only if it is among them"),
        ("return np.dot(choices, errors) / math.comb(R, m)", "return errors.mean()", "this is the mean of all runs: of m of them the best is reported"),
        ("for i in range(R)]  # the other m - 1 are all larger", "* (i < R - m) for i in range(R)]", "one choice is left out: that of the m largest, whose best is at i = R - m"),
        ("errors, R = np.sort(errors), len(errors)", "return min(errors[:m])", "this is the best of the first m runs: the mean over all choices of m is asked for"),
        ("return np.dot(choices, errors) / math.comb(R, m)", "return errors[:m].mean()", "this is the mean of the m best: the m runs are any"),
        ("return np.dot(choices, errors) / math.comb(R, m)", "return np.median(errors)", "this is the median of all runs"),
        ("return np.dot(choices, errors) / math.comb(R, m)",
         "return sum(error * (((R - i) / R)**m - ((R - i - 1) / R)**m) for i, error in enumerate(errors))",
         "the m runs are drawn with replacement: a run is not reported twice"),
    ),
)  # fmt: skip

CHECKS = {"10.1": DIAGNOSIS, "10.2": SHUFFLED, "10.3": BEST_OF}
shuffle_labels, best_of = function(SHUFFLED.solution), BEST_OF.solve  # the lesson goes on with them
