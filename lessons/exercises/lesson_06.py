"""The exercises of lesson 06: MAML against pre-training."""

from __future__ import annotations

import numpy as np

from exercises.exercise import Exercise
from tinymaml import MLP
from tinymaml.tasks import Sinusoids


def parabolas(rng: np.random.Generator, tasks: int, inner_lr: float, steps: int) -> tuple:
    """a and c of some tasks a (theta - c)^2, a far apart from task to task, and how they are adapted; with 0.3 some leap over c."""
    return 0.5 + 3.5 * (rng.permutation(tasks) + rng.random(tasks)) / tasks, rng.uniform(-5, 5, tasks), inner_lr + rng.uniform(0, 0.05), steps


STEP = "a step multiplies theta - c by 1 - 2 alpha a"
BEST_START = Exercise(
    """def best_start(a, c, inner_lr, steps):
    weights = a * (1 - 2 * inner_lr * a) ** (2 * steps)
    return (weights * c).sum() / weights.sum()
""",
    lambda rng: [parabolas(rng, *how) for how in ((3, 0.05, 3), (2, 0.05, 1), (5, 0.15, 0), (4, 0.02, 9), (3, 0.1, 2), (6, 0.3, 1))],
    ("start",),
    (
        ("a * (1", "(1", "the factor a of each task's own loss is missing among the weights"),
        ("a * (1 - 2 * inner_lr * a) ** (2 * steps)", "(a * (1 - 2 * inner_lr * a)) ** (2 * steps)",
         "the power takes in the factor a: the loss is a times a square"),
        ("a * (1", "a**2 * (1", "the factor a is among the weights twice"),
        ("a * (1", "np.sqrt(a) * (1", "the square root of a is among the weights, where a belongs"),
        ("a * (1", "a / (1", "a is divided by (1 - 2 alpha a)^(2K): multiply it"),
        ("(weights * c).sum() / weights.sum()", "(c / weights).sum() / (1 / weights).sum()",
         "the weights are inverted: a task counts in proportion to a (1 - 2 alpha a)^(2K)"),
        ("a * (1 - 2 * inner_lr * a) ** (2 * steps)", "a",
         "this is where pre-training ends: (1 - 2 alpha a)^(2K) is missing among the weights, or the same for all tasks"),
        (") ** (2 * steps)", ") ** 2 * steps", "the brackets around 2 * steps are missing: this is a square, times `steps`"),
        ("(1 - 2 * inner_lr * a) ** (2 * steps)", "(1 - (2 * inner_lr * a) ** (2 * steps))",
         f"the power is that of 2 alpha a alone: {STEP}"),
        ("2 * steps", "steps",
         "the exponent is K, not 2 K, as in first-order MAML: the loss squares theta_K - c"),
        ("2 * steps", "2", "the exponent is 2, whatever `steps` is: each of the K steps multiplies theta - c once more"),
        ("2 * steps", "2 * steps + 1", "the exponent is 2 K + 1, not 2 K"),
        ("2 * steps", "2 * steps + 2", "the exponent is 2 K + 2, not 2 K: that is one step too many"),
        ("2 * steps", "np.maximum(2 * steps - 2, 0)", "the exponent is 2 K - 2, not 2 K: that is one step too few"),
        ("2 * steps", "2 * 3", "the number of steps is 3, whatever `steps` is"),
        ("(1 - 2 * inner_lr * a) ** (2 * steps)", "(1 - 2 * inner_lr * a * steps) ** 2",
         "the steps are added up: K steps multiply theta - c by (1 - 2 alpha a)^K, not by 1 - 2 alpha a K"),
        ("2 * inner_lr", "inner_lr", f"a factor 2 is missing in the step: {STEP}"),
        ("1 - 2", "1 - 4", f"a factor 2 is too many in the step: {STEP}"),
        ("(1 - 2 * inner_lr * a)", "np.maximum(1 - 2 * inner_lr * a, 0)",
         "1 - 2 alpha a is cut off at 0: a step that is too large leaps over c"),
        ("1 - 2", "1 + 2", f"the steps go uphill: {STEP}"),
        ("1 - 2 * inner_lr", "1 - 2", f"the learning rate is missing in the step: {STEP}"),
        ("1 - 2 * inner_lr * a", "1 - 2 * inner_lr * c", f"c is in the step, and not a: {STEP}"),
        ("1 - 2 * inner_lr * a", "2 * inner_lr * a", f"1 - is missing in the step: {STEP}"),
        (" / weights.sum()", "", "the sum is not divided by the sum of the weights"),
        ("weights.sum()", "(weights**2).sum()", "it is divided by the sum of the squared weights"),
        ("weights.sum()", "len(a)", "it is divided by the number of tasks, not by the sum of the weights"),
        ("weights.sum()", "a.sum()", "it is divided by the sum of a, not by the sum of the weights"),
        ("(weights * c).sum() / weights.sum()", "c.mean()", "it is the plain mean of c: the tasks have different weights"),
        ("(weights * c).sum()", "weights * c", "there is a number for each task: sum them up"),
        ("(weights * c).sum() / weights.sum()", "c[np.argmax(weights)]",
         "this is the c of the task with the largest weight: all tasks count"),
        ("    return (weights", "    start = (weights * c).sum() / weights.sum()\n"
         "    return (c + (1 - 2 * inner_lr * a) ** steps * (start - c)).mean()\n    return (weights",
         "this is the mean of theta_K, where the tasks end: the start was asked for"),
        ("    return (weights", "    start = (weights * c).sum() / weights.sum()\n"
         "    return (weights * (start - c) ** 2).mean()\n    return (weights",
         "this is the least loss: give the theta that has it"),
        ("    return (weights", "    theta = 0.0\n    for _ in range(steps):\n"
         "        theta = theta - inner_lr * (2 * a * (theta - c)).mean()\n    return theta\n    return (weights",
         "these are K steps of pre-training from 0"),
    ),
    alone=(
        ("(weights * c).sum() / weights.sum()", "(weights**0.5 * c).sum() / (weights**0.5).sum()",
         "these are the square roots of the weights"),
    ),
)  # fmt: skip

