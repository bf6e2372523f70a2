"""The exercises of lesson 08: where methods without second derivatives come to rest, Reptile, and the expansion in alpha."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from exercises.exercise import Exercise, Parts
from tinymaml import MLP


def parabolas(rng: np.random.Generator, tasks: int, inner_lr: float, steps: int) -> tuple:
    """Steepness and minimum of some parabolas, for which no step is too long."""
    return rng.uniform(0.5, 0.45 / inner_lr, tasks), rng.uniform(-3, 3, tasks), inner_lr, steps


RESTS = Exercise(
    """def rests(a, c, inner_lr, steps):
    shrink = (1 - 2 * inner_lr * a) ** steps  # theta_K - c = shrink * (theta - c)
    first_order = a * shrink
    reptile = 1 - shrink
    return (first_order * c).sum() / first_order.sum(), (reptile * c).sum() / reptile.sum()
""",
    lambda rng: [parabolas(rng, *how) for how in ((2, 0.1, 1), (4, 0.07, 3), (3, 0.05, 5))],
    ("first_order", "reptile"),
    (
        ("first_order = a * shrink", "first_order = a * shrink**2", "this is where MAML rests: first-order MAML leaves one factor out"),
        ("first_order = a * shrink", "first_order = shrink", "the steepness is missing in its weights: the gradient at theta_K is 2 a (theta_K - c)"),
        ("first_order = a * shrink", "first_order = a", "this is where pre-training rests: the gradient is taken at theta_K"),
        ("first_order = a * shrink", "first_order = a**2 * shrink", "the steepness comes twice in its weights"),
        ("first_order = a * shrink", "first_order = 1 - a * shrink", "its weights are 1 minus the right ones"),
        ("reptile = 1 - shrink", "reptile = shrink", "its weights are those of theta_K - c: Reptile moves along theta - theta_K"),
        ("reptile = 1 - shrink", "reptile = 1 + shrink", "its weights have a plus: theta - theta_K is (1 - shrink) (theta - c)"),
        ("reptile = 1 - shrink", "reptile = a * (1 - shrink)", "its weights have the steepness once more: theta - theta_K needs no other factor"),
        ("reptile = 1 - shrink", "reptile = a", "this is Reptile with one step, and pre-training: there are `steps` steps"),
        ("reptile = 1 - shrink", "reptile = 1 + 0 * shrink", "this is the mean of the minima, where Reptile rests with very many steps"),
        ("reptile = 1 - shrink", "reptile = 1 - shrink**2", "its weights have twice as many steps"),
        ("reptile = 1 - shrink", "reptile = (1 - shrink)**2", "its weights are squared: it is no minimum that is looked for, but where the mean move is zero"),
        ("2 * inner_lr * a", "inner_lr * a", "a factor 2 is missing: the gradient of a (theta - c)^2 is 2 a (theta - c)"),
        (" ** steps", "", "there is one step, whatever `steps` is"),
        (" ** steps", " ** (steps - 1)", "there is one step too few"),
        (" ** steps", " ** (steps + 1)", "there is one step too many"),
        ("(1 - 2 * inner_lr * a) ** steps", "(1 - 2 * steps * inner_lr * a)", "K times alpha stands in one factor: each step multiplies, so take the power"),
        (" ** steps", " * steps", "the factor of one step is multiplied by K: each step multiplies, so take the power"),
        ("(1 - 2", "(1 + 2", "the inner steps go uphill: a step multiplies theta - c by 1 - 2 alpha a"),
        (" / first_order.sum()", "", "it is not divided by the sum of the weights"),
        (" / reptile.sum()", "", "it is not divided by the sum of the weights"),
        ("/ first_order.sum()", "/ len(a)", "it is divided by the number of tasks: divide by the sum of the weights"),
        ("/ reptile.sum()", "/ len(a)", "it is divided by the number of tasks: divide by the sum of the weights"),
        ("return (first_order * c).sum() / first_order.sum(), (reptile * c).sum() / reptile.sum()",
         "return (reptile * c).sum() / reptile.sum(), (first_order * c).sum() / first_order.sum()",
         "the two are swapped: first-order MAML comes first"),
    ),
)  # fmt: skip


def network(rng: np.random.Generator, widths: Sequence[int], tasks: int, steps: int, inner_lr: float, outer_lr: float) -> tuple:
    """A tanh network, and the examples of some tasks."""
    model = MLP(list(widths), activation="tanh")
    theta = model.init(rng).map(lambda array: array + 0.3 * rng.standard_normal(array.shape))
    x, y = (rng.standard_normal((tasks, 5, width)) for width in (widths[0], widths[-1]))
    return model, theta, x, y, inner_lr, steps, outer_lr


REPTILE = Exercise(
    """def reptile_step(model, theta, x, y, inner_lr, steps, outer_lr):
    theta_K = adapt(model, theta, x, y, inner_lr=inner_lr, steps=steps)
    move = theta - theta_K  # (T, ...)
    return theta - outer_lr * move.mean()  # eq. 19
