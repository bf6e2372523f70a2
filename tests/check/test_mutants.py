"""Mutation tests: the source of the mathematics with one mistake, and every such mutant must be rejected.

A mutant is a wrong rule in a layer or a loss (the known mistakes of an MLP, and those of `mutants`); or, for all that is no
rule of a layer, a text replaced in a module of `tinymaml`: the whole package is imported anew with it, beside the one that
the tests use, and judged by its own ladder. To see a survivor, give TOLERANCE in check/compare.py the value 1e-2.
"""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from check.mutants.layers import IN_IMAGES, IN_TIME
from check.mutants.norms import IN_NORMS

import tinymaml.check
from tinymaml.check import mistakes
from tinymaml.check.compare import TOLERANCE
from tinymaml.check.ladder import LAYERS, Row, ladder
from tinymaml.check.layer_checks import layer_errors
from tinymaml.nn.losses import LOSSES, Loss

MISTAKES = {**mistakes.MISTAKES, **IN_NORMS, **IN_IMAGES, **IN_TIME}
SOURCE = Path(tinymaml.__file__).parent


class Mutant(NamedTuple):
    """`old`, which stands exactly once in tinymaml/`module`.py, becomes `new`; `where` is the equation it damages."""

    where: str
    what: str
    module: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


# what no rule swapped into a layer can damage: the text of a module, by where it stands
MUTANTS = [
    Mutant("s'", "relu leaks, on real numbers only", "nn/activations", "np.maximum(z, 0)", "np.maximum(z, 0.1 * z)"),
    Mutant("s'", "relu has slope 1 everywhere", "nn/activations", "(z.real > 0).astype(z.real.dtype)", "np.ones_like(z.real)"),
    Mutant("s'", "tanh without its square", "nn/activations", "z, a: 1 - a * a,", "z, a: 1 - a,"),
    Mutant("s'", "sigmoid: s for s'", "nn/activations", "z, a: a * (1 - a),", "z, a: a,"),
    Mutant("s'", "softplus: taken at a, not at z", "nn/activations", "z, a: _sigmoid(z),", "z, a: _sigmoid(a),"),
    Mutant("s''", "tanh: the sign is wrong", "nn/activations", "-2 * a * (1 - a * a)", "2 * a * (1 - a * a)"),
    Mutant("s''", "tanh: the factor s' is lost", "nn/activations", "-2 * a * (1 - a * a)", "-2 * a"),
    Mutant("s''", "sigmoid: a factor 2 is lost", "nn/activations", "(1 - 2 * a)", "(1 - a)"),
    Mutant("s''", "softplus: s' for s''", "nn/activations", "_sigmoid(z) * (1 - _sigmoid(z))", "_sigmoid(z)"),
    Mutant("eq. 2", "1/n is lost", "nn/surface", "self.y) / self.n  # eq. 2", "self.y)  #"),
    Mutant("eq. 2", "the loss is the sum over the examples", "nn/surface", "self.y).sum(-1) / self.n", "self.y).sum(-1)"),
    Mutant("eq. 3", "dW is scaled by 1.001", "nn/layers", "outer((a, D), like=W)", "outer((1.001 * a, D), like=W)"),
    Mutant("eq. 3", "gradients of a layer that stands twice: the last one only", "nn/chain",
           "total[name] + array if", "array if"),
    Mutant("eqs. 3-4", "the gradient is scaled by 1.001", "nn/surface",
           "self.output_gradient, False)", "1.001 * self.output_gradient, False)"),
    Mutant("eqs. 3-4", "D above a layer is taken for D at it", "nn/chain",
           "tape.caches[i], D, *flag", "tape.caches[i], tape.D[-1], *flag"),
    Mutant("eq. 6", "1/n is lost", "nn/surface", "Rz) / here.n", "Rz)"),
    Mutant("eqs. 5-8", "the HVP is scaled by 1.001", "nn/surface",
           "return self.along(v).hvp", "return 1.001 * self.along(v).hvp"),
    Mutant("eqs. 5-8", "Ra is lost on its way up", "nn/chain", "Ra, Rtape = layer.R_forward(p, v, cache, Ra)",
           "Ra, Rtape = layer.R_forward(p, v, cache, Ra if Ra is None else 0 * Ra)"),
    Mutant("lowest", "a norm moves its inputs", "nn/normalisation",
           "np.zeros_like(h) if Rz is None", "np.ones_like(h) * h if Rz is None"),
    Mutant("lowest", "a recurrence moves its inputs", "nn/recurrent",
           "Rx = np.zeros((*Rh.shape[:-1], self.inputs)", "Rx = np.ones((*Rh.shape[:-1], self.inputs)"),
    Mutant("eq. 11", "the inner step goes uphill", "maml",
           "theta_k = theta_k - alpha * here", "theta_k = theta_k + alpha * here"),
    Mutant("eq. 11", "so does adaptation", "maml", "theta = theta - alpha * at_step", "theta = theta + alpha * at_step"),
    Mutant("eq. 12", "the gradient is taken at theta", "maml", "query = model.at(theta_k,", "query = model.at(theta,"),
    Mutant("eq. 12", "support for query", "maml", "batch.x_query, batch.y_query", "batch.x_support, batch.y_support"),
    Mutant("eq. 12", "the curvature is dropped: first-order", "maml", "while surfaces:", "while False:"),
    Mutant("eq. 12", "the sign of the curvature on the way back", "maml",
           "u[-1] - curvature_terms[-1]", "u[-1] + curvature_terms[-1]"),
    Mutant("eq. 12", "the sign of `curvature`", "maml", "else sum(self.curvature_terms)", "else -sum(self.curvature_terms)"),
    Mutant("eq. 12", "`curvature` is its last turn", "maml", "else sum(self.curvature_terms)", "else self.curvature_terms[-1]"),
    Mutant("eq. 12", "alpha is lost", "maml", ".hvp(alpha * u[-1])", ".hvp(u[-1])"),
    Mutant("eq. 12", "alpha is outside the product", "maml",
           "surfaces.pop().hvp(alpha * u[-1])", "alpha * surfaces.pop().hvp(u[-1])"),
    Mutant("eq. 12", "every Hessian acts on u_K", "maml", ".hvp(alpha * u[-1])", ".hvp(alpha * u[0])"),
    Mutant("eq. 12", "the steps are passed forwards", "maml", "surfaces.pop()", "surfaces.pop(0)"),
    Mutant("eq. 12", "only the last step is differentiated", "maml", "    while surfaces:", "    for _ in surfaces[-1:]:"),
    Mutant("eq. 13", "the sum over tasks", "parameters", "array.sum(0) / array.shape[0]", "array.sum(0)"),
    Mutant("eq. 13", "the meta-gradient is scaled by 1.001", "maml",
           "return self.u[0].mean()", "return 1.001 * self.u[0].mean()"),
    Mutant("eq. 13", "first-order is u_0", "maml", "return self.u[-1].mean()", "return self.u[0].mean()"),
    Mutant("eq. 14", "the factors are added, not subtracted", "nn/fast_weights", "(left, right, -scale)", "(left, right, scale)"),
    Mutant("eqs. 1, 5", "of many columns: the first of two products is lost", "nn/fast_weights",
           "add_in_place(product, total)", "product"),
    Mutant("eqs. 1, 5", "of one column: the row has its sign", "nn/fast_weights", "a * W if column", "-a * W if column"),
    Mutant("eq. 8", "the second of two products is lost", "nn/fast_weights",
           "    for a, W in pairs:\n", "    for a, W in pairs[:1]:\n"),
    Mutant("eq. 5", "the bias, where a sum begins, is lost", "nn/fast_weights", "    total = bias\n", "    total = None\n"),
    Mutant("eq. 14", "what the tasks share is lost", "nn/fast_weights", "add_in_place(product, fast)", "fast"),
    Mutant("eq. 15", "the first task alone", "nn/fast_weights",
           "rows(left).T @ rows(right)", "rows(left[:1]).T @ rows(right[:1])"),
    Mutant("eq. 20", "the sign is wrong", "maml", "return -sum(", "return sum("),
    Mutant("eq. 20", "u_k for u_{k+1}", "maml",
           "zip(self.u[1:], self.support_gradients, strict=True)", "zip(self.u[:-1], self.support_gradients, strict=True)"),
    Mutant("eq. 20", "only the first step", "maml", "u, g in zip(self.u[1:], self.support_gradients, strict=True))",
           "u, g in zip(self.u[1:2], self.support_gradients, strict=False))"),
    Mutant("eq. 19", "it points away", "methods/reptile", "theta - theta_K.dense().mean()", "theta_K.dense().mean() - theta"),
    Mutant("eq. 19", "the support set alone", "methods/reptile",
           "x, y = all_points(batch)", "x, y = batch.x_support, batch.y_support"),
    Mutant("eq. 19", "one step", "methods/reptile", "inner_lr=inner_lr, steps=steps)", "inner_lr=inner_lr, steps=1)"),
    Mutant("eq. 21", "alpha is outside the product", "methods/multi_step",
           "surfaces.pop().hvp(alpha * u)", "alpha * surfaces.pop().hvp(u)"),
    Mutant("eq. 21", "the sign of the curvature", "methods/multi_step", "u = u - surfaces", "u = u + surfaces"),
    Mutant("eq. 21", "the weights do not sum to one", "methods/multi_step", "w = validate.weights(",
           "w = [1.0] * len(weights) or ("),
    Mutant("eq. 21", "the weights are one step late", "methods/multi_step", "w[len(queries) - 1]", "w[len(queries)]"),
    Mutant("eq. 21", "what comes from later steps is lost", "methods/multi_step", ".gradient + u\n", ".gradient\n"),
    Mutant("eq. 22", "the operator without lambda", "methods/imaml", "/ proximal.strength + damping * p", "+ damping * p"),
    Mutant("eq. 22", "the operator without I", "methods/imaml",
           "here.hvp(unflatten_tasks(p, theta))", "(here.hvp(unflatten_tasks(p, theta)) - strength * unflatten_tasks(p, theta))"),
    Mutant("eq. 22", "the Hessian at theta", "methods/imaml", "proximal.at(star,", "proximal.at(theta,"),
    Mutant("eq. 22", "the inner loop has no proximal term", "methods/imaml", "star = adapt(proximal,", "star = adapt(model,"),
    Mutant("eq. 22", "the sign of the proximal term", "methods/imaml", "surface.gradient + self", "surface.gradient - self"),
    Mutant("eq. 22", "the proximal term has no curvature", "methods/imaml",
           "self.surface.hvp(v) + self.strength * v", "self.surface.hvp(v)"),
    Mutant("eq. 22", "no system is solved: first-order", "methods/imaml",
           "u = unflatten_tasks(solved.x, theta)", "u = query.gradient"),
    Mutant("eq. 23", "the discount of the cost itself is off by one", "rl/exact",
           "discount**t * cost", "discount ** (t + 1) * cost"),
    Mutant("eq. 23", "the start is paid for, the end is not", "rl/exact", "self.C * self.M[1:]", "self.C * self.M[:-1]"),
    Mutant("eq. 23", "the sum over the rows of a task", "rl/exact", "transpose(z) @ z / x.shape[-2]", "transpose(z) @ z"),
    Mutant("eq. 23", "the policy sees the goal", "rl/exact", "A @ self.I[:A.shape[-1]]", "A @ self.I[-A.shape[-1]:]"),
    Mutant("eq. 24", "RF is that of theta", "rl/exact", "RF = self._closed_loop(v)",
           "RF = self._closed_loop(v) + 0.1 * (self.F - self.I)"),
    Mutant("eq. 25", "each move answers for what was before", "rl/sampled", "np.flip(np.cumsum(np.flip(c, -1), axis=-1), -1)",
           "np.cumsum(c, axis=-1)"),
    Mutant("eq. 25", "the score of a move stands for S_t", "rl/sampled", "np.cumsum(q, axis=-1)", "q"),
    Mutant("eq. 25", "the scores are forgotten", "rl/sampled", "weight[..., None] * self.score +", "0 * self.score +"),
    Mutant("eq. 25", "the baseline is not in the scores", "rl/sampled", "axis=-1)) - b * q", "axis=-1))"),
    Mutant("eq. 25", "the baseline is not in R of the score", "rl/sampled",
           "(self.C - self.b)[..., None] * Rscore", "self.C[..., None] * Rscore"),
    Mutant("eq. 25", "R of the score has sigma for its square", "rl/sampled", "Rmu / sigma**2", "Rmu / sigma"),
    Mutant("eq. 25", "the sign of R of the score", "rl/sampled", "Rscore = -Rmu", "Rscore = Rmu"),
    Mutant("eq. 25", "the score is the noise, not divided by sigma", "rl/sampled", "self.e / policy.noise", "self.e"),
    Mutant("eq. 25", "the discount is off by one", "rl/sampled", "policy.discount ** np.arange(policy.horizon,",
           "policy.discount ** np.arange(1, policy.horizon + 1,"),
    Mutant("eq. 25", "the sum over the moves", "rl/sampled", "x.shape[-2] * policy.horizon", "x.shape[-2]"),
    Mutant("rates", "the first entry's rate is everyone's", "parameters",
           "mine * yours[name] for", "mine * yours[name].ravel()[0] for"),
]  # fmt: skip

