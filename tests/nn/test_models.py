"""Networks by name: what they print, that they pass the battery, and what cannot be."""

import pickle

import numpy as np
import pytest

from tinymaml import MLP, meta_gradient
from tinymaml.check import ModelRejected, check_model, relative_error
from tinymaml.check.problem import random_batch
from tinymaml.nn.chain import Chain
from tinymaml.nn.convolution import Flatten, Patches
from tinymaml.nn.layers import Affine, Elementwise
from tinymaml.nn.models import CNN, RNN
from tinymaml.nn.network import Network
from tinymaml.nn.normalisation import BatchNorm
from tinymaml.nn.recurrent import Recurrent

NETWORKS = {
    "MLP with batch norm": MLP([2, 3, 2], "tanh", norm="batch"),
    "MLP with layer norm": MLP([2, 4, 2], norm="layer"),
    "CNN": CNN(5, 2, 2, 3, norm="none"),
    "CNN with batch norm": CNN(5, 2, 1, 2, norm="batch"),
    "CNN with layer norm": CNN(4, 3, 1, 2, norm="layer", activation="softplus"),
    "RNN": RNN(1, 3, 2, 3),
    "norm in a chain": Network([Chain([Affine(2, 3), BatchNorm(3), Elementwise("tanh")]), Affine(3, 1, 2)]),
    "norm in a cell": Network([
        Recurrent(Chain([Affine(5, 3, "h"), BatchNorm(3), Elementwise("tanh")]), 3), Affine(3, 1, "y"),
        Flatten(3, 1)
    ]),
}  # fmt: skip
FEW = 3  # examples a task: one is too few for batch norm


def data(network, seed=0):
    rng = np.random.default_rng(seed)
    theta = network.init(rng).map(lambda array: array + 0.1 * rng.standard_normal(array.shape))
    return theta, random_batch(network, rng, tasks=3, shots=FEW, queries=FEW)


def test_the_paper_network_prints_as_a_table():
    assert repr(MLP([1, 40, 40, 1])).splitlines() == [
        "MLP  1 - 40 - 40 - 1  relu, squared_error",
        "layer  W        b       parameters",
        "1      1 x 40   1 x 40          80",
        "2      40 x 40  1 x 40       1,640",
        "3      40 x 1   1 x 1           41",
        "total                        1,761",
    ]


