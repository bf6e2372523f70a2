"""The same meta-gradient by other libraries, each written as its users would.

A contestant is a function of a `Workload` that returns a call without arguments; the call returns the meta-gradient as a
list W1, b1, W2, ... Data are converted before the call; its first run may compile.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from workload import Workload, product

from tinymaml.experiment.bench import ITERATIONS
from tinymaml.tasks import Sinusoids


def arrays(load: Workload, convert: Callable) -> tuple[list, list]:
    """theta as a list W1, b1, W2, ... and the four arrays of the batch, all converted."""
    theta, b = load.build()
    return [convert(w) for w in theta.values()], [convert(a) for a in (b.x_support, b.y_support, b.x_query, b.y_query)]


def functional(load: Workload, relu: Callable, log_softmax: Callable, grad: Callable) -> Callable:
    """query_loss(theta, x_support, y_support, x_query, y_query) of ONE task, for libraries of function transformations."""

    def loss(theta, x, y):
        for l in range(0, len(theta), 2):
            x = x @ theta[l] + theta[l + 1]
            if l + 2 < len(theta):
                x = relu(x)
        values = ((x - y) ** 2).sum(-1) if load.kind == "regression" else -(y * log_softmax(x, -1)).sum(-1)
        return values.mean()

    def query_loss(theta, x_support, y_support, x_query, y_query):
        for _ in range(load.steps):
            theta = [w - load.inner_lr * g for w, g in zip(theta, grad(loss)(theta, x_support, y_support), strict=True)]
        return loss(theta, x_query, y_query)

    return query_loss


# -- JAX ---------------------------------------------------------------------------------------------------------


def jax_meta_loss(load: Workload) -> Callable:
    """meta_loss(theta, x_support, y_support, x_query, y_query), all tasks at once."""
    import jax

    jax.config.update("jax_enable_x64", True)
    query_loss = functional(load, jax.nn.relu, jax.nn.log_softmax, jax.grad)
    of_tasks = jax.vmap(query_loss, in_axes=(None, 0, 0, 0, 0))
    return lambda theta, *batch: of_tasks(theta, *batch).mean()


def jax_vmap(load: Workload) -> Callable:
    """jit(value_and_grad(vmap)): one compiled program."""
    import jax

    compiled = jax.jit(jax.value_and_grad(jax_meta_loss(load)))
    theta, batch = arrays(load, jax.numpy.asarray)
    return lambda: jax.block_until_ready(compiled(theta, *batch))[1]


def jax_iteration(load: Workload) -> Callable:
    """ITERATIONS of training: tasks sampled with NumPy as ours are, gradient and Adam compiled together."""
    import jax

    jnp, meta_loss, b1, b2 = jax.numpy, jax_meta_loss(load), 0.9, 0.999

    @jax.jit
    def step(theta, m, v, t, *batch):
        value, g = jax.value_and_grad(meta_loss)(theta, *batch)
        m = [b1 * a + (1 - b1) * b for a, b in zip(m, g, strict=True)]
        v = [b2 * a + (1 - b2) * b * b for a, b in zip(v, g, strict=True)]
        moves = (0.001 * a / (1 - b1**t) / (jnp.sqrt(b / (1 - b2**t)) + 1e-8) for a, b in zip(m, v, strict=True))
        return value, [w - move for w, move in zip(theta, moves, strict=True)], m, v, t + 1

    theta, _ = arrays(load, jnp.asarray)
    rng, zeros = np.random.default_rng(0), [jnp.zeros_like(w) for w in theta]
    state, history = [theta, zeros, zeros, jnp.ones((), load.dtype)], []

    def call():
        for _ in range(ITERATIONS):
            b = Sinusoids().sample(rng, tasks=load.tasks, dtype=load.dtype)
            value, *state[:] = step(*state, b.x_support, b.y_support, b.x_query, b.y_query)
            history.append(float(value))

    return call


# -- PyTorch -----------------------------------------------------------------------------------------------------


def torch_vmap(load: Workload) -> Callable:
    """torch.func: grad through vmap of a task whose inner loop is torch.func.grad."""
    import torch

    query_loss = functional(load, torch.relu, torch.log_softmax, torch.func.grad)
    of_tasks = torch.func.vmap(query_loss, in_dims=(None, 0, 0, 0, 0))
    theta, batch = arrays(load, torch.tensor)
    gradient = torch.func.grad_and_value(lambda theta: of_tasks(theta, *batch).mean())
    return lambda: gradient(theta)[0]


def torch_loop(load: Workload) -> Callable:
    """One task after another, its inner loop kept on the tape by create_graph, as most MAML libraries do it."""
    import torch

    def grad(loss):
        return lambda theta, x, y: torch.autograd.grad(loss(theta, x, y), theta, create_graph=True)

    query_loss = functional(load, torch.relu, torch.log_softmax, grad)
    theta, batch = arrays(load, torch.tensor)

    def call():
        leaves = [w.clone().requires_grad_() for w in theta]
        for task in zip(*batch, strict=True):
            (query_loss(leaves, *task) / load.tasks).backward()
        return [leaf.grad for leaf in leaves]

    return call


# name: (the library it runs on, how it is made)
CONTESTANTS = {
    "tinymaml": ("numpy", lambda load: load.meta_gradient("chosen")),
    "formed": ("numpy", lambda load: load.meta_gradient("formed")),
    "factored": ("numpy", lambda load: load.meta_gradient("factored")),
    "JAX": ("jax", jax_vmap),
    "torch.func": ("torch", torch_vmap),
    "PyTorch loop": ("torch", torch_loop),
}
# what is timed beside them; an iteration is ITERATIONS of them
OTHERS = {
    "product": ("numpy", lambda load: product(load.dtype)),
    "iteration": ("numpy", lambda load: load.training(ITERATIONS)),
    "JAX iteration": ("jax", jax_iteration),
}


def made(name: str, load: Workload) -> Callable[[], object]:
    """The call that is timed. ImportError if its library is not installed."""
    return (CONTESTANTS | OTHERS)[name][1](load)
