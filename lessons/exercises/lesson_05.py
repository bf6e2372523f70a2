"""The exercises of lesson 05: the meta-gradient, eqs. 11-13."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exercises.exercise import Exercise
from tinymaml import MLP
from tinymaml.tasks import TaskBatch


def task(rng: np.random.Generator, widths: Sequence[int], tasks: tuple[int, ...] = (), shots: int = 4, queries: int = 3) -> tuple:
    """A tanh network with its theta, and the support and the query pair (x, y) of one task, or of several."""
    normal = lambda *shape: rng.standard_normal(shape)
    model = MLP(list(widths), activation="tanh")
    theta = model.init(rng).map(lambda array: array + 0.3 * normal(*array.shape))
    data = lambda n: (normal(*tasks, n, widths[0]), normal(*tasks, n, widths[-1]))
    return model, theta, data(shots), data(queries)


FIRST_ORDER = "this is first-order MAML: the curvature term is missing (eq. 12)"
ONE_STEP = Exercise(
    """def one_step(model, theta, support, query, inner_lr):
    here = model.at(theta, *support)
    copy = theta - inner_lr * here.gradient  # eq. 11
    u = model.at(copy, *query).gradient  # taken at theta'
    return u - here.hvp(inner_lr * u)  # eq. 12: back to theta
""",
    lambda rng: [(*task(rng, (2, 3, 2)), 0.3), (*task(rng, (3, 4, 1)), 0.1)],
    ("u[0]",),
    (
        ("u - here.hvp(inner_lr * u)", "u", FIRST_ORDER),
        ("u - here.hvp", "u + here.hvp", "the curvature term has the wrong sign: eq. 12 subtracts it"),
        ("hvp(inner_lr * u)", "hvp(u)", "the inner learning rate is missing in the curvature term (eq. 12)"),
        ("return u - here", "return here", "this is the curvature term alone: eq. 12 subtracts it from u_1"),
        ("- here.hvp(inner_lr * u)", "- model.at(copy, *query).hvp(inner_lr * u)", "the Hessian is that of the query loss: eq. 12 has that of the support loss"),
        ("- here.hvp(inner_lr * u)", "- model.at(theta, *query).hvp(inner_lr * u)",
         "the Hessian is that of the query loss, at theta: eq. 12 has that of the support loss"),
        ("- here.hvp(inner_lr * u)", "- model.at(copy, *support).hvp(inner_lr * u)", "the Hessian is taken at theta', not at theta (eq. 12)"),
        ("hvp(inner_lr * u)", "hvp(inner_lr * here.gradient)", "the Hessian is applied to the support gradient, not to alpha u_1 (eq. 12)"),
        ("hvp(inner_lr * u)", "hvp(inner_lr * model.at(theta, *query).gradient)",
         "the Hessian is applied to the query gradient at theta, not to alpha u_1, which is taken at theta' (eq. 12)"),
        ("model.at(copy, *query)", "model.at(theta, *query)", "the query gradient u_1 is taken at theta, not at theta'"),
        ("model.at(copy, *query)", "model.at(copy, *support)", "u_1 is the gradient on the support set: eq. 12 begins with the query set"),
        ("theta - inner_lr * here", "theta + inner_lr * here", "the inner step goes uphill: eq. 11 subtracts the gradient"),
        ("theta - inner_lr * here", "theta - here", "the inner learning rate is missing in the inner step (eq. 11)"),
        ("theta - inner_lr * here.gradient", "theta - inner_lr * model.at(theta, *query).gradient", "the inner step is taken on the query set, not on the support set"),
        ("    here =", "    support, query = query, support\n    here =", "the support and the query set are exchanged"),
        ("u - here.hvp(inner_lr * u)", "inner_lr * (u - here.hvp(u))", "all of it is multiplied by the inner learning rate: it belongs to the curvature term only"),
        ("hvp(inner_lr * u)", "hvp(inner_lr**2 * u)", "the inner learning rate comes twice in the curvature term"),
        ("u - here.hvp(inner_lr * u)", "(1 - inner_lr) * u", "the factor is 1 - alpha, with no Hessian: eq. 12 has u_1 - H(alpha u_1)"),
        ("return u - here.hvp(inner_lr * u)", "return copy", "this is theta', the adapted copy: return the gradient"),
        ("u - here.hvp(inner_lr * u)", "theta - inner_lr * (u - here.hvp(inner_lr * u))", "this is a new theta: return the gradient, and take no outer step here"),
        ("u - here.hvp(inner_lr * u)", "copy - inner_lr * (u - here.hvp(inner_lr * u))", "this is a moved copy theta': return the gradient, and take no outer step here"),
        ("u - here.hvp(inner_lr * u)", "here.gradient", "this is the gradient of the support loss at theta"),
        ("u - here.hvp(inner_lr * u)", "u - inner_lr * u * here.hvp(u)", "the Hessian-vector product is multiplied by u_1, number by number: eq. 12 subtracts it"),
    ),
)  # fmt: skip

K_STEPS = Exercise(
    """def k_steps(model, theta, support, query, inner_lr, steps):
    tape = []
    for _ in range(steps):
        tape.append(model.at(theta, *support))
        theta = theta - inner_lr * tape[-1].gradient  # eq. 11
    u = {steps: model.at(theta, *query).gradient}
    for k in reversed(range(steps)):
        u[k] = u[k + 1] - tape[k].hvp(inner_lr * u[k + 1])  # eq. 12
    return u
