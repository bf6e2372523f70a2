"""Checks of lesson 05: the meta-gradient, eqs. 11-13."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from exercises.answers import judge_derived, refuse
from tinymaml import MLP, Parameters, adapt, meta_gradient
from tinymaml.check import MetaDerivation, Problem, WrongAnswer, compare
from tinymaml.check.compare import close, mismatch
from tinymaml.tasks import TaskBatch


class OneTask:
    """`MetaDerivation` of a single task, without its task axis; `given` is what a student's function is called with."""

    def __init__(self, rng: np.random.Generator, steps: int):
        model, inner_lr = MLP([2, 3, 2], activation="tanh"), 0.3
        normal = lambda *shape: rng.standard_normal(shape)
        theta = model.init(rng).map(lambda array: array + 0.3 * normal(*array.shape))
        support, query = (normal(4, 2), normal(4, 2)), (normal(3, 2), normal(3, 2))
        batch = TaskBatch(*(array[None] for array in (*support, *query)))
        self.given = model, theta, support, query, inner_lr
        self.derivation = MetaDerivation(model, theta, batch, inner_lr=inner_lr, steps=steps)

    def reference(self, name: str) -> Parameters:
        return self.derivation.reference(name).task(0)

    def check(self, name: str, mine: Any) -> None:
        different = mismatch(mine, self.reference(name))
        if different:
            refuse(name, different)
        self.derivation.check(name, {key: np.asarray(array)[None] for key, array in mine.items()})


QUERY_HESSIAN = "the Hessian is that of the query loss: eq. 12 has the support loss"


def one_step(answer: Callable, rng: np.random.Generator) -> None:
    """5.1: the meta-gradient of one task after one inner step."""
    derivation = OneTask(rng, steps=1)
    model, theta, support, query, alpha = derivation.given
    here = model.at(theta, *support)
    adapted = theta - alpha * here.gradient
    u_1, u_0 = derivation.reference("u[1]"), derivation.reference("u[0]")
    mine = answer(*derivation.given)
    judge_derived(derivation, "u[0]", mine, [
        ("this is theta', the adapted copy: the answer is a gradient", adapted),
        ("this is a new theta: return the gradient, and take no outer step here", theta - alpha * u_0),
        ("this is a new theta', the copy moved: return the gradient, and take no outer step here", adapted - alpha * u_0),
        ("the Hessian is applied to the support gradient: eq. 12 applies it to alpha u_1", u_1 - here.hvp(alpha * here.gradient)),
        ("the Hessian is applied to the query gradient at theta: eq. 12 applies it to alpha u_1, and u_1 is taken at theta'",
         u_1 - here.hvp(alpha * model.at(theta, *query).gradient)),
        (QUERY_HESSIAN, u_1 - model.at(adapted, *query).hvp(alpha * u_1)),
    ])  # fmt: skip


def back_through_steps(answer: Callable, rng: np.random.Generator) -> None:
    """5.2: u_K, u_{K-1}, ..., u_0 of one task, eq. 12."""
    K = 3
    derivation = OneTask(rng, steps=K)
    model, theta, support, query, alpha = derivation.given
    mine = answer(*derivation.given, K)
    if isinstance(mine, (list, tuple)):
        mine = dict(enumerate(mine))
    if isinstance(mine, Parameters) or not isinstance(mine, Mapping):
        refuse("u", f"the answer is a {type(mine).__name__}, expected a dictionary of all u[k]: return u, with u[{K}], ..., u[0]")
    lost = [k for k in range(K, -1, -1) if k not in mine]
    if lost:
        refuse("u", f"it has the keys {sorted(mine, key=str)}, expected {list(range(K + 1))}: u[{lost[0]}] is missing")

    tape = []
    for _ in range(K):
        tape.append(model.at(theta, *support))
        theta = theta - alpha * tape[-1].gradient
    end = model.at(theta, *query)
    forth = {K: end.gradient}  # the Hessians at theta_0, theta_1, ... instead of theta_{K-1}, theta_{K-2}, ...
    for k in reversed(range(K)):
        forth[k] = forth[k + 1] - tape[K - 1 - k].hvp(alpha * forth[k + 1])
    if not any(mismatch(mine[k], forth[k]) for k in forth) and all(close(mine[k], forth[k]) for k in forth):
        refuse("u", "the Hessians come in the order of the way out, theta_0 first: the way back begins at theta_{K-1} (eq. 12)")

    for k in range(K, -1, -1):
        later = derivation.reference(f"u[{min(k + 1, K)}]")
        judge_derived(derivation, f"u[{k}]", mine[k], [(QUERY_HESSIAN, later - end.hvp(alpha * later))] if k < K else [])


