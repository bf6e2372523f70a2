"""Derivations of convolutions, norms and recurrences: what the library gives is right, and every known mistake is named."""

from functools import cache

import numpy as np
import pytest

from tinymaml.check import Derivation, WrongAnswer, mistakes, relative_error
from tinymaml.check.layer_mistakes import IN_IMAGES, IN_TIME
from tinymaml.check.norm_mistakes import IN_NORMS
from tinymaml.check.problem import random_batch
from tinymaml.nn.convolution import Flat
from tinymaml.nn.layers import Affine, Chain
from tinymaml.nn.models import CNN, MLP, RNN
from tinymaml.nn.network import Network
from tinymaml.nn.normalisation import BatchNorm
from tinymaml.nn.recurrent import Recurrent

NETWORKS = {
    "cnn": CNN(5, 2, 2, 2, norm="none", activation="tanh"),  # sides 5, 3, 2
    "cnn with batch norm": CNN(4, 2, 1, 2, norm="batch", activation="tanh"),
    "mlp with batch norm": MLP([2, 3, 2], "tanh", norm="batch"),
    "mlp with layer norm": MLP([2, 3, 2], "tanh", norm="layer"),
    "rnn": RNN(1, 2, 2, 3),
    "a norm first": Network([BatchNorm(2), Affine(2, 2, 1)]),
}  # fmt: skip


@cache
def derivation_of(name: str) -> Derivation:
    network, rng = NETWORKS[name], np.random.default_rng(1)
    theta = network.init(rng).map(lambda array: array + 0.3 * rng.standard_normal(array.shape))
    v = theta.map(lambda array: rng.standard_normal(array.shape))
    batch = random_batch(network, rng, tasks=1, shots=4, queries=2)
    return Derivation(network, theta, batch.x_support[0], batch.y_support[0], v=v)


@cache
def value(network: str, name: str, key: str = "") -> object:
    """A quantity as the library has it, or as it is with a mistake."""
    d = derivation_of(network)
    return mistakes.quantity(name, mistakes.with_mistakes(d.model, [key] * bool(key)), d.theta, d.x, d.y, d.v)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_intermediate_can_be_derived_by_its_name(network):
    d = derivation_of(network)
    here = d.model.at(d.theta, d.x, d.y)
    quantities = {**here.quantities, **here.along(d.v).quantities}
    assert set(d.names) == {"loss", "gradient", "hvp", *quantities}
    for name in d.names:
        assert d.check(name, quantities[name] if name in quantities else value(network, name)).endswith("right")


CASES = [
    *((network, key) for network in ("mlp with batch norm", "mlp with layer norm") for key in IN_NORMS),
    *(("cnn", key) for key in IN_IMAGES),
    *(("rnn", key) for key in IN_TIME),
]


@pytest.mark.parametrize(("network", "key"), CASES)
def test_every_mistake_changes_numbers_and_gets_its_own_name(network, key):
    d = derivation_of(network)
    changed = [name for name in d.names if relative_error(value(network, name, key), value(network, name)) > 1e-3]
    assert changed
    name = changed[0] if network == "mlp with layer norm" else changed[-1]
    with pytest.raises(WrongAnswer) as caught:
        d.check(name, value(network, name, key))
    assert mistakes.MISTAKES[key].sentence in caught.value.diagnosis


@pytest.mark.parametrize(
    ("network", "name", "sentence"),
    [
        ("mlp with batch norm", "D[1]", "the derivative of mean and sd is missing in Dz"),
        ("rnn", "dW[h]", "the gradient is that of the last step"),
    ],
)
def test_what_a_student_forgets(network, name, sentence):
    d = derivation_of(network)
    here = d.model.at(d.theta, d.x, d.y)
    if network == "rnn":
        last = here.tape.kept[0].kept[-1]
        a, h = np.concatenate([d.x[:, -1:], here.tape.kept[0].kept[-2].outputs[-1]], axis=1), last.outputs[-1]
        answer = a.T @ (here.quantities["dh[h]"].reshape(4, 3, 2)[:, -1] * (1 - h * h))
    else:
        c = here.z[1] - here.z[1].mean(0)
        answer = here.quantities["dg[1]"] * d.theta["gamma1"] / np.sqrt((c * c).mean(0) + 1e-5)
    with pytest.raises(WrongAnswer, match=sentence):
        d.check(name, answer)


def test_a_part_that_is_zero_but_for_rounding_is_right():
    """The bias under a batch norm moves nothing; its part of H v is rounding, of the size of the others' rounding."""
    network, rng = MLP([2, 3, 2], "tanh", norm="batch"), np.random.default_rng(0)
    theta, x, y = network.init(rng), rng.standard_normal((4, 2)), rng.standard_normal((4, 2))
    v = theta.map(lambda array: 1e6 * rng.standard_normal(array.shape))
    Derivation(network, theta, x, y, v=v).check("Rdb[1]", network.at(theta, x, y).along(v).Rdb[1])


def test_a_mistake_that_a_layer_refuses_is_passed_over():
    """A state that one example hands to the next is walked one example at a time, of which a batch norm has no variance."""
    cell = Chain([Affine(1 + 2, 2, "h"), BatchNorm(2, "h")])
    network, rng = Network([Recurrent(cell, 2), Affine(2, 1, "y"), Flat(2, 1)]), np.random.default_rng(0)
    theta, x, y = network.init(rng), rng.standard_normal((3, 2)), rng.standard_normal((3, 2))
    with pytest.raises(WrongAnswer, match="wrong"):
        Derivation(network, theta, x, y).check("dW[y]", 7 + theta["Wy"])


def test_a_mistake_is_made_in_the_cell_of_a_recurrence_too():
    assert relative_error(value("rnn", "h[h]", "b"), value("rnn", "h[h]")) > 1e-3


def test_only_mistakes_that_can_be_made_in_a_network_are_thought_of():
    keys = {name: set(mistakes.applicable(network)) for name, network in NETWORKS.items()}
    assert not keys["rnn"] & {*IN_NORMS, "overlap", "softmax"}
    assert keys["rnn"] > {*IN_TIME, "flat", "b", "s'"}
    assert not set(mistakes.applicable(MLP([1, 2, 1]))) & {*IN_NORMS, *IN_IMAGES, *IN_TIME}
