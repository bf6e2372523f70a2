"""Patches and flattening: convolutions as they are defined, sums where patches overlap, and what does not fit
is refused.
"""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import few, seeds

from tinymaml.check import relative_error
from tinymaml.check.layer_checks import layer_errors
from tinymaml.nn.chain import Chain
from tinymaml.nn.convolution import Flatten, Patches
from tinymaml.nn.layers import Affine
from tinymaml.nn.network import Network

sizes = st.tuples(
    st.integers(2, 7), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2)
).filter(lambda s: s[2] <= s[0] + 2 * s[4])  # side, channels, size, stride, padding


def convolution(images: np.ndarray, kernels: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """By definition: images (n, side, side, channels), kernels (size, size, channels, filters), pixel by
    pixel.
    """
    side, size = images.shape[1], kernels.shape[0]
    across = (side + 2 * padding - size) // stride + 1
    out = np.zeros((len(images), across, across, kernels.shape[-1]))
    for y in range(across):
        for x in range(across):
            for i in range(size):
                for j in range(size):
                    row, column = stride * y + i - padding, stride * x + j - padding
                    if 0 <= row < side and 0 <= column < side:
                        out[:, y, x] += images[:, row, column] @ kernels[i, j]
    return out


@few
@given(seeds, sizes)
def test_patches_and_an_affine_layer_are_a_convolution(seed, sizes):
    side, channels, size, stride, padding = sizes
    rng = np.random.default_rng(seed)
    patches = Patches(side, channels, size, stride, padding)
    kernels, images = (
        rng.standard_normal((size, size, channels, 2)),
        rng.standard_normal((2, 3, side, side, channels)),
    )
    layer = Chain([patches, Affine(patches.outputs, 2, 1), Flatten(patches.positions, 2)])
    p = {"W1": kernels.reshape(-1, 2), "b1": np.zeros((1, 2))}
    mine = layer.forward(p, images.reshape(2, 3, -1))[0]
    for task in range(2):
        truth = convolution(images[task], kernels, stride, padding)
        assert relative_error(mine[task], truth.reshape(3, -1)) < 1e-14


@few
@given(seeds, sizes)
def test_the_rules_of_patches_of_any_size(seed, sizes):
    side, channels, *rest = sizes
    layer = Patches(side, channels, *rest)
    assert max(layer_errors(layer, np.random.default_rng(seed), width=layer.inputs).values()) < 1e-12


@few
@given(seeds, st.integers(1, 4), st.integers(1, 4))
def test_the_rules_of_a_flattening(seed, rows, inputs):
    errors = layer_errors(Flatten(rows, inputs), np.random.default_rng(seed), width=inputs, rows=2 * rows)
    assert max(errors.values()) < 1e-12


def test_a_pixel_gets_D_from_every_patch_that_it_is_in():
    """With D = 1 everywhere: in how many patches of 3 x 3, one at each pixel, a pixel of 3 x 3 lies."""
    patches = Patches(3, 1, stride=1)
    image, tape = patches.forward({}, np.ones((1, 9)))
    counts = patches.backward({}, tape, np.ones_like(image))[0].reshape(3, 3)
    np.testing.assert_array_equal(counts, [[4, 6, 4], [6, 9, 6], [4, 6, 4]])


def test_as_they_are_patches_halve_the_side_rounded_up():
    assert [Patches(side, 1).output_side for side in (28, 14, 7, 4, 3, 2)] == [14, 7, 4, 2, 2, 1]


def test_they_keep_the_task_axis_the_precision_and_what_they_are_given():
    patches, a = Patches(4, 2), np.random.default_rng(0).standard_normal((2, 3, 32)).astype("f")
    before = a.copy()
    out, tape = patches.forward({}, a)
    below, _ = patches.backward({}, tape, out)
    assert out.shape == (2, 3 * 4, 18)
    assert below.shape == a.shape
    assert out.dtype == below.dtype == np.float32
    np.testing.assert_array_equal(a, before)
    np.testing.assert_array_equal(patches.forward({}, a[1])[0], out[1])


def test_a_flattening_lays_positions_side_by_side_all_channels_of_each():
    rows = np.arange(12.0).reshape(1, 6, 2)
    np.testing.assert_array_equal(Flatten(3, 2).forward({}, rows)[0], np.arange(12.0).reshape(1, 2, 6))


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: Patches(2, 1, size=5), ValueError,
         "a patch of size 5 does not fit an image of side 2 with padding 1: use "),
        (lambda: Patches(0, 1), ValueError, "side is 0, expected at least 1"),
        (lambda: Patches(4, 1, stride=0), ValueError, "stride is 0, expected at least 1"),
        (lambda: Patches(4, 1, padding=-1), ValueError, "padding is -1, expected at least 0"),
        (lambda: Patches(4, 1.5), TypeError, "channels is 1.5, expected a whole number"),
        (lambda: Flatten(0, 2), ValueError, "rows is 0, expected at least 1"),
        (lambda: Flatten(3, 2).forward({}, np.ones((1, 4, 2))), ValueError,
         r"Flatten\(rows=3, inputs=2\) gets 4 rows per task, "),
    ],
)
def test_what_cannot_be(make, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        make()


@pytest.mark.parametrize("last", [[], [Flatten(3, 2)]])
def test_a_network_makes_one_row_of_each_example(last):
    network = Network([Patches(4, 1), Affine(9, 2, 1), *last])
    theta = network.init(np.random.default_rng(0))
    with pytest.raises(
        ValueError, match=r"the network's output has (12|4) rows for 3 examples, expected one row per"
    ):
        network.at(theta, np.ones((3, 16)), np.ones((3, network.outputs)))


def test_they_can_be_pickled():
    patches = Patches(4, 2)
    _ = patches.outputs
    assert pickle.loads(pickle.dumps([patches, Flatten(4, 2)])) == [patches, Flatten(4, 2)]
