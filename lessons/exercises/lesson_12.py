"""The exercises of lesson 12: an adapted matrix as attention, eqs. 14 and 15, and attention that takes a step of gradient descent."""

from __future__ import annotations

import numpy as np

from exercises.exercise import Exercise


def after_case(rng: np.random.Generator, m: int, n: int, d: int, out: int, inner_lr: float, steps: int) -> tuple:
    """Queries, a matrix, a support set, and an inner loop."""
    normal = lambda *shape: rng.standard_normal(shape)
    return normal(m, d), normal(d, out), normal(n, d), normal(n, out), inner_lr, steps


AFTER_STEPS = Exercise(
    """def after_steps(x, W, a, y, inner_lr, steps):
    z, D = a @ W, []
    for k in range(steps):
        D.append(2 / len(a) * (z - y))  # eqs. 2 and 9, at W_k
        z = z - inner_lr * (a @ a.T) @ D[k]  # the support rows are queries, too
    return x @ W - inner_lr * (x @ a.T) @ sum(D), np.array(D)  # eq. 14
""",
    lambda rng: [after_case(rng, 4, 3, 5, 2, 0.1, 3), after_case(rng, 2, 6, 3, 1, 0.05, 1), after_case(rng, 5, 4, 2, 3, 0.2, 2)],
    ("z", "D"),
    (
        ("2 / len(a) * ", "2 / len(x) * ", "D is divided by the number of queries: the mean is over the n support examples (eq. 2)"),
        ("(a @ a.T) @", "(a @ a.T) / len(a) @", "the scores of the support rows are divided by n: that factor is in D already"),
        ("(x @ a.T) @", "(x @ a.T) / len(a) @", "the scores of the query are divided by n: that factor is in D already"),
        ("2 / len(a) * ", "1 / len(a) * ", "a factor 2 is missing in D (eq. 9)"),
        ("2 / len(a) * ", "2 * ", "a factor 1/n is missing in D (eq. 2)"),
        ("2 / len(a) * ", "", "D is z - y, with no factor 2/n (eqs. 2 and 9)"),
        ("2 / len(a) * ", "2 / z.size * ", "D is divided by all numbers of z, not by the n rows (eq. 2)"),
        ("(z - y)", "(y - z)", "D has the wrong sign: it is 2/n (z - y)"),
        ("z = z - inner_lr * (a @ a.T) @ D[k]", "z = z", "every D_k is taken at W: the support predictions move after each step"),
        ("z = z - inner_lr", "z = z + inner_lr", "the support predictions move uphill: eq. 14 subtracts the attention"),
        ("z = z - inner_lr", "z = a @ W - inner_lr",
         "the support predictions keep only the latest step: W_{k+1} starts from W_k (eq. 11)"),
        ("z - inner_lr * (a", "z - (a", "the inner learning rate is missing where the support predictions move"),
        ("x @ W - inner_lr", "x @ W + inner_lr", "the attention is added at the query: eq. 14 subtracts it"),
        ("W - inner_lr * (x", "W - (x", "the inner learning rate is missing at the query (eq. 14)"),
        ("x @ W - inner_lr", "-inner_lr", "the product with the shared W is missing at the query (eq. 14)"),
        ("sum(D)", "D[-1]", "only the last step is added at the query: eq. 14 has the sum over all steps"),
        ("sum(D)", "D[0]", "only the first step is added at the query: eq. 14 has the sum over all steps"),
        ("sum(D)", "sum(D) / steps", "the mean over the steps is taken at the query: eq. 14 has the sum"),
        ("D.append(2 / len(a) * (z - y))  # eqs. 2 and 9, at W_k\n        z = z - inner_lr * (a @ a.T) @ D[k]",
         "z = z - inner_lr * (a @ a.T) @ (2 / len(a) * (z - y))\n        D.append(2 / len(a) * (z - y))",
         "D is taken after the step, D_1 .. D_K: the values are D_0 .. D_{K-1}, each at the W_k where its step begins"),
        ("range(steps)", "range(steps + 1)", "there is one inner step too many"),
    ),
    alone=(
        ("(x @ a.T) @", "(np.exp(x @ a.T) / np.exp(x @ a.T).sum(1, keepdims=True)) @", "the scores of the query go through a softmax: eq. 14 uses them as they are"),
        ("return x @ W - inner_lr * (x @ a.T) @ sum(D), np.array(D)", "return z, np.array(D)",
         "these are the predictions on the support rows: z belongs to the queries x"),
        ("sum(D), np.array(D)", "sum(D), -np.array(D)", "D is returned with the opposite sign: it is 2/n (z - y)"),
        ("sum(D), np.array(D)", "sum(D), inner_lr * np.array(D)", "D is returned with the rate in it: it is 2/n (z - y)"),
        ("sum(D), np.array(D)", "sum(D), len(a) * np.array(D)", "D is returned without the factor 1/n (eq. 2)"),
        ("sum(D), np.array(D)", "sum(D), len(a) / 2 * np.array(D)", "D is returned as z - y, without the factor 2/n (eqs. 2 and 9)"),
    ),
)  # fmt: skip