""",
    lambda rng: [(*task(rng, (2, 3, 2)), 0.3, 3), (*task(rng, (2, 3, 2)), 0.3, 1), (*task(rng, (2, 3, 1)), 0.1, 4)],
    ("u",),
    (
        ("u[k + 1] - tape[k].hvp(inner_lr * u[k + 1])", "u[k + 1]", FIRST_ORDER),
        ("- tape[k].hvp", "+ tape[k].hvp", "the curvature term has the wrong sign: eq. 12 subtracts it"),
        ("hvp(inner_lr * ", "hvp(", "the inner learning rate is missing in the curvature term (eq. 12)"),
        ("u[k + 1] - tape[k].hvp", "u[steps] - tape[k].hvp", "each step back starts from u_K: eq. 12 starts from u_{k+1}"),
        ("hvp(inner_lr * u[k + 1])", "hvp(inner_lr * u[steps])", "the Hessian is applied to u_K, not to u_{k+1} (eq. 12)"),
        ("tape[k].hvp", "tape[0].hvp", "every Hessian is taken at theta_0: eq. 12 has the one at theta_k"),
        ("tape[k].hvp", "tape[-1].hvp", "every Hessian is taken at theta_{K-1}: eq. 12 has the one at theta_k"),
        ("tape[k].hvp", "tape[steps - 1 - k].hvp", "the tape is read in the wrong order: u_k needs the Hessian at theta_k"),
        ("tape[k].hvp", "(tape + [model.at(theta, *support)])[k + 1].hvp", "the Hessian is taken at theta_{k+1}, not at theta_k (eq. 12)"),
        ("tape[k].hvp", "model.at(theta, *query).hvp", "the Hessian is that of the query loss: eq. 12 has that of the support loss"),
        ("tape[k].hvp", "model.at(theta, *support).hvp", "every Hessian is taken at theta_K: eq. 12 has the one at theta_k"),
        ("model.at(theta, *query).gradient", "tape[0].gradient", "u_K is the support gradient at theta: it is the query gradient at theta_K"),
        ("{steps: model.at(theta, *query)", "{steps: model.at(tape[0].theta, *query)", "u_K is taken at theta, not at theta_K"),
        ("{steps: model.at(theta, *query).gradient}", "{steps: model.at(theta, *support).gradient}", "u_K is the gradient on the support set: it is that of the query loss"),
        ("theta - inner_lr * tape", "theta + inner_lr * tape", "the inner steps go uphill: eq. 11 subtracts the gradient"),
        ("theta - inner_lr * tape", "theta - tape", "the inner learning rate is missing in the inner steps (eq. 11)"),
        ("tape[-1].gradient", "tape[0].gradient", "every inner step uses the gradient at theta_0: each takes its own (eq. 11)"),
        ("    tape = []", "    support, query = query, support\n    tape = []", "the support and the query set are exchanged"),
        ("return u", "return {steps - k: v for k, v in u.items()}", "the keys run the wrong way: u[steps] is the first to be found, and u[0] the last"),
        ("return u", "return {k + 1: v for k, v in u.items()}", "the keys are off by one: u_k is at k + 1"),
        ("return u", "return {k - 1: v for k, v in u.items()}", "the keys are off by one: u_k is at k - 1"),
        ("return u", "return u[0]", "this is u_0 alone: return all u[k]"),
        ("return u", "return dict.fromkeys(u, u[0])", "all u[k] are u_0: was one object changed in place? Each step back makes a new one"),
        ("range(steps)", "range(3)", "the number of steps is 3, whatever `steps` is"),
    ),
)  # fmt: skip


def update_case(rng: np.random.Generator, widths: Sequence[int], tasks: int, inner_lr: float, outer_lr: float) -> tuple:
    model, theta, support, query = task(rng, widths, (tasks,), 4, 5)
    return model, theta, TaskBatch(*support, *query), inner_lr, outer_lr


META_UPDATE = Exercise(
    """def meta_update(model, theta, batch, inner_lr, outer_lr):
    here = model.at(theta, batch.x_support, batch.y_support)
    copies = theta - inner_lr * here.gradient  # one for each task (T, ...)
    u = model.at(copies, batch.x_query, batch.y_query).gradient
    u = u - here.hvp(inner_lr * u)
    return theta - outer_lr * u.mean()  # the copies are not used any more
