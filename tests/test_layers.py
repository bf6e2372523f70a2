"""Layers alone and in chains: each rule is the derivative of another, and what does not fit together is refused."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import activations, quick, seeds

from tinymaml.check import relative_error
from tinymaml.check.ladder import LAYERS
from tinymaml.check.layer_checks import layer_errors
from tinymaml.layers import Affine, Chain, Elementwise
from tinymaml.network import Network


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
    once, twice = Affine(3, 3, "a"), Chain([Affine(3, 3, "a"), Affine(3, 3, "a")])
    assert twice.shapes == once.shapes
    p, a, D = twice.init(np.random.default_rng(0)), np.ones((1, 2, 3)), np.ones((1, 2, 3))
    _, tape = twice.forward(p, a)
    _, gradient = twice.backward(p, tape, D, False)
    upper = once.backward(p, tape.outputs[0], D)
    lower = once.backward(p, a, upper[0])
    np.testing.assert_allclose(gradient["Wa"], upper[1]["Wa"] + lower[1]["Wa"])


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
        ([], "a chain of no layers"),
        ([Affine(2, 3, 1), Affine(4, 1, 2)], r"layer 2 of the chain is Affine\(inputs=4, .*\) and gets rows of 3: make the two"),
        ([Affine(2, 3, 1), Elementwise("tanh"), Affine(4, 1, 2)], r"layer 3 of the chain is .* gets rows of 3"),
        ([Affine(2, 3, 1), Affine(3, 1, 1)], r"two layers have a parameter W1, \(2, 3\) and \(3, 1\): name one"),
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
        (lambda: Network([Affine(2, 1)], "hinge"), ValueError, "unknown loss 'hinge': choose one of squared_error, "),
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
