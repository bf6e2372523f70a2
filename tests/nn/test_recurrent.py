"""A recurrence is its cell, step by step: against one unrolled by hand, and against a chain in which the cell
stands often.
"""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import activations, few, seeds

from tinymaml.check import check_model, relative_error
from tinymaml.check.layer_checks import layer_errors
from tinymaml.nn.chain import Chain
from tinymaml.nn.convolution import Flatten
from tinymaml.nn.layers import Affine, Elementwise
from tinymaml.nn.network import Network
from tinymaml.nn.recurrent import Recurrent

TWO = Chain([Affine(1 + 2, 3, "in"), Elementwise("tanh", "in"), Affine(3, 2, "out")])


def cell(width: int, hidden: int, activation: str = "tanh") -> Chain:
    return Chain([Affine(width + hidden, hidden, "h"), Elementwise(activation, "h")])


@few
@given(seeds, st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), activations)
def test_the_rules_of_recurrences_of_any_size(seed, width, hidden, steps, activation):
    layer = Recurrent(cell(width, hidden, activation), steps)
    assert max(layer_errors(layer, np.random.default_rng(seed), width=layer.inputs).values()) < 1e-12


def test_it_is_a_loop_over_the_steps():
    layer, rng = Recurrent(cell(2, 3), 4), np.random.default_rng(0)
    p, x = layer.init(rng), rng.standard_normal((2, 5, 4 * 2))
    h, by_hand = np.zeros((2, 5, 3)), []
    for t in range(4):
        h = np.tanh(np.concatenate([x[..., 2 * t:2 * t + 2], h], axis=-1) @ p["Wh"] + p["bh"])
        by_hand.append(h)
    mine = layer.forward(p, x)[0]
    assert mine.shape == (2, 5 * 4, 3)
    for example in range(5):
        for t in range(4):
            np.testing.assert_allclose(mine[:, 4 * example + t], by_hand[t][:, example])


class Feed:
    """[x, h] from h, for a chain that is a recurrence unrolled: x is put in, and nothing flows into it."""

    inputs, outputs = 3, 5

    def __init__(self, x):
        self.x = x

    def forward(self, p, h):
        return np.concatenate([self.x, h], axis=-1), None

    def backward(self, p, tape, D):
        return D[..., self.x.shape[-1]:], {}

    def R_forward(self, p, v, tape, Rh):
        return np.concatenate([0 * self.x, Rh], axis=-1), None

    def R_backward(self, p, v, tape, Rtape, D, RD):
        return RD[..., self.x.shape[-1]:], {}


def test_it_is_a_chain_in_which_the_cell_stands_once_a_step():
    """Loss on the last h alone: D and RD of all other steps are zero."""
    layer, rng = Recurrent(cell(2, 3), 4), np.random.default_rng(0)
    p, v, x = layer.init(rng), layer.init(rng), rng.standard_normal((2, 5, 4 * 2))
    chain = Chain([part for t in range(4) for part in (Feed(x[..., 2 * t:2 * t + 2]), layer.cell)])
    D, RD = rng.standard_normal((2, 2, 5, 3))
    above = lambda D: np.stack([*[0 * D] * 3, D], axis=-2).reshape(2, 20, 3)
    answers = []
    for each, a, over, Rover in ((layer, x, above(D), above(RD)), (chain, np.zeros((2, 5, 3)), D, RD)):
        out, tape = each.forward(p, a)
        _, gradient = each.backward(p, tape, over, True)
        Rout, Rtape = each.R_forward(p, v, tape, 0 * a)
        _, Rgradient = each.R_backward(p, v, tape, Rtape, over, Rover)
        last = slice(None) if each is chain else slice(3, None, 4)
        answers.append([out[:, last], Rout[:, last], *(gradient[n] for n in p), *(Rgradient[n] for n in p)])
    for mine, unrolled in zip(*answers, strict=True):
        assert relative_error(mine, unrolled) < 1e-14


def test_examples_do_not_see_each_other_and_nothing_is_left_over():
    layer, rng = Recurrent(cell(1, 3), 4), np.random.default_rng(0)
    p, x = layer.init(rng), rng.standard_normal((5, 4))
    together = layer.forward(p, x)[0].reshape(5, 4, 3)
    for example in (4, 0, 2):
        np.testing.assert_allclose(layer.forward(p, x[example:example + 1])[0], together[example])


def test_the_future_does_not_reach_back():
    layer, rng = Recurrent(cell(1, 3), 4), np.random.default_rng(0)
    p, x = layer.init(rng), rng.standard_normal((1, 4))
    other = x + np.array([0, 0, 1, 1])
    np.testing.assert_array_equal(layer.forward(p, x)[0][:2], layer.forward(p, other)[0][:2])
    assert (layer.forward(p, x)[0][2:] != layer.forward(p, other)[0][2:]).any()


def test_a_cell_of_two_affine_layers():
    network = Network([Recurrent(TWO, 3), Affine(2, 1, "y"), Flatten(3, 1)])
    check_model(network, np.random.default_rng(0))
    assert repr(network).splitlines() == [
        "Network",
        "layer  Win    bin    Wout   bout   W      b      parameters",
        "h      3 x 3  1 x 3  3 x 2  1 x 2                        20",
        "y                                  2 x 1  1 x 1           3",
        "total                                                    23",
    ]


def test_a_cell_of_one_layer():
    """A linear recurrence; and a layer that stands twice in the cell is one."""
    check_model(
        Network([Recurrent(Affine(1 + 2, 2, "h"), 3), Affine(2, 1, "y"), Flatten(3, 1)]),
        np.random.default_rng(0),
    )
    twice = Recurrent(Chain([same := Affine(2, 2, "a"), same, Affine(2, 1, "b")]), 2)
    assert twice.names == {"Wa": "Wa", "ba": "ba", "Wb": "Wb", "bb": "bb"}


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: Recurrent(Affine(3, 3), 2), ValueError,
         r"the cell has 3 inputs and 3 outputs, expected inputs \[x, h\]"),
        (lambda: Recurrent(Chain([Elementwise("tanh")]), 2), ValueError,
         "the cell has None inputs and None outputs"),
        (lambda: Recurrent(cell(1, 2), 0), ValueError, "steps is 0, expected at least 1"),
        (lambda: Recurrent(cell(1, 2), 2.5), TypeError, "steps is 2.5, expected a whole number"),
        (lambda: Chain([Recurrent(cell(1, 2), 3), Affine(3, 1)]), ValueError,
         "layer 2 of the chain is .* gets rows of width 2"),
    ],
)
def test_what_cannot_be(make, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        make()


def test_it_can_be_pickled():
    layer = Recurrent(TWO, 3)
    _ = layer.width, layer.inputs
    assert pickle.loads(pickle.dumps(layer)) == layer