""",
    lambda rng: [update_case(rng, (2, 3, 2), 3, 0.3, 0.7), update_case(rng, (3, 4, 1), 2, 0.1, 0.2)],
    ("theta",),
    (
        ("u - here.hvp(inner_lr * u)", "u", FIRST_ORDER),
        ("u - here.hvp", "u + here.hvp", "the curvature term has the wrong sign: eq. 12 subtracts it"),
        ("return theta", "return copies.mean()", "the copies theta' are moved: the gradient moves theta (eq. 13)"),
        ("u.mean()", "u.map(lambda g: g.sum(0))", "the gradients are summed over the tasks: eq. 13 has their mean"),
        ("theta - outer_lr * u", "theta + outer_lr * u", "the outer step goes uphill: eq. 13 subtracts the gradient"),
        ("outer_lr * u", "u", "the outer learning rate is missing (eq. 13)"),
        ("outer_lr * u", "inner_lr * u", "the outer step has the inner learning rate: eq. 13 has beta, the outer one"),
        ("return theta - outer_lr * u.mean()", "return u.mean()", "this is the meta-gradient: return the new theta"),
        ("hvp(inner_lr * u)", "hvp(u)", "the inner learning rate is missing in the curvature term (eq. 12)"),
        ("u = u - here.hvp(inner_lr * u)", "u = model.at(theta, batch.x_query, batch.y_query).gradient",
         "this is pre-training: the gradient is taken at theta, with no adaptation"),
        ("u = u - here.hvp(inner_lr * u)", "u = here.gradient", "this is pre-training on the support sets"),
        ("u = u - here.hvp(inner_lr * u)", "u = theta - copies", "this is Reptile: theta moves towards the copies"),
        ("u.mean()", "u.task(0)", "only the first task is used: eq. 13 has the mean over all tasks"),
        ("u.mean()", "u.mean() / len(batch)", "it is divided by the number of tasks twice"),
        ("u.mean()", "u", "the tasks are not averaged: there is one new theta for each (eq. 13 has the mean)"),
        ("at(copies, batch.x_query", "at(theta, batch.x_query", "the query gradient is taken at theta, not at theta'"),
        ("x_query, batch.y_query", "x_support, batch.y_support", "the query gradient is taken on the support sets"),
        ("theta - inner_lr * here", "theta + inner_lr * here", "the inner step goes uphill: eq. 11 subtracts the gradient"),
        ("theta - inner_lr * here", "theta - outer_lr * here", "the inner step has the outer learning rate: eq. 11 has alpha, the inner one"),
        ("- here.hvp(inner_lr * u)", "- model.at(copies, batch.x_support, batch.y_support).hvp(inner_lr * u)",
         "the Hessian is taken at theta', not at theta (eq. 12)"),
        ("- here.hvp(inner_lr * u)", "- model.at(copies, batch.x_query, batch.y_query).hvp(inner_lr * u)",
         "the Hessian is that of the query loss: eq. 12 has that of the support loss"),
    ),
)  # fmt: skip

CHECKS = {"5.1": ONE_STEP, "5.2": K_STEPS, "5.3": META_UPDATE}
