"""The checks of lesson 02: each known mistake gets its own diagnosis."""

import numpy as np
import pytest
from answering import refused

from tinymaml.losses import softmax

db = lambda D: D.sum(0, keepdims=True)
WRONG = {
    "2.1": [
        (lambda z, y: 2 * (z - y), "a factor 1/n is missing"),
        (lambda z, y: 2 * (y - z) / len(z), "the sign is turned"),
        (lambda z, y: (z - y) / len(z), "a factor 2 is missing"),
        (lambda z, y: 2 * (z - y) / z.size, "divided by the number of outputs"),
        (lambda z, y: 2 * (z - y) / len(z) ** 2, "divided by n twice"),
        (lambda z, y: 2 * (z - y) / z.shape[1], "a factor 1/n is missing"),
        (lambda z, y: z - y, "the mean over the examples (eq. 2); and a factor 2 is missing"),
        (lambda z, y: 2 * z / len(z), "the target is missing"),
        (lambda z, y: (2 * (z - y) / len(z)).sum(1), "has shape (5,), expected (5, 3)"),
        (lambda z, y: (2 * (z - y) / len(z)).T, "it is transposed"),
        (lambda z, y: ((z - y) ** 2).sum(1).mean(), "has shape (), expected (5, 3)"),
    ],
    "2.2": [
        (lambda D, W, z: D @ W.T, "s' is missing in eq. 4"),
        (lambda D, W, z: D @ W * (1 - np.tanh(z) ** 2), "W is not transposed in eq. 4"),
        (lambda D, W, z: D @ W, "W is not transposed in eq. 4; and s' is missing in eq. 4"),
        (lambda D, W, z: D @ W.T * (1 - z**2), "it is 1 - tanh(z)^2, not 1 - z^2"),
        (lambda D, W, z: D @ W.T * np.tanh(z), "s stands where s' belongs"),
        (lambda D, W, z: D @ W.T * (1 - np.tanh(np.tanh(z)) ** 2), "s' is taken at a, not at z"),
        (lambda D, W, z: (D * (1 - np.tanh(z) ** 2)) @ W.T, "s' comes after W^T, not before"),
        (lambda D, W, z: -D @ W.T * (1 - np.tanh(z) ** 2), "the sign is turned"),
        (lambda D, W, z: D @ W.T * (1 - np.tanh(z) ** 2) / len(z), "divided by n twice"),
    ],
    "2.3": [
        (lambda a, D: (D.T @ a, db(D)), "it is transposed"),
        (lambda a, D: (a.T @ D / len(a), db(D)), "dW is the sum over the examples, not the mean"),
        (lambda a, D: (a.T @ D, D.mean(0, keepdims=True)), "db is the sum over the examples, not the mean"),
        (lambda a, D: (a.T @ D, D.sum(0)), "the numbers are right, keep the axis"),
        (lambda a, D: (a.T @ D, D.sum(1, keepdims=True)), "summed over the units (axis 1)"),
        (lambda a, D: (a.T @ D, D.sum(1)), "summed over the units (axis 1)"),
        (lambda a, D: (a.T @ D, D.sum()), "summed over examples and units"),
        (lambda a, D: (a.T @ D, D.sum(keepdims=True)), "summed over examples and units"),
        (lambda a, D: (a.T @ D, D), "the right numbers appear when it is summed over axis 0"),
        (lambda a, D: (np.einsum("ij,ik->ijk", a, D), db(D)), "one matrix for each example"),
        (lambda a, D: (-a.T @ D, db(D)), "the sign is turned"),
        (lambda a, D: (db(D), a.T @ D), "has shape (1, 2), expected (3, 2)"),
        (lambda a, D: a.T @ D, "it is one array of shape (3, 2), expected 2 things: end with `return dW, db`"),
    ],
    "2.4": [
        (lambda z, y: (z - y) / len(z), "the softmax is missing"),
        (lambda z, y: softmax(z) - y, "a factor 1/n is missing"),
        (lambda z, y: (y - softmax(z)) / len(z), "the sign is turned"),
        (lambda z, y: softmax(z) / len(z), "the target is missing"),
        (lambda z, y: (softmax(z.T).T - y) / len(z), "the softmax goes over the wrong axis"),
        (lambda z, y: -y / softmax(z) / len(z), "one more factor, dp/dz"),
        (lambda z, y: 2 * (softmax(z) - y) / len(z), "a factor 2 is too many"),
        (lambda z, y: (np.log(softmax(z)) - y) / len(z), "the logarithm does not belong here"),
        (lambda z, y: (np.exp(z) / np.exp(z).sum() - y) / len(z), "over all numbers at once"),
        (lambda z, y: np.full_like(z, np.inf), "it holds NaN or infinite numbers"),
    ],
}
CASES = [(number, i) for number, wrong in WRONG.items() for i in range(len(wrong))]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("number,i", CASES)
def test_every_known_mistake_is_named(number, i, seed):
    answer, diagnosis = WRONG[number][i]
    assert diagnosis in refused(number, answer, seed=seed)


def test_mistakes_that_only_one_layer_or_one_width_shows():
    assert "W not transposed" not in refused("2.2", lambda D, W, z: (D @ W.T)[:, :3])  # names s', its first mistake
    one_output = lambda z, y: 2 * (z - y) / len(z) if z.shape[1] > 1 else 2 * (z - y)
    assert "a factor 1/n is missing" in refused("2.1", one_output)
    square_only = lambda D, W, z: (D @ (W.T if W.shape[0] == W.shape[1] else W)) * (1 - np.tanh(z) ** 2)
    assert "It was given D (5, 2), W (3, 2), z (5, 3)" in refused("2.2", square_only)


