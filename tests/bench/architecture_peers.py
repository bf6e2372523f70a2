"""The meta-gradient of a convolutional and of a recurrent network by other libraries, each written as its users would.

As in `peers.py`, a contestant is a function of a load that returns a call without arguments, which returns the meta-gradient as
a list in the order of theta. All are one query loss, adapted by one step, around a `forward(p, x)` of ONE task, p by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from tinymaml import validate
from tinymaml.maml import MetaGradient, meta_gradient
from tinymaml.nn.models import CNN, RNN
from tinymaml.nn.network import Network
from tinymaml.nn.normalisation import EPS
from tinymaml.parameters import Parameters
from tinymaml.tasks import Episodes, Glyphs, TaskBatch
from tinymaml.tasks.sequences import Filters

SIDE, BLOCKS, WAYS = 28, 4, 5


@dataclass(frozen=True)
class Architecture:
    """What is measured: an exact meta-gradient with one inner step.

    CNN    four blocks of `width` filters, with or without batch norm; 5-way 1-shot, images of 28 x 28, 3 queries a class
    RNN    `width` units, 12 steps; an unknown filter, to be found from 5 sequences and judged on 10
    """

    model: str = "CNN"
    width: int = 16
    norm: str = "batch"
    dtype: str = "float32"
    tasks: int = 16

    def __post_init__(self) -> None:
        validate.one_of("model", self.model, ("CNN", "RNN"))
        validate.one_of("norm", self.norm, ("batch", "none"))
        validate.one_of("dtype", self.dtype, ("float64", "float32"))
        for name in ("width", "tasks"):
            validate.count(name, getattr(self, name))

    @property
    def inner_lr(self) -> float:
        return 0.4 if self.model == "CNN" else 0.004

    @property
    def network(self) -> Network:
        if self.model == "CNN":
            return CNN(SIDE, self.width, BLOCKS, WAYS, norm=self.norm)
        return RNN(1, self.width, 1, Filters().steps)

    def made(self) -> tuple[Parameters, TaskBatch]:
        """theta and a batch of tasks, the same numbers every time."""
        rng = np.random.default_rng(1)
        theta = self.network.init(rng, self.dtype)
        if self.model == "CNN":
            return theta, Episodes(Glyphs(SIDE), WAYS).sample(rng, tasks=self.tasks, shots=1, queries=3, dtype=self.dtype)
        return theta, Filters().sample(rng, tasks=self.tasks, shots=5, queries=10, dtype=self.dtype)


def tinymaml(load: Architecture) -> Callable:
    network, (theta, batch) = load.network, load.made()

    def call() -> MetaGradient:
        found = meta_gradient(network, theta, batch, inner_lr=load.inner_lr)
        _ = found.gradient  # which is made when it is asked for
        return found

    return call


def arrays(load: Architecture, convert: Callable) -> tuple[list, list]:
    """theta as a list and the four arrays of the batch, all converted."""
    theta, b = load.made()
    return [convert(w) for w in theta.values()], [convert(a) for a in (b.x_support, b.y_support, b.x_query, b.y_query)]


def functional(load: Architecture, forward: Callable, log_softmax: Callable, grad: Callable) -> Callable:
    """query_loss(theta, x_support, y_support, x_query, y_query) of one task."""
    names = list(load.network.shapes)

    def loss(theta, x, y):
        z = forward(dict(zip(names, theta, strict=True)), x)
        return (-(y * log_softmax(z, -1)) if load.model == "CNN" else (z - y) ** 2).sum(-1).mean()

    def query_loss(theta, x_support, y_support, x_query, y_query):
        slope = grad(loss)(theta, x_support, y_support)
        return loss([w - load.inner_lr * g for w, g in zip(theta, slope, strict=True)], x_query, y_query)

    return query_loss


# -- the networks, for any library -------------------------------------------------------------------------------


def cnn(load: Architecture, convolution: Callable, relu: Callable) -> Callable:
    """forward(p, x) with images (n, side, side, channels) and batch norm written out; kernels are (9 channels, filters)."""

    def forward(p, x):
        a = x.reshape(-1, SIDE, SIDE, 1)
        for l in range(1, BLOCKS + 1):
            z = convolution(a, p[f"W{l}"]) + p[f"b{l}"]
            if load.norm == "batch":
                c = z - z.mean((0, 1, 2))
                z = p[f"gamma{l}"] * c / ((c * c).mean((0, 1, 2)) + EPS) ** 0.5 + p[f"beta{l}"]
            a = relu(z)
        l = BLOCKS + 1
        return a.reshape(len(x), -1) @ p[f"W{l}"] + p[f"b{l}"]

    return forward


def slices(pad: Callable, concatenate: Callable, images, kernels):
    """A convolution as nine shifted images side by side and one matrix product."""
    reach = 2 * ((images.shape[1] + 1) // 2) - 1  # from the first patch's pixel to the last one's, every second
    framed = pad(images)
    nine = [framed[:, i:i + reach:2, j:j + reach:2] for i, j in product(range(3), repeat=2)]
    return concatenate(nine, -1) @ kernels


def rnn(load: Architecture, zeros: Callable, tanh: Callable, concatenate: Callable) -> Callable:
    """forward(p, x) unrolled in time."""

    def forward(p, x):
        h, predictions = zeros((len(x), load.width), load.dtype), []
        for t in range(x.shape[-1]):
            h = tanh(concatenate([x[:, t:t + 1], h], -1) @ p["Wh"] + p["bh"])
            predictions.append(h @ p["Wy"] + p["by"])
        return concatenate(predictions, -1)

    return forward


# -- JAX ---------------------------------------------------------------------------------------------------------


def jax_kernels(images, kernels):
    """The convolution of the library, which under vmap has other kernels for each task."""
    import jax

    kernels = kernels.reshape(3, 3, images.shape[-1], -1)
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(images, kernels, (2, 2), [(1, 1), (1, 1)], dimension_numbers=layout)


def jax_slices(images, kernels):
    import jax.numpy as jnp

    return slices(lambda a: jnp.pad(a, [(0, 0), (1, 1), (1, 1), (0, 0)]), jnp.concatenate, images, kernels)


def jax_scan(load: Architecture) -> Callable:
    """forward(p, x) of the recurrent network, its time a loop of the library."""
    import jax
    import jax.numpy as jnp

    def forward(p, x):
        def step(h, x_t):
            h = jnp.tanh(jnp.concatenate([x_t[:, None], h], -1) @ p["Wh"] + p["bh"])
            return h, h

        h = jax.lax.scan(step, jnp.zeros((len(x), load.width), load.dtype), x.T)[1]  # (steps, n, width)
        return (h @ p["Wy"] + p["by"])[..., 0].T

    return forward


def jax_vmap(convolution: Callable | None, scan: bool, load: Architecture) -> Callable:
    """jit(grad(vmap)): one compiled program."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    if load.model == "CNN":
        forward = cnn(load, convolution, jax.nn.relu)
    else:
        forward = jax_scan(load) if scan else rnn(load, jnp.zeros, jnp.tanh, jnp.concatenate)
    of_tasks = jax.vmap(functional(load, forward, jax.nn.log_softmax, jax.grad), in_axes=(None, 0, 0, 0, 0))
    compiled = jax.jit(jax.value_and_grad(lambda theta, *batch: of_tasks(theta, *batch).mean()))
    theta, batch = arrays(load, jnp.asarray)
    return lambda: jax.block_until_ready(compiled(theta, *batch))[1]