COVERED = {
    "s'": 5, "s''": 4, "eq. 2": 2, "eq. 3": 2, "eqs. 3-4": 2, "eqs. 1, 5": 2, "eq. 6": 1, "eq. 8": 1, "eqs. 5-8": 2, "eq. 11": 2,
    "eq. 12": 11, "eq. 13": 3, "eq. 14": 2, "eq. 15": 1, "eq. 19": 3, "eq. 20": 3, "eq. 21": 5,
    "lowest": 2, "eq. 22": 7, "eq. 23": 4, "eq. 24": 1, "eq. 25": 10, "rates": 1,
}  # fmt: skip
JUDGED = 4  # random networks


def without(names: str) -> dict:
    """Remove a package from sys.modules and return its modules."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name == names or name.startswith(names + ".")}


class Loader(importlib.machinery.SourceFileLoader):
    """A module from changed text; nothing of it is written to the disk."""

    def __init__(self, name: str, path: Path, text: str):
        super().__init__(name, str(path))
        self.text = text

    def get_code(self, fullname: str):
        return compile(self.text, self.path, "exec", dont_inherit=True)


class Finder:
    """Finds one module with the mutant's text, and leaves the others to Python."""

    def __init__(self, mutant: Mutant):
        self.name, self.path = f"tinymaml.{mutant.module.replace('/', '.')}", SOURCE / f"{mutant.module}.py"
        self.text = mutated(mutant)

    def find_spec(self, fullname: str, path=None, target=None):
        if fullname == self.name:
            return importlib.util.spec_from_loader(fullname, Loader(fullname, self.path, self.text))
        return None


