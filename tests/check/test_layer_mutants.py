"""Derivations of convolutions, norms and recurrences: the library is right, and every mutant of its rules is rejected."""

from functools import cache

import numpy as np
import pytest
from check.mutants.layers import IN_IMAGES, IN_TIME
from check.mutants.norms import IN_NORMS

from tinymaml.check import Derivation, WrongAnswer, relative_error
from tinymaml.check.mistakes import MISTAKES, mutated, quantity
from tinymaml.check.problem import random_batch
from tinymaml.nn.layers import Affine
from tinymaml.nn.models import CNN, MLP, RNN
from tinymaml.nn.network import Network
from tinymaml.nn.normalisation import BatchNorm

NETWORKS = {
    "cnn": CNN(5, 2, 2, 2, norm="none", activation="tanh"),  # sides 5, 3, 2
    "cnn with batch norm": CNN(4, 2, 1, 2, norm="batch", activation="tanh"),
    "mlp with batch norm": MLP([2, 3, 2], "tanh", norm="batch"),
    "mlp with layer norm": MLP([2, 3, 2], "tanh", norm="layer"),
    "rnn": RNN(1, 2, 2, 3),
    "a norm first": Network([BatchNorm(2), Affine(2, 2, 1)]),
}  # fmt: skip
MUTANTS = {**MISTAKES, **IN_NORMS, **IN_IMAGES, **IN_TIME}


@cache
def derivation_of(name: str) -> Derivation:
    network, rng = NETWORKS[name], np.random.default_rng(1)
    theta = network.init(rng).map(lambda array: array + 0.3 * rng.standard_normal(array.shape))
    v = theta.map(lambda array: rng.standard_normal(array.shape))
    batch = random_batch(network, rng, tasks=1, shots=4, queries=2)
    return Derivation(network, theta, batch.x_support[0], batch.y_support[0], v=v)


@cache
def value(network: str, name: str, key: str = "") -> object:
    """A quantity as the library has it, or with the rules of a mutant."""
    d = derivation_of(network)
    return quantity(name, mutated(d.model, MUTANTS[key]) if key else d.model, d.theta, d.x, d.y, d.v)


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
def test_every_mutant_changes_a_quantity_and_is_rejected(network, key):
    d = derivation_of(network)
    changed = [name for name in d.names if relative_error(value(network, name, key), value(network, name)) > 1e-3]
    assert changed
    for name in (changed[0], changed[-1]):
        with pytest.raises(WrongAnswer):
            d.check(name, value(network, name, key))


def test_a_part_that_is_zero_but_for_rounding_is_right():
    """The bias under a batch norm moves nothing; its part of H v is rounding, of the size of the others' rounding."""
    network, rng = MLP([2, 3, 2], "tanh", norm="batch"), np.random.default_rng(0)
    theta, x, y = network.init(rng), rng.standard_normal((4, 2)), rng.standard_normal((4, 2))
    v = theta.map(lambda array: 1e6 * rng.standard_normal(array.shape))
    Derivation(network, theta, x, y, v=v).check("Rdb[1]", network.at(theta, x, y).along(v).Rdb[1])


def test_a_mistake_is_made_in_the_cell_of_a_recurrence_too():
    assert relative_error(value("rnn", "h[h]", "b"), value("rnn", "h[h]")) > 1e-3