""",
    lambda rng: [network(rng, (2, 3, 2), 3, 2, 0.1, 0.7), network(rng, (3, 4, 1), 2, 4, 0.05, 0.4), network(rng, (2, 3, 1), 4, 1, 0.2, 0.3)],
    ("theta",),
    (
        ("theta - outer_lr", "theta + outer_lr", "theta moves away from the copies: it should move towards them"),
        ("move = theta - theta_K", "move = theta_K - theta", "theta moves away from the copies: it should move towards them"),
        ("outer_lr * ", "", "the outer learning rate is missing: theta goes all the way to the mean of the copies"),
        ("outer_lr * ", "inner_lr * ", "the outer step has the inner learning rate: eq. 19 has beta, `outer_lr`"),
        ("outer_lr * ", "outer_lr / inner_lr * ", "the move is divided by the inner learning rate: eq. 19 has theta - theta_K itself"),
        ("outer_lr * ", "outer_lr / steps * ", "the move is divided by the number of steps: eq. 19 has theta - theta_K itself"),
        ("move.mean()", "move.map(lambda m: m.sum(0))", "the moves are added up: eq. 19 has their mean over the tasks"),
        ("move.mean()", "move.mean() / len(x)", "the mean is divided by the number of tasks once more"),
        ("move.mean()", "move.task(0)", "only the first task moves theta: take the mean over all"),
        ("move.mean()", "move.task(len(x) - 1)", "only the last task moves theta: take the mean over all"),
        ("move.mean()", "move", "the tasks are not averaged: there is one new theta for each"),
        ("return theta - outer_lr * move.mean()", "return outer_lr * move.mean()", "this is the outer step alone: subtract it from theta"),
        ("return theta - outer_lr * move.mean()", "return theta_K.mean() - outer_lr * move.mean()", "the mean of the copies is moved: what moves is theta"),
        ("return theta - outer_lr * move.mean()", "return (1 - outer_lr) * theta_K.mean() + outer_lr * theta",
         "the two weights are swapped: theta has 1 - beta, the copies have beta"),
        ("    theta_K = adapt(model, theta, x, y, inner_lr=inner_lr, steps=steps)\n    move = theta - theta_K  # (T, ...)\n    return theta - outer_lr * move.mean()",
         "    for x_t, y_t in zip(x, y):\n        theta = theta - outer_lr * (theta - adapt(model, theta, x_t, y_t, inner_lr=inner_lr, steps=steps))\n    return theta",
         "theta is moved after every task: here it moves once, by the mean over the tasks"),
        ("steps=steps", "steps=1", "there is one inner step, whatever `steps` is"),
        ("steps=steps", "steps=steps + 1", "there is one inner step too many"),
        ("inner_lr=inner_lr", "inner_lr=outer_lr", "the inner steps have the outer learning rate"),
        ("inner_lr=inner_lr, steps=steps", "inner_lr=steps * inner_lr", "one long step is taken in place of `steps` short ones"),
        ("move = theta - theta_K", "move = model.at(theta_K, x, y).gradient", "this is first-order MAML: Reptile moves towards theta_K, and takes no gradient there"),
        ("move = theta - theta_K", "move = model.at(theta, x, y).gradient", "this is pre-training: the gradient at theta"),
    ),
)  # fmt: skip

class Pairs(Exercise):
    """An exercise whose answers are pairs of numbers: a tuple or a list is as good as an array."""

    def parts(self, answer: Callable, case: tuple, wanted: Parts | None = None) -> Parts:
        """As of an exercise; a table with a row for each pair will do as well."""
        table = answer

        def answer(*given: object) -> object:
            value = table(*given)
            return tuple(value) if isinstance(value, np.ndarray) and value.shape == (3, 2) else value

        pair = lambda thing: isinstance(thing, tuple | list) and len(thing) == 2 and all(np.ndim(number) == 0 for number in thing)
        return {name: np.array(thing, float) if pair(thing) else thing for name, thing in super().parts(answer, case, wanted).items()}


COEFFICIENTS = Pairs(
    """def coefficients(inner_lr, steps):
    maml = 1, -2 * steps * inner_lr
    first_order = 1, -steps * inner_lr
    reptile = steps, -inner_lr * steps * (steps - 1) / 2
    return maml, first_order, reptile