# -- PyTorch -----------------------------------------------------------------------------------------------------


def torch_rnn(load: Architecture) -> Callable:
    import torch

    return rnn(load, lambda shape, dtype: torch.zeros(shape, dtype=getattr(torch, dtype)), torch.tanh, torch.cat)


def torch_vmap(load: Architecture) -> Callable:
    """torch.func: grad through vmap of a task whose inner step is torch.func.grad; convolutions as nine slices."""
    import torch

    pad = lambda a: torch.nn.functional.pad(a, (0, 0, 1, 1, 1, 1))
    forward = cnn(load, partial(slices, pad, torch.cat), torch.relu) if load.model == "CNN" else torch_rnn(load)
    of_tasks = torch.func.vmap(functional(load, forward, torch.log_softmax, torch.func.grad), in_dims=(None, 0, 0, 0, 0))
    theta, batch = arrays(load, torch.tensor)
    gradient = torch.func.grad_and_value(lambda theta: of_tasks(theta, *batch).mean())
    return lambda: gradient(theta)[0]


def torch_loop(load: Architecture) -> Callable:
    """One task after another, with the library's conv2d and batch_norm, and create_graph in the inner step."""
    import torch

    F = torch.nn.functional

    def conv2d(p, x):
        a = x.reshape(-1, 1, SIDE, SIDE)
        for l in range(1, BLOCKS + 1):
            kernels = p[f"W{l}"].reshape(3, 3, a.shape[1], load.width).permute(3, 2, 0, 1)
            a = F.conv2d(a, kernels, p[f"b{l}"][0], stride=2, padding=1)
            if load.norm == "batch":
                a = F.batch_norm(a, None, None, p[f"gamma{l}"][0], p[f"beta{l}"][0], training=True, eps=EPS)
            a = F.relu(a)
        l = BLOCKS + 1
        return a.permute(0, 2, 3, 1).reshape(len(x), -1) @ p[f"W{l}"] + p[f"b{l}"]

    def grad(loss):
        return lambda theta, x, y: torch.autograd.grad(loss(theta, x, y), theta, create_graph=True)

    query_loss = functional(load, conv2d if load.model == "CNN" else torch_rnn(load), torch.log_softmax, grad)
    theta, batch = arrays(load, torch.tensor)

    def call():
        leaves = [w.clone().requires_grad_() for w in theta]
        for task in zip(*batch, strict=True):
            (query_loss(leaves, *task) / load.tasks).backward()
        return [leaf.grad for leaf in leaves]

    return call


# for each model, name: (the library it runs on, how it is made)
TORCH = {"torch.func": ("torch", torch_vmap), "PyTorch loop": ("torch", torch_loop)}
CONTESTANTS = {
    "CNN": {
        "tinymaml": ("numpy", tinymaml),
        "JAX slices": ("jax", partial(jax_vmap, jax_slices, False)),
        "JAX kernels": ("jax", partial(jax_vmap, jax_kernels, False)),
        **TORCH,
    },
    "RNN": {
        "tinymaml": ("numpy", tinymaml),
        "JAX unrolled": ("jax", partial(jax_vmap, None, False)),
        "JAX scan": ("jax", partial(jax_vmap, None, True)),
        **TORCH,
    },
}


def made(name: str, load: Architecture) -> Callable[[], object]:
    """The call that is timed. ImportError if its library is not installed."""
    return CONTESTANTS[load.model][name][1](load)
