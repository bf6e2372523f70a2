"""Layers alone and in chains: each rule is the derivative of another, and what does not fit together is
refused.
"""

import pickle
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import activations, quick, seeds

from tinymaml.check import Derivation, relative_error
from tinymaml.check.ladder import LAYERS
from tinymaml.check.layer_checks import layer_errors
from tinymaml.check.problem import random_batch
from tinymaml.nn.chain import Chain
from tinymaml.nn.convolution import FixedLinear
from tinymaml.nn.layers import Affine, Elementwise
from tinymaml.nn.models import MLP
from tinymaml.nn.network import Network
from tinymaml.nn.normalisation import BatchNorm, LayerNorm
from tinymaml.nn.recurrent import Recurrent


@pytest.mark.parametrize("name", LAYERS)
def test_the_rules_of_every_layer(name):
    layer, width = LAYERS[name]
    for seed in range(10):
        assert max(layer_errors(layer, np.random.default_rng(seed), width=width).values()) < 1e-12


@quick
@given(seeds, st.lists(st.integers(1, 4), min_size=2, max_size=4), activations, st.integers(1, 4))
def test_a_chain_of_chains_is_a_chain(seed, widths, activation, cut):
    layers = []
    for l in range(1, len(widths)):
        layers += [Affine(widths[l - 1], widths[l], l), Elementwise(activation, l)]
    cut = min(cut, len(layers) - 1)
    straight, nested = Chain(layers), Chain([Chain(layers[:cut]), Chain(layers[cut:])])
    assert straight.shapes == nested.shapes
    rng = np.random.default_rng(seed)
    assert max(layer_errors(nested, rng, width=widths[0]).values()) < 1e-11
    p, v = straight.init(rng), straight.init(rng)
    a = rng.standard_normal((2, 3, widths[0]))
    answers = []
    for chain in (straight, nested):
        out, tape = chain.forward(p, a)
        below, gradient = chain.backward(p, tape, out, False)
        Rout, Rtape = chain.R_forward(p, v, tape, None)
        Rbelow, Rgradient = chain.R_backward(p, v, tape, Rtape, out, Rout)
        assert below is None and Rbelow is None  # nothing flows below the first layer that learns
        answers.append([out, Rout, *(gradient[name] for name in p), *(Rgradient[name] for name in p)])
    for one, other in zip(*answers, strict=True):
        assert relative_error(one, other) < 1e-14


def test_gradients_of_a_layer_that_stands_twice_are_added():
    once = Affine(3, 3, "a")
    twice = Chain([once, once])
    assert twice.shapes == once.shapes
    p, a, D = twice.init(np.random.default_rng(0)), np.ones((1, 2, 3)), np.ones((1, 2, 3))
    _, tape = twice.forward(p, a)
    _, gradient = twice.backward(p, tape, D, False)
    upper = once.backward(p, tape.outputs[0], D)
    lower = once.backward(p, a, upper[0])
    np.testing.assert_allclose(gradient["Wa"], upper[1]["Wa"] + lower[1]["Wa"])


def test_layers_without_a_name_are_numbered_as_in_the_text():
    """As `MLP` names them, so that the two networks are one; and what is named stays."""
    mlp = MLP([2, 3, 3, 1], "tanh", norm="layer")
    unnamed = [replace(layer, name="") for layer in mlp.layers]
    assert unnamed[0] == Affine(2, 3) and unnamed[1] == LayerNorm(3) and unnamed[2] == Elementwise("tanh")
    for named in range(len(unnamed) + 1):  # some named, some not
        assert Chain([*unnamed[:named], *mlp.layers[named:]]) == mlp.body
    assert Affine(2, 3).shapes == {"W": (2, 3), "b": (1, 3)}  # alone
    theta, x, y = mlp.init(np.random.default_rng(0)), np.ones((4, 2)), np.ones((4, 1))
    assert Network(unnamed).at(theta, x, y).quantities.keys() == mlp.at(theta, x, y).quantities.keys()
    cell = Chain([Affine(3, 2, "h"), Elementwise("tanh")])
    assert cell.layers[1].name == "h"


@dataclass(frozen=True)
class Scale(FixedLinear):
    """A layer of a user's own, whose parameter has one name for ever."""

    shapes: ClassVar = {"k": (1, 3)}

    def init(self, rng):
        return {"k": np.ones((1, 3))}

    def forward(self, p, a):
        return a * p["k"], a

    def backward(self, p, a, D, needs_input_grad=True):
        return D * p["k"], {"k": (a * D).sum(-2, keepdims=True)}


