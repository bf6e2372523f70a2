"""The exercises of lesson 12: products with an adapted matrix that is never formed, and attention that learns gradient descent."""

from __future__ import annotations

import numpy as np

from exercises.exercise import Exercise

normal = lambda rng, *shape: rng.standard_normal(shape)


def memory(rng: np.random.Generator, tasks: int, d: int, e: int, steps: int, inner: int) -> tuple:
    """Rows of `inner` numbers, a matrix (d, e), and the support rows a_k, D_k of some inner steps, for T tasks."""
    a, D = ([normal(rng, tasks, 4, width) for _ in range(steps)] for width in (d, e))
    return normal(rng, tasks, 3, inner), normal(rng, d, e), a, D, 0.3 if steps > 1 else 0.1


FORWARD = Exercise(
    """def adapted_product(x, W, a, D, alpha):
    product = x @ W
    for a_k, D_k in zip(a, D):
        product = product - alpha * (x @ a_k.swapaxes(-1, -2)) @ D_k  # (T, m, n) @ (T, n, e)
    return product
""",
    lambda rng: [memory(rng, 3, 5, 2, 1, 5), memory(rng, 2, 4, 4, 3, 4), memory(rng, 3, 3, 4, 2, 3)],
    ("product",),
    (
        ("product - alpha", "product + alpha", "the sign is wrong: W' is W minus alpha times the gradient"),
        ("- alpha * (", "- (", "alpha is missing: a step is alpha times the gradient"),
        ("product = x @ W", "product = 0 * (x @ W)", "x W is missing: the shared matrix counts too"),
        ("zip(a, D)", "zip(a[:1], D[:1])", "only the first step is there: eq. 14 adds up all of them"),
        ("zip(a, D)", "zip(a[-1:], D[-1:])", "only the last step is there: eq. 14 adds up all of them"),
        ("alpha * (x", "alpha / a_k.shape[-2] * (x", "it is divided by n: the mean over the examples is in D already (eq. 2)"),
        ("(x @ a_k.swapaxes(-1, -2)) @ D_k", "(lambda e: e / e.sum(-1, keepdims=True))(np.exp(x @ a_k.swapaxes(-1, -2))) @ D_k", "a softmax is applied to the products x a^T: eq. 14 has none"),
        ("alpha * (x @ a_k.swapaxes(-1, -2)) @ D_k", "alpha * x @ (a_k.swapaxes(-1, -2) @ D_k).mean(0)", "the gradient is averaged over the tasks: each task has its own W'"),
        ("alpha * (x @ a_k.swapaxes(-1, -2)) @ D_k", "alpha * x @ (a_k.swapaxes(-1, -2) @ D_k).sum(0)", "the gradients of all tasks are added up: each task has its own W'"),
        ("(x @ a_k.swapaxes(-1, -2))", "(x @ a_k[0].T)", "the keys of the first task are used for all: each task has its own"),
        ("@ D_k", "@ D_k[0]", "the values of the first task are used for all: each task has its own"),
        ("zip(a, D)", "zip(a, D[::-1])", "keys and values of different steps are paired: a_k goes with D_k"),
    ),
    alone=(
        ("return product", "return W - alpha * sum(a_k.swapaxes(-1, -2) @ D_k for a_k, D_k in zip(a, D))", "this is W' itself: it is not to be formed, and x W' was asked for"),
    ),
)  # fmt: skip

BACKWARD = Exercise(
    """def back_product(G, W, a, D, alpha):
    product = G @ W.T
    for a_k, D_k in zip(a, D):
        product = product - alpha * (G @ D_k.swapaxes(-1, -2)) @ a_k  # (T, m, n) @ (T, n, d)
    return product
""",
    lambda rng: [memory(rng, 3, 5, 2, 1, 2), memory(rng, 2, 4, 4, 3, 4), memory(rng, 3, 3, 4, 2, 4)],
    ("product",),
    (
        ("product - alpha", "product + alpha", "the sign is wrong: W' is W minus alpha times the gradient"),
        ("- alpha * (", "- (", "alpha is missing: a step is alpha times the gradient"),
        ("product = G @ W.T", "product = 0 * (G @ W.T)", "G W^T is missing: the shared matrix counts too"),
        ("zip(a, D)", "zip(a[:1], D[:1])", "only the first step is there: eq. 14 adds up all of them"),
        ("zip(a, D)", "zip(a[-1:], D[-1:])", "only the last step is there: eq. 14 adds up all of them"),
        ("alpha * (G", "alpha / a_k.shape[-2] * (G", "it is divided by n: the mean over the examples is in D already (eq. 2)"),
        ("(G @ D_k.swapaxes(-1, -2)) @ a_k", "G @ (a_k.swapaxes(-1, -2) @ D_k).swapaxes(-1, -2).mean(0)", "the gradient is averaged over the tasks: each task has its own W'"),
        ("(G @ D_k.swapaxes(-1, -2))", "(G @ D_k[0].T)", "the values of the first task are used for all: each task has its own"),
        ("@ a_k ", "@ a_k[0] ", "the keys of the first task are used for all: each task has its own"),
        ("G @ W.T", "G @ W if W.shape[0] == W.shape[1] else G @ W.T", "W is not transposed"),
    ),
    alone=(
        ("for a_k, D_k in zip(a, D)", "for a_k, D_k in (zip(D, a) if W.shape[0] == W.shape[1] else zip(a, D))", "keys and values are exchanged: (G D^T) a, since W'^T = W^T - alpha D^T a"),
    ),
)  # fmt: skip

