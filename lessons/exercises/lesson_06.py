"""Checks of lesson 06, MAML against pre-training."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from exercises import answers
from exercises.guard import Known, one_number, refuse, several
from exercises.meta import check_update
from tinymaml import MLP, adapt, meta_gradient
from tinymaml.check import compare
from tinymaml.check.compare import close, diagnose
from tinymaml.nn.network import Network
from tinymaml.parameters import Parameters
from tinymaml.tasks import Sinusoids, TaskBatch


def judge(name: str, mine: object, right: object, known: Iterable[Known], otherwise: str = "") -> None:
    """A line of `compare`; a wrong answer is told the first of the known mistakes that gives its numbers, or `otherwise`."""
    near = lambda value: close(mine, value, 1e-7) and not close(value, right, 1e-7)

    def explain(closeness: float) -> str:
        told = next((told for told, value in known if near(value)), "")
        return told or diagnose(mine, right, [], tolerance=closeness) or otherwise  # a turned sign, a plain factor

    compare(name, mine, right, tolerance=1e-9, diagnosis=explain)


def _number(name: str, value: object, why: str) -> None:
    """Refuse what is not one number."""
    one_number(name, value, why)
    if not isinstance(value, np.ndarray | np.generic | float | int):
        refuse(name, f"the answer is a {type(value).__name__}, expected one number: {why}")


def combined(*choices: list[tuple[str, object]], most: int = 2) -> Iterator[tuple[str, tuple]]:
    """`answers.combined` with the values side by side: up to `most` wrong ones at once, the fewest first."""
    return answers.combined(*([(told, (value,)) for told, value in part] for part in choices), join=operator.add, most=most)


# -- 6.1: the best start for a family of parabolas -----------------------------------------------------------


def best_start(a: np.ndarray, c: np.ndarray, inner_lr: float, steps: int) -> float:
    """The theta with the least mean of a (theta_K - c)^2: the mean of c with weights a (1 - 2 alpha a)^(2K)."""
    weights = a * (1 - 2 * inner_lr * a) ** (2 * steps)
    return float((weights * c).sum() / weights.sum())


def wrong_starts(a: np.ndarray, c: np.ndarray, inner_lr: float, steps: int) -> list[tuple[str, float]]:
    """(sentence, theta) of the mistakes that are no wrong part of the fraction."""
    r, K = 1 - 2 * inner_lr * a, steps
    at = lambda weights: float((weights * c).sum() / weights.sum())
    best = at(a * r ** (2 * K))
    known = [
        ("this is where pre-training ends: (1 - 2 alpha a)^(2K) is missing among the weights, or the same for all tasks", at(a)),
        ("this is where first-order MAML ends: (1 - 2 alpha a)^K comes twice, with theta_K - c and with its derivative",
         at(a * r**K)),
        ("it is the plain mean of c: the tasks have different weights", float(c.mean())),
        ("it is the median of c: the tasks have different weights", float(np.median(c))),
        ("it is the sum of c: the tasks have different weights", float(c.sum())),
        ("it is the mean of a c: divide by the weights that are summed up", float((a * c).mean())),
        ("the steps are added up: K steps multiply theta - c by (1 - 2 alpha a)^K, not by 1 - 2 alpha a K",
         at(a * (1 - 2 * inner_lr * a * K) ** 2)),
        ("the weights are turned over: a task that learns fast should count little", at(1 / (a * r ** (2 * K)))),
        ("the root of the weights is taken", at(np.sqrt(a) * np.abs(r) ** K)),
        ("the weights are squared", at(a**2 * r ** (4 * K))),
        ("the square (1 - 2 alpha a)^(2K) has taken the factor a with it", at(a ** (2 * K) * r ** (2 * K))),
        ("it is the root of the mean of c^2: take the mean of c", 
         np.sqrt(float((a * r ** (2 * K) * c**2).sum() / (a * r ** (2 * K)).sum()))),
        ("the weights are those of a softmax: divide them by their sum, without exp", at(np.exp(a * r ** (2 * K)))),
        ("this is the c of the task with the largest weight: all tasks count", float(c[np.argmax(a * r ** (2 * K))])),
        ("this is the c of the steepest task: all tasks count", float(c[np.argmax(a)])),
        ("this is the c of the task with the largest w c: all tasks count", float(c[np.argmax(a * r ** (2 * K) * c)])),
        ("this is the c of one task, the first: all tasks count", float(c[0])),
        ("this is the c of one task, the last: all tasks count", float(c[-1])),
        ("the fraction is upside down: the sum of w c stands above, the sum of w below", 1 / best),
        ("it is rounded to a whole number", float(np.trunc(best))),
        ("it is rounded to a whole number", float(np.round(best))),
        ("this is the mean of theta_K, where the tasks end: the start was asked for", float((c + r**K * (best - c)).mean())),
        ("this is the least potential: give the theta where it lies", float((a * (r**K * (best - c)) ** 2).mean())),
        ("this is one step of the outer loop from 0, and not yet the minimum",
         inner_lr * 2 * float((a * r ** (2 * K) * c).mean())),
    ]  # fmt: skip
    for name, theta in (("0", 0.0), ("1", 1.0), ("the mean of c", c.mean())):
        known.append((f"this is the mean of theta_K after steps from {name}: the best start was asked for",
                      float((c + r**K * (theta - c)).mean())))  # fmt: skip
        for all_tasks, total in (("mean", np.mean), ("sum", np.sum)):
            end = theta
            for _ in range(K):
                end = end - inner_lr * total(2 * a * (end - c))
            known.append((f"these are K steps of pre-training from {name}, on the {all_tasks} of the losses", end))
    return known


def wrong_fractions(a: np.ndarray, c: np.ndarray, inner_lr: float, K: int) -> Iterator[tuple[str, float]]:
    """(sentence, theta) of sum(w c) / sum(w), w = a (1 - 2 alpha a)^(2K), with up to two parts wrong."""
    prefixes = [
        ("", a),
        ("the factor a of each task's own loss is missing among the weights", np.ones_like(a)),
        ("a stands among the weights twice", a**2),
        ("the root of a stands where a belongs among the weights", np.sqrt(a)),
        ("1 / a stands where a belongs among the weights", 1 / a),
        ("c stands where a belongs among the weights", c),
        ("the squares of c stand where a belongs among the weights", c**2),
    ]
    bases = [("", 1 - 2 * inner_lr * a)] + [(f"the step has {name}, where 1 - 2 alpha a belongs", value) for name, value in {
        "1 - alpha a (a factor 2 is missing in the step)": 1 - inner_lr * a,
        "1 - 4 alpha a (a factor 2 too many)": 1 - 4 * inner_lr * a,
        "1 + 2 alpha a (the steps go uphill)": 1 + 2 * inner_lr * a,
        "1 + alpha a (the steps go uphill, a factor 2 is missing)": 1 + inner_lr * a,
        "1 - 2 a (the learning rate is missing in the step)": 1 - 2 * a,
        "1 - a (the learning rate is missing in the step, and the factor 2)": 1 - a,
        "1 - alpha a / 2": 1 - inner_lr * a / 2,
        "1 - 2 alpha^2 a": 1 - 2 * inner_lr**2 * a,
        "1 - 2 alpha a^2 (a stands in the step twice)": 1 - 2 * inner_lr * a**2,
        "1 - 2 alpha (a is missing in the step)": (1 - 2 * inner_lr) * np.ones_like(a),
        "1 - alpha (a is missing in the step, and the factor 2)": (1 - inner_lr) * np.ones_like(a),
        "1 - 2 alpha c": 1 - 2 * inner_lr * c,
        "1 - alpha c": 1 - inner_lr * c,
        "1 - 2 alpha a c": 1 - 2 * inner_lr * a * c,
        "1 - 2 alpha / a": 1 - 2 * inner_lr / a,
        "1 - 2 alpha a / T (each task takes a step of its own)": 1 - 2 * inner_lr * a / len(a),
        "1 - 2 alpha a K (the steps are added up)": 1 - 2 * inner_lr * a * K,
        "1 - 2 alpha times the mean of a (each task has its own)": 1 - 2 * inner_lr * a.mean() * np.ones_like(a),
        "2 alpha a (1 - is missing)": 2 * inner_lr * a,
        "alpha a (1 - is missing, and the factor 2)": inner_lr * a,
        "exp(-2 alpha a) (which it is near for small alpha only)": np.exp(-2 * inner_lr * a),
        "1 / (1 + 2 alpha a)": 1 / (1 + 2 * inner_lr * a),
    }.items()]  # fmt: skip
    why = "every step multiplies theta - c once more, and the loss squares it"
    exponents = [("", 2 * K)] + [(f"the exponent is {name}, not 2 K: {why}", n) for name, n in {
        "K": K, "2 (one step)": 2, "1": 1, "2 K + 1": 2 * K + 1, "2 K + 2 (one step too many)": 2 * K + 2, "K + 1": K + 1,
        "K + 2": K + 2, "2 K - 1": 2 * K - 1, "2 K - 2 (one step too few)": 2 * K - 2, "K - 1": K - 1, "K^2": K**2, "2^K": 2**K,
        "3 K": 3 * K, "4 K": 4 * K, "K / 2": K / 2, "-2 K": -2 * K, "6 (the answer for three steps, whatever `steps` says)": 6,
        "-K": -K}.items()]  # fmt: skip
    powers = [
        ("", lambda p: p),
        ("1 - (1 - 2 alpha a)^(2K) stands where (1 - 2 alpha a)^(2K) belongs", lambda p: 1 - p),
        ("1 is added to (1 - 2 alpha a)^(2K)", lambda p: 1 + p),
    ]
    weighted = [*combined(prefixes, bases, exponents, powers)]
    weights = [("", a * (1 - 2 * inner_lr * a) ** (2 * K))]
    weights += [(told, power(base**n) * prefix) for told, (prefix, base, n, power) in weighted]
    one = [pair for pair in weights if "; and " not in pair[0]]
    below = [
        ("", lambda w: w.sum()),
        ("the sum is not divided by the sum of the weights", lambda w: 1.0),
        ("it is divided by the number of tasks, in place of the sum of the weights", len),
        ("it is divided by the number of tasks and by the sum of the weights: one mean is enough", lambda w: len(w) * w.sum()),
        ("it is multiplied by the number of tasks: sums above and below, or means above and below", lambda w: w.mean()),
        ("it is divided by the sum of a, in place of the sum of the weights", lambda w: a.sum()),
        ("it is divided by the mean of a, in place of the sum of the weights", lambda w: a.mean()),
        ("it is divided by the sum of c, in place of the sum of the weights", lambda w: c.sum()),
        ("it is divided by the sum of the squared weights", lambda w: (w * w).sum()),
        ("it is divided by the length of the weights: divide by their sum", lambda w: np.sqrt((w * w).sum())),
        ("it is divided by the largest weight: divide by their sum", lambda w: w.max()),
        ("it is divided by the product of the weights: divide by their sum", lambda w: w.prod()),
        ("it is divided by the number of tasks and by 2, in place of the sum of the weights", lambda w: 2 * len(w)),
        ("it is divided by the sum of a^2, in place of the sum of the weights", lambda w: (a**2).sum()),
        ("it is divided by the weight of one task, the last: divide by the sum of all", lambda w: w[-1]),
        ("it is divided by the weight of one task, the first: divide by the sum of all", lambda w: w[0]),
        ("it is divided by 2, in place of the sum of the weights", lambda w: 2.0),
        ("it is halved", lambda w: 2 * w.sum()),
        ("it is doubled", lambda w: w.sum() / 2),
    ]
    what = [("", c), ("c is squared above the fraction", c**2), ("above the fraction c loses its sign", np.abs(c)),
            ("c is missing above the fraction", np.ones_like(c)), ("a stands above the fraction once more than below", a * c),
            ("a stands above the fraction where c belongs", a), ("c / a stands above the fraction where c belongs", c / a),
            ("c^2 / a stands above the fraction where c belongs", c**2 / a)]  # fmt: skip
    right = weights[0][1]
    for told, w in one[1:]:
        yield told, (w * c).sum() / w.sum()
    for told, (d, w, top) in combined(below, one, what):
        yield told, (w * top).sum() / d(w)
    for told, w in one[1:]:
        yield f"{told}; and that is so above the fraction only", (w * c).sum() / right.sum()
        yield f"{told}; and that is so below the fraction only", (right * c).sum() / w.sum()
    for told, w in weights[len(one):]:
        yield told, (w * c).sum() / w.sum()


def check_best_start(answer: Callable, rng: np.random.Generator) -> None:
    for steps in (9, 1, 0, 2):  # with 9 the exponents of all known mistakes differ
        problems = [
            (rng.uniform(0.5, 4, T), rng.uniform(-5, 5, T), rng.uniform(low, low + 0.05), steps)
            for T, low in ((3, 0.05), (2, 0.05), (5, 0.15), (4, 0.02))
        ]
        mine = [answer(*problem) for problem in problems]
        for value, (a, *_) in zip(mine, problems, strict=True):
            _number("the best start", value, f"one for all {len(a)} tasks")
        right = np.array([best_start(*problem) for problem in problems])

        def known(problems: list = problems) -> Iterator[Known]:
            with np.errstate(all="ignore"):  # a fraction may be 0 / 0, which nobody's answer is
                found = [[*wrong_starts(*problem), *wrong_fractions(*problem)] for problem in problems]
            yield from ((pairs[0][0], np.array([value for _, value in pairs])) for pairs in zip(*found, strict=True))

        if 1e-6 < max(abs(value - best) / abs(best) for value, best in zip(mine, right, strict=True)) < 0.02:
            near = "it is near the minimum, as a grid or a search that stops early would be: solve for where the derivative is 0"
        else:
            near = ""
        judge(f"start, K = {steps}", np.array(mine), right, known(), near)


# -- 6.2: one step of the outer loop -------------------------------------------------------------------------


def check_outer_step(answer: Callable, rng: np.random.Generator) -> None:
    for widths, tasks, alpha, beta in (([1, 4, 3, 1], 3, 0.1, 0.03), ([1, 5, 1], 2, 0.05, 0.2)):
        model = MLP(widths, activation="tanh")
        theta = model.init(rng).map(lambda array: array + 0.3 * rng.standard_normal(array.shape))
        batch = Sinusoids(amplitude=(1.0, 2.0)).sample(rng, tasks=tasks, shots=4, queries=6)
        check_update(answer, model, theta, batch, alpha, beta)


# -- 6.3: present and potential ------------------------------------------------------------------------------


def present_and_potential(
    model: Network, theta: Parameters, batch: TaskBatch, inner_lr: float, steps: int
) -> tuple[float, float]:
    """The mean query loss over tasks before adaptation, and after it."""
    adapted = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=inner_lr, steps=steps)
    query = lambda theta: float(model.at(theta, batch.x_query, batch.y_query).loss.mean())
    return query(theta), query(adapted)


def _sets(batch: TaskBatch) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    both = [np.concatenate([getattr(batch, f"{name}_support"), getattr(batch, f"{name}_query")], axis=1) for name in "xy"]
    return {"query": (batch.x_query, batch.y_query), "support": (batch.x_support, batch.y_support), "both": tuple(both)}


def _reductions(batch: TaskBatch) -> list[tuple[str, Callable]]:
    m, T = batch.x_query.shape[1], len(batch)
    return [
        ("", np.mean),
        ("it is the sum over the tasks: take the mean", np.sum),
        ("it is the median over the tasks: take the mean", np.median),
        ("a root is taken: give the loss itself", lambda losses: np.sqrt(losses.mean())),
        ("a root is taken of each loss: give the mean of the losses themselves", lambda losses: np.sqrt(losses).mean()),
        ("it is halved: the loss has no 1/2", lambda losses: losses.mean() / 2),
        ("it is the sum over the tasks and the examples: a loss is a mean", lambda losses: m * losses.sum()),
        ("it is the sum over the examples: a loss is a mean over them", lambda losses: m * losses.mean()),
        ("it is divided by the number of examples, of which the loss is the mean already", lambda losses: losses.mean() / m),
        ("it is divided by the number of tasks twice", lambda losses: losses.mean() / T),
        ("it is a logarithm: give the loss itself", lambda losses: np.log(losses.mean())),
        ("it is one over the loss: give the loss itself", lambda losses: 1 / losses.mean()),
        ("it is that of the first task: take the mean over all", lambda losses: losses[0]),
        ("it is that of the last task: take the mean over all", lambda losses: losses[-1]),
        ("it is the standard deviation over the tasks: take the mean", np.std),
        ("it is that of the worst task: take the mean over all", np.max),
        ("it is that of the best task: take the mean over all", np.min),
    ]


JUDGED = {"query": "", "support": "it is measured on the support set: the query set judges",
          "both": "it is measured on support and query points together: the query set judges"}  # fmt: skip
LEARNED = {"support": "", "query": "the copies are adapted on the query set: they may learn from the support set only",
           "both": "the copies are adapted on support and query points: they may learn from the support set only"}  # fmt: skip


def _loss(model: Network, theta: Parameters, data: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return np.asarray(model.at(theta, *data).loss)


def _errors(model: Network, theta: Parameters, data: tuple[np.ndarray, np.ndarray]) -> list[tuple[str, float]]:
    """What is taken of the errors in place of the loss."""
    error = model.at(theta, *data).prediction - data[1]
    return [
        ("absolute errors are averaged: the loss has squares", np.abs(error).mean()),
        ("the errors are averaged with their signs: the loss has squares", error.mean()),
        ("the errors are averaged with their signs: the loss has squares", -error.mean()),
        ("the mean error is squared: the loss is the mean of the squares", error.mean() ** 2),
        ("the mean error of each task is squared: the loss is the mean of the squares", (error.mean(axis=1) ** 2).mean()),
        ("the largest error is taken: the loss is a mean of squares", np.abs(error).max()),
    ]


def wrong_presents(model: Network, theta: Parameters, batch: TaskBatch, inner_lr: float, steps: int) -> list[tuple[str, float]]:
    """(sentence, present) of every known mistake."""
    sets = _sets(batch)
    losses = [(sentence, _loss(model, theta, sets[name])) for name, sentence in JUDGED.items()]
    adapted = adapt(model, theta, *sets["support"], inner_lr=inner_lr, steps=steps)
    _, potential = present_and_potential(model, theta, batch, inner_lr, steps)
    now, on_support = losses[0][1].mean(), losses[1][1].mean()
    for where, more in (("query", ""), ("support", ", on the support set")):
        told = f"it is the loss after adaptation{more}: the present is that of theta, on the query set"
        losses.append((told, _loss(model, adapted, sets[where])))
    return [
        ("it is the loss of one network, the mean of the adapted copies: the present is that of theta",
         _loss(model, adapted.mean(), sets["query"]).mean()),
        ("it is the change by adaptation: the present is the loss before", potential - now),
        ("it is the gain by adaptation: the present is the loss before", now - potential),
        ("it is the mean of support and query loss: the query set judges", (now + on_support) / 2),
        ("it is the sum of support and query loss: the query set judges", now + on_support),
        *_errors(model, theta, sets["query"]),
    ] + [
        (sentence, float(reduce(found))) for sentence, (found, reduce) in combined(losses, _reductions(batch))
    ]  # fmt: skip


def wrong_potentials(
    model: Network, theta: Parameters, batch: TaskBatch, inner_lr: float, steps: int
) -> Iterator[tuple[str, float]]:
    """(sentence, potential) of every known mistake."""
    sets, now = _sets(batch), present_and_potential(model, theta, batch, inner_lr, steps)
    path = {}  # for each set that the copies learn from, and rate, theta_0..theta_K

    def after(learned: str, k: int, rate: float = inner_lr) -> Parameters:
        thetas = path.setdefault((learned, rate), [theta])
        while len(thetas) <= k:
            thetas.append(thetas[-1] - rate * model.at(thetas[-1], *sets[learned]).gradient)
        return thetas[k]

    taken = lambda k: f"{k} step{'s are' if k > 1 else ' is'} taken, where steps = {steps}"
    counts = [("", steps), ("it is the loss before adaptation: the potential is that of the adapted copies", 0)]
    counts += [(taken(k), k) for k in [*range(1, 2 * steps + 3), 5, 10, 20] if k != steps]
    n, T = batch.x_support.shape[1], len(batch)
    rates = [("", inner_lr), ("the steps go uphill: subtract the gradient", -inner_lr)] + [
        (f"each step is {what}", rate) for what, rate in {
            "twice as long as inner_lr says": 2 * inner_lr, "half as long as inner_lr says": inner_lr / 2,
            "`steps` times as long as inner_lr says": steps * inner_lr, "divided by the number of steps": inner_lr / steps,
            "divided by the number of examples: the loss is a mean already": inner_lr / n,
            "multiplied by the number of examples": inner_lr * n,
            "divided by the number of tasks: each task takes its own": inner_lr / T,
            "as long as the square of inner_lr": inner_lr**2, "the whole gradient: the learning rate is missing": 1.0,
            **{f"{rate} times the gradient: the learning rate is given as inner_lr": rate for rate in (0.001, 0.01, 0.1, 0.5)},
        }.items()]  # fmt: skip
    learn, judged = ([(sentence, name) for name, sentence in table.items()] for table in (LEARNED, JUDGED))
    on_query = lambda thetas: [_loss(model, theta, sets["query"]).mean() for theta in thetas]
    along = on_query(after("support", k) for k in range(steps + 1))
    copies = after("support", steps)
    ways = combined(learn, rates, judged, counts, _reductions(batch))
    parts = [(told, lambda way=way: way[4](_loss(model, after(way[0], way[3], way[1]), sets[way[2]]))) for told, way in ways]
    one, two = ([pair for pair in parts if ("; and " in pair[0]) == many] for many in (False, True))
    one_network = []
    for more, where in (("", "support"), (", on the query sets", "query"), (", on all points, as pre-training", "both")):
        shared = theta
        for _ in range(steps):
            shared = shared - inner_lr * model.at(shared, *sets[where]).gradient.mean()
        one_network.append((more, on_query([shared])[0]))
    met = theta
    for _ in range(steps):
        met, each = (lambda copies: (copies.mean(), copies))(met - inner_lr * model.at(met, *sets["support"]).gradient)
    errors = _errors(model, copies, sets["query"])
    yield from ((told, float(value())) for told, value in one)
    yield from ((told, float(value)) for told, value in [
        ("one step with `steps` times the learning rate is taken: each step takes its own gradient",
         on_query([theta - steps * inner_lr * model.at(theta, *sets["support"]).gradient])[0]),
        *((f"one network takes the steps, along the mean of the tasks' gradients{more}: each task takes its own", loss)
          for more, loss in one_network),
        ("the mean of the adapted copies is adapted once more: the potential is the loss of the copies, after `steps` steps",
         on_query([adapt(model, copies.mean(), *sets["support"], inner_lr=inner_lr, steps=steps)])[0]),
        ("the mean of the copies is taken after each step: every task goes on from its own copy", on_query([each])[0]),
        ("the losses of the query and of the support set are averaged: the query set judges",
         (now[1] + _loss(model, copies, sets["support"]).mean()) / 2),
        ("the losses of the query and of the support set are added: the query set judges",
         now[1] + _loss(model, copies, sets["support"]).mean()),
        ("it is the loss after a step of the outer loop: the copies of the tasks were asked for",
         on_query([theta - inner_lr * meta_gradient(model, theta, batch, inner_lr=inner_lr, steps=steps).gradient])[0]),
        ("it is the least of all steps: the potential is the loss after the last", min(along)),
        ("it is the loss of one network, the mean of the adapted copies: every task has its own", on_query([copies.mean()])[0]),
        ("it is the loss of one network, the copy of the first task: every task has its own", on_query([copies.task(0)])[0]),
        ("it is the gain: give the loss itself", now[0] - now[1]),
        ("it is the gain with its sign turned: give the loss itself", now[1] - now[0]),
        ("it is the gain as a part of the present: give the loss itself", 1 - now[1] / now[0]),
        ("it is a ratio to the present: give the loss itself", now[1] / now[0]),
        ("it is the mean over all steps: the potential is the loss after the last", np.mean(along)),
        ("it is the mean over steps 1 to K: the potential is the loss after the last", np.mean(along[1:])),
        ("it is the sum over steps 1 to K: the potential is the loss after the last", np.sum(along[1:])),
        ("it is the sum of present and potential: give the loss after adaptation", now[0] + now[1]),
        ("it is the mean of present and potential: give the loss after adaptation", (now[0] + now[1]) / 2),
        ("it is the largest of all steps: the potential is the loss after the last", max(along)),
        *errors,
    ])  # fmt: skip
    yield from ((told, float(value())) for told, value in two)


def check_present_and_potential(answer: Callable, rng: np.random.Generator) -> None:
    model = MLP([1, 6, 1], activation="tanh")
    problems = []
    for T, steps in ((4, 3), (5, 1), (6, 2)):
        theta = model.init(rng)
        ends_are_middling = False
        while not ends_are_middling:  # neither the first nor the last task is the best or the worst
            batch = Sinusoids(amplitude=(0.5, 3.0)).sample(rng, tasks=T, shots=7, queries=9)
            losses = _loss(model, theta, _sets(batch)["query"])
            ends_are_middling = {losses.argmin(), losses.argmax()}.isdisjoint({0, T - 1})
        problems.append((model, theta, batch, 0.06, steps))
    for problem in problems:
        mine = several(answer(*problem), "present", "potential")
        for name, value in zip(("present", "potential"), mine, strict=True):
            _number(name, value, "the mean over the tasks")
        right = np.array(present_and_potential(*problem))
        sets = _sets(problem[2])
        if np.allclose(mine, right[::-1]):
            refuse("the pair", "the two are exchanged: the present comes first")
        on_support = [_loss(model, at, sets["support"]).mean() for at in (problem[1], adapt(
            model, problem[1], *sets["support"], inner_lr=0.06, steps=problem[-1]))]  # fmt: skip
        if np.allclose(mine, on_support):
            refuse("the pair", "both are measured on the support set: the query set judges")
        judge("present", mine[0], right[0], wrong_presents(*problem))
        judge("potential", mine[1], right[1], wrong_potentials(*problem))


# -- 6.4: a difference with its interval ---------------------------------------------------------------------


def paired(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """The mean of first - second over the same T tasks, and half of its 95 % interval."""
    difference = first - second
    return float(difference.mean()), float(1.96 * difference.std(ddof=1) / np.sqrt(len(difference)))


def wrong_differences(first: np.ndarray, second: np.ndarray) -> list[tuple[str, float]]:
    """(sentence, difference) of every known mistake."""
    d, T = first - second, len(first)
    mean, half = paired(first, second)
    return [
        ("it is turned round: first minus second", -mean),
        ("the mean of the absolute differences is taken: keep their signs", np.abs(d).mean()),
        ("it is the sum of the differences: take the mean", T * mean),
        ("it is divided by T - 1: a mean divides by T", T * mean / (T - 1)),
        ("it is a median: take the mean", np.median(d)),
        ("it is the difference of the medians: take the mean", np.median(first) - np.median(second)),
        ("it is divided by the mean of second: give the difference itself", mean / second.mean()),
        ("it is divided by the mean of first: give the difference itself", mean / first.mean()),
        ("it is divided by the standard deviation: give the difference itself", mean / d.std(ddof=1)),
        ("it is divided by its standard error: give the difference itself", 1.96 * mean / half),
        ("it is the mean of first alone", first.mean()),
        ("it is the mean of second alone", second.mean()),
        ("it is the difference of the first task: take the mean over all", d[0]),
        ("it is the mean of first + second", (first + second).mean()),
        ("it is the lower end of the interval: give its middle", mean - half),
        ("it is the upper end of the interval: give its middle", mean + half),
    ]


def wrong_halves(first: np.ndarray, second: np.ndarray) -> list[tuple[str, float]]:
    """(sentence, half) of every known mistake."""
    d, T = first - second, len(first)
    unrelated = "this is the interval of two unrelated sets of tasks: the tasks are the same, take the spread of the differences"
    of_T = "the standard deviation of a sample divides by T - 1: use ddof=1"
    spreads = [
        ("", d.std(ddof=1)),
        (of_T, d.std()),
        (unrelated, np.sqrt(first.var(ddof=1) + second.var(ddof=1))),
        (unrelated, np.sqrt(first.var() + second.var())),
        ("the spreads of both methods are added: take the spread of the differences", first.std(ddof=1) + second.std(ddof=1)),
        ("the spreads of both methods are added: take the spread of the differences", first.std() + second.std()),
        ("the spreads of both methods are subtracted: take the spread of the differences",
         first.std(ddof=1) - second.std(ddof=1)),
        ("it is the spread of first alone: take that of the differences", first.std(ddof=1)),
        ("it is the spread of second alone: take that of the differences", second.std(ddof=1)),
        ("all 2 T losses are taken together: take the spread of the T differences",
         np.concatenate([first, second]).std(ddof=1)),
        ("the losses are sorted, which parts the pairs: subtract task by task", (np.sort(first) - np.sort(second)).std(ddof=1)),
        ("it is the spread of the absolute differences: keep their signs", np.abs(d).std(ddof=1)),
        ("it is the spread of the sums: take that of the differences", (first + second).std(ddof=1)),
        ("a variance stands where the standard deviation belongs", d.var(ddof=1)),
        ("a variance stands where the standard deviation belongs", d.var()),
        ("the mean is not subtracted in the standard deviation", np.sqrt((d**2).sum() / (T - 1))),
        ("the mean is not subtracted in the standard deviation", np.sqrt((d**2).mean())),
        ("the root of the standard deviation is taken", np.sqrt(d.std(ddof=1))),
        ("the mean absolute difference stands where the standard deviation belongs", np.abs(d).mean()),
        ("the mean absolute deviation stands where the standard deviation belongs", np.abs(d - d.mean()).mean()),
    ]  # fmt: skip
    factors = [
        ("", 1.96),
        ("this is one standard error: 95 % lie within 1.96 of them", 1.0),
        ("this is the whole interval: give half of it", 3.92),
        ("it has 2.201 standard errors, as Student's t for 12 tasks says: the exercise says 1.96", 2.201),
        ("it is halved once more", 0.98),
        ("it has 2 standard errors: the exercise says 1.96", 2.0),
        ("it has 1.645 standard errors, which are for 90 %", 1.645),
        ("it has 2.576 standard errors, which are for 99 %", 2.576),
        ("it has 0.95 standard errors: 95 % lie within 1.96 of them", 0.95),
        ("its sign is wrong", -1.96),
    ]
    divisors = [
        ("", np.sqrt(T)),
        ("it is the spread of the tasks, not of their mean: divide by sqrt(T)", 1.0),
        ("it is divided by T: a standard error has sqrt(T)", T),
        ("it is divided by sqrt(T - 1), which the standard deviation has already: divide by sqrt(T)", np.sqrt(T - 1)),
        ("it is multiplied by sqrt(T): divide by it", 1 / np.sqrt(T)),
        ("it is divided by sqrt(12), whatever T is", np.sqrt(12)),
        ("it is divided by sqrt(T - 2): divide by sqrt(T)", np.sqrt(T - 2)),
        ("it is divided by sqrt(2 T): there are T differences", np.sqrt(2 * T)),
        ("it is divided by sqrt(T) twice, and by 2", 2 * T),
        ("it is divided by sqrt(T / 2): there are T differences", np.sqrt(T / 2)),
    ]
    return [(sentence, spread * factor / by) for sentence, (spread, factor, by) in combined(spreads, factors, divisors, most=3)]


def check_paired(answer: Callable, rng: np.random.Generator) -> None:
    for T, worse, better in ((12, 0.5, 0.1), (9, 0.1, 0.6)):
        easy = rng.exponential(1.0, T)  # some tasks are hard for both
        first, second = easy + rng.exponential(worse, T), easy + rng.exponential(better, T)
        first += 2 * np.sign(worse - better) * abs((first - second).mean())  # so that the means keep their order on every seed
        mine = several(answer(first, second), "difference", "half")
        for name, value in zip(("difference", "half"), mine, strict=True):
            _number(name, value, f"the {T} tasks are averaged")
        mean, half = paired(first, second)
        if np.allclose(mine, (half, mean)):
            refuse("the pair", "the two are exchanged: the difference comes first")
        if np.allclose(mine, (mean - half, mean + half)):
            refuse("the pair", "these are the ends of the interval: give its middle and half its length")
        if mean < 0 and np.isclose(mine[0], -mean):  # where the mean was positive, it was right
            refuse("difference", "its sign is lost: the mean of first - second may be negative")
        judge("difference", mine[0], mean, wrong_differences(first, second))
        judge("half", mine[1], half, wrong_halves(first, second))


CHECKS = {"6.1": check_best_start, "6.2": check_outer_step, "6.3": check_present_and_potential, "6.4": check_paired}