def back_case(rng: np.random.Generator, m: int, n: int, d: int, out: int, inner_lr: float, steps: int) -> tuple:
    """Rows that come back, a matrix, and the keys and values of the inner steps."""
    normal = lambda *shape: rng.standard_normal(shape)
    return normal(m, out), normal(d, out), normal(steps, n, d), normal(steps, n, out), inner_lr


WAY_BACK = Exercise(
    """def way_back(D, W, keys, values, inner_lr):
    product = D @ W.T
    for a_k, D_k in zip(keys, values):
        product = product - inner_lr * (D @ D_k.T) @ a_k  # now D_k are the keys
    return product
""",
    lambda rng: [back_case(rng, 5, 2, 3, 3, 0.2, 3), back_case(rng, 4, 3, 5, 2, 0.3, 2), back_case(rng, 1, 6, 3, 1, 0.5, 1)],
    ("D W'^T",),
    (
        ("product - ", "product + ", "the attention is added: W' = W - alpha a^T D subtracts it"),
        ("inner_lr * (D", "(D", "the inner learning rate is missing"),
        ("inner_lr * (D", "2 * inner_lr * (D", "it is multiplied by 2: that factor of eq. 9 is in D_k already"),
        ("inner_lr * (D", "inner_lr * 2 / len(a_k) * (D", "it is multiplied by 2/n: that factor of eqs. 2 and 9 is in D_k already"),
        ("(D @ D_k.T) @ a_k", "(D @ a_k.T) @ D_k", "keys and values have the roles of the way forward: on the way back D meets D_k, and a_k comes out"),
        ("D @ W.T", "D @ W", "W is not transposed"),
        ("inner_lr * (D", "inner_lr**2 * (D", "the inner learning rate comes twice"),
        ("product - inner_lr", "D @ W.T - inner_lr", "only the last inner step is subtracted: each step has its own rows"),
        ("zip(keys, values)", "zip(keys[:1], values[:1])", "only the first inner step is subtracted: each step has its own rows"),
        ("(D @ D_k.T)", "(D @ D_k.T) / len(a_k)", "it is divided by n: that factor is in D_k already"),
        ("(D @ D_k.T)", "(D @ D_k.T) / len(keys)", "it is divided by the number of steps: the steps are summed"),
        ("product = D @ W.T", "product = 0", "the product with the shared W^T is missing"),
        ("D @ D_k.T", "D @ values[0].T", "the scores use the values of the first step for every step"),
        ("@ a_k", "@ keys[0]", "every step uses the keys of the first step"),
        ("@ a_k", "@ keys[-1]", "every step uses the keys of the last step"),
    ),
    alone=(
        ("    for a_k, D_k in zip(keys, values):\n        product = product - inner_lr * (D @ D_k.T) @ a_k  # now D_k are the keys\n", "",
         "this is the product with the shared W^T alone: W' is W less the inner steps"),
        ("    for a_k, D_k in zip(keys, values):\n        product = product - inner_lr * (D @ D_k.T) @ a_k  # now D_k are the keys\n",
         "    product = product - inner_lr * (D @ values.sum(0).T) @ keys.sum(0)\n",
         "keys and values are summed over the steps before the product: each D_k meets its own a_k"),
    ),
)  # fmt: skip


def layer_case(rng: np.random.Generator, d: int, inner_lr: float) -> tuple:
    return rng.standard_normal((d, 1)), inner_lr


