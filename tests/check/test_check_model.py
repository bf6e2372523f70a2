"""The battery for any model: a right model passes, and every fault is reported in a sentence."""

import re
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from strategies import examples, linear_batch, problems, seeds

from tinymaml import MLP, Parameters, meta_gradient
from tinymaml.check import ModelRejected, check_model
from tinymaml.check.golden import Linear, LinearSurface
from tinymaml.check.mistakes import MISTAKES, with_mistakes
from tinymaml.check.problem import random_batch
from tinymaml.nn.chain import Chain
from tinymaml.nn.convolution import Flatten, Patches
from tinymaml.nn.layers import Affine, Elementwise
from tinymaml.nn.models import CNN
from tinymaml.nn.network import Network
from tinymaml.nn.normalisation import BatchNorm, LayerNorm
from tinymaml.nn.recurrent import Recurrent
from tinymaml.rl.exact import LinearPolicy
from tinymaml.rl.sampled import HESSIAN_ESTIMATORS, SampledPolicy, leave_one_out_baseline, with_noise
from tinymaml.tasks import TaskBatch


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@examples(10)
@given(problems())
def test_every_mlp_passes(problem):
    check_model(problem.model, np.random.default_rng(problem.seed), theta=problem.theta, batch=problem.batch)


def test_an_mlp_needs_neither_theta_nor_data():
    for activation, loss in (("relu", "squared_error"), ("softplus", "cross_entropy")):
        check_model(MLP([2, 3, 3, 2], activation, loss), rng())


def test_a_model_of_ones_own_passes_and_the_report_says_what_was_checked(capsys):
    report = check_model(Linear(3), rng(), batch=linear_batch())
    assert capsys.readouterr().out == report + "\n"
    assert report.splitlines()[0] == "check_model: Linear"
    assert all(line.endswith("right") for line in report.splitlines()[1:])
    assert "note" not in report
    check_model(Linear(3), rng(), theta=Parameters(w=np.ones((3, 1))), batch=linear_batch())


def test_without_data_or_theta_there_is_nothing_to_check():
    with pytest.raises(TypeError, match="there is no data for a Linear: pass batch="):
        check_model(Linear(3), rng())
    with pytest.raises(TypeError, match=r"a object has no init\(rng\): pass theta="):
        check_model(object(), rng(), batch=linear_batch())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_at_a_kink_a_point_nearby_is_checked_and_the_report_says_so(norm, seed):
    """Black images, no biases."""
    network, rng = CNN(4, 2, 2, 2, norm=norm), np.random.default_rng(seed)
    theta = Parameters({name: array * name.startswith("W") for name, array in network.init(rng).items()})
    theta = network.init(rng).map(lambda array: array if len(array) > 1 else 0 * array) if norm == "none" else theta
    batch = random_batch(network, rng, tasks=3, shots=4, queries=4)
    black = lambda x: x * (rng.random(x.shape) < 0.3)
    batch = replace(batch, x_support=black(batch.x_support), x_query=black(batch.x_query))
    report = check_model(network, rng, theta=theta, batch=batch)
    assert "note: theta is on a kink of the loss" in report and "differences" not in report


def test_a_kink_of_the_gradient_alone_is_one_too():
    """Where all is zero the loss has no kink, since the layer above multiplies it with zero."""
    theta = MLP([1, 1, 3], loss="cross_entropy").init(rng()).map(lambda array: 0 * array)
    report = check_model(MLP([1, 1, 3], loss="cross_entropy"), rng(), theta=theta)
    assert "kink" in report and "differences" not in report


def test_a_kink_is_no_mistake_of_a_model_that_refuses_complex_numbers():
    class Real:
        def at(self, theta, x, y):
            assert not np.iscomplexobj(theta.flat), "real numbers only"
            return MLP([1, 4, 1]).at(theta, x, y)

    theta = MLP([1, 4, 1]).init(rng())
    theta = Parameters({**theta, "b1": np.zeros((1, 4))})
    batch = random_batch(MLP([1, 4, 1]), rng(), tasks=3, shots=4, queries=4)
    batch.x_support[:, 0] = 0
    report = check_model(Real(), rng(), theta=theta, batch=batch)
    assert "kink" in report and "differences" in report
    assert "kink" in check_model(MLP([1, 4, 1]), rng(), theta=theta, batch=batch)


@examples(10)
@given(seeds)
@example(127)
@example(172)
@example(243)
def test_few_digits_are_no_mistake(seed):
    """The layer norm of few features multiplies rounding."""
    drawn = np.random.default_rng(seed)
    side, filters, blocks, ways = (int(drawn.integers(*ends)) for ends in ((3, 7), (2, 4), (1, 3), (2, 4)))
    check_model(CNN(side, filters, blocks, ways, norm="layer"), drawn)