def mutated(mutant: Mutant) -> str:
    text = (SOURCE / f"{mutant.module}.py").read_text()
    found = text.count(mutant.old)
    assert found == 1, f"{mutant}: {mutant.old!r} stands {found} times in {mutant.module}.py, expected once: mend the mutant"
    return text.replace(mutant.old, mutant.new)


@contextlib.contextmanager
def living(mutant: Mutant | None) -> Iterator[object]:
    """The check package of tinymaml as it is with this mutant; afterwards everything is as it was."""
    finder, mine = Finder(mutant) if mutant else None, without("tinymaml")  # a mutant that has no place leaves it alone
    try:
        if finder:
            sys.meta_path.insert(0, finder)
        yield importlib.import_module("tinymaml.check")
    finally:
        if finder:
            sys.meta_path.remove(finder)
        without("tinymaml")
        sys.modules.update(mine)


def rejected(mutant: Mutant | None, **loosened: float) -> bool:
    """Whether the ladder, with the battery as its upper rungs, rejects it."""
    with living(mutant) as check:
        from tinymaml.check.ladder import ladder  # the mutant's own

        assert check is not tinymaml.check
        return wrong_somewhere(ladder, **loosened)


def wrong_somewhere(ladder: Callable, **loosened: float) -> bool:
    """Whether a row is wrong, or a check ends in an error."""
    try:
        return not all(row.right for row in ladder(0, JUDGED, **loosened))
    except ValueError:  # shapes that no longer fit
        return True


