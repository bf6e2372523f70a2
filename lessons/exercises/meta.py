"""Mistakes in eqs. 11-13, for the checks of lessons 05 and 06: those that `tinymaml.check` does not know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from exercises.answers import Known, refuse
from tinymaml import Parameters, adapt, meta_gradient, pretraining_gradient
from tinymaml.check import MetaDerivation, WrongAnswer, compare
from tinymaml.check.compare import close, flatten, mismatch
from tinymaml.tasks import TaskBatch

Data = tuple[np.ndarray, np.ndarray]


def same(mine: Any, value: Any, tolerance: float = 1e-6) -> bool:
    """Whether two answers have the same shapes and, but for rounding, the same numbers."""
    return not mismatch(mine, value) and close(mine, value, tolerance)


# -- mistakes on the way out and on the way back -------------------------------------------------------------------


@dataclass(frozen=True)
class Inner:
    """One task, x (n, d), or all tasks of a batch, x (T, n, d), and the inner loop on it."""

    model: Any
    theta: Parameters
    support: Data
    query: Data
    alpha: float
    steps: int

    def at(self, theta: Parameters, data: Data) -> Any:
        return self.model.at(theta, *data)

    def u(
        self, *, inner: Data | None = None, curved: Data | None = None, outer: Data | None = None, end: int | None = None,
        step: Callable | None = None, turn: Callable | None = None, steps: int | None = None,
    ) -> dict[int, Parameters]:  # fmt: skip
        """Eqs. 11 and 12 with some of their parts replaced.

        inner, curved, outer: on which data the steps, the Hessians, the last gradient are taken; end: at which theta_k the last.
        step(path, gradient) gives the next theta_k, turn(k, u, tape) gives u[k].
        """
        K = self.steps if steps is None else steps
        step = step or (lambda path, gradient: path[-1] - self.alpha * gradient)
        turn = turn or (lambda k, u, tape: u[k + 1] - tape[k].hvp(self.alpha * u[k + 1]))
        path = [self.theta]
        for _ in range(K):
            path.append(step(path, self.at(path[-1], inner or self.support).gradient))
        tape = [self.at(theta, curved or self.support) for theta in path]
        u = {K: self.at(path[K if end is None else end], outer or self.query).gradient}
        for k in reversed(range(K)):
            u[k] = turn(k, u, tape)
        return u


def _only(parameters: Parameters, letter: str) -> Parameters:
    """The weights ("W") or the biases ("b"), the others zero."""
    return Parameters({name: array * float(name.startswith(letter)) for name, array in parameters.items()})


def slips(task: Inner) -> Iterator[tuple[str, dict[int, Parameters]]]:
    """(sentence, {k: u_k}) of the mistakes that `tinymaml.check` does not know."""
    at, theta, S, Q, a, K = task.at, task.theta, task.support, task.query, task.alpha, task.steps
    n, m = S[0].shape[-2], Q[0].shape[-2]
    turned, path = lambda way: task.u(turn=way), _path(task)

    yield "the support and the query set are exchanged", task.u(inner=Q, curved=Q, outer=S)
    yield "the support set is not used: the inner steps and the Hessians belong to it (eqs. 11, 12)", task.u(inner=Q, curved=Q)
    yield "the inner step is taken on the query set: eq. 11 has the support loss", task.u(inner=Q)
    first = task.u(inner=Q, turn=lambda k, u, tape: u[k + 1])
    yield "the inner step is taken on the query set (eq. 11 has the support loss), and the curvature term is missing", first
    yield ("alpha comes twice before the curvature term: eq. 12 has it once",
           turned(lambda k, u, tape: u[k + 1] - a * tape[k].hvp(a * u[k + 1])))  # fmt: skip
    yield "the inner learning rate is missing in the inner step (eq. 11)", task.u(step=lambda path, g: path[-1] - g)
    yield ("the support loss is divided by the number of examples once more: it is a mean already",
           task.u(step=lambda path, g: path[-1] - a / n * g, turn=lambda k, u, tape: u[k + 1] - tape[k].hvp(a / n * u[k + 1])))
    yield ("the inner step is divided by the number of examples: the loss is a mean already",
           task.u(step=lambda path, g: path[-1] - a / n * g))  # fmt: skip
    yield ("the query gradient is divided by the number of examples: the loss is a mean already",
           {k: u / m for k, u in task.u().items()})  # fmt: skip
    yield "the biases do not move in the inner step (eq. 11)", task.u(step=lambda path, g: path[-1] - a * _only(g, "W"))
    yield ("the curvature term is missing for the biases",
           turned(lambda k, u, tape: u[k + 1] - _only(tape[k].hvp(a * u[k + 1]), "W")))  # fmt: skip
    yield ("the direction that the Hessian is applied to has no biases",
           turned(lambda k, u, tape: u[k + 1] - tape[k].hvp(a * _only(u[k + 1], "W"))))  # fmt: skip
    yield "the biases of the gradient are zero", {k: _only(u, "W") for k, u in task.u().items()}
    yield ("the Hessian of the query loss is applied: eq. 12 has that of the support loss", task.u(curved=Q))
    yield ("a Hessian of the query loss, taken at theta_K, is applied: eq. 12 has that of the support loss at theta_k",
           turned(lambda k, u, tape: u[k + 1] - at(path[K], Q).hvp(a * u[k + 1])))  # fmt: skip
    if theta[next(iter(theta))].ndim == at(theta, S).gradient[next(iter(theta))].ndim:  # one task: an inner product is a number
        outer = lambda k, u, tape: u[k + 1] - (a * tape[k].gradient.dot(u[k + 1])) * tape[k].gradient
        yield "gradient times (gradient . u) stands where the Hessian times u belongs", turned(outer)
    yield ("the support gradient, entry by entry, stands where the Hessian belongs",
           turned(lambda k, u, tape: u[k + 1] - a * (tape[k].gradient * u[k + 1])))  # fmt: skip
    yield "the Hessian is applied to theta: eq. 12 applies it to alpha u", turned(
        lambda k, u, tape: u[k + 1] - tape[k].hvp(a * theta))  # fmt: skip
    yield "the Hessian is applied to theta_{k+1}: eq. 12 applies it to alpha u", turned(
        lambda k, u, tape: u[k + 1] - tape[k].hvp(a * path[k + 1]))  # fmt: skip
    yield "the Hessian is applied to the inner step: eq. 12 applies it to alpha u", turned(
        lambda k, u, tape: u[k + 1] - tape[k].hvp(path[k + 1] - path[k]))  # fmt: skip
    yield "the Hessian is applied twice", turned(lambda k, u, tape: u[k + 1] - tape[k].hvp(a * tape[k].hvp(u[k + 1])))
    yield "the factor is 1 - alpha, with no Hessian: it is 1 in the example by hand alone", turned(
        lambda k, u, tape: (1 - a) * u[k + 1])  # fmt: skip
    yield "alpha stands before u, and not in the curvature term", turned(lambda k, u, tape: a * u[k + 1] - tape[k].hvp(u[k + 1]))
    yield "every number is zero", {k: 0.0 * u for k, u in task.u().items()}
    yield ("the step back is made twice", turned(
        lambda k, u, tape: (lambda once: once - tape[k].hvp(a * once))(u[k + 1] - tape[k].hvp(a * u[k + 1]))))  # fmt: skip
    right = task.u()
    yield ("the support gradient is added: the meta-loss is the query loss alone",
           {k: u + at(theta, S).gradient for k, u in right.items()})  # fmt: skip
    yield "the alpha stands before the whole difference: eq. 12 has it inside the curvature term", turned(
        lambda k, u, tape: a * (u[k + 1] - tape[k].hvp(u[k + 1])))  # fmt: skip
    yield "the result is multiplied by the inner learning rate: that is a step, not yet the gradient", {
        k: a * u for k, u in right.items()}  # fmt: skip
    for other in (K - 1, K + 1, K + 2):
        if other >= 1:
            found = task.u(steps=other)
            shown = {k: found[min(k, other)] for k in range(K + 1)} | {K: found[other]}
            yield f"the inner loop takes {other} step{'s' * (other > 1)}, where {K} {'were' if K > 1 else 'was'} asked for", shown
    rates = {"0.001": 0.001, "0.01": 0.01, "0.1": 0.1, "0.5": 0.5, "1": 1.0}
    rates |= {"alpha^2": a**2, "2 alpha": 2 * a, "alpha / 2": a / 2}
    for name, rate in rates.items():
        if rate != a:
            yield f"the rate is {name} in the inner step and in the curvature term: both have alpha (eqs. 11, 12)", replace(
                task, alpha=rate).u()  # fmt: skip
    if K == 1:
        twice = path[1] - a * at(path[1], S).gradient
        u_2 = at(twice, Q).gradient
        yield "two inner steps are taken, and one is gone back", {0: u_2 - at(theta, S).hvp(a * u_2), 1: u_2}
    if K > 1:
        yield "the Hessian is taken at theta_{k-1}, one step too early: eq. 12 takes it at theta_k", turned(
            lambda k, u, tape: u[k + 1] - tape[k - 1 if k else K - 1].hvp(a * u[k + 1]))  # fmt: skip
        yield "the Hessian is applied to the query gradient at theta_k: eq. 12 applies it to u_{k+1}", turned(
            lambda k, u, tape: u[k + 1] - tape[k].hvp(a * at(path[k], Q).gradient))  # fmt: skip
        yield "every inner step starts from theta again: step k + 1 starts from theta_k (eq. 11)", task.u(
            step=lambda path, g: theta - a * g)  # fmt: skip
        same = at(theta, S).gradient
        yield "all inner steps take the first gradient: each takes its own, at theta_k (eq. 11)", task.u(
            step=lambda path, g: path[-1] - a * same)  # fmt: skip
        yield "the query gradient is taken at theta_{K-1}: u_K is taken at theta_K, after the last step", task.u(end=K - 1)
        yield "each step back starts from u_K: eq. 12 subtracts from u_{k+1}", turned(
            lambda k, u, tape: u[K] - tape[k].hvp(a * u[k + 1]))  # fmt: skip
        order = "the Hessians come in the order of the way out, theta_0 first: the way back begins at theta_{K-1} (eq. 12)"
        yield order, turned(lambda k, u, tape: u[k + 1] - tape[K - 1 - k].hvp(a * u[k + 1]))
        yield "every Hessian is that of the last step, at theta_{K-1}: eq. 12 takes it at theta_k", turned(
            lambda k, u, tape: u[k + 1] - tape[K - 1].hvp(a * u[k + 1]))  # fmt: skip
        yield "only the first inner step is differentiated: eq. 12 goes back through all", turned(
            lambda k, u, tape: u[k + 1] if k else u[1] - tape[0].hvp(a * u[1]))  # fmt: skip
        yield "this is the query gradient at theta_k: u_k is carried back from u_{k+1}", {
            k: at(point, Q).gradient for k, point in enumerate(path)}  # fmt: skip
        added = "the query gradient at theta_k is added at each step back: the loss that counts is that after the last step"
        yield added, turned(lambda k, u, tape: at(path[k], Q).gradient + u[k + 1] - tape[k].hvp(a * u[k + 1]))


def _path(task: Inner) -> list[Parameters]:
    """theta_0..theta_K."""
    path = [task.theta]
    for _ in range(task.steps):
        path.append(path[-1] - task.alpha * task.at(path[-1], task.support).gradient)
    return path


def part_of_curvature(mine: Any, first: Parameters, turn: Parameters, alpha: float) -> Iterator[Known]:
    """An answer first - c * turn, for any number c that has no name of its own."""
    if mismatch(mine, first):
        return
    d, h = flatten({name: first[name] - mine[name] for name in first}), flatten(turn)
    c = float(d @ h / (h @ h)) if h @ h > 0 and np.isfinite(d).all() else 0.0
    if min(abs(c - named) for named in (0, 1, -1, 1 / alpha, -1 / alpha)) > 1e-6:
        yield f"your curvature term is {c:.6g} times the right one", first - c * turn


def in_parts(mine: Any, parts: Mapping[str, Parameters]) -> str:
    """An answer as a sum of known vectors, `2 u_1 - 0.5 grad L_S(theta)`; "" if it is no sum of at most four of them."""
    if any(mismatch(mine, part) for part in parts.values()):
        return ""
    target, columns = flatten(mine), np.stack([flatten(part) for part in parts.values()], axis=1)
    if not np.isfinite(target).all():
        return ""
    scale = np.linalg.norm(columns, axis=0) + 1e-30
    found = np.linalg.lstsq(columns / scale, target, rcond=1e-9)[0] / scale
    size = np.linalg.norm(target)
    if not 0 < np.linalg.norm(columns @ found - target) + 1e-30 < 1e-7 * size:
        return ""
    used = [(c, name) for c, name, length in zip(found, parts, scale, strict=True) if abs(c) * length > 1e-6 * size]
    if len(used) > 4:
        return ""
    terms = [f"{'-' if c < 0 else '+'} {'' if abs(abs(c) - 1) < 1e-6 else f'{abs(c):.4g} '}{name}" for c, name in used]
    return " ".join(terms).removeprefix("+ ")


def parts_of_step(task: Inner, k: int, later: Parameters, path: list[Parameters]) -> dict[str, Parameters]:
    """What a step back from u_{k+1} = `later` may be made of."""
    a, end = task.alpha, path[-1]
    here, next_, there = task.at(path[k], task.support), task.at(path[k + 1], task.support), task.at(end, task.query)
    g, now = here.gradient, task.at(path[k], task.query).gradient
    return {
        "u_{k+1}": later,
        "H_S(theta_k)(alpha u_{k+1})": here.hvp(a * later),
        "H_S(theta_{k+1})(alpha u_{k+1})": next_.hvp(a * later),
        "H_Q(theta_K)(alpha u_{k+1})": there.hvp(a * later),
        "grad L_S(theta_k)": g,
        "grad L_S(theta_{k+1})": next_.gradient,
        "grad L_Q(theta_k)": now,
        "H_S(theta_k)(alpha grad L_S(theta_k))": here.hvp(a * g),
        "H_S(theta_k)(alpha grad L_Q(theta_k))": here.hvp(a * now),
        "H_S(theta_k)(alpha H_S(theta_k)(alpha u_{k+1}))": here.hvp(a * here.hvp(a * later)),
        "theta_k": path[k],
        "H_S(theta_k)(alpha theta_k)": here.hvp(a * path[k]),
    }


def of_another_product(mine: Any, task: Inner) -> str:
    """An answer to eq. 12 with one inner step that has another Hessian, or applies it to something else; or ""."""
    a, theta = task.alpha, task.theta
    copy = theta - a * task.at(theta, task.support).gradient
    sets, points = {"support": task.support, "query": task.query}, {"theta": theta, "theta'": copy}
    seen = {f"the {loss} loss at {where}": task.at(point, data) for loss, data in sets.items() for where, point in points.items()}
    u = seen["the query loss at theta'"].gradient
    applied = {"u_1": u, **points, **{f"the gradient of {name}": here.gradient for name, here in seen.items()}}
    for where, here in seen.items():
        for what, v in applied.items():
            product = here.hvp(a * v)
            for more, value in (("", u - product), (", and it is added", u + product), (", and it stands alone", product)):
                if same(mine, value):
                    asked = "eq. 12 subtracts that of the support loss at theta, applied to alpha u_1"
                    return f"the Hessian of {where} is applied to {what}{more}: {asked}"
    return ""


def by_layers(mine: Any, right: Parameters, parts: Mapping[str, Parameters]) -> str:
    """What can be said of an answer that is wrong in some of its arrays only, or in each in another way."""
    wrong = [name for name in right if not close(mine[name], right[name])]
    if len(wrong) == len(right):
        return ""
    only = lambda value: Parameters({name: np.asarray(value[name]) for name in wrong})
    shared = in_parts(only(mine), {part: only(value) for part, value in list(parts.items())[:2]})
    told = f"only {', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} wrong"
    zero = all(not np.any(mine[name]) for name in wrong)
    return f"{told}, and zero" if zero else f"{told}: there it is {shared}" if shared else told


def of_another_u_1(mine: Any, task: Inner) -> str:
    """An answer to eq. 12 with one inner step whose u_1 is not the right one, and whatever was made of it; or ""."""
    at, theta, S, Q, a = task.at, task.theta, task.support, task.query, task.alpha
    n, here, judging = S[0].shape[-2], at(theta, S), at(theta, Q)
    moved = lambda step: at(theta - step, Q).gradient
    right = theta - a * here.gradient
    others = {
        "u_1 is the support gradient, at theta'": at(right, S).gradient,
        "u_1 is the support gradient, at theta": here.gradient,
        "u_1 is taken at theta, not at theta'": judging.gradient,
        "the inner step goes uphill": moved(-a * here.gradient),
        "the inner learning rate is missing in the inner step": moved(here.gradient),
        "the inner step is taken on the query set": moved(a * judging.gradient),
        "the inner step is divided by the number of examples": moved(a / n * here.gradient),
        "the inner step is multiplied by the number of examples": moved(a * n * here.gradient),
        "the inner step has the square of alpha": moved(a**2 * here.gradient),
        "the inner step is doubled": moved(2 * a * here.gradient),
        "the inner step is halved": moved(a / 2 * here.gradient),
        "the inner step has the signs of the gradient": moved(a * here.gradient.map(np.sign)),
        "theta' is the step alone, without theta": at(-a * here.gradient, Q).gradient,
        "theta' is the gradient alone, without theta": at(here.gradient, Q).gradient,
        "the inner step has a Hessian in it": moved(a * here.hvp(here.gradient)),
        "u_1 is taken on support and query points together": at(right, tuple(
            np.concatenate(both, axis=-2) for both in zip(S, Q, strict=True))).gradient,
        "two inner steps are taken": at(right - a * at(right, S).gradient, Q).gradient,
        "u_1 has its sign turned": -1.0 * at(right, Q).gradient,
        "the inner step moves the biases only": moved(a * _only(here.gradient, "b")),
        "the inner step moves the weights only": moved(a * _only(here.gradient, "W")),
    }
    there = at(right, S)
    for told, u in others.items():
        made = in_parts(mine, {"u_1": u, "H_S(theta)(alpha u_1)": here.hvp(a * u), "H_S(theta')(alpha u_1)": there.hvp(a * u),
                               "H_Q(theta)(alpha u_1)": judging.hvp(a * u), "grad L_S(theta)": here.gradient})  # fmt: skip
        if made == "u_1":
            return f"{told}; and the curvature term is missing"
        if made:
            right_way = made == "u_1 - H_S(theta)(alpha u_1)"
            return told if right_way else f"{told}; and with that it is {made}, where eq. 12 has u_1 - H_S(theta)(alpha u_1)"
    return ""


# -- one step of the outer loop ----------------------------------------------------------------------------------


def check_update(answer: Callable, model: Any, theta: Parameters, batch: TaskBatch, alpha: float, beta: float) -> None:
    """The new theta after one step of the outer loop with one inner step."""
    mine = answer(model, theta, batch, alpha, beta)
    derivation = MetaDerivation(model, theta, batch, inner_lr=alpha, steps=1)
    u_0 = derivation.reference("gradient")
    new = theta - beta * u_0
    adapted = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=alpha)
    for sentence, value in _moves(model, theta, batch, alpha, beta):
        if same(mine, value, 1e-7) and not same(value, new, 1e-7):
            refuse("theta", sentence)
    wrong_shape = mismatch(mine, new)
    if wrong_shape:
        of_tasks = isinstance(mine, Mapping) and all(np.shape(mine.get(name))[:1] == (len(batch),) for name in new)
        why = "; that is one theta for each task: take the mean over the tasks, one initialisation is shared" if of_tasks else ""
        refuse("theta", f"{wrong_shape}{kind_of(mine)}{why}")
    moved_along = Parameters({name: (theta[name] - mine[name]) / beta for name in theta})  # the gradient that was used
    try:
        derivation.check("gradient", moved_along)
    except WrongAnswer as wrong:
        found = list(_gradients(model, theta, batch, alpha, beta, moved_along))
        known = [sentence for sentence, value in found if same(moved_along, value) and not same(value, u_0)]
        told = next(iter(known), "")
        if not told and (not wrong.diagnosis or wrong.diagnosis.startswith("every number")):
            told = _moved(mine, theta, batch, adapted, [("", u_0), *found], alpha, beta) or wrong.diagnosis
        told = told or wrong.diagnosis
        if not told:
            made = in_parts(moved_along, _parts(model, theta, batch, alpha))
            told = f"theta moved along {made}, where eq. 13 has the mean of u_0" if made else told
            told = told or by_layers(moved_along, u_0, _parts(model, theta, batch, alpha))
        told = told or "theta moved along something else: is it theta - outer_lr * (mean over tasks of u_0)?"
        sentence = f"the gradient that moved theta is wrong: {told}"
        raise WrongAnswer(sentence, name="gradient", error=wrong.error, diagnosis=told, line=wrong.line) from None
    compare("theta", mine, new, tolerance=1e-8)


def kind_of(mine: Any) -> str:
    """More about an answer of the wrong type."""
    if hasattr(mine, "first_order"):
        return "; that is what `meta_gradient` returns: its .gradient says how to move theta"
    if hasattr(mine, "hvp"):
        return "; that is what `model.at` returns: its .gradient is the gradient there"
    if isinstance(mine, np.ndarray) and mine.ndim == 1:
        return "; that is a row of numbers: keep their names, as Parameters do"
    if isinstance(mine, tuple):
        return f"; {len(mine)} things were returned, one was asked for"
    return ""


def _parts(model: Any, theta: Parameters, batch: TaskBatch, alpha: float) -> dict[str, Parameters]:
    """What the gradient that moved theta may be made of: means over the tasks."""
    S, Q = (batch.x_support, batch.y_support), (batch.x_query, batch.y_query)
    here = model.at(theta, *S)
    copies = theta - alpha * here.gradient
    at_copies = model.at(copies, *Q).gradient
    return {
        "u_1": at_copies.mean(),
        "H_S(alpha u_1)": here.hvp(alpha * at_copies).mean(),
        "H_S(alpha grad L_Q(theta))": here.hvp(alpha * model.at(theta, *Q).gradient).mean(),
        "grad L_S(theta)": here.gradient.mean(),
        "grad L_Q(theta)": model.at(theta, *Q).gradient.mean(),
        "grad L_S(theta')": model.at(copies, *S).gradient.mean(),
        "theta": theta,
    }


def _gradients(
    model: Any, theta: Parameters, batch: TaskBatch, alpha: float, beta: float, mine: Parameters
) -> Iterator[Known]:
    """The mistakes, beside those of `tinymaml.check`, in the gradient that moved theta, without those of another shape."""
    S, Q, T = (batch.x_support, batch.y_support), (batch.x_query, batch.y_query), len(batch)
    inner = Inner(model, theta, S, Q, alpha, 1)
    u, here = inner.u(), model.at(theta, *S)
    right = u[0].mean()
    copies = theta - alpha * here.gradient
    now = model.at(theta, *Q).gradient.mean()

    def candidates() -> Iterator[Known]:
        yield "this is pre-training: the gradient of the query loss is taken at theta, not at theta'", now
        yield ("this is pre-training: the gradient is that of all points of the batch, taken at theta, not at theta'",
               pretraining_gradient(model, theta, batch).gradient)  # fmt: skip
        yield ("this is pre-training on the support sets: the gradient is that of the query loss, taken at theta'",
               here.gradient.mean())  # fmt: skip
        yield ("this is Reptile: theta moved towards the adapted copies, and the query sets are not used",
               theta - copies.mean())  # fmt: skip
        yield ("the meta-gradient is taken at the mean of the adapted copies: it is taken at theta, and makes its own copies",
               meta_gradient(model, copies.mean(), batch, inner_lr=alpha).gradient)  # fmt: skip
        for t in range(T):
            meta = meta_gradient(model, copies.task(t), batch, inner_lr=alpha)
            at_copy = "the meta-gradient is taken at the copy of one task: it is taken at theta, and makes its own copies"
            yield at_copy, meta.gradient
            yield f"{at_copy}; and the curvature term is missing", meta.first_order
        yield ("this is pre-training: the gradient is taken at theta, not at theta', and the mean of it is what is carried back",
               now - here.hvp(alpha * now).mean())  # fmt: skip
        yield "this is the sign of the gradient: the step is outer_lr * gradient", right.map(np.sign)
        yield ("this is the query gradient at the mean of the copies: each task is judged at its own copy",
               model.at(copies.mean(), *Q).gradient.mean())  # fmt: skip
        mean = u[1].mean()
        yield ("the mean over the tasks is taken before the step back: each task has its own Hessian, so the mean comes last",
               mean - here.hvp(alpha * mean).mean())  # fmt: skip
        yield "it is divided by the number of tasks twice", right / T
        yield "the median over the tasks is taken: eq. 13 takes the mean", u[0].map(lambda array: np.median(array, axis=0))
        yield "the largest of the tasks is taken: eq. 13 takes the mean", u[0].map(lambda array: array.max(axis=0))
        yield "the least of the tasks is taken: eq. 13 takes the mean", u[0].map(lambda array: array.min(axis=0))
        meta = meta_gradient(model, theta, batch, inner_lr=alpha)
        yield "the gradient is multiplied by the loss", meta.loss * right
        yield "this is the slope with respect to the inner learning rate", meta.rates_gradient
        for steps in (2, 3, 4, 5, 10):
            many = meta_gradient(model, theta, batch, inner_lr=alpha, steps=steps)
            yield f"the inner loop takes {steps} steps, where 1 was asked for", many.gradient
            missing = "where 1 was asked for, and the curvature term is missing"
            yield f"the inner loop takes {steps} steps, {missing}", many.first_order
        yield "this is first-order MAML: the curvature term is missing", u[1].mean()
        yield "this is the curvature term alone", (u[1] - u[0]).mean()
        yield "the support gradient at theta is added, and the curvature term is missing", (u[1] + here.gradient).mean()
        for t in range(T):
            others = [i for i in range(T) if i != t]
            if T > 2:
                yield "one task is left out: eq. 13 takes the mean over all", u[0].map(lambda array: array[others].mean(0))  # noqa: B023
            yield "only one task is used: eq. 13 takes the mean over all", u[0].task(t)
            yield "only one task is used (eq. 13 takes the mean over all), and the curvature term is missing", u[1].task(t)
        for sentence, value in slips(inner):
            yield sentence, value[0].mean()
        yield from part_of_curvature(mine, u[1].mean(), u[1].mean() - right, alpha)
        yield from _in_a_row(model, theta, batch, alpha, beta)
        for what, rate in {"1 (the inner learning rate is missing)": 1.0, "0 (there is no inner step)": 0.0, "0.001": 0.001,
                           "0.01": 0.01, "0.5": 0.5, "outer_lr": beta, "inner_lr / T": alpha / T, "inner_lr^2": alpha**2,
                           "2 inner_lr": 2 * alpha, "inner_lr * outer_lr": alpha * beta}.items():  # fmt: skip
            other = Inner(model, theta, S, Q, rate, 1).u()
            yield f"the inner step has the rate {what}: it has inner_lr (eq. 11)", other[0].mean()
            yield f"the inner step has the rate {what} (eq. 11 has inner_lr), and the curvature term is missing", other[1].mean()

    yield from ((sentence, value) for sentence, value in candidates() if not mismatch(mine, value))


def _in_a_row(model: Any, theta: Parameters, batch: TaskBatch, alpha: float, beta: float) -> Iterator[Known]:
    """Each task moves theta for the next: what the whole way is, as one gradient."""
    for n, what in ((1, ""), (len(batch), "; and each step is divided by the number of tasks")):
        for first_order, more in ((False, ""), (True, "; and the curvature term is missing")):
            at = theta
            for t in range(len(batch)):
                task = TaskBatch(*(getattr(batch, name)[t : t + 1] for name in ("x_support", "y_support", "x_query", "y_query")))
                meta = meta_gradient(model, at, task, inner_lr=alpha)
                at = at - beta / n * (meta.first_order if first_order else meta.gradient)
            told = f"theta moves after each task, and the next starts from there: all tasks start from one theta (eq. 13){what}"
            yield told + more, (theta - at) * (1 / beta)


def _moved(mine: Parameters, theta: Parameters, batch: TaskBatch, adapted: Parameters, gradients: list[Known],
           alpha: float, beta: float) -> str:  # fmt: skip
    """`mine` as a start, from which it moved along one of the gradients by any length; "" if it is none."""
    updated = "theta' is updated, where the gradient moves theta (eq. 13)"
    starts = [("", theta), (f"{updated}: this is the mean of the copies, moved", adapted.mean()),
              ("theta is missing, from which the step goes", 0 * theta)]  # fmt: skip
    starts += [(f"{updated}: this is the copy of one task, moved", adapted.task(t)) for t in range(len(batch))]
    lengths = {"": 1.0, "it goes uphill: eq. 13 subtracts the gradient": -1.0,
               "the step has the inner learning rate: the outer loop has outer_lr (eq. 13)": alpha / beta,
               "the outer learning rate is missing: the step is outer_lr * gradient (eq. 13)": 1 / beta,
               "both learning rates stand before the step: the outer step has outer_lr alone (eq. 13)": alpha,
               "the outer learning rate comes twice": beta, "the step is divided by outer_lr: it is multiplied by it": beta**-2,
               "the gradient is the sum over the tasks: eq. 13 takes the mean": len(batch),
               "the gradient is divided by the number of tasks twice": 1 / len(batch)}  # fmt: skip
    found = []
    for start, origin in starts:
        way = {name: (origin[name] - mine[name]) / beta for name in theta}
        for sentence, gradient in gradients:
            d, g = flatten(way), flatten(gradient)
            c = float(d @ g / (g @ g)) if g @ g > 0 and np.isfinite(d).all() else 0.0
            if abs(c) > 1e-9 and same(way, c * gradient):
                generic = 0.5  # a length that has no name: rather another gradient with a length that has one
                length = next((told for told, factor in lengths.items() if abs(c - factor) < 1e-6 * abs(factor)), None)
                if length is None:
                    length = f"the step is {c:.4g} times as long as it should be, {c * beta:.4g} times the gradient"
                else:
                    generic = 0.0
                told = [told for told in (start, sentence, length) if told]
                found.append((len(told) + generic, "; and ".join(told)))
    return min(found, key=lambda pair: pair[0], default=(0, ""))[1]


def _moves(model: Any, theta: Parameters, batch: TaskBatch, alpha: float, beta: float) -> Iterator[tuple[str, Parameters]]:
    """The known mistakes in what is moved, and how far."""
    meta = meta_gradient(model, theta, batch, inner_lr=alpha)
    now = pretraining_gradient(model, theta, batch).gradient
    copies = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=alpha)
    query = model.at(copies, batch.x_query, batch.y_query)
    u_0 = query.gradient - model.at(theta, batch.x_support, batch.y_support).hvp(alpha * query.gradient)
    new = theta - beta * meta.gradient
    yield "it has not moved: return the new theta", theta
    yield "this is the meta-gradient: take the step too, theta - outer_lr * gradient", meta.gradient
    yield "this is the first-order meta-gradient, and no step is taken", meta.first_order
    yield "this is the step alone, outer_lr * gradient: subtract it from theta", beta * meta.gradient
    yield "this is the step alone, -outer_lr * gradient: add theta to it", -beta * meta.gradient
    yield "it goes uphill: eq. 13 subtracts the gradient", theta + beta * meta.gradient
    exchanged = meta_gradient(model, theta, batch, inner_lr=beta).gradient
    yield "the two learning rates are exchanged: inner_lr is for the inner loop", theta - alpha * exchanged
    yield "the inner loop takes the outer learning rate: it has inner_lr (eq. 11)", theta - beta * exchanged
    yield ("both learning rates stand before the step: the outer step has outer_lr alone (eq. 13)",
           theta - alpha * beta * meta.gradient)  # fmt: skip
    yield "this is pre-training, without its step: the gradient is taken at theta", now
    again = new - beta * meta_gradient(model, new, batch, inner_lr=alpha).gradient
    yield "two outer steps are taken: one was asked for", again
    moved = "theta' is updated: the gradient is taken at theta', and moves theta"
    for g in (meta.gradient, meta.first_order):
        yield f"{moved} (eq. 13)", copies.mean() - beta * g
        yield f"{moved}; and every task has a theta of its own: eq. 13 takes the mean", copies - beta * g
        for t in range(len(batch)):
            yield f"{moved}; and this is the copy of one task", copies.task(t) - beta * g
    for of_tasks in (u_0, query.gradient):
        yield f"{moved}; and every task has a theta of its own: eq. 13 takes the mean", copies - beta * of_tasks
        for t in range(len(batch)):
            yield f"{moved}; and this is the copy of one task", copies.task(t) - beta * of_tasks.task(t)
        yield "the mean over the tasks is missing: each task moved a theta by its own gradient, and eq. 13 takes their mean", \
            theta - beta * of_tasks  # fmt: skip
        yield "the mean over the tasks is missing, and no step is taken: this is one gradient for each task", of_tasks
    yield "these are the adapted copies: the outer step is missing", copies
    yield "this is the mean of the adapted copies: the outer step is missing", copies.mean()
    for t in range(len(batch)):
        yield "this is the adapted copy of one task: the outer step is missing", copies.task(t)