AS_LAYER = Exercise(
    """def as_layer(W, inner_lr):
    d = len(W)
    M, nu = np.zeros((d + 1, d + 1)), np.zeros((d + 1, 1))
    M[:d, :d] = 2 * inner_lr * np.eye(d)  # x meets a, with the rate
    nu[:d], nu[d] = -W, 1  # e nu = y - a W
    return M, nu
""",
    lambda rng: [layer_case(rng, 3, 0.3), layer_case(rng, 1, 0.7), layer_case(rng, 4, 0.05)],
    ("M", "nu"),
    (
        ("2 * inner_lr", "inner_lr", "the factor 2 of eq. 9 is missing in M"),
        ("2 * inner_lr", "inner_lr / 2", "M has a factor 1/2 where eq. 9 gives 2"),
        ("2 * inner_lr", "-2 * inner_lr", "M has the wrong sign: the last entry of nu is 1, so the values are y - a W"),
        ("2 * inner_lr", "2", "the rate is missing in M"),
        ("2 * inner_lr", "1", "M holds no factor: it should hold the rate and the 2 of eq. 9"),
        ("2 * inner_lr", "2 / d * inner_lr", "M is divided by d: the layer has the factor 1/n already"),
        ("M[:d, :d]", "M[1:, 1:]", "M's block is one too far down: the target is the last entry of a token, so the block has rows 0 to d - 1"),
        ("-W, 1", "W, 1", "nu has the wrong sign before W: the values should be y - a W"),
        ("-W, 1", "0, 1", "the values are y alone: that is the step from W = 0 only"),
        ("-W, 1", "-W, 0", "y is missing in the values: they should be y - a W"),
        ("-W, 1", "-W, 1 / d", "the last entry of nu is not 1"),
        ("    return", "    M[d, d] = 2 * inner_lr\n    return", "M's last entry is not 0: targets should not enter the scores"),
        ("    return", "    M[d, :d] = W[:, 0]\n    return", "M's last row is not 0: targets should not enter the scores"),
        ("    return", "    M[:d, d:] = W\n    return", "M's last column is not 0: targets should not enter the scores"),
        ("np.eye(d)", "np.ones((d, d))", "M is full of ones where it needs the identity: the score is x times a, entry by entry"),
    ),
    alone=(
        ("2 * inner_lr * np.eye(d)", "2 * inner_lr * np.diag(W[:, 0])", "W stands in M: the scores are x times a, and W belongs into the values"),
        ("M[:d, :d] = 2 * inner_lr * np.eye(d)", "M = inner_lr * np.eye(d + 1)",
         "M is alpha times the whole identity: the factor 2 of eq. 9 is missing, and its last entry is not 0"),
        ("-W, 1", "1, 1", "nu is full of ones: the values should be y - a W"),
        ("2 * inner_lr * np.eye(d)", "-inner_lr * np.eye(d)", "M has the wrong sign, without the factor 2 of eq. 9"),
        ("return M, nu", "return M / (2 * inner_lr), 2 * inner_lr * nu", "the factor is in nu: its last entry should be 1, so the factor goes into M"),
        ("return M, nu", "return -M, -nu", "both signs are turned: the output is right, but the last entry of nu should be 1"),
        ("return M, nu", "return -M / (2 * inner_lr), -2 * inner_lr * nu",
         "the factor is in nu, with a minus sign: its last entry should be 1, so the factor goes into M"),
        ("return M, nu", "return np.roll(M, 1, (0, 1)), np.roll(nu, 1, 0)", "the token is read as [y, a]: here it is [a, y], with the target last"),
        ("return M, nu", "return M, -nu", "nu has the opposite sign: its last entry should be 1"),
    ),
)  # fmt: skip


def rate_case(rng: np.random.Generator, d: int, n: int) -> tuple:
    m2 = rng.uniform(0.3, 2)
    return m2, m2**2 * rng.uniform(1.2, 4), n, d