def sinusoids(rng: np.random.Generator, tasks: int, steps: int) -> tuple:
    """A network, its theta and a batch, and how it is adapted."""
    model = MLP([1, 6, 1], activation="tanh")
    batch = Sinusoids(amplitude=(0.5, 3.0)).sample(rng, tasks=tasks, shots=7, queries=9)
    return model, model.init(rng), batch, 0.06, steps


SHORT_GAIN = Exercise(
    """def short_gain(model, theta, batch, inner_lr, steps):
    g_S = model.at(theta, batch.x_support, batch.y_support).gradient
    g_Q = model.at(theta, batch.x_query, batch.y_query).gradient
    products = [(g_S[name] * g_Q[name]).sum((-2, -1)) for name in theta]
    return steps * inner_lr * sum(products)
""",
    lambda rng: [sinusoids(rng, *how) for how in ((4, 3), (5, 1), (6, 2))],
    ("gain",),
    (
        ("return steps", "return -steps", "it is the change of the loss, and the gain has the other sign: the gain is positive where the loss falls"),
        ("steps * ", "", "this is the gain of one step, whatever `steps` is"),
        ("steps * ", "steps**2 * ", "the number of steps comes twice: every step gains the same, to first order"),
        ("* inner_lr", "* inner_lr**2", "the learning rate comes twice: to first order a step gains alpha times a product of gradients"),
        ("* inner_lr", "", "the learning rate is missing: a step is alpha times the gradient"),
        ("* inner_lr", "* 0.01", "the learning rate is 0.01, whatever `inner_lr` is"),
        ("* inner_lr", "* inner_lr / 2", "there is a factor 1/2: the first order has none"),
        ("(g_S[name] * g_Q[name])", "(g_S[name] ** 2)",
         "this is the gain on the support set itself: the loss that falls is that of the query set"),
        ("(g_S[name] * g_Q[name])", "(g_Q[name] ** 2)", "the steps are taken along the query gradient: the support gradient moves theta"),
        ("    products", "    theta = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=inner_lr, steps=steps)\n"
         "    g_Q = model.at(theta, batch.x_query, batch.y_query).gradient\n    products",
         "the query gradient is taken at theta_K: to first order all is taken at theta"),
        ("    return steps", "    K = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=inner_lr, steps=steps)\n"
         "    return (model.at(theta, batch.x_query, batch.y_query).loss - model.at(K, batch.x_query, batch.y_query).loss)\n"
         "    return steps",
         "this is the gain that the steps have: its first order in alpha was asked for"),
        ("return steps * inner_lr * sum(products)",
         "return model.at(theta, batch.x_query, batch.y_query).loss - steps * inner_lr * sum(products)",
         "this is the loss after the steps: give what it falls by"),
        ("return steps * inner_lr * sum(products)",
         "lengths = [np.sqrt(sum((g[name]**2).sum((-2, -1)) for name in theta)) for g in (g_S, g_Q)]\n"
         "    return sum(products) / lengths[0] / lengths[1]",
         "this is the cosine of the angle between the two gradients: the gain has their lengths too"),
        ("return steps * inner_lr * sum(products)",
         "lengths = [np.sqrt(sum((g[name]**2).sum((-2, -1)) for name in theta)) for g in (g_S, g_Q)]\n"
         "    return steps * inner_lr * lengths[0] * lengths[1]",
         "these are the lengths of both gradients: the angle between them counts too"),
        ("sum(products)", "sum(products).mean()", "it is the mean over the tasks: give a gain for each"),
        ("sum(products)", "sum(products).sum()", "it is the sum over the tasks: give a gain for each"),
        ("    return steps", "    K = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=inner_lr, steps=steps)\n"
         "    return model.at(theta, batch.x_support, batch.y_support).loss - model.at(K, batch.x_support, batch.y_support).loss\n"
         "    return steps", "this is the fall of the support loss: that of the query loss is asked for, to first order in alpha"),
        (".sum((-2, -1))", ".sum(-1).mean(-1)", "the rows are averaged: a product of two gradients is a sum over all entries"),
        (".sum((-2, -1))", ".mean((-2, -1))", "the entries of each array are averaged: a product of two gradients is a sum over all entries"),
        ("for name in theta]", "for name in list(theta)[:1]]", "only the first array of theta is used: sum over all"),
        ("for name in theta]", "for name in theta if name[0] == 'W']", "the biases are left out: they move too"),
        ("for name in theta]", "for name in list(theta)[-2:]]", "only the last layer is used: sum over all arrays of theta"),
        ("g_Q[name]).sum((-2, -1))", "g_Q.mean()[name]).sum((-2, -1))", "the query gradient is the mean over the tasks: each task has its own"),
        ("g_S[name] *", "g_S.mean()[name] *", "the support gradient is the mean over the tasks: each task steps along its own"),
    ),
)  # fmt: skip