def test_the_real_source_passes():
    assert not rejected(None)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_every_mutant_dies(mutant):
    assert rejected(mutant), f"SURVIVOR: {mutant}"


@pytest.mark.parametrize("key", [key for key, mistake in MISTAKES.items() if Loss not in mistake.rules])
def test_every_known_mistake_in_place_of_the_right_rule_dies(key, monkeypatch):
    """The wrong rules that name a student's mistake, put into the library itself."""
    for kind, rules in MISTAKES[key].rules.items():
        for name, wrong in rules.items():
            right = getattr(kind, name)
            put = lambda self, *given, right=right, wrong=wrong: wrong(partial(right, self), self, *given)
            monkeypatch.setattr(kind, name, put)
    assert wrong_somewhere(rules_of_every_layer), f"SURVIVOR: {MISTAKES[key].sentence}"


def rules_of_every_layer(seed: int, networks: int) -> list[Row]:
    """The rows of the ladder for layers alone: an error there is an error of the ladder."""
    layers = [(name, layer, width, np.random.default_rng(seed)) for name, (layer, width) in LAYERS.items()]
    return [Row(name, max(layer_errors(layer, rng, width=width).values()), TOLERANCE, 1) for name, layer, width, rng in layers]


def test_the_right_rules_of_every_layer_live():
    assert not wrong_somewhere(rules_of_every_layer)


