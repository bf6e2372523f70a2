"""The exercises of lesson 05: the meta-gradient, eqs. 11-13, and the gradient of the rates, eq. 20."""

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
QUERY_HESSIAN = "the Hessian is that of the query loss: eq. 12 has that of the support loss"

ONE_STEP = Exercise(
    """def one_step(model, theta, support, query, inner_lr):
    here = model.at(theta, *support)
    copy = theta - inner_lr * here.gradient  # eq. 11
    u = model.at(copy, *query).gradient  # taken at theta'
    return u - here.hvp(inner_lr * u)  # eq. 12: back to theta
""",
    lambda rng: [(*task(rng, widths), inner_lr) for widths, inner_lr in (((2, 3, 2), 0.3), ((3, 4, 1), 0.3), ((2, 3, 2), 0.1))],
    ("u[0]",),
    (
        ("return u - here.hvp(inner_lr * u)", "u = u - here.hvp(inner_lr * u)\n    return theta - inner_lr * u",
         "this is a new theta: return the gradient, and take no outer step here"),
        ("return u - here.hvp(inner_lr * u)", "u = u - here.hvp(inner_lr * u)\n    return copy - inner_lr * u",
         "this is a moved copy theta': return the gradient, and take no outer step here"),
        ("u - here.hvp(inner_lr * u)", "u", FIRST_ORDER),
        ("u - ", "u + ", "the curvature term has the wrong sign: eq. 12 subtracts it"),
        ("(inner_lr * ", "(", "the inner learning rate is missing in the curvature term (eq. 12)"),
        ("(inner_lr * ", "(inner_lr**2 * ", "the inner learning rate comes twice in the curvature term (eq. 12)"),
        ("(inner_lr * ", "(2 * inner_lr * ", "the curvature term has a factor 2: eq. 12 has none"),
        ("(inner_lr * ", "(0.5 * inner_lr * ", "the curvature term has a factor 1/2: eq. 12 has none"),
        ("return u - ", "return -u - ", "u_1 has the wrong sign: eq. 12 subtracts the curvature term from it"),
        ("return u - here", "return here", "this is the curvature term alone: eq. 12 subtracts it from u_1"),
        ("here.hvp", "model.at(copy, *support).hvp", "the Hessian is taken at theta', not at theta (eq. 12)"),
        ("here.hvp", "model.at(copy, *query).hvp", QUERY_HESSIAN),
        ("here.hvp", "model.at(theta, *query).hvp", f"{QUERY_HESSIAN} (the point, theta, is right)"),
        (" u)", " here.gradient)",
         "the Hessian is applied to the support gradient, not to u_1 (eq. 12)"),
        ("inner_lr * u)", "inner_lr * theta)", "the Hessian is applied to theta, not to u_1 (eq. 12)"),
        ("inner_lr * u)", "inner_lr * copy)", "the Hessian is applied to theta', not to u_1 (eq. 12)"),
        (" u)", " model.at(theta, *query).gradient)",
         "the Hessian is applied to the query gradient at theta, not to u_1, which is taken at theta' (eq. 12)"),
        ("u - here.hvp(inner_lr * u)", "u * (u.map(np.ones_like) - here.hvp(inner_lr * u.map(np.ones_like)))",
         "the Hessian is applied to ones: eq. 12 applies it to alpha u_1"),
        ("u - here.hvp(inner_lr * u)", "(1 - inner_lr) * u",
         "the factor is 1 - alpha, with no Hessian: eq. 12 has u_1 - H(alpha u_1)"),
        (" - here.hvp(inner_lr * u)", " - inner_lr * here.gradient",
         "alpha times the support gradient is subtracted from u_1: eq. 12 subtracts H(alpha u_1)"),
        ("*query).gradient", "*query).gradient + here.gradient", "the support gradient is added: u_1 is the query gradient alone"),
        ("u - here.hvp(inner_lr * u)", "inner_lr * (u - here.hvp(u))",
         "all of it is multiplied by the inner learning rate: it belongs to the curvature term only"),
        ("model.at(copy, *query)", "model.at(theta, *query)", "the query gradient u_1 is taken at theta, not at theta'"),
        ("model.at(copy, *query)", "model.at(copy, *support)",
         "u_1 is the gradient on the support set: eq. 12 begins with the query set"),
        ("copy = theta - ", "copy = theta + ", "the inner step goes uphill: eq. 11 subtracts the gradient"),
        ("- inner_lr * ", "- ", "the inner learning rate is missing in the inner step (eq. 11)"),
        ("here.gradient", "model.at(theta, *query).gradient",
         "the inner step is taken on the query set, not on the support set"),
        ("    here =", "    inner_lr = 0.01\n    here =", "the inner learning rate is 0.01, whatever `inner_lr` is"),
        ("u - here.hvp(inner_lr * u)", "here.gradient", "this is the gradient of the support loss at theta"),
        ("u - here.hvp(inner_lr * u)", "model.at(theta, *query).gradient",
         "this is the gradient of the query loss at theta: the loss is measured at theta', after the inner step"),
        ("return u - here.hvp(inner_lr * u)", "return copy", "this is theta', the adapted copy: return the gradient"),
    ),
    alone=(
        ("    u =", "    copy = copy - inner_lr * model.at(copy, *support).gradient\n    u =", "the inner loop takes two steps: one was asked for"),
        ("    here =", "    support, query = query, support\n    here =", "the support and the query set are swapped"),
        ("*support", "*query", "all is taken on the query set: the inner step and its Hessian need the support set"),
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
    lambda rng: [(*task(rng, (2, 3, 2)), 0.3, 3), (*task(rng, (2, 3, 2)), 0.3, 1), (*task(rng, (2, 3, 1)), 0.1, 4),
                 (*task(rng, (2, 3, 1)), 0.1, 1)],
    ("u",),
    (
        (" - tape[k].hvp(inner_lr * u[k + 1])", "", FIRST_ORDER),
        ("] - ", "] + ", "the curvature term has the wrong sign: eq. 12 subtracts it"),
        ("(inner_lr * ", "(", "the inner learning rate is missing in the curvature term (eq. 12)"),
        ("(inner_lr * ", "(inner_lr**2 * ", "the inner learning rate comes twice in the curvature term (eq. 12)"),
        ("(inner_lr * ", "(2 * inner_lr * ", "the curvature term has a factor 2: eq. 12 has none"),
        ("(inner_lr * ", "(inner_lr * steps * ", "the curvature term is multiplied by the number of steps: each step back undoes one"),
        ("tape[k].hvp(inner_lr * u[k + 1])", "inner_lr * tape[k].gradient",
         "alpha times the support gradient is subtracted: eq. 12 subtracts H(alpha u_{k+1})"),
        ("tape[k]", "(k == steps - 1) * tape[k]",
         "only the last inner step is differentiated: eq. 12 goes back through each"),
        ("tape[k]", "(k == 0) * tape[k]",
         "only the first inner step is differentiated: eq. 12 goes back through each"),
        ("= u[k + 1] ", "= u[steps] ", "each step back starts from u_K: eq. 12 starts from u_{k+1}"),
        ("* u[k + 1])", "* u[steps])", "the Hessian is applied to u_K, not to u_{k+1} (eq. 12)"),
        ("* u[k + 1])", "* tape[k].gradient)",
         "the Hessian is applied to the support gradient, not to u_{k+1} (eq. 12)"),
        ("tape[k]", "tape[0]", "every Hessian is taken at theta_0: eq. 12 has the one at theta_k"),
        ("tape[k]", "tape[-1]", "every Hessian is taken at theta_{K-1}: eq. 12 has the one at theta_k"),
        ("tape[k]", "model.at(theta, *support)", "every Hessian is taken at theta_K: eq. 12 has the one at theta_k"),
        ("tape[k]", "tape[steps - 1 - k]", "the Hessians come in the wrong order: u_k needs the one at theta_k"),
        ("tape[k]", "(tape + [model.at(theta, *support)])[k + 1]",
         "the Hessian is taken at theta_{k+1}, not at theta_k (eq. 12)"),
        ("tape[k]", "model.at(theta, *query)",
         "every Hessian is that of the query loss at theta_K: eq. 12 has that of the support loss at theta_k"),
        ("tape[k]", "model.at(tape[k].theta, *query)", f"{QUERY_HESSIAN} (the point, theta_k, is right)"),
        ("tape[k]", "tape[k - 1]", "the Hessian is taken at theta_{k-1}, and for k = 0 at theta_{K-1}: eq. 12 has the one at theta_k"),
        ("u[k + 1] - tape[k].hvp(inner_lr * u[k + 1])", "model.at(tape[k].theta, *query).gradient",
         "u_k is the query gradient at theta_k: eq. 12 makes it from u_{k+1}, one step back"),
        ("        u[k] = u[k + 1] - tape[k].hvp(inner_lr * u[k + 1])",
         "        end = tape[k + 1].theta if k + 1 < steps else theta\n        one = model.at(end, *query).gradient\n"
         "        u[k] = one - tape[k].hvp(inner_lr * one)",
         "each step back starts from the query gradient at theta_{k+1}: eq. 12 starts from u_{k+1}"),
        ("{steps: model.at(theta", "{steps: model.at(tape[-1].theta", "u_K is taken one step too early, at theta_{K-1}"),
        ("{steps: model.at(theta", "{steps: model.at(tape[0].theta", "u_K is taken at theta, not at theta_K"),
        ("*query)", "*support)",
         "u_K is the gradient on the support set: it is that of the query loss"),
        ("theta = theta - ", "theta = theta + ", "the inner steps go uphill: eq. 11 subtracts the gradient"),
        ("- inner_lr * ", "- ", "the inner learning rate is missing in the inner steps (eq. 11)"),
        ("tape[-1].gradient", "tape[0].gradient", "every inner step uses the gradient at theta_0: each takes its own (eq. 11)"),
        ("tape[-1].gradient", "model.at(theta, *query).gradient", "the inner steps are taken on the query set, not on the support set"),
        ("theta = theta", "theta = tape[0].theta", "every inner step starts from theta_0: each starts where the last one ended (eq. 11)"),
        ("    tape = []", "    steps = 3\n    tape = []", "the number of steps is 3, whatever `steps` is"),
        ("return u", "return {steps - k: v for k, v in u.items()}",
         "the keys run the wrong way: u[steps] is the first to be found, and u[0] the last"),
        ("return u", "return {k + 1: v for k, v in u.items()}", "the keys are off by one: u_k is at k + 1"),
        ("return u", "return {k - 1: v for k, v in u.items()}", "the keys are off by one: u_k is at k - 1"),
        ("return u", "return u[0]", "this is u_0 alone: return all u[k]"),
        ("return u", "return dict.fromkeys(u, u[0])",
         "every u[k] is u_0: was one object changed in place? Each step back makes a new one"),
    ),
    alone=(
        ("    u = {", "    theta = theta - inner_lr * model.at(theta, *support).gradient\n    u = {",
         "there is one inner step too many: u_K is taken at theta_{K+1}"),
        ("    tape = []", "    support, query = query, support\n    tape = []", "the support and the query set are swapped"),
        ("*support", "*query", "all is taken on the query set: the inner steps and their Hessians need the support set"),
    ),
)  # fmt: skip

MOVED = "the copies theta' are moved, and there is one for each task: the gradient moves theta (eq. 13)"


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
    lambda rng: [update_case(rng, (2, 3, 2), 3, 0.3, 0.7), update_case(rng, (3, 4, 1), 2, 0.3, 0.2),
                 update_case(rng, (2, 3, 2), 2, 0.1, 0.7)],
    ("theta",),
    (
        (" - here.hvp(inner_lr * u)", "", FIRST_ORDER),
        ("u - ", "u + ", "the curvature term has the wrong sign: eq. 12 subtracts it"),
        ("(inner_lr * ", "(", "the inner learning rate is missing in the curvature term (eq. 12)"),
        ("(inner_lr * ", "(inner_lr**2 * ", "the inner learning rate comes twice in the curvature term (eq. 12)"),
        ("(inner_lr * ", "(2 * inner_lr * ", "the curvature term has a factor 2: eq. 12 has none"),
        ("(inner_lr * ", "(outer_lr * ", "the curvature term has the outer learning rate: eq. 12 has alpha, `inner_lr`"),
        (" u)", " here.gradient)", "the Hessian is applied to the support gradient, not to the query gradient (eq. 12)"),
        ("here.hvp", "model.at(copies, batch.x_support, batch.y_support).hvp",
         "the Hessian is taken at theta', not at theta (eq. 12)"),
        ("here.hvp", "model.at(copies, batch.x_query, batch.y_query).hvp", QUERY_HESSIAN),
        ("here.hvp", "model.at(theta, batch.x_query, batch.y_query).hvp", f"{QUERY_HESSIAN} (the point, theta, is right)"),
        ("u - here.hvp(inner_lr * u)", "u.mean() - here.hvp(inner_lr * u.mean())",
         "the mean over the tasks is taken before the step back: each task has its own Hessian"),
        ("at(copies, batch.x_query", "at(theta, batch.x_query", "the query gradient is taken at theta, not at theta'"),
        ("at(copies, batch.x_query", "at(copies.mean(), batch.x_query",
         "the query gradient is taken at the mean of the copies: each task has its own theta'"),
        ("x_query, batch.y_query", "x_support, batch.y_support", "the query gradient is taken on the support sets"),
        ("copies = theta - ", "copies = theta + ", "the inner step goes uphill: eq. 11 subtracts the gradient"),
        ("- inner_lr * ", "- ", "the inner learning rate is missing in the inner step (eq. 11)"),
        ("- inner_lr * ", "- outer_lr * ", "the inner step has the outer learning rate: eq. 11 has alpha, `inner_lr`"),
        ("here.gradient", "model.at(theta, batch.x_query, batch.y_query).gradient",
         "the inner step is taken on the query sets, not on the support sets"),
        ("u.mean()", "u.map(lambda g: g.sum(0))", "the gradients are summed over the tasks: eq. 13 has their mean"),
        ("u.mean()", "u.mean() / len(batch)", "the gradient is divided by the number of tasks twice: eq. 13 has one mean"),
        ("u.mean()", "u.map(lambda g: g.sum(0)) / batch.x_query.shape[1]",
         "the sum over the tasks is divided by the number of queries: eq. 13 has the mean over the tasks"),
        ("u.mean()", "u / len(batch)",
         "the gradients are divided by the number of tasks, but not summed up: there is one new theta for each"),
        ("u.mean()", "u.map(lambda g: g.sum(0)) / 3", "the sum over the tasks is divided by 3, whatever the number of tasks is"),
        ("u.mean()", "u.task(0)", "only the first task is used: eq. 13 has the mean over all tasks"),
        ("u.mean()", "u.task(len(batch) - 1)", "only the last task is used: eq. 13 has the mean over all tasks"),
        ("u.mean()", "u.map(lambda g: g[:-1].sum(0)) / len(batch)", "the last task is left out of the sum over the tasks (eq. 13)"),
        ("u.mean()", "u", "the tasks are not averaged: there is one new theta for each (eq. 13 has the mean)"),
        ("theta - outer", "theta + outer", "the outer step goes uphill: eq. 13 subtracts the gradient"),
        ("outer_lr * ", "", "the outer learning rate is missing (eq. 13)"),
        ("outer_lr * ", "outer_lr * inner_lr * ", "the outer step has both learning rates: eq. 13 has beta alone, `outer_lr`"),
        ("outer_lr * ", "inner_lr * ", "the outer step has the inner learning rate: eq. 13 has beta, `outer_lr`"),
        ("return theta - outer_lr * u.mean()", "return u.mean()", "this is a gradient: return the new theta"),
        ("return theta - outer_lr", "return outer_lr", "this is the outer step alone: subtract it from theta"),
        ("return theta - outer_lr", "return -outer_lr", "this is the outer step alone, with its sign: add it to theta"),
        ("return theta", "return copies.mean()", "the mean of the copies theta' is moved: the gradient moves theta (eq. 13)"),
        ("return theta", "return copies.task(0)", "the first task's copy theta' is moved: the gradient moves theta (eq. 13)"),
        ("return theta", "return copies.task(len(batch) - 1)", "the last task's copy theta' is moved: the gradient moves theta (eq. 13)"),
        ("return theta", "return copies", MOVED),
        ("theta - outer_lr * u.mean()", "copies - outer_lr * u", MOVED),
        ("theta - outer_lr * u.mean()", "copies", "these are the adapted copies: theta moves, by an outer step (eq. 13)"),
        ("theta - outer_lr * u.mean()", "copies.mean()",
         "this is the mean of the adapted copies: theta moves, by an outer step (eq. 13)"),
        ("u = u - here.hvp(inner_lr * u)", "u = theta - copies", "this is Reptile (lesson 08): theta moves towards the copies"),
        ("u = u - here.hvp(inner_lr * u)", "u = copies - theta",
         "this is Reptile (lesson 08) with the wrong sign: theta moves away from the copies"),
        ("u = u - here.hvp(inner_lr * u)", "u = model.at(theta, batch.x_query, batch.y_query).gradient",
         "this is pre-training on the query sets: the gradient is taken at theta, with no adaptation"),
        ("u = u - here.hvp(inner_lr * u)", "u = here.gradient",
         "this is pre-training on the support sets: the query sets are not used"),
        ("u.mean()", "pretraining_gradient(model, theta, batch).gradient",
         "this is pre-training: the gradient is that of all points at theta, with no adaptation"),
    ),
    alone=(
        ("    here =", "    inner_lr = outer_lr\n    here =",
         "the inner loop takes the outer learning rate: eq. 11 has alpha, `inner_lr`"),
        ("    here =", "    inner_lr, outer_lr = outer_lr, inner_lr\n    here =", "the two learning rates are swapped"),
        ("    here =", "    batch = TaskBatch(batch.x_query, batch.y_query, batch.x_support, batch.y_support)\n    here =",
         "the support and the query sets are swapped"),
        ("    here =",
         "    return theta - outer_lr * meta_gradient(model, theta, batch, inner_lr=inner_lr, steps=2).gradient\n    here =",
         "the inner loop takes two steps: one was asked for"),
        ("    here =", "    for t in range(len(batch)):\n"
         "        theta = theta - outer_lr * meta_gradient(model, theta, batch[t : t + 1], inner_lr=inner_lr).gradient\n"
         "    return theta\n    here =", "theta moves after each task: eq. 13 moves it once, by the mean over the tasks"),
        ("    here =", "    for t in range(len(batch)):\n"
         "        theta = theta - outer_lr / len(batch) * meta_gradient(model, theta, batch[t : t + 1], inner_lr=inner_lr).gradient\n"
         "    return theta\n    here =", "theta moves after each task: eq. 13 moves it once, by the mean over the tasks"),
        ("batch.x_support, batch.y_support", "batch.x_query, batch.y_query",
         "all is taken on the query sets: the inner step and its Hessian need the support sets"),
    ),
)  # fmt: skip