@pytest.mark.parametrize(
    ("layers", "name"),
    [
        ([Affine(3, 3, 1), Elementwise("tanh"), Affine(3, 3, 1)], "W1"),
        ([Affine(3, 3), Elementwise("tanh", 2), Affine(3, 3, 1)], "W1"),
        ([Scale(), Affine(3, 3), Scale()], "k"),
        ([Chain([Affine(3, 3)]), Chain([Affine(3, 3)])], "W1"),
        ([Affine(3, 3), Chain([Elementwise("tanh", 2), Chain([Affine(3, 3)])])], "W1"),
        ([Recurrent(Affine(5, 2), 3), Affine(2, 1)], "W1"),
        ([BatchNorm(3), LayerNorm(3)], "gamma0"),
        ([Affine(3, 3), Elementwise("tanh"), Elementwise("relu")], r"a\[1\]"),
    ],
)
def test_two_layers_of_one_name_are_refused(layers, name):
    with pytest.raises(
        ValueError, match=f"^two layers have the name {name}: name one differently, or put the same layer in"
    ):
        Chain(layers)


def test_quantities_of_layers_without_names_and_in_chains_are_found_by_name():
    rng = np.random.default_rng(0)
    inner = Chain([Elementwise("tanh"), Affine(3, 3, 2), LayerNorm(3, 2)])
    network = Network(
        [Affine(2, 3), BatchNorm(3), Elementwise("softplus"), inner, Elementwise("tanh", 2), Affine(3, 1, 3)]
    )
    theta, v, batch = (
        network.init(rng),
        network.init(rng),
        random_batch(network, rng, tasks=1, shots=4, queries=1),
    )
    x, y = batch.x_support[0], batch.y_support[0]
    here, derivation = network.at(theta, x, y), Derivation(network, theta, x, y, v=v)
    for name, mine in {**here.quantities, **here.along(v).quantities}.items():
        derivation.check(name, mine)


def test_one_layer_put_in_twice_is_shared():
    for layer in (Affine(3, 3), Affine(3, 3, "a"), Scale(), Chain([Affine(3, 3)])):
        assert Chain([layer, Elementwise("tanh", 9), layer]).shapes == Chain([layer]).shapes
    same = Elementwise("tanh")  # it has nothing to share, and stands at two depths
    assert Chain([Affine(3, 3), same, Affine(3, 3), same]) == Chain([*MLP([3, 3, 3, 1], "tanh").layers[:4]])
    named = Affine(3, 3, "a")
    nested = Chain([named, Chain([Elementwise("tanh"), named])])
    assert pickle.loads(pickle.dumps(nested)).shapes == nested.shapes == named.shapes


def test_forgotten_names_tie_no_weights():
    forgetful, named = Network([Affine(3, 3), Elementwise("tanh"), Affine(3, 3)]), MLP([3, 3, 3], "tanh")
    assert forgetful.init(np.random.default_rng(0)).size == 2 * 12
    assert forgetful.shapes == named.shapes


def test_below_the_first_layer_that_learns_nothing_is_computed():
    class Untouchable(Elementwise):
        def backward(self, *given):
            raise AssertionError("nothing below learns")

        R_forward = R_backward = backward

    network = Network([Untouchable("tanh"), Affine(2, 3, 1), Elementwise("tanh", 1), Affine(3, 1, 2)])
    theta = network.init(np.random.default_rng(0))
    here = network.at(theta, np.ones((2, 4, 2)), np.ones((2, 4, 1)))
    assert here.hvp(theta).keys() == here.gradient.keys() == network.shapes.keys()


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ([], "a chain has no layers"),
        ([Affine(2, 3, 1), Affine(4, 1, 2)],
         r"layer 2 of the chain is Affine\(inputs=4, .*\) and gets rows of width 3: make"),
        ([Affine(2, 3, 1), Elementwise("tanh"), Affine(4, 1, 2)],
         r"layer 3 of the chain is .* gets rows of width 3"),
        ([Affine(2, 3, 1), Affine(3, 1, 1)],
         "two layers have the name W1: name one differently, or put the same layer in twice"),
    ],
)
def test_chains_that_cannot_be(layers, sentence):
    with pytest.raises(ValueError, match=sentence):
        Chain(layers)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: Affine(0, 3), ValueError, "inputs is 0, expected at least 1"),
        (lambda: Affine(2, 2.5), TypeError, "outputs is 2.5, expected a whole number"),
        (lambda: Elementwise("swish"), ValueError, "unknown activation 'swish': choose one of relu, "),
        (lambda: Network([Elementwise("tanh")]), ValueError, "no layer of the network has `inputs`"),
        (lambda: Network([Affine(2, 1)], "hinge"), ValueError,
         "unknown loss 'hinge': choose one of squared_error, "),
    ],
)
def test_layers_and_networks_that_cannot_be(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()


def test_a_network_can_be_pickled():
    network = Network([Affine(2, 3, 1), Elementwise("tanh", 1), Affine(3, 1, 2)])
    theta = network.init(np.random.default_rng(0))
    network.at(theta, np.ones((4, 2)), np.ones((4, 1))).hvp(theta)
    assert pickle.loads(pickle.dumps(network)) == network