BEST_RATE = Exercise(
    """def best_rate(m2, m4, n, d):
    square = (m4 + (d - 1) * m2**2) / n + (1 - 1 / n) * m2**2  # E[C^2], an entry of the diagonal
    return m2 / (2 * square), d * m2 * (1 - m2**2 / square)
""",
    lambda rng: [rate_case(rng, 3, 7), rate_case(rng, 10, 10), rate_case(rng, 6, 2), rate_case(rng, 1, 4)],
    ("alpha", "loss"),
    (
        ("(m4 + (d - 1) * m2**2) / n + (1 - 1 / n) * m2**2", "m4 + (d - 1) * m2**2",
         "the mean of C^2 is that of one example: pairs of different examples are left out"),
        ("(m4 + (d - 1) * m2**2) / n + (1 - 1 / n) * m2**2", "m2**2",
         "C is taken as its mean: the mean of C^2 is not the square of the mean of C"),
        ("(d - 1)", "d", "the mean of C^2 is m2^2/n too large: d - 1 entries are others, a share 1 - 1/n of the pairs are different examples"),
        ("m4 + ", "m2**2 + ", "the fourth moment is missing: the mean of x_i^4 is m4, not m2^2"),
        ("m4 + (d - 1) * m2**2", "m4 + (d - 1) * m4", "the other entries bring m2^2: only the entry itself brings m4"),
        ("m4 + (d - 1) * m2**2", "m4", "the other d - 1 entries of x are missing in the mean of C^2"),
        (" + (1 - 1 / n) * m2**2", "", "pairs of different examples are missing in the mean of C^2"),
        ("m4 + (d", "3 * m2**2 + (d", "the fourth moment is taken as 3 m2^2, which is that of a Gaussian"),
        ("(1 - 1 / n)", "(1 - 1 / n) / 2", "pairs of different examples are counted once: they come in both orders"),
        ("d * m2 * (1 - m2**2 / square)", "d * m2", "this is the loss before the step"),
        ("(1 - m2**2 / square)", "(1 - 2 * m2**2 / square)", "the term with alpha^2 is missing in the loss"),
        ("(m4 + (d - 1) * m2**2) / n + (1 - 1 / n) * m2**2", "(m4 + (n - 1) * m2**2) / d + (1 - 1 / d) * m2**2",
         "d and n are swapped in the mean of C^2"),
        ("(d - 1) * m2**2", "(d - 1) * m2", "the other entries of x bring m2^2 each, not m2"),
        (") / n + ", ") / n**2 + ", "the pairs of an example with itself come with the weight 1/n: there are n of them among n^2"),
        (") / n + ", ") + ", "the pairs of an example with itself come with the weight 1/n, not with 1"),
        ("(1 - 1 / n)", "(n - 1)", "pairs of different examples come with the weight 1 - 1/n, not with n - 1"),
        ("  # E[C^2], an entry of the diagonal", "\n    square = d * square", "the mean of C^2 is d times too large: of the diagonal one entry counts"),
        ("m2 / (2 * square)", "m2 / square", "this is 2 alpha: the rate alpha is half of it"),
        ("m2 / (2 * square)", "m2**2 / (2 * square)", "the rate has m2^2 above: the slope in alpha has m2"),
        ("m2 / (2 * square)", "1 / (2 * m2)", "the rate is that of an infinite support set"),
        ("d * m2 * (1", "m2 * (1", "a factor d is missing in the loss: w has d entries"),
        ("d * m2 * (1", "d * (1", "a factor m2 is missing in the loss: the query x has this variance"),
        ("(1 - m2**2 / square)", "(1 - m2**2 / square)**2", "1 - 2 alpha C is squared at the mean of C: it is the mean of the square that counts"),
        ("(1 - m2**2 / square)", "(1 - m2 / square)", "the loss has m2 where m2^2 belongs"),
        ("(1 - m2**2 / square)", "(m2**2 / square)", "this is what the step gains: the loss is d m2, less that"),
    ),
    alone=(
        ("return m2 / (2 * square), d * m2 * (1 - m2**2 / square)", "return d * m2 * (1 - m2**2 / square), m2 / (2 * square)",
         "the two are swapped: alpha comes first"),
        ("    square", "    m2, m4 = 1 / 3, 1 / 5\n    square", "the moments are those of a uniform number, whatever m2 and m4 are"),
    ),
)  # fmt: skip

CHECKS = {"12.1": AFTER_STEPS, "12.2": WAY_BACK, "12.3": AS_LAYER, "12.4": BEST_RATE}
