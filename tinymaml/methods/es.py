"""ES-MAML: evolution strategies in place of gradients, eq. 26 (Song et al. 2020, arXiv 1910.01215).

The loss after adaptation is evaluated at antithetic pairs theta + sigma e and theta - sigma e; the difference of the two
losses weights the perturbation e. All points of all tasks form one batch, of which only the loss is computed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.maml import Model, Rates, adapt
from tinymaml.methods.method import Gradient, Method, OuterGradient, Start, WrappedSurface
from tinymaml.parameters import Parameters
from tinymaml.settings import Option, PlotStyle, Settings, one_of, rng_for
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.family import Family


def perturbations(theta: Parameters, rng: np.random.Generator, *counts: int) -> Parameters:
    """Perturbations e ~ N(0, I) of a theta without a task axis: (*counts, ...)."""
    return theta.map(lambda array: rng.standard_normal((*counts, *array.shape)).astype(array.dtype))


def antithetic_pairs(theta: Parameters, e: Parameters, sigma: float, tasks: int) -> Parameters:
    """theta + sigma e_i, then theta - sigma e_i, of every task: (2 n T, ...), in the order (sign, i, task).

    theta (T, ...) and e (n, T, ...); a task axis of length 1 is shared by all tasks.
    """

    def points(array: np.ndarray, step: np.ndarray) -> np.ndarray:
        pair = np.stack([array + step, array - step])  # (2, n, T or 1, ...)
        return np.broadcast_to(pair, (*pair.shape[:2], tasks, *pair.shape[3:])).reshape(-1, *pair.shape[3:])

    return Parameters({name: points(array, sigma * e[name]) for name, array in theta.items()})


def es_gradient(e: Parameters, losses: np.ndarray, sigma: float) -> Parameters:
    """Eq. 26: 1 / (2 n sigma) sum_i (L(theta + sigma e_i) - L(theta - sigma e_i)) e_i, for e (n, T, ...), losses (2, n, T)."""
    weights = (losses[0] - losses[1]) / (2 * losses.shape[1] * sigma)  # (n, T)
    expand = lambda array: weights.reshape(*weights.shape, *[1] * (array.ndim - 2))
    return e.map(lambda array: (expand(array) * array).sum(0).astype(array.dtype))


def es_meta_gradient(
    model: Model, theta: Parameters, batch: TaskBatch, rng: np.random.Generator, *,
    inner_lr: Rates, steps: int = 1, pairs: int = 20, sigma: float = 0.05, normalised: bool = False,
) -> OuterGradient:  # fmt: skip
    """The meta-gradient estimated from query losses after adaptation, at `pairs` antithetic pairs around theta.

    sigma is the standard deviation of the perturbations; the loss is the mean over all points. The estimate converges to
    the exact meta-gradient as sigma tends to 0 and `pairs` to infinity. `normalised` divides the losses by their standard
    deviation: the length of the gradient is then independent of the scale of the loss.
    """
    pairs, sigma = validate.count("pairs", pairs), validate.rate("sigma", sigma, 0.05)
    validate.flag("normalised", normalised)
    e, copies = perturbations(theta, rng, pairs, 1), batch.repeat(2 * pairs)  # e is the same for all tasks
    points = antithetic_pairs(theta.map(lambda array: array[None]), e, sigma, len(batch))
    adapted = adapt(model, points, copies.x_support, copies.y_support, inner_lr=inner_lr, steps=steps)
    losses = model.at(adapted, copies.x_query, copies.y_query).loss.reshape(2, pairs, len(batch)).mean(-1)
    scale = losses.std() if normalised else 1.0
    estimate = es_gradient(e, losses[..., None] / (scale if scale > 0 else 1.0), sigma)
    return OuterGradient(losses.mean(), estimate.task(0))


# -- an inner loop without gradients -------------------------------------------------------------------------------


@dataclass(frozen=True)
class BlackBoxModel:
    """A black-box model: its gradient is estimated from loss values.

    climb     False: eq. 26 with `tries` pairs. True: hill climbing with `tries` random steps in sequence, each
              accepted if the loss falls; the gradient is then minus the total displacement, for an inner_lr of 1
    sigma     the standard deviation of the perturbations
    seed      the perturbations depend on (seed, step, the task's examples): they differ between tasks and inner steps, are
              reproducible, and do not depend on the other tasks of the batch
    step      the number of inner steps taken before; `adapt` and `evaluate` set it with `at_step`
    """

    model: Any
    tries: int = 20
    sigma: float = 0.1
    climb: bool = False
    seed: int = 0
    step: int = 0

    def __post_init__(self) -> None:
        validate.model(self.model)
        validate.rate("sigma", self.sigma, 0.1)
        validate.flag("climb", self.climb)
        for name, least in (("tries", 1), ("seed", 0), ("step", 0)):
            validate.count(name, getattr(self, name), least=least)

    def at_step(self, k: int) -> BlackBoxModel:
        """The same model k inner steps later."""
        return replace(self, step=self.step + k)

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> ZerothOrderSurface:
        """The loss surface of T tasks, x (T, n, ...) and y (T, n, ...), at theta."""
        return ZerothOrderSurface(self, theta, x, y)


class ZerothOrderSurface(WrappedSurface):
    """The loss at theta, and a gradient estimated from values of the loss near theta."""

    def __init__(self, box: BlackBoxModel, theta: Parameters, x: np.ndarray, y: np.ndarray):
        self.box, self.surface = box, box.model.at(theta, x, y)
        self.theta, self.x, self.y = theta.copy(), x.copy(), y.copy()  # the estimate is lazy; the caller may change these

    def hvp(self, v: Parameters) -> Parameters:
        """ValueError: this surface does not estimate a Hessian."""
        raise ValueError("a black-box model has no Hessian: use first_order=True")

    @cached_property
    def gradient(self) -> Parameters:
        """The estimated gradient of each task, (T, ...)."""
        shapes, tasks = self.box.model.shapes, len(self.x)
        shared = all(array.shape == shapes[name] for name, array in self.theta.items())
        theta = self.theta.map(lambda array: np.broadcast_to(array, (tasks, *array.shape))) if shared else self.theta
        return self._hill_climbing(theta) if self.box.climb else self._es_gradient(theta)

    def _perturbations(self, theta: Parameters) -> Parameters:
        """e ~ N(0, I), (tries, T, ...); tasks with the same examples share their draws."""
        tries, one, drawn = self.box.tries, theta.map(lambda array: array[0]), {}
        keys = [hashlib.sha256(x.tobytes() + y.tobytes()).digest()[:8] for x, y in zip(self.x, self.y, strict=True)]
        for key in keys:
            rng = np.random.default_rng([self.box.seed, self.box.step, int.from_bytes(key, "big")])
            drawn[key] = drawn[key] if key in drawn else perturbations(one, rng, tries)
        return Parameters({name: np.stack([drawn[key][name] for key in keys], axis=1) for name in one})

    def _es_gradient(self, theta: Parameters) -> Parameters:
        tries, sigma, e = self.box.tries, self.box.sigma, self._perturbations(theta)
        x, y = (np.concatenate([array] * (2 * tries)) for array in (self.x, self.y))
        losses = self.box.model.at(antithetic_pairs(theta, e, sigma, len(self.x)), x, y).loss
        return es_gradient(e, losses.reshape(2, tries, -1), sigma)

    def _hill_climbing(self, theta: Parameters) -> Parameters:
        best, least, e = theta, self.loss, self._perturbations(theta)
        for i in range(self.box.tries):
            candidate = best + self.box.sigma * e.map(lambda array, i=i: array[i])
            loss = self.box.model.at(candidate, self.x, self.y).loss
            best = where(loss < least, candidate, best)
            least = np.where(loss < least, loss, least)
        return theta - best


def where(condition: np.ndarray, one: Parameters, other: Parameters) -> Parameters:
    """`one` for the tasks where condition (T,) is true, `other` for the rest."""
    pick = lambda a, b: np.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)
    return Parameters({name: pick(array, other[name]) for name, array in one.items()})


# -- the method ----------------------------------------------------------------------------------------------------

STD = partial(validate.rate, such=0.05, least=1e-6, most=10)  # float32 resolves no smaller perturbations
OPTIONS = (
    Option("pairs", 20, "antithetic pairs per outer step", partial(validate.count, most=10_000)),
    Option("sigma", 0.05, "standard deviation of the outer perturbations", STD),
    Option("inside", "gradient", "inner loop: gradient, es, or climb (hill climbing)", one_of("gradient", "es", "climb")),
    Option("tries", 10, "perturbations per inner step (antithetic pairs for es)", partial(validate.count, most=200)),
    Option("reach", 0.1, "standard deviation of the inner perturbations", STD),
)


def inner_model(model: Any, settings: Settings, seed: int = 0) -> tuple[Any, float]:
    """The model that adapts, the network itself or a black box, and its inner learning rate."""
    options = settings.options
    if options["inside"] == "gradient":
        return model, settings.inner_lr
    climb = options["inside"] == "climb"
    return BlackBoxModel(model, options["tries"], options["reach"], climb, seed), 1.0 if climb else settings.inner_lr


def gradient(model: Any, settings: Settings) -> Gradient:
    """Eq. 26. The perturbations depend only on the seed and the iteration, so that a run can be resumed."""
    options = settings.options

    def estimate(theta: Parameters, batch: TaskBatch, iteration: int) -> OuterGradient:
        rng = rng_for(settings.seed, "perturbations", iteration)
        inner, rate = inner_model(model, settings, int(rng.integers(2**63)))
        return es_meta_gradient(
            inner, theta, batch, rng, inner_lr=rate, pairs=options["pairs"], sigma=options["sigma"], normalised=True
        )

    return estimate


def start(family: Family, settings: Settings, trained: Start) -> Start:
    """The setup for new tasks: the same inner loop as in training."""
    model, rate = inner_model(trained.model, replace(settings, inner_lr=trained.inner_lr))
    return replace(trained, model=model, inner_lr=rate)


def unused(settings: Settings) -> dict[str, str]:
    """The settings without effect in the chosen inner loop."""
    if settings.options["inside"] == "gradient":
        return dict.fromkeys(("tries", "reach"), "for es that adapts by the gradient (--inside gradient)")
    climbs = settings.options["inside"] == "climb"
    return {"inner_lr": "for es that adapts by climbing (--inside climb)"} if climbs else {}


METHOD = Method(
    "es",
    "MAML by evolution strategies: no gradient in the outer loop, and optionally none in the inner loop",
    PlotStyle("ES-MAML", "#9966CC", (0, (1, 1, 4, 1)), "X"),
    gradient,
    start=start,
    # one per pair, as a point needs half of the memory of an adapted copy; 2 tries per pair for es in the inner loop
    copies=lambda s: s.options["pairs"] * (2 * s.options["tries"] if s.options["inside"] == "es" else 1),
    uses_inner_lr=lambda settings: settings.options["inside"] != "climb",
    options=OPTIONS,
    unused=unused,
    default=False,
)