""",
    lambda rng: [(0.1, 3), (0.02, 5), (0.3, 1), (float(rng.uniform(0.01, 0.1)), 4)],
    ("maml", "first_order", "reptile"),
    (
        ("-2 * steps", "2 * steps", "the sign of the second number is wrong: each step lowers the loss"),
        ("1, -steps", "1, steps", "the sign of the second number is wrong: each step lowers the loss"),
        ("steps, -inner_lr", "steps, inner_lr", "the sign of the second number is wrong: each step lowers the loss"),
        ("-2 * steps * inner_lr", "-steps * inner_lr", "this is first-order MAML: the way back through the steps gives as much once more"),
        ("1, -steps * inner_lr", "1, -2 * steps * inner_lr", "this is MAML: first-order MAML has no way back"),
        ("1, -steps * inner_lr", "1, 0", "its second number is not zero: the query gradient is taken at theta_K, which has moved"),
        ("1, -steps * inner_lr", "1, -inner_lr * steps / 2", "there is a factor 1/2 too many in it"),
        ("-2 * steps * inner_lr", "-2 * (steps - 1) * inner_lr", "it has K - 1 steps: here K counts the steps before the query set"),
        ("1, -steps * inner_lr", "1, -(steps - 1) * inner_lr", "it has K - 1 steps: here K counts the steps before the query set"),
        ("-2 * steps * inner_lr", "-2 * inner_lr", "there is one step, whatever `steps` is"),
        ("1, -steps * inner_lr", "1, -inner_lr", "there is one step, whatever `steps` is"),
        ("-2 * steps * inner_lr", "-2 * steps", "the learning rate is missing in the second number"),
        ("1, -steps * inner_lr", "1, -steps", "the learning rate is missing in the second number"),
        ("reptile = steps, -inner_lr", "reptile = steps, -1", "the learning rate is missing in the second number"),
        ("reptile = steps, ", "reptile = 1, ", "its first number is not 1: it adds up K gradients"),
        ("reptile = steps, ", "reptile = inner_lr * steps, ", "its first number has the learning rate, by which it was divided"),
        ("steps, -inner_lr * steps * (steps - 1) / 2", "1, -inner_lr * (steps - 1) / 2", "it is divided by K: the K gradients are added up"),
        ("steps, -inner_lr * steps", "inner_lr * steps, -(inner_lr**2) * steps", "it is alpha times the right one: the exercise divides the move by alpha"),
        ("(steps - 1) / 2", "(steps - 1)", "a factor 1/2 is missing: the pairs j < i among K steps are K (K - 1) / 2"),
        ("(steps - 1) / 2", "(steps + 1) / 2", "the pairs j < i among K steps are K (K - 1) / 2: no step follows itself"),
        ("steps * (steps - 1) / 2", "steps**2", "each gradient feels the steps before it alone: the pairs j < i are K (K - 1) / 2"),
        ("steps * (steps - 1) / 2", "(steps - 1)", "only the last step feels those before it: so does every other step"),
        ("return maml, first_order", "return first_order, maml", "the two are swapped: MAML comes first"),
    ),
)  # fmt: skip

CHECKS = {"8.1": RESTS, "8.2": REPTILE, "8.3": COEFFICIENTS}
rests, coefficients = RESTS.solve, COEFFICIENTS.solve  # the lesson goes on with them
