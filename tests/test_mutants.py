"""Tests of the tests: the mathematics with one mistake in its source, and every such mutant must be found out.

A mutant is a text replaced in a module of `tinymaml`. The whole package is imported anew with it, beside the one that
the tests use, and then judged by its own ladder and battery. To see a survivor, give TOLERANCE in check/compare.py
the value 1e-2.
"""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import tinymaml

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


square = "(lambda W: W if W.shape[-1] == W.shape[-2] else _T(W))"  # the transpose is lost where that goes unnoticed

MUTANTS = [
    Mutant("s'", "relu leaks, on real numbers only", "activations", "np.maximum(z, 0)", "np.maximum(z, 0.1 * z)"),
    Mutant("s'", "relu has slope 1 everywhere", "activations", "(z.real > 0).astype(z.real.dtype)", "np.ones_like(z.real)"),
    Mutant("s'", "tanh without its square", "activations", "z, a: 1 - a * a,", "z, a: 1 - a,"),
    Mutant("s'", "sigmoid: s for s'", "activations", "z, a: a * (1 - a),", "z, a: a,"),
    Mutant("s'", "softplus: taken at a, not at z", "activations", "z, a: _sigmoid(z),", "z, a: _sigmoid(a),"),
    Mutant("s''", "tanh: the sign is turned", "activations", "-2 * a * (1 - a * a)", "2 * a * (1 - a * a)"),
    Mutant("s''", "tanh: the factor s' is lost", "activations", "-2 * a * (1 - a * a)", "-2 * a"),
    Mutant("s''", "sigmoid: a factor 2 is lost", "activations", "(1 - 2 * a)", "(1 - a)"),
    Mutant("s''", "softplus: s' for s''", "activations", "_sigmoid(z) * (1 - _sigmoid(z))", "_sigmoid(z)"),
    Mutant("eq. 1", "the bias is lost", "mlp", "plus=b[l]", "plus=0 * b[l]"),
    Mutant("eq. 2", "1/n is lost", "mlp", "self.y) / self.n}", "self.y)}"),
    Mutant("eq. 2", "the loss is the sum over the examples", "mlp", "self.y).sum(-1) / self.n", "self.y).sum(-1)"),
    Mutant("eq. 3", "dW is scaled by 1.001", "mlp", "= outer(a[l - 1], delta", "= outer(1.001 * a[l - 1], delta"),
    Mutant("eq. 3", "db is the mean for the sum", "mlp", "self.one @ delta[l]", "self.one @ delta[l] / self.n"),
    Mutant("eq. 4", "s' is lost", "mlp", "= da[l - 1] * s1[l - 1]", "= da[l - 1]"),
    Mutant("eq. 4", "W is not transposed", "mlp", "(delta[l], _T(W[l]))", f"(delta[l], {square}(W[l]))"),
    Mutant("eqs. 3-4", "the gradient is scaled by 1.001", "mlp", "_named(self.L, self.dW,", "1.001 * _named(self.L, self.dW,"),
    Mutant("eq. 5", "the term Ra W is lost", "mlp", "[(Ra[l - 1], W[l])]", "[(0 * Ra[l - 1], W[l])]"),
    Mutant("eq. 5", "the term a V is lost", "mlp", "(a[l - 1], V[l])", "(0 * a[l - 1], V[l])"),
    Mutant("eq. 5", "the term c is lost", "mlp", "plus=c[l]", "plus=0 * c[l]"),
    Mutant("eq. 5", "s' is lost in Ra", "mlp", "s1[l] * Rz[l]", "Rz[l]"),
    Mutant("eq. 6", "1/n is lost", "mlp", "Rz[L]) / here.n", "Rz[L])"),
    Mutant("eq. 6", "the curvature of the loss is lost", "mlp", "here.l.hvp(z[L], here.y, Rz[L])", "Rz[L]"),
    Mutant("eq. 7", "the term a^T RD is lost", "mlp", "outer(a[l - 1], Rdelta", "outer(0 * a[l - 1], Rdelta"),
    Mutant("eq. 7", "the term Ra^T D is lost", "mlp", "outer(Ra[l - 1], delta", "outer(0 * Ra[l - 1], delta"),
    Mutant("eq. 7", "R db is the mean for the sum", "mlp", "here.one @ Rdelta[l]", "here.one @ Rdelta[l] / here.n"),
    Mutant("eq. 8", "the term RD W^T is lost", "mlp", "(Rdelta[l], _T(W[l]))", "(0 * Rdelta[l], _T(W[l]))"),
    Mutant("eq. 8", "the term D V^T is lost", "mlp", "(delta[l], _T(V[l]))", "(0 * delta[l], _T(V[l]))"),
    Mutant("eq. 8", "W is not transposed", "mlp", "(Rdelta[l], _T(W[l]))", f"(Rdelta[l], {square}(W[l]))"),
    Mutant("eq. 8", "V is not transposed", "mlp", "_T(V[l])", f"{square}(V[l])"),
    Mutant("eq. 8", "s' is lost", "mlp", "Rda * s1[l - 1]", "Rda"),
    Mutant("eq. 8", "the s'' term is lost", "mlp", "if here.s.curved:", "if False:"),
    Mutant("eq. 8", "the s'' term has the wrong sign", "mlp", "+ here.da[l - 1] * here.s2", "- here.da[l - 1] * here.s2"),
    Mutant("eq. 8", "Rz is lost beside s''", "mlp", "here.s2[l - 1] * Rz[l - 1]", "here.s2[l - 1]"),
    Mutant("eq. 8", "RD for D in the s'' term", "mlp", "+ here.da[l - 1] * here.s2", "+ Rda * here.s2"),
    Mutant("eqs. 5-8", "the HVP is scaled by 1.001", "mlp", "return self.along(v).hvp", "return 1.001 * self.along(v).hvp"),
    Mutant("eq. 9", "the factor 2 is lost", "losses", "z, y: 2 * (z - y),", "z, y: z - y,"),
    Mutant("eq. 9", "the factor 2 is lost in the curvature", "losses", "z, y, r: 2 * r,", "z, y, r: 1 * r,"),
    Mutant("eq. 10", "the sign is turned", "losses", "softmax(z) - y,", "y - softmax(z),"),
    Mutant("eq. 10", "the target is lost", "losses", "softmax(z) - y,", "softmax(z),"),
    Mutant("eq. 10", "the term p sum(p r) is lost", "losses", "p * (r - (p * r).sum(-1, keepdims=True))", "p * r"),
    Mutant("eq. 10", "the mean for the sum over classes", "losses", "(p * r).sum(", "(p * r).mean("),
    Mutant("eq. 11", "the inner step goes uphill", "maml", "theta - inner_lr * here", "theta + inner_lr * here"),
    Mutant("eq. 12", "the gradient is taken at theta", "maml", "query = model.at(theta_K,", "query = model.at(start,"),
    Mutant("eq. 12", "support for query", "maml", "batch.x_query, batch.y_query", "batch.x_support, batch.y_support"),
    Mutant("eq. 12", "the curvature is dropped: first-order", "maml", "while tapes and", "while False and"),
    Mutant("eq. 12", "the sign of the curvature on the way back", "maml", "u = u - inner_lr", "u = u + inner_lr"),
    Mutant("eq. 12", "the sign of `curvature`", "maml", "first_order - self.gradient", "first_order + self.gradient"),
    Mutant("eq. 12", "alpha is lost", "maml", "u - inner_lr * tapes", "u - tapes"),
    Mutant("eq. 12", "every Hessian acts on u_K", "maml", "tapes.pop().hvp(u)", "tapes.pop().hvp(u_K)"),
    Mutant("eq. 12", "the steps are passed forwards", "maml", "tapes.pop()", "tapes.pop(0)"),
    Mutant("eq. 12", "only the last step is differentiated", "maml", "while tapes and not first_order:", "for _ in tapes[-1:]:"),
    Mutant("eq. 13", "the sum over tasks", "parameters", "total /= array.shape[axis]", "pass"),
    Mutant("eq. 13", "the meta-gradient is scaled by 1.001", "maml", "losses, u.mean()", "losses, 1.001 * u.mean()"),
    Mutant("eq. 14", "the factors are added, not subtracted", "fast_weights", "self + other * -1.0", "self + other * 1.0"),
    Mutant("eqs. 1, 5", "of one column: the row is lost", "fast_weights", "0 if plus is None else plus", "0"),
    Mutant("eqs. 1, 5", "of many columns: the first of two products is lost", "fast_weights", "into(product, total)", "product"),
    Mutant("eq. 8", "of one column: the second of two products is lost", "fast_weights", "= a, W\n", "= a, (1 - i) * W\n"),
    Mutant("eq. 14", "what the tasks share is lost", "fast_weights", "into(product, fast)", "fast"),
    Mutant("eq. 15", "the first task alone", "fast_weights", "rows(left).T @ rows(right)", "rows(left[:1]).T @ rows(right[:1])"),
]  # fmt: skip