def test_an_inner_rate_that_is_too_large_is_no_mistake():
    """The cost of five moves grows with the tenth power of a policy."""
    batch = TaskBatch(*(rng().standard_normal((3, 4, 2)) for _ in range(4)))
    report = check_model(LinearPolicy(2, 5), rng(), batch=batch, inner_lr=3.0)
    assert "note: the inner loop diverges at inner_lr 3.0: it was checked at " in report


@pytest.mark.parametrize("kind", [BatchNorm, LayerNorm])
def test_a_norm_in_a_chain_or_in_a_cell_passes(kind):
    block = Chain([Affine(3, 3, 1), kind(3, 1), Elementwise("tanh", 1)])
    check_model(Network([Affine(2, 3, 0), block, Affine(3, 1, 2)]), rng())
    check_model(Network([Chain([Patches(4, 1), Affine(9, 3, 1), kind(3, 1), Flatten(4, 3)]), Affine(12, 2, 2)]), rng())
    cell = Chain([Affine(1 + 3, 3, "h"), kind(3, "h"), Elementwise("tanh", "h")])
    check_model(Network([Recurrent(cell, 2), Affine(3, 1, "y"), Flatten(2, 1)]), rng())


# -- a sampled policy ----------------------------------------------------------------------------------------


def episodes(policy: SampledPolicy) -> TaskBatch:
    return with_noise(TaskBatch(*(rng().standard_normal((3, 4, 2)) for _ in range(4))), rng(), policy.horizon)


@pytest.mark.parametrize("baseline", [None, leave_one_out_baseline])
@pytest.mark.parametrize("hessian", HESSIAN_ESTIMATORS)
def test_a_sampled_policy_is_checked_as_an_estimate(hessian, baseline):
    policy = SampledPolicy(MLP([2, 3, 2], "tanh"), 3, 0.4, 0.9, hessian=hessian, baseline=baseline, max_step=0.5)
    report = check_model(policy, rng(), batch=episodes(policy))
    assert "note: gradient and hvp are estimates" in report and "meta-gradient, 1 step" not in report


@pytest.mark.parametrize("hessian", HESSIAN_ESTIMATORS)
@pytest.mark.parametrize("fault", ["score", "network"])
def test_a_wrong_estimate_is_rejected(hessian, fault, monkeypatch):
    if fault == "score":
        right = HESSIAN_ESTIMATORS[hessian]
        monkeypatch.setitem(HESSIAN_ESTIMATORS, hessian, lambda c, C, b, q: right(c, C, b, q) + 0.01 * c)
    else:
        monkeypatch.setattr(Elementwise, "backward", lambda self, p, tape, D: (D, {}))
    policy = SampledPolicy(MLP([2, 3, 2], "tanh"), 3, 0.4, 0.9, hessian=hessian)
    with pytest.raises(ModelRejected) as caught:
        check_model(policy, rng(), batch=episodes(policy))
    assert {"score": "hvp", "network": "gradient"}[fault] in caught.value.failures


# -- linear models with one fault each ------------------------------------------------------------------------


@dataclass(frozen=True)
class Faulty(Linear):
    """A linear model whose surface is made by `surface(theta, x, y)`."""

    surface: object = None

    def at(self, theta, x, y):
        return self.surface(theta, x, y)


class Base(LinearSurface):
    """The right surface, which the others change."""

    def __init__(self, theta, x, y):
        if y.shape != (*x.shape[:-1], 1):
            raise ValueError("shapes")
        super().__init__(theta["w"], x, y)


class SumForMean(Base):
    def __init__(self, theta, x, y):
        super().__init__(theta, x, y)
        self.gradient = x.shape[1] * self.gradient


class Uphill(Base):
    def __init__(self, theta, x, y):
        super().__init__(theta, x, y)
        self.gradient = -self.gradient


class NoCurvature(Base):
    def hvp(self, v):
        return 0 * super().hvp(v)


class NotLinear(Base):
    def hvp(self, v):
        return super().hvp(v).map(lambda array: array + 1)


class NotSymmetric(Base):
    def hvp(self, v):
        return super().hvp(v).map(lambda array: array * np.arange(1.0, 4.0)[:, None])


class OneForAll(Base):
    """The gradient is that of the mean over tasks, for each task."""

    def __init__(self, theta, x, y):
        super().__init__(theta, x, y)
        self.gradient = self.gradient.map(lambda array: 0 * array + array.mean(0))