def way_back(rng: np.random.Generator, widths: Sequence[int], inner_lr: float, steps: int) -> tuple:
    """The support gradients of K inner steps, and all u_k."""
    model, theta, support, query = task(rng, widths)
    u, gradients = K_STEPS.solve(model, theta, support, query, inner_lr, steps), []
    for _ in range(steps):
        gradients.append(model.at(theta, *support).gradient)
        theta = theta - inner_lr * gradients[-1]
    return gradients, u


RATES = Exercise(
    """def rates_gradient(gradients, u):
    products = [u[k + 1] * gradients[k] for k in range(len(gradients))]
    return -1 * sum(products)  # eq. 20
""",
    lambda rng: [way_back(rng, (2, 3, 2), 0.3, 3), way_back(rng, (2, 3, 1), 0.1, 1), way_back(rng, (3, 2, 2), 0.2, 4)],
    ("slope",),
    (
        ("-1 * sum", "sum", "the sign is wrong: eq. 11 subtracts alpha times the gradient, so a larger rate moves theta against it (eq. 20)"),
        ("u[k + 1]", "u[k]", "the product has u_k: a rate of step k moves theta_{k+1}, so eq. 20 has u_{k+1}"),
        ("u[k + 1]", "u[len(gradients)]", "every product has u_K: eq. 20 has u_{k+1}, to which the later steps belong"),
        ("u[k + 1]", "u[0]", "every product has u_0: eq. 20 has u_{k+1}"),
        ("u[k + 1]", "u[len(gradients) - k]", "the u come in the wrong order: the gradient at theta_k meets u_{k+1} (eq. 20)"),
        ("gradients[k] for", "gradients[0] for", "every product has the gradient at theta_0: eq. 20 has the one at theta_k"),
        ("gradients[k] for", "gradients[-1] for", "every product has the gradient at theta_{K-1}: eq. 20 has the one at theta_k"),
        ("sum(products)", "products[-1]", "only the last step is there: every step uses the rate, so eq. 20 has a sum"),
        ("sum(products)", "products[0]", "only the first step is there: every step uses the rate, so eq. 20 has a sum"),
        ("sum(products)", "sum(products[1:], 0 * products[0])", "the first step is left out: every step uses the rate (eq. 20)"),
        ("sum(products)", "sum(products[:-1], 0 * products[0])", "the last step is left out: every step uses the rate (eq. 20)"),
        ("sum(products)", "sum(products) / len(products)",
         "this is the mean over the steps: eq. 20 has their sum"),
        ("-1 * sum(products)", "-sum(u[k + 1].dot(gradients[k]) for k in range(len(gradients)))",
         "this is one number, the slope for one rate that all entries share: multiply entry by entry (eq. 20)"),
        ("-1 * sum(products)", "-1 * sum(gradients) * sum(u[k + 1] for k in range(len(gradients)))",
         "this is the product of two sums: eq. 20 has the sum of the products"),
        ("u[k + 1] * gradients[k]", "u[k + 1]", "the gradients of the inner steps are missing (eq. 20)"),
        ("u[k + 1] * gradients[k]", "gradients[k]", "u is missing: it says what a move of theta_{k+1} does to the query loss (eq. 20)"),
    ),
)  # fmt: skip

CHECKS = {"5.1": ONE_STEP, "5.2": K_STEPS, "5.3": META_UPDATE, "5.4": RATES}