def losses(rng: np.random.Generator, tasks: int, mean: float) -> tuple:
    """The losses of two methods on the same tasks, of which some are hard for both; their differences have this mean."""
    easy, difference = rng.exponential(1.0, tasks) + 2, rng.standard_normal(tasks)
    return easy + difference - difference.mean() + mean, easy


SPREAD = "take that of the differences"
UNRELATED = "this is the interval of two unrelated sets of tasks: the tasks are the same, take the spread of the differences"
PAIRED = Exercise(
    """def paired(first, second):
    difference = first - second
    return difference.mean(), 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
""",
    lambda rng: [losses(rng, 12, 1 / 3), losses(rng, 9, -2 / 9)],
    ("difference", "half"),
    (
        ("first - second", "second - first", "it is second minus first: first minus second was asked for"),
        ("difference.mean()", "abs(difference.mean())", "its sign is lost: the mean of first - second may be negative"),
        ("difference.mean()", "np.abs(difference).mean()", "the mean of the absolute differences is taken: keep their signs"),
        ("difference.mean()", "np.median(difference)", "it is the median of the differences: take the mean"),
        ("difference.mean()", "difference", "there is a difference for each task: take the mean"),
        ("return difference.mean(), 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))",
         "return 1.96 * difference.std(ddof=1) / np.sqrt(len(difference)), difference.mean()",
         "the two are swapped: the difference comes first"),
        ("return difference.mean(), 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))",
         "half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))\n"
         "    return difference.mean() - half, difference.mean() + half",
         "these are the ends of the interval: give its middle and half its length"),
        ("1.96 * ", "", "this is one standard error: 95 % lie within 1.96 of them"),
        ("1.96", "3.92", "this is the whole interval: give half of it"),
        ("1.96", "1.645", "these are 90 %: for 95 % the exercise says 1.96"),
        ("1.96", "4.30", "4.30 is for three values: for many, as here, the exercise says 1.96"),
        ("1.96", "2", "it has 2 standard errors: the exercise says 1.96"),
        (" / np.sqrt(len(difference))", "", "it is the spread of the tasks, not of their mean: divide by sqrt(T)"),
        ("np.sqrt(len(difference))", "len(difference)", "it is divided by T: a standard error has sqrt(T)"),
        ("len(difference)", "(len(difference) - 1)",
         "it is divided by sqrt(T - 1), after a standard deviation that has T - 1 already"),
        ("len(difference)", "12", "it is divided by sqrt(12), whatever T is"),
        ("difference.std", "difference.var", "the variance is taken, not the standard deviation"),
        ("difference.std(ddof=1)", "np.sqrt(first.var(ddof=1) + second.var(ddof=1))",
         UNRELATED),
        ("difference.std(ddof=1)", "np.sqrt(first.var() + second.var())", f"{UNRELATED} (and its variances have T in the denominator, not T - 1)"),
        ("difference.std(ddof=1)", "np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)",
         f"this is the pooled deviation of both methods: {SPREAD}"),
        ("difference.std(ddof=1)", "np.sqrt((difference**2).sum() / (len(difference) - 1))",
         "the differences are squared without their mean subtracted before: the spread is that around the mean"),
        ("difference.std(ddof=1)",
         "(first.std(ddof=1) + second.std(ddof=1))", f"the spreads of both methods are added: {SPREAD}"),
        ("difference.std(ddof=1)",
         "(first.std(ddof=1) - second.std(ddof=1))", f"the spreads of both methods are subtracted: {SPREAD}"),
        ("difference.std", "first.std", f"it is the spread of first alone: {SPREAD}"),
        ("difference.std", "second.std", f"it is the spread of second alone: {SPREAD}"),
        ("difference.std", "np.concatenate([first, second]).std", f"it is the spread of all 2 T losses: {SPREAD}"),
        ("difference.std", "np.abs(difference).std", "it is the spread of the absolute differences: keep their signs"),
        ("ddof=1", "", "the standard deviation has T in the denominator: for T - 1 use ddof=1"),
    ),
    alone=(
        ("ddof=1", "ddof=2", "the standard deviation has T - 2 in the denominator: for T - 1 use ddof=1"),
    ),
)  # fmt: skip

CHECKS = {"6.1": BEST_START, "6.2": SHORT_GAIN, "6.3": PAIRED}
paired, short_gain = PAIRED.solve, SHORT_GAIN.solve  # the lesson goes on with them