IN_LOSSES = [(key, rule) for key, mistake in MISTAKES.items() for rule in mistake.rules.get(Loss, ())]


@pytest.mark.parametrize(("key", "rule"), IN_LOSSES)
def test_every_known_mistake_in_a_loss_dies(key, rule, monkeypatch):
    """One formula at a time: a factor in all three is another loss with its right derivatives, which no derivative can tell."""
    mistake = MISTAKES[key]
    for name, loss in LOSSES.items():
        if mistake.loss in ("", name):
            wrong = partial(mistake.rules[Loss][rule], getattr(loss, rule), loss)
            monkeypatch.setitem(LOSSES, name, replace(loss, **{rule: wrong}))
    assert wrong_somewhere(ladder), f"SURVIVOR: {mistake.sentence} ({rule})"


def test_the_list_has_not_shrunk():
    assert len(set(MUTANTS)) == len(MUTANTS)
    assert len(MUTANTS) + len(MISTAKES) >= 140
    for where, least in COVERED.items():
        assert sum(mutant.where == where for mutant in MUTANTS) >= least, f"mutants of {where} are missing from the list"


def test_a_loosened_ladder_would_let_mutants_live():
    """That the tolerance is what kills: at 1e-2 the scaled gradients pass."""
    scaled = [mutant for mutant in MUTANTS if "scaled by 1.001" in mutant.what]
    assert any(not rejected(mutant, tolerance=1e-2) for mutant in scaled)


def test_the_tests_own_package_is_untouched():
    before = sys.modules["tinymaml"]
    with living(MUTANTS[0]):
        assert sys.modules["tinymaml"] is not before
    assert sys.modules["tinymaml"] is before
    assert tinymaml is before