def update(answer: Callable, rng: np.random.Generator) -> None:
    """5.3: one iteration of the outer loop, eq. 13 with plain gradient descent: theta moves."""
    problem = Problem((2, 3, 2), tasks=3, shots=4, queries=2, seed=int(rng.integers(2**31)))
    model, theta, batch, alpha, beta = problem.model, problem.theta, problem.batch, 0.3, 0.7
    derivation = MetaDerivation(model, theta, batch, inner_lr=alpha, steps=1)
    mine = answer(model, theta, batch, alpha, beta)
    new = theta - beta * derivation.reference("gradient")
    for sentence, value in _moves(model, theta, batch, alpha, beta):
        if not mismatch(mine, value) and close(mine, value):
            refuse("theta", sentence)
    wrong_shape = mismatch(mine, new)
    if wrong_shape:
        of_tasks = isinstance(mine, Mapping) and all(np.shape(mine.get(name))[:1] == (len(batch),) for name in new)
        why = "; that is one theta for each task: take the mean over the tasks, one initialisation is shared" if of_tasks else ""
        refuse("theta", f"{wrong_shape}{why}")
    moved_along = Parameters({name: (theta[name] - mine[name]) / beta for name in theta})  # the gradient that was used
    try:
        derivation.check("gradient", moved_along)
    except WrongAnswer as wrong:
        told = wrong.diagnosis or "theta moved along something else: is it theta - outer_lr * (mean over tasks of u_0)?"
        sentence = f"the gradient that moved theta is wrong: {told}"
        raise WrongAnswer(sentence, name="gradient", error=wrong.error, diagnosis=told, line=wrong.line) from None
    compare("theta", mine, new, tolerance=1e-8)


def _moves(model: Any, theta: Parameters, batch: Any, alpha: float, beta: float) -> Iterator[tuple[str, Parameters]]:
    """The known mistakes in what is moved, and how far."""
    meta = meta_gradient(model, theta, batch, inner_lr=alpha)
    copies = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=alpha)
    query = model.at(copies, batch.x_query, batch.y_query)
    u_0 = query.gradient - model.at(theta, batch.x_support, batch.y_support).hvp(alpha * query.gradient)
    yield "it has not moved: return the new theta", theta
    yield "this is the meta-gradient: take the step too, theta - outer_lr * gradient", meta.gradient
    yield "this is the first-order meta-gradient, and no step is taken", meta.first_order
    yield "it goes uphill: eq. 13 subtracts the gradient", theta + beta * meta.gradient
    yield "the step has the inner learning rate: the outer loop has outer_lr (eq. 13)", theta - alpha * meta.gradient
    yield "the outer learning rate is missing: the step is outer_lr * gradient (eq. 13)", theta - meta.gradient
    moves = "theta' is updated: the gradient is taken at theta', and moves theta"
    for g in (meta.gradient, meta.first_order):
        yield f"{moves} (eq. 13)", copies.mean() - beta * g
        yield f"{moves}; and every task has a theta of its own: eq. 13 takes the mean", copies - beta * g
        for t in range(len(batch)):
            yield f"{moves}; and this is the copy of one task", copies.task(t) - beta * g
    for of_tasks in (u_0, query.gradient):
        yield f"{moves}; and every task has a theta of its own: eq. 13 takes the mean", copies - beta * of_tasks
    yield "these are the adapted copies: the outer step is missing", copies
    yield "this is the mean of the adapted copies: the outer step is missing", copies.mean()


CHECKS = {"5.1": one_step, "5.2": back_through_steps, "5.3": update}