@pytest.mark.parametrize(
    ("widths", "options", "error", "sentence"),
    [
        ([3], {}, ValueError, r"widths are \(3,\), expected inputs and outputs at least"),
        ([], {}, ValueError, r"widths are \(\), expected inputs and outputs at least"),
        ([1, 0, 1], {}, ValueError, "width 1 is 0, expected at least 1"),
        ([1, -4, 1], {}, ValueError, "width 1 is -4, expected at least 1"),
        ([1, 2.5, 1], {}, TypeError, "width 1 is 2.5, expected a whole number"),
        ([1, True, 1], {}, TypeError, "width 1 is True, expected a whole number"),
        ([1, 2, 1], {"activation": "swish"}, ValueError,
         "unknown activation 'swish': choose one of relu, tanh, "),
        ([1, 2, 1], {"loss": "hinge"}, ValueError,
         "unknown loss 'hinge': choose one of squared_error, cross_entropy"),
    ],
)
def test_networks_that_cannot_be(widths, options, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        MLP(widths, **options)


def test_the_width_is_checked_when_a_network_is_put_together():
    with pytest.raises(TypeError, match="width 0 is '1', expected a whole number"):
        MLP("1-40-1")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_passes_the_battery(name):
    theta, batch = data(NETWORKS[name])
    check_model(NETWORKS[name], np.random.default_rng(0), theta=theta, batch=batch)


@pytest.mark.parametrize(
    ("name", "layer", "wrong"),
    [
        ("CNN", Patches, lambda self, p, v, shape, Rshape, D, RD: (0.9 * self.backward(p, shape, RD)[0], {})),
        ("RNN", Recurrent, lambda self, p, v, tape, Rtape, D, RD: (None, self.backward(p, tape, RD)[1])),
        ("MLP with batch norm", BatchNorm, lambda self, p, v, tape, Rtape, D, RD: self.backward(p, tape, RD)),
    ],
)
def test_a_line_left_out_is_found(name, layer, wrong, monkeypatch):
    """The second derivative of each kind of layer, with one of its terms lost."""
    theta, batch = data(NETWORKS[name])
    monkeypatch.setattr(layer, "R_backward", wrong)
    with pytest.raises(ModelRejected) as caught:
        check_model(NETWORKS[name], np.random.default_rng(0), theta=theta, batch=batch)
    assert "hvp" in caught.value.failures


@pytest.mark.parametrize("name", NETWORKS)
def test_float32_stays_float32_and_numbers_are_what_they_are_in_float64(name):
    theta, batch = data(NETWORKS[name])
    metas = []
    for dtype in (np.float32, np.float64):
        cast = type(batch)(*(getattr(batch, field).astype("f").astype(dtype) for field in
                             ("x_support", "y_support", "x_query", "y_query")))  # fmt: skip
        metas.append(
            meta_gradient(NETWORKS[name], theta.astype("f").astype(dtype), cast, inner_lr=0.05, steps=2)
        )
    assert metas[0].gradient.dtype == metas[0].loss.dtype == np.float32
    assert relative_error(metas[0].gradient, metas[1].gradient) < 1e-3


@pytest.mark.parametrize("name", NETWORKS)
def test_factored_and_formed_weights_agree(name):
    """Of the head, whose rows are examples, and of kernels, whose rows are positions."""
    theta, batch = data(NETWORKS[name])
    starts, inner = (
        (NETWORKS[name].fast_weights(theta), theta),
        {"inner_lr": 0.05, "steps": 2, "fast_weights": False},
    )
    both = [meta_gradient(NETWORKS[name], start, batch, **inner) for start in starts]
    assert relative_error(both[0].gradient, both[1].gradient) < 1e-12
    assert relative_error(both[0].curvature, both[1].curvature) < 1e-12


def test_a_matrix_is_factored_where_its_factors_are_smaller():
    network = CNN(4, 8, 2, 5, norm="none")  # sides 4, 2, 1: four rows an example for W1, then one
    theta = network.init(np.random.default_rng(0))
    kept = lambda examples: {
        name for name, array in network.fast_weights(theta, examples).items() if array is not theta[name]
    }
    assert kept(1) == {"W1", "W2", "W3"}
    assert kept(2) == {"W2", "W3"}
    assert kept(5) == {"W2"}
    assert kept(20) == set()


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_can_be_pickled(name):
    network = NETWORKS[name]
    theta, batch = data(network)
    here = network.at(theta, batch.x_support, batch.y_support)
    here.hvp(theta)
    assert pickle.loads(pickle.dumps(network)) == network
    assert relative_error(pickle.loads(pickle.dumps(here)).gradient, here.gradient) == 0


def test_a_cnn_prints_as_a_table():
    assert repr(CNN(28, 32, 4, 5)).splitlines() == [
        "CNN  28 x 28, 4 blocks of 32 filters  relu, batch norm, cross_entropy",
        "layer  W         b       gamma   beta    parameters",
        "1      9 x 32    1 x 32  1 x 32  1 x 32         384",
        "2      288 x 32  1 x 32  1 x 32  1 x 32       9,312",
        "3      288 x 32  1 x 32  1 x 32  1 x 32       9,312",
        "4      288 x 32  1 x 32  1 x 32  1 x 32       9,312",
        "5      128 x 5   1 x 5                          645",
        "total                                        28,965",
    ]


def test_an_rnn_prints_as_a_table():
    assert repr(RNN(1, 20, 1, steps=12)).splitlines()[:3] == [
        "RNN  1 - 20 - 1, 12 steps  tanh, squared_error",
        "layer  W        b       parameters",
        "h      21 x 20  1 x 20         440",
    ]


def test_how_many_examples_a_norm_needs():
    assert MLP([2, 3, 1]).min_examples == MLP([2, 3, 1], norm="layer").min_examples == 1
    assert MLP([2, 3, 1], norm="batch").min_examples == 2
    assert CNN(8, 4, 3, 5).min_examples == 2  # the last of three blocks has one position
    norm = [Affine(2, 3), BatchNorm(3), Elementwise("tanh")]
    assert Network([Chain([Chain(norm)]), Affine(3, 1, 2)]).min_examples == 2  # wherever it is
    assert (
        Network(
            [Recurrent(Chain([Affine(5, 3), BatchNorm(3)]), 4), Affine(3, 1, 2), Flatten(4, 1)]
        ).min_examples
        == 2
    )


def test_what_the_last_layer_is_given():
    network = NETWORKS["CNN"]
    theta, batch = data(network)
    features = network.features(theta, batch.x_query)
    assert features.shape == (3, FEW, 2 * 2 * 2)
    head = Affine(8, 3, 3)
    np.testing.assert_allclose(head.forward(theta, features)[0], network.predict(theta, batch.x_query))


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: CNN(28, 4, 6, 5), ValueError,
         "block 6 gets images of side 1, which cannot be halved: side 28 allows 5 blocks"),
        (lambda: CNN((28, 28), 4, 2, 5), TypeError, r"side is \(28, 28\), expected a whole number"),
        (lambda: CNN(28, 0, 2, 5), ValueError, "filters is 0, expected at least 1"),
        (lambda: CNN(28, 4, 0, 5), ValueError, "blocks is 0, expected at least 1"),
        (lambda: CNN(28, 4, 2, 1), ValueError, "ways is 1, expected at least 2"),
        (lambda: CNN(28, 4, 2, 5, norm="group"), ValueError,
         "unknown norm 'group': choose one of none, batch, layer"),
        (lambda: CNN(28, 4, 2, 5, activation="swish"), ValueError,
         "unknown activation 'swish': choose one of"),
        (lambda: MLP([1, 2, 1], norm=None), ValueError,
         "unknown norm None: choose one of none, batch, layer"),
        (lambda: MLP([2, 1], "swish"), ValueError, "unknown activation 'swish': choose one of"),
        (lambda: MLP([2, 1], norm="group"), ValueError, "unknown norm 'group': choose one of"),
        (lambda: MLP([2, 1, 1], norm="layer"), ValueError, "width is 1, expected at least 2"),
        (lambda: RNN(1, 3, 1, 0), ValueError, "steps is 0, expected at least 1"),
        (lambda: RNN(1, 2.5, 1, 4), TypeError, "hidden is 2.5, expected a whole number"),
    ],
)
def test_layers_that_cannot_be(make, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        make()


ragged = np.empty(2, object)
ragged[:] = [np.ones(3), np.ones(2)]


@pytest.mark.parametrize(
    ("name", "x", "error", "sentence"),
    [
        # 4 x 5 pixels
        ("CNN", np.ones((3, 20)), ValueError,
         r"x has shape \(3, 20\), expected \(n, 25\) or \(tasks, n, 25\)"),
        ("CNN", np.ones((3, 5, 5)), ValueError, r"x has shape \(3, 5, 5\), expected \(n, 25\) or "),
        ("RNN", np.ones((3, 2)), ValueError, r"x has shape \(3, 2\), expected \(n, 3\) or "),
        ("RNN", [[1.0, 2.0, 3.0], [1.0, 2.0]], TypeError, "x is a list, expected a NumPy array"),
        ("RNN", ragged, TypeError, "x has dtype object, expected float64 or float32"),
        ("RNN", [[1.0, 2.0, 3.0]], TypeError, "x is a list, expected a NumPy array"),
        ("RNN", np.array([[1.0, None, 3.0]]), TypeError, "x has dtype object, expected float64 or float32"),
    ],
)
def test_data_that_does_not_fit(name, x, error, sentence):
    network = NETWORKS[name]
    theta, _ = data(network)
    with pytest.raises(error, match=f"^{sentence}"):
        network.at(theta, x, np.ones((len(x), network.outputs)))
    with pytest.raises(error, match=f"^{sentence}"):
        network.predict(theta, x)


def test_one_row_under_batch_norm():
    network = NETWORKS["MLP with batch norm"]
    theta, batch = data(network)
    with pytest.raises(
        ValueError, match=r"^batch norm got a single row of a task, expected two or more: give more"
    ):
        meta_gradient(network, theta, type(batch)(*(array[:, :1] for array in (
            batch.x_support, batch.y_support, batch.x_query, batch.y_query))), inner_lr=0.1)  # fmt: skip
