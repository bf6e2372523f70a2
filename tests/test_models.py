"""Networks by name: what they print, how they start, and what cannot be."""

import pytest

from tinymaml import MLP


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
        ([1, 2, 1], {"activation": "swish"}, ValueError, "unknown activation 'swish': choose one of relu, tanh, "),
        ([1, 2, 1], {"loss": "hinge"}, ValueError, "unknown loss 'hinge': choose one of squared_error, cross_entropy"),
    ],
)
def test_networks_that_cannot_be(widths, options, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        MLP(widths, **options)


def test_the_width_is_checked_when_a_network_is_put_together():
    with pytest.raises(TypeError, match="widths is '1-40-1', expected inputs, hidden layers and outputs"):
        MLP("1-40-1")