BEST_RATE = Exercise(
    """def best_rate(d, N):
    trace = 1 / 3                                                   # E tr S, divided by d
    square = (1 / 5 + (d - 1) / 9) / N + (1 - 1 / N) / 9              # E tr S^2, divided by d
    rate = trace / square
    return rate, d / 3 * (1 - 2 * rate * trace + rate**2 * square)
""",
    lambda rng: [(10, 10), (3, 20), (int(rng.integers(4, 9)), int(rng.integers(2, 7))), (1, 5)],
    ("rate", "loss"),
    (
        ("1 / 5 + (d - 1) / 9", "d / 9", "the fourth power of a coordinate has the mean 1/5: it is not 1/9"),
        ("1 / 5 + (d - 1) / 9", "1 / 5 + d / 9", "a term 1/9 is there N times too often: |x|^4 has d - 1 other coordinates, and there are N (N - 1) pairs of different examples"),
        ("1 / 5 + (d - 1) / 9", "1 / 5", "the other coordinates are missing: x_1^2 |x|^2 has d terms"),
        (" + (1 - 1 / N) / 9", "", "pairs of different examples are missing in E tr S^2"),
        ("(1 - 1 / N) / 9", "(1 - 1 / N) * d / 9", "a pair of different examples gives 1/9 for each coordinate: E x x^T is the identity / 3"),
        (") / N + ", ") + ", "the pairs of an example with itself are N of N^2: a factor 1/N is missing"),
        ("trace = 1 / 3 ", "trace = 1 / 2 ", "the mean of a squared coordinate is 1/3, for x uniform in [-1, 1]"),
        ("rate = trace / square", "rate = 2 * trace / square", "the rate is twice the best: at that rate the loss is back where it began"),
        ("rate = trace / square", "rate = trace / square / 2", "the rate is half of the best: set the derivative of the loss to zero"),
        ("rate = trace / square", "rate = 1 / trace", "this is the best rate for very many examples, 3: with N of them S varies"),
        ("return rate, d / 3", "return rate, d", "the loss lacks the factor 1/3, the mean of a squared coordinate of the query"),
        ("return rate, d / 3", "return rate, 1 / 3", "the loss lacks the factor d: it adds up the errors of all coordinates"),
        ("d / 3 * (1", "d / 6 * (1", "the loss has a factor 1/2: the squared error here has none"),
        ("(1 - 2 * rate * trace + rate**2 * square)", "(1 - rate * trace + rate**2 * square)", "a factor 2 is missing: (I - rate S)^2 has -2 rate S"),
        ("(1 - 2 * rate * trace + rate**2 * square)", "(1 - rate * trace)**2", "E tr S^2 is not (E tr S)^2 / d: S varies from task to task"),
    ),
    tolerance=1e-9,
)  # fmt: skip


def contexts(rng: np.random.Generator, tasks: int, N: int, d: int) -> tuple:
    """A matrix M, and for some tasks N tokens (x, y), the token of a query, and its y."""
    tokens, query = normal(rng, tasks, N, d + 1), normal(rng, tasks, d + 1)
    query[:, -1] = 0
    return 0.5 * normal(rng, d + 1, d + 1), tokens, query, normal(rng, tasks)


ATTENTION = Exercise(
    """def attention_gradient(M, tokens, query, y):
    T, N = tokens.shape[:2]
    g = (tokens[:, :, -1:] * tokens).sum(1) / N            # (T, d + 1)
    predicted = ((g @ M) * query).sum(-1)                  # (T,)
    error = predicted - y
    return (error**2).mean(), 2 / T * (error[:, None] * g).T @ query
""",
    lambda rng: [contexts(rng, *how) for how in ((4, 3, 2), (5, 6, 3), (3, 4, 1))],
    ("loss", "dM"),
    (
        (".sum(1) / N", ".sum(1)", "the sum over the tokens is not divided by N"),
        ("tokens[:, :, -1:] * tokens", "tokens", "the values are missing: every token is weighted with its own y"),
        ("2 / T", "1 / T", "a factor 2 is missing: the error is squared"),
        ("2 / T * ", "2 * ", "the mean over the tasks is missing in dM: divide by T"),
        ("error = predicted - y", "error = y - predicted", "the sign is wrong: the error is the prediction minus y"),
        ("(error[:, None] * g).T @ query", "((error[:, None] * g).T @ query).T", "dM is transposed: M stands between g on its left and the query on its right"),
        ("(error[:, None] * g).T @ query", "g.T @ query", "the error is missing in dM"),
        ("(error[:, None] * g).T @ query", "((error**2)[:, None] * g).T @ query", "the error is squared in dM: differentiate the square"),
        ("(error**2).mean()", "(error**2).sum()", "the loss is the sum over the tasks: take the mean"),
        ("(error**2).mean()", "(error**2).mean() / 2", "the loss has a factor 1/2: it has none here"),
        ("(error**2).mean()", "error.mean()", "the error is not squared in the loss"),
        ("((g @ M) * query)", "((g @ M.T) * query)", "M is transposed in the prediction: the key stands on its left, the query on its right"),
        ("* g).T @ query", "* g).mean(0)[:, None] * query.mean(0)", "means over the tasks are multiplied: the product of each task is averaged"),
        ("return (error**2).mean(), 2 / T * (error[:, None] * g).T @ query", "return 2 / T * (error[:, None] * g).T @ query, (error**2).mean()", "the two are exchanged: the loss comes first"),
    ),
    tolerance=1e-9,
)  # fmt: skip

CHECKS = {"12.1": FORWARD, "12.2": BACKWARD, "12.3": BEST_RATE, "12.4": ATTENTION}
adapted_product, best_rate, attention_gradient = FORWARD.solve, BEST_RATE.solve, ATTENTION.solve  # the lesson goes on with them