COVERED = {
    "s'": 5, "s''": 4, "eq. 1": 1, "eq. 2": 2, "eq. 3": 2, "eq. 4": 2, "eqs. 3-4": 1, "eqs. 1, 5": 2, "eq. 5": 4, "eq. 6": 2,
    "eq. 7": 3, "eq. 8": 10, "eqs. 5-8": 1, "eq. 9": 2, "eq. 10": 4, "eq. 11": 1, "eq. 12": 9, "eq. 13": 2, "eq. 14": 2,
    "eq. 15": 1,
}  # fmt: skip
NETWORKS = {"tanh": "squared_error", "relu": "squared_error", "sigmoid": "cross_entropy", "softplus": "cross_entropy"}


def without(names: str) -> dict:
    """Take a package out of sys.modules, and give it to be put back."""
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
        self.name, self.path = f"tinymaml.{mutant.module}", SOURCE / f"{mutant.module}.py"
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
    mine, finder = without("tinymaml"), Finder(mutant) if mutant else None
    try:
        if finder:
            sys.meta_path.insert(0, finder)
        yield importlib.import_module("tinymaml.check")
    finally:
        if finder:
            sys.meta_path.remove(finder)
        without("tinymaml")
        sys.modules.update(mine)


def rejected_by(mutant: Mutant | None, **loosened: float) -> set[str]:
    """Which of the two judges reject it: the ladder and the battery."""
    judges = set()
    with living(mutant) as check, contextlib.redirect_stdout(io.StringIO()):
        from tinymaml import MLP  # the mutant's own
        from tinymaml.check.ladder import ladder

        if not all(row.right for row in ladder(0, 12, **loosened)):
            judges.add("ladder")
        try:
            for activation, loss in NETWORKS.items():
                check.check_model(MLP([2, 3, 3, 2], activation=activation, loss=loss), np.random.default_rng(0))
        except check.ModelRejected:
            judges.add("battery")
    return judges


def test_the_real_source_is_rejected_by_no_one():
    assert rejected_by(None) == set()


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_every_mutant_dies(mutant):
    judges = rejected_by(mutant)
    assert "ladder" in judges, f"SURVIVOR of the ladder: {mutant}"
    if mutant.module in ("mlp", "maml", "activations", "losses", "parameters"):
        assert "battery" in judges, f"SURVIVOR of the battery: {mutant}"


def test_the_list_has_not_shrunk():
    assert len(set(MUTANTS)) == len(MUTANTS) >= 25
    for where, least in COVERED.items():
        assert sum(mutant.where == where for mutant in MUTANTS) >= least, f"mutants of {where} are missing from the list"


def test_a_loosened_ladder_would_let_mutants_live():
    """That the tolerance is what kills: at 1e-2 the scaled gradients pass."""
    scaled = [mutant for mutant in MUTANTS if "scaled by 1.001" in mutant.what]
    assert any("ladder" not in rejected_by(mutant, tolerance=1e-2) for mutant in scaled)


def test_the_tests_own_package_is_untouched():
    before = sys.modules["tinymaml"]
    with living(MUTANTS[0]):
        assert sys.modules["tinymaml"] is not before
    assert sys.modules["tinymaml"] is before
    assert tinymaml is before