class NoTaskAxis(Base):
    def __init__(self, theta, x, y):
        super().__init__(theta, x, y)
        self.gradient = self.gradient.mean()


class Broadcasts(LinearSurface):
    def __init__(self, theta, x, y):
        super().__init__(theta["w"], x, y)


class Tampers(Base):
    def __init__(self, theta, x, y):
        super().__init__(theta, x, y)
        x *= 1.0000001


class AlwaysDouble(Base):
    def __init__(self, theta, x, y):
        super().__init__(theta, x, y)
        self.loss = self.loss + np.zeros(1)


class OtherNames(Base):
    def __init__(self, theta, x, y):
        super().__init__(theta, x, y)
        self.gradient = Parameters(W=self.gradient["w"])


class Breaks(Base):
    def hvp(self, v):
        raise ZeroDivisionError("on purpose")


class OneTimes(Base):
    def hvp(self, v):
        return (1 + 3e-7) * super().hvp(v)


class AlmostRight(Base):
    def hvp(self, v):
        return 1.001 * super().hvp(v)


@pytest.mark.parametrize(
    ("surface", "check", "message", "example"),
    [
        (SumForMean, "gradient", "2 times the right one for n = 2 examples: a factor 1/n is missing", "1 task of 2"),
        (Uphill, "gradient", "the sign is wrong", "1 task of 1"),
        (NoCurvature, "hvp", "it is zero, which makes every meta-gradient first-order", "1 task of 1"),
        (NotLinear, "hvp is linear", "hvp(2u - 3v) is not 2 hvp(u) - 3 hvp(v)", "1 task of 1"),
        (NotSymmetric, "hvp is symmetric", "u.Hv is not v.Hu", "1 task of 1"),
        (OneForAll, "gradient", "the gradient is not the derivative of the loss", "2 tasks of 3"),
        (OneForAll, "tasks do not mix", "the gradient of task 0 differs from its result alone", "2 tasks of 3"),
        (NoTaskAxis, "at: names and shapes", "w of the gradient has shape (3, 1), expected (1, 3, 1)", "1 task of 1"),
        (Broadcasts, "no broadcasting", "y of shape (1, 1, 1) was accepted with x of shape (1, 2, 3)", "1 task of 2"),
        (Tampers, "inputs are untouched", "x was changed: work on a copy", "1 task of 1"),
        (AlwaysDouble, "float32 stays float32", "from float32 the loss is returned as float64", "1 task of 1"),
        (OtherNames, "at: names and shapes", "the gradient holds ['W'], expected ['w']", "1 task of 1"),
        (Breaks, "at: names and shapes", "the model stops with ZeroDivisionError: on purpose", "1 task of 1"),
        (AlmostRight, "hvp", "a term of the second derivative is missing or wrong", "1 task of 1"),
    ],
)
def test_a_fault_is_reported_with_its_smallest_example(surface, check, message, example):
    with pytest.raises(ModelRejected) as caught:
        check_model(Faulty(3, surface), rng(), batch=linear_batch())
    assert message in caught.value.failures[check]
    assert f"smallest example: {example}, " in caught.value.failures[check]
    assert message in str(caught.value)


def test_one_is_no_factor():
    with pytest.raises(ModelRejected) as caught:
        check_model(Faulty(3, OneTimes), rng(), batch=linear_batch())
    assert "hvp" in caught.value.failures and "times the right one" not in str(caught.value)


def test_every_failure_is_reported_not_only_the_first():
    class Both(SumForMean, NotSymmetric):
        pass

    with pytest.raises(ModelRejected, match="of 16 checks failed") as caught:
        check_model(Faulty(3, Both), rng(), batch=linear_batch())
    assert {"gradient", "hvp is symmetric"} <= set(caught.value.failures)
    assert not {"hvp", "hvp is linear"} & set(caught.value.failures)


def test_of_a_wrong_gradient_neither_hvp_nor_a_meta_gradient_is_accused():
    """The product is right: it is the derivative of the right gradient."""
    with pytest.raises(ModelRejected, match="1 of 16 checks failed") as caught:
        check_model(Faulty(3, SumForMean), rng(), batch=linear_batch())
    assert set(caught.value.failures) == {"gradient"}
    assert re.search("hvp +not checked\n(.*\n)*meta-gradient, 1 step +not checked\n", str(caught.value))


