"""The checks of lesson 02: what is fed to them, and what they say."""

import numpy as np
import pytest
from answering import accepted, refused

from tinymaml.nn.losses import softmax

slope = lambda z: 1 - np.tanh(z) ** 2
back = lambda D, W, z: D @ W.T * slope(z)
dW = lambda a, D: a.T @ D
db = lambda a, D: D.sum(0, keepdims=True)
p = softmax
single = lambda array: array.astype(np.float32)


def difference_in_place(z, y):
    z -= y
    return 2 * z / len(z)


def tanh_in_place(D, W, z):
    np.tanh(z, out=z)
    return D @ W.T * (1 - z**2)


def sum_in_place(a, D):
    gradient = a.T @ D
    D[0] += D[1:].sum(0)
    return gradient, D[:1]


def shift_in_place(z, y):
    z -= z.max(1, keepdims=True)
    return (p(z) - y) / len(z)


def returns_too_early(z, y):
    D = np.zeros_like(z)
    for i in range(len(z)):
        D[i] = 2 * (z[i] - y[i]) / len(z)
        return D


def into_whole_numbers(z, y):
    D = np.zeros(z.shape, dtype=int)
    D[:] = 2 * (z - y) / len(z)
    return D


FED = {
    "2.1": [
        (lambda z, y: 2 * (z - y), "a factor 1/n is missing"),
        (lambda z, y: (z - y) / len(z), "a factor 2 is missing"),
        (lambda z, y: z - y, "the mean over the examples (eq. 2); and a factor 2 is missing"),
        (lambda z, y: 2 * (y - z) / len(z), "the sign is wrong"),
        (lambda z, y: 2 * (z - y) / z.size, "divided by the number of outputs: eq. 9 sums"),
        (lambda z, y: 2 * (z - y) / z.shape[1], "divided by the number of outputs d, where the number of examples n belongs"),
        (lambda z, y: 2 * (z - y) / len(z) ** 2, "divided by n twice"),
        (lambda z, y: 2 * z / len(z), "the target is missing"),
        (lambda z, y: 2 * z - y / len(z), "put the difference in parentheses"),
        (lambda z, y: 2 * (z - y) ** 2 / len(z), "the square is not differentiated"),
        (lambda z, y: 2 * (np.tanh(z) - y) / len(z), "an activation is applied to z"),
        (lambda z, y: 2 * (z - y) / len(z) * slope(z), "s' is there"),
        (lambda z, y: (2 * (z - y) / len(z)).sum(1), "has shape (5,), expected (5, 3): it is summed over the outputs"),
        (lambda z, y: ((z - y) ** 2).sum(1).mean(), "has shape (), expected (5, 3): this is the loss"),
        (lambda z, y: (2 * (z - y) / len(z)).T, "it is transposed"),
        (lambda z, y: (2 * (z - y) / len(z))[None], "an axis is too many: remove it"),
        (lambda z, y: (2 * (z - y) / len(z),), "the answer is a tuple of 1, expected an array"),
        (lambda z, y: (2 * (z - y) / len(z)).tolist(), "the answer is a list of 5, expected an array"),
        (lambda z, y: y.copy(), "this is y, as it was given"),
        (lambda z, y: 2 * (z - y) / len(z) if z.shape[1] > 1 else 2 * (z - y), "a factor 1/n is missing"),
        (lambda z, y: 2 * (z - (y.T if len(z) == z.shape[1] else y)) / len(z), "y is transposed"),
        (lambda z, y: single(2 * (z - y) / len(z)), "a precision is lost"),
        (lambda z, y: 2.0 * (single(z) - y) / len(z), "about 8 digits are right"),
        (difference_in_place, "it changes its argument z in place"),
        (returns_too_early, "only the first example has its numbers"),
        (into_whole_numbers, "the answer holds whole numbers, int64, where floats are expected"),
    ],
    "2.2": [
        (lambda D, W, z: D @ W.T, "s' is missing in eq. 4"),
        (lambda D, W, z: D @ W * slope(z), "W is not transposed in eq. 4"),
        (lambda D, W, z: D @ W, "W is not transposed in eq. 4; and s' is missing in eq. 4"),
        (lambda D, W, z: D * slope(z), "the product with W^T is missing"),
        (lambda D, W, z: D @ W.T * (1 - z**2), "tanh is missing in s'"),
        (lambda D, W, z: D @ W.T * (1 - np.tanh(z)), "you have 1 - tanh(z)"),
        (lambda D, W, z: D @ W.T * (1 + np.tanh(z) ** 2), "you have 1 + tanh(z)^2"),
        (lambda D, W, z: D @ W.T * np.tanh(z), "s stands where s' belongs"),
        (lambda D, W, z: D @ W.T * slope(np.tanh(z)), "s' is taken at a, not at z"),
        (lambda D, W, z: D @ W.T * slope(D @ W.T), "s' is taken at D W^T"),
        (lambda D, W, z: D @ W.T * slope(z) ** 2, "s' is there twice"),
        (lambda D, W, z: D @ W.T * (z > 0), "the slope of a ReLU"),
        (lambda D, W, z: D @ W.T * 1 - np.tanh(z) ** 2, "s' needs its own parentheses"),
        (lambda D, W, z: D @ W.T + slope(z), "s' is added"),
        (lambda D, W, z: (D * slope(z)) @ W.T, "s' comes after W^T, not before"),
        (lambda D, W, z: -back(D, W, z), "the sign is wrong: eq. 4 has no minus"),
        (lambda D, W, z: D @ W.T * (np.tanh(z) ** 2 - 1), "the sign is wrong: eq. 4 has no minus"),
        (lambda D, W, z: back(D, W, z) / len(z), "divided by n twice"),
        (lambda D, W, z: D @ W.T * slope(z).mean(0), "s' is averaged over the examples"),
        (lambda D, W, z: back(D, W, z).mean(0), "has shape (3,), expected (5, 3): the examples are summed or averaged"),
        (lambda D, W, z: D @ (W.T if W.shape[0] == W.shape[1] else W) * slope(z), "It was given D (5, 2), W (3, 2), z (5, 3)"),
        (lambda D, W, z: 1 * D, "this is D, as it was given"),
        (lambda D, W, z: back(*map(single, (D, W, z))), "a precision is lost"),
        (tanh_in_place, "it changes its argument z in place"),
    ],
    "2.3": [
        (lambda a, D: (D.T @ a, db(a, D)), "it is transposed"),
        (lambda a, D: (dW(a, D) / len(a), db(a, D)), "dW[3] is wrong: you took the mean over the examples"),
        (lambda a, D: (dW(a, D), D.mean(0, keepdims=True)), "db[3] is wrong: you took the mean over the examples"),
        (lambda a, D: (len(a) * dW(a, D), db(a, D)), "it is multiplied by n"),
        (lambda a, D: (-dW(a, D), db(a, D)), "the sign is wrong"),
        (lambda a, D: (np.einsum("ij,ik->ijk", a, D), db(a, D)), "the right numbers appear when it is summed over axis 0"),
        (lambda a, D: (np.outer(a.sum(0), D.sum(0)), db(a, D)), "both are summed over the examples first"),
        (lambda a, D: (dW(a[:1], D[:1]), db(a, D)), "only the first example is counted"),
        (lambda a, D: (dW(slope(np.arctanh(a)), D), db(a, D)), "s' is there: it belongs to eq. 4"),
        (lambda a, D: (dW(np.tanh(a), D), db(a, D)), "an activation is applied to a"),
        (lambda a, D: (a, db(a, D)), "this is a itself"),
        (lambda a, D: (dW(a, D), D.sum(0)), "the numbers are right, keep the axis"),
        (lambda a, D: (dW(a, D), D.mean(0)), "axis 0 is missing: keep it, keepdims=True; and you took the mean"),
        (lambda a, D: (dW(a, D), D.sum(1, keepdims=True)), "it is summed over the units (axis 1)"),
        (lambda a, D: (dW(a, D), D.sum(1)), "it is summed over the units (axis 1)"),
        (lambda a, D: (dW(a, D), D.sum()), "it is summed over examples and units"),
        (lambda a, D: (dW(a, D), D.sum(keepdims=True)), "it is summed over examples and units"),
        (lambda a, D: (dW(a, D), D), "the right numbers appear when it is summed over axis 0"),
        (lambda a, D: (dW(a, D), D[-1:]), "only the last example is counted"),
        (lambda a, D: (dW(a, D), db(a, a)), "it is a sum of a"),
        (lambda a, D: (dW(a, D), dW(a, D).sum(0, keepdims=True)), "the sum of the rows of dW"),
        (lambda a, D: (dW(a, D), np.ones((1, D.shape[1]))), "it is ones"),
        (lambda a, D: (db(a, D), dW(a, D)), "return dW, db in this order"),
        (lambda a, D: (dW(a, D),), "it is 1 thing, expected 2 things"),
        (dW, "it is one array of shape (3, 4), expected 2 things: end with `return dW, db`"),
        (lambda a, D: (dW(a, D), (db(a, D),)), "the answer is a tuple of 1"),
        (lambda a, D: (dW(a, D), single(db(a, D))), "a precision is lost"),
        (sum_in_place, "it changes its argument D in place"),
    ],
    "2.4": [
        (lambda z, y: (z - y) / len(z), "the softmax is missing"),
        (lambda z, y: p(z) - y, "a factor 1/n is missing"),
        (lambda z, y: (y - p(z)) / len(z), "the sign is wrong"),
        (lambda z, y: p(z) / len(z), "the target is missing"),
        (lambda z, y: (p(z.T).T - y) / len(z), "the softmax goes over the wrong axis"),
        (lambda z, y: (np.exp(z) / np.exp(z).sum() - y) / len(z), "over all numbers at once"),
        (lambda z, y: (np.exp(z) - y) / len(z), "this is no softmax yet"),
        (lambda z, y: (1 / (1 + np.exp(-z)) - y) / len(z), "each number has its own logistic function"),
        (lambda z, y: (p(p(z)) - y) / len(z), "the softmax is taken twice"),
        (lambda z, y: (np.exp(z) / (np.exp(z).sum(1, keepdims=True) + 1e-8) - y) / len(z), "a small number is added to the sum"),
        (lambda z, y: (p(z - z.max(0)) - y) / len(z), "each column is shifted"),
        (lambda z, y: (np.log(p(z)) - y) / len(z), "the logarithm does not belong here"),
        (lambda z, y: p(z) - y / len(z), "put the difference in parentheses"),
        (lambda z, y: -y / p(z) / len(z), "one more factor, dp/dz"),
        (lambda z, y: y * (p(z) - 1) / len(z), "only the logit of the right class"),
        (lambda z, y: (p(z) - y) * p(z) * (1 - p(z)) / len(z), "the squared error of p"),
        (lambda z, y: 2 * (p(z) - y) / len(z), "a factor 2 is too many"),
        (lambda z, y: (p(z) - y) / z.size, "divided by the number of classes too"),
        (lambda z, y: -(y * np.log(p(z))).sum(1), "it is the loss of every example"),
        (lambda z, y: (p(z) - y).mean(0), "has shape (3,), expected (7, 3): it is summed over the examples"),
        (lambda z, y: np.full_like(z, np.inf), "it holds NaN or infinite numbers"),
        (lambda z, y: single((p(z) - y) / len(z)), "a precision is lost"),
        (shift_in_place, "it changes its argument z in place"),
    ],
}
CASES = [(number, i) for number, fed in FED.items() for i in range(len(fed))]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("number,i", CASES)
def test_a_mistake_is_named(number, i, seed):
    answer, words = FED[number][i]
    refused(number, answer, words, seed=seed)


@pytest.mark.parametrize("number,answer", [
    ("2.1", lambda z, y: np.array([[2 * (z[i, k] - y[i, k]) / len(z) for k in range(z.shape[1])] for i in range(len(z))])),
    ("2.1", lambda z, y: -(y - z) * 2.0 / y.shape[0]),
    ("2.2", lambda D, W, z: np.einsum("ik,jk,ij->ij", D, W, np.cosh(z) ** -2.0)),
    ("2.2", lambda D, W, z: (W @ D.T).T * (1 - np.tanh(z)) * (1 + np.tanh(z))),
    ("2.3", lambda a, D: [sum(np.outer(a[i], D[i]) for i in range(len(a))), np.ones((1, len(D))) @ D]),
    ("2.3", lambda a, D: ((a[:, :, None] * D[:, None]).sum(0), np.einsum("ik->k", D)[None])),
    ("2.4", lambda z, y: (np.exp(z) / np.exp(z).sum(1, keepdims=True) - y) / len(z)),
    ("2.4", lambda z, y: (np.exp(z - np.log(np.exp(z).sum(1))[:, None]) - y) / len(y)),
])  # fmt: skip
def test_a_right_answer_may_be_written_in_another_way(number, answer):
    accepted(number, answer)