def test_a_wrong_structure_is_one_sentence_and_nothing_else_is_checked():
    surface = lambda theta, x, y: LinearSurface(theta["W1"], x, y)
    with pytest.raises(ModelRejected, match="1 of 16 checks failed") as caught:
        check_model(Faulty(3, surface), rng(), batch=linear_batch())
    assert str(caught.value).count("W1") == 1 and "note" not in str(caught.value)


def test_failures_with_one_message_are_reported_together():
    def surface(theta, x, y):
        if theta["w"].ndim == 3 and len(theta["w"]) > 1:
            raise RuntimeError("one theta for all")
        return Base(theta, x, y)

    with pytest.raises(ModelRejected, match=r"tasks do not mix, and 6 others: .* RuntimeError: one theta for all") as caught:
        check_model(Faulty(3, surface), rng(), batch=linear_batch())
    assert str(caught.value).count("one theta for all") == 1


def test_an_outer_loop_that_leaves_out_the_curvature_is_reported(monkeypatch):
    always_first_order = lambda *problem, first_order=False, **options: meta_gradient(*problem, first_order=True, **options)
    monkeypatch.setattr("tinymaml.check.model_checks.meta_gradient", always_first_order)
    with pytest.raises(ModelRejected) as caught:
        check_model(MLP([2, 4, 1], activation="tanh"), rng())
    exact = {f"meta-gradient, {k} step{'s' * (k > 1)}" for k in (1, 2, 3)} | {"one rate per name", "one rate per entry"}
    assert set(caught.value.failures) == {"first-order", "fast weights", *exact}
    assert "is not the first-order one minus the curvature term" in caught.value.failures["first-order"]


# -- a wrong Hessian that symmetry cannot see ------------------------------------------------------------------


@dataclass(frozen=True)
class OwnNetwork:
    """A user's own network, without layers that the battery can see."""

    network: Network

    def init(self, rng):
        return self.network.init(rng)

    def at(self, theta, x, y):
        return self.network.at(theta, x, y)


def lost_curvature(activation: str) -> Network:
    return with_mistakes(MLP([2, 4, 1], activation=activation), ["s''"])


def test_an_hvp_without_s_second_is_rejected_though_it_is_linear_and_symmetric():
    model = OwnNetwork(lost_curvature("tanh"))
    with pytest.raises(ModelRejected) as caught:
        check_model(model, rng(), batch=random_batch(model.network, rng(), tasks=2, shots=3, queries=3))
    assert "hvp is not the derivative of the gradient along v: " in caught.value.failures["hvp"]
    assert "look at s'' in eq. 8" in caught.value.failures["hvp"]
    assert not {"gradient", "hvp is linear", "hvp is symmetric"} & set(caught.value.failures)


def test_the_wrong_rule_of_a_layer_is_named(monkeypatch):
    wrong = MISTAKES["s''"].rules[Elementwise]["R_backward"]
    right = Elementwise.R_backward
    monkeypatch.setattr(Elementwise, "R_backward", lambda self, *given: wrong(partial(right, self), self, *given))
    with pytest.raises(ModelRejected) as caught:
        check_model(MLP([2, 4, 1], activation="tanh"), rng())
    sentence = "along v: relative error 5.5e-02; R_backward is not the derivative of backward in layer 2, Elementwise\n"
    assert sentence in caught.value.failures["hvp"]


def test_without_curved_activations_there_is_no_such_term_to_lose():
    check_model(lost_curvature("relu"), rng())


# -- models that reject complex numbers -----------------------------------------------------------


class RealOnly(Base):
    def __init__(self, theta, x, y):
        if np.iscomplexobj(theta["w"]):
            raise TypeError("real numbers only")
        super().__init__(theta, x, y)


class TakesAbs(Base):
    """The same loss, but abs loses the imaginary part."""

    def __init__(self, theta, x, y):
        super().__init__(theta, x, y)
        self.loss = (np.abs(self.prediction - y) ** 2 / 2).mean((-2, -1))


class RealOnlyWrong(RealOnly, NotSymmetric):
    pass


@pytest.mark.parametrize(("surface", "note"), [(RealOnly, "real numbers only"), (TakesAbs, "complex theta")])
def test_differences_replace_the_complex_step_and_the_report_says_so(surface, note):
    report = check_model(Faulty(3, surface), rng(), batch=linear_batch())
    assert note in report.splitlines()[-1]
    assert report.endswith("checked by differences, to 1e-6")


def test_differences_find_a_wrong_hvp_too():
    with pytest.raises(ModelRejected, match="checked by differences") as caught:
        check_model(Faulty(3, RealOnlyWrong), rng(), batch=linear_batch())
    assert "hvp" in caught.value.failures
