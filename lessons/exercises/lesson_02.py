"""The exercises of lesson 02: the gradient of a network, eqs. 2-4 and 10, one line after another."""

from __future__ import annotations

import numpy as np

from exercises.exercise import Exercise

normal = lambda rng, *shape: rng.standard_normal(shape)

LAST_D = Exercise(
    '''def last_D(z, y):
    """D of the last layer, dL/dz, for the squared error. z, y: (n, d). Returns (n, d)."""
    return 2 * (z - y) / len(z)
''',
    lambda rng: [(2 * normal(rng, n, d), normal(rng, n, d)) for n, d in ((5, 3), (4, 1), (3, 3))],
    ("D",),
    (
        (" / len(z)", "", "a factor 1/n is missing: the loss is the mean over the examples (eq. 2)"),
        ("2 * ", "1 * ", "a factor 2 is missing: the squared error of eq. 9 has no 1/2"),
        ("(z - y)", "(y - z)", "the sign is wrong: eq. 9 has the prediction minus the target"),
        ("len(z)", "z.size", "it is divided by the number of outputs d too: eq. 9 sums over them"),
        ("2 * (z - y) / len(z)", "2 * z - 2 * y / len(z)", "the division is of y only: put the difference in parentheses"),
        ("/ len(z)", "* len(z)", "it is multiplied by n: a mean is divided by n"),
        ("len(z)", "z.shape[1]", "it is divided by the number of outputs d, not by the number of examples n"),
        ("len(z)", "(len(z) - 1)", "it is divided by n - 1: a mean is divided by n"),
        ("len(z)", "len(z) ** 2", "it is divided by n twice: 1/n enters once, in eq. 2"),
        ("(z - y)", "z", "the target is missing in dE/dz (eq. 9)"),
        ("(z - y)", "z - y", "the parentheses around z - y are missing"),
        ("2 * (z - y)", "(2 * z - y)", "the factor 2 multiplies z only: put the difference in parentheses"),
        ("2 * (z - y)", "z - y * 2", "2/n multiplies y only: put the difference in parentheses"),
        ("(z - y)", "(z - y) ** 2", "the square is not differentiated (eq. 9)"),
        ("2 * (z - y)", "(z - y) ** 2", "the square is not differentiated (eq. 9)"),
        ("(z - y)", "(np.tanh(z) - y)", "an activation is applied to z: the prediction is z itself"),
        ("(z - y)", "(z - y) * (1 - np.tanh(z) ** 2)", "it is multiplied by s': no activation comes between z and the loss"),
        ("(z - y) / len(z)", "((z - y) / len(z)).sum(1)", "it is summed over the outputs: every number of z has a derivative"),
        ("(z - y) / len(z)", "(z - y).mean(0)", "there is one row for all examples: every number of z has its derivative"),
        ("2 * (z - y) / len(z)", "((z - y) ** 2).sum(1).mean()",
         "this is the loss: take the derivative in every number of z"),
        ("(z - y)", "(z - y) * (np.arange(len(z)) == 0)[:, None]",
         "only the first example has its numbers, and the others are 0: is the return in the loop?"),
        ("- y)", "- (y.T if len(z) == z.shape[1] else y))", "y is transposed: row i of z belongs to row i of y"),
    ),
    tolerance=1e-10,
)  # fmt: skip

BACK = Exercise(
    '''def back_through(D, W, z):
    """D_{l-1} from D_l, for tanh.

    D: D_l (n, d_l), W: W_l (d_{l-1}, d_l), z: z_{l-1} (n, d_{l-1}). Returns (n, d_{l-1}).
    """
    da = D @ W.T                      # (n, d_{l-1})
    return da * (1 - np.tanh(z)**2)   # (n, d_{l-1})
''',
    lambda rng: [(normal(rng, 5, d), normal(rng, 3, d), normal(rng, 5, 3)) for d in (3, 2)],
    ("D",),
    (
        (" * (1 - np.tanh(z)**2)", "", "s' is missing in eq. 4"),
        ("W.T", "W", "W is not transposed in eq. 4"),
        ("D @ W.T", "D", "the product with W^T is missing in eq. 4"),
        ("(1 - np.tanh(z)**2)", "np.tanh(z) * (1 - np.tanh(z))", "this is the slope of a sigmoid: that of tanh is 1 - tanh(z)^2"),
        ("np.tanh(z)**2", "z**2", "tanh is missing in s': you have 1 - z^2, and it is 1 - tanh(z)^2 (eq. 4)"),
        ("np.tanh(z)**2", "np.tanh(z)", "the square is missing in s': you have 1 - tanh(z)"),
        ("1 - np", "np", "1 - is missing in s': you have tanh(z)^2, and it is 1 - tanh(z)^2 (eq. 4)"),
        ("(1 - np.tanh(z)**2)", "(1 - np.tanh(z))**2", "the square of s' is outside: you have (1 - tanh(z))^2"),
        ("(1 - np.tanh(z)**2)", "1 / np.cosh(z)", "this is the square root of s', 1 / cosh(z): s' is 1 / cosh(z)^2, which is 1 - tanh(z)^2"),
        ("np.tanh(z)**2", "np.tanh(z**2)", "z is squared inside of tanh: it is tanh(z)^2"),
        ("1 - np", "1 + np", "s' has a minus: you have 1 + tanh(z)^2"),
        ("(1 - np.tanh(z)**2)", "np.tanh(z)", "you have s, not s' (eq. 4)"),
        ("np.tanh(z)", "np.tanh(np.tanh(z))", "s' is taken at a, not at z (eq. 4)"),
        ("np.tanh(z)", "np.tanh(da)", "s' is taken at D W^T, not at z"),
        ("**2)", "**2)**2", "s' is there twice (eq. 4)"),
        ("(1 - np.tanh(z)**2)", "(z > 0)", "this is the slope of a ReLU, not that of tanh"),
        ("(1 - np.tanh(z)**2)", "np.exp(z) / (1 + np.exp(z))**2", "this is the slope of the logistic function, not that of tanh"),
        ("(1 - np.tanh(z)**2)", "1 - np.tanh(z)**2", "the last minus is outside: s' needs its own parentheses, (1 - tanh(z)^2)"),
        ("da * (", "da + (", "s' is added: eq. 4 multiplies by it"),
        ("da * (1 - np.tanh(z)**2)", "(D * (1 - np.tanh(z)**2)) @ W.T",
         "you multiply by s' before W^T: it comes after, as it belongs to layer l-1 (eq. 4)"),
        ("return da", "return -da", "the sign is wrong: eq. 4 has no minus, and s' is 1 - tanh(z)^2"),
        ("return da", "return da / len(z)", "it is divided by n once more: 1/n is in D already (eq. 2)"),
        ("(1 - np.tanh(z)**2)", "(1 - np.tanh(z)**2).mean(0)", "s' is averaged over the examples: every example has its own z"),
        ("(1 - np.tanh(z)**2)", "(1 - np.tanh(z)**2).mean(1, keepdims=True)",
         "s' is averaged over the units: every unit has its own z"),
        ("da * (1 - np.tanh(z)**2)", "(da * (1 - np.tanh(z)**2)).mean(0)", "the examples are averaged: D has a row for each"),
    ),
    tolerance=1e-10,
)  # fmt: skip

MEAN = "you took the mean over the examples: eq. 3 has the sum, as 1/n is in D already"
WEIGHT_AND_BIAS = Exercise(
    '''def weight_and_bias(a, D):
    """dL/dW_l and dL/db_l.

    a: a_{l-1} (n, d_{l-1}), D: D_l (n, d_l). Returns dW (d_{l-1}, d_l) and db (1, d_l).
    """
    dW = a.T @ D                        # (d_{l-1}, n) @ (n, d_l)
    db = D.sum(axis=0, keepdims=True)   # (1, d_l)
    return dW, db
''',
    lambda rng: [(np.tanh(normal(rng, 5, 3)), normal(rng, 5, d)) for d in (4, 3)],
    ("dW", "db"),
    (
        ("a.T @ D", "D.T @ a", "it is transposed: eq. 3 has a^T D, and you have D^T a"),
        ("a.T @ D", "a.T @ D / len(a)", MEAN),
        ("D.sum", "D.mean", MEAN),
        ("a.T @ D", "len(a) * (a.T @ D)", "it is multiplied by n: 1/n in D stays"),
        ("a.T @ D", "np.outer(a.sum(0), D.sum(0))",
         "a and D are summed over the examples first: sum their products, example by example"),
        ("a.T @ D", "a[:1].T @ D[:1]", "only the first example is counted: it is a sum over all of them"),
        ("a.T @ D", "a[-1:].T @ D[-1:]", "only the last example is counted: it is a sum over all of them"),
        ("a.T @ D", "2 * (a.T @ D)", "a factor 2 is too many: that of the squared error is in D already"),
        ("D.sum", "2 * D.sum", "a factor 2 is too many: that of the squared error is in D already"),
        ("a.T @ D", "(1 - a**2).T @ D", "you have s'^T D: s' belongs to eq. 4, and eq. 3 has a^T D"),
        ("a.T @ D", "np.tanh(a).T @ D", "an activation is applied to a: a has been through it already"),
        ("a.T @ D", "a", "this is a itself: eq. 3 has a^T D"),
        ("axis=0", "axis=1", "it is summed over the units (axis 1): sum over the examples (axis 0)"),
        ("axis=0, ", "", "it is summed over examples and units: sum over axis 0 only"),
        ("D.sum(axis=0", "D.mean(axis=1", "this is the mean over the units (axis 1): sum over the examples (axis 0)"),
        ("D.sum(axis=0, ", "D.mean(", "this is one mean of all the numbers of D: sum over axis 0"),
        ("D.sum(axis=0, keepdims=True)", "D[:1]", "only the first example is counted: it is a sum over all of them"),
        ("D.sum(axis=0, keepdims=True)", "D[-1:]", "only the last example is counted: it is a sum over all of them"),
        ("D.sum", "a.sum", "it is a sum of a: eq. 3 sums D"),
        ("D.sum(", "dW.sum(", "it is the sum of the rows of dW: the input of a bias is 1, not a"),
        ("D.sum(axis=0, keepdims=True)", "np.ones((1, D.shape[1]))", "all its numbers are 1: eq. 3 sums D"),
        ("return dW, db", "return db, dW", "dW and db are swapped: return dW, db"),
    ),
    tolerance=1e-10,
)

CROSS_ENTROPY_D = Exercise(
    '''def cross_entropy_D(z, y):
    """D of the last layer for the cross-entropy. z: logits, y: one-hot, (n, d). Returns (n, d)."""
    e = np.exp(z - z.max(axis=1, keepdims=True))      # the shift cancels in p, and nothing overflows
    p = e / e.sum(axis=1, keepdims=True)              # (n, d)
    return (p - y) / len(z)
''',
    lambda rng: [(2 * normal(rng, n, d), np.eye(d)[rng.integers(d, size=n)]) for n, d in ((7, 3), (5, 2), (4, 4))],
    ("D",),
    (
        ("e / e.sum(axis=1, keepdims=True)", "np.exp(z)",
         "the exponentials are not divided by their sum: this is no softmax yet (eq. 10)"),
        ("e / e.sum(axis=1, keepdims=True)", "e", "the exponentials are not divided by their sum: this is no softmax yet (eq. 10)"),
        ("(p - y)", "(z - y)", "the softmax is missing: dE/dz has probabilities, not logits"),
        (" / len(z)", "", "a factor 1/n is missing: the loss is the mean over the examples (eq. 2)"),
        ("(p - y)", "(y - p)", "the sign is wrong: dE/dz is the prediction minus the target"),
        ("(p - y)", "p", "the target is missing in dE/dz"),
        ("(p - y)", "(p - 1)", "1 is subtracted everywhere: it belongs to the right class only"),
        ("(p - y)", "(y * (1 - p))", "the minus of -y log p is lost, and p depends on all logits: dE/dz is p - y"),
        ("(p - y)", "(p * (1 - p))", "this is how p changes with its own logit: dE/dz is p - y"),
        ("(p - y)", "(-np.log(p))", "these are logarithms, -log p, of all classes: take the derivative of the loss"),
        ("(p - y)", "(p + y)", "the target is added: dE/dz is the prediction minus the target"),
        ("(p - y)", "p * (p - y)", "a factor p is too many: dE/dz is p - y alone"),
        ("(p - y)", "(np.eye(p.shape[1])[p.argmax(1)] - y)", "the answer of largest probability is in the place of p"),
        ("e / e.sum(axis=1, keepdims=True)", "np.exp(z) / np.exp(z).sum(axis=0)",
         "the softmax goes over the wrong axis: the classes of one example are a row (eq. 10)"),
        ("e / e.sum(axis=1, keepdims=True)", "np.exp(z) / np.exp(z).sum()",
         "the softmax is over all numbers at once: each example, a row, has its own (eq. 10)"),
        ("e / e.sum(axis=1, keepdims=True)", "1 / (1 + np.exp(-z))",
         "each number has its own logistic function: the softmax divides by the sum"),
        ("e / e.sum(axis=1, keepdims=True)", "e / np.exp(z).sum(axis=1, keepdims=True)",
         "the maximum is subtracted above the fraction bar only: the sum has to be that of e"),
        ("    return", "    p = np.exp(p) / np.exp(p).sum(1, keepdims=True)\n    return", "the softmax is taken twice"),
        ("z.max(axis=1, keepdims=True)", "z.max(axis=0)",
         "each column is shifted by a number of its own, which changes p: shift a whole row"),
        ("e / e.sum(axis=1, keepdims=True)", "np.exp(z) / (np.exp(z).sum(axis=1, keepdims=True) + 1e-8)",
         "a small number is added to the sum, which changes p"),
        ("(p - y)", "(np.log(p) - y)", "the logarithm does not belong here: dE/dz has p, not log p"),
        ("(p - y)", "p - y", "the division is of y only: put the difference in parentheses"),
        ("(p - y) / len(z)", "p / len(z) - y", "the division is of p only: put the difference in parentheses"),
        ("(p - y)", "(-y * np.log(p))", "these are the terms of the loss, -y log p: take the derivative"),
        ("(p - y)", "(y * np.log(p))", "these are the terms y log p of the loss: take the derivative"),
        ("len(z)", "z.shape[1]", "it is divided by the number of classes, not by the number of examples n"),
        ("(p - y)", "(-y / p)", "this is dE/dp = -y/p: one more factor, dp/dz, leads to the logits (eq. 10)"),
        ("(p - y)", "y * (p - 1)", "you have a derivative for the right class only: p depends on all logits"),
        ("(p - y)", "(p - y) * p * (1 - p)", "a factor p (1 - p) is too many: dE/dz is p - y alone"),
        ("(p - y)", "2 * (z - y)", "this is D of the squared error (eq. 9): the cross-entropy has probabilities"),
        ("np.exp(z - z.max(axis=1, keepdims=True))", "np.exp(-z)", "the exponent has the wrong sign: p has exp(z) (eq. 10)"),
        ("(p - y)", "2 * (p - y)", "a factor 2 is too many: it belongs to the squared error (eq. 9)"),
        ("len(z)", "z.size", "it is divided by the number of classes too: eq. 10 sums over them"),
        ("(p - y) / len(z)", "-(y * np.log(p)).sum(1)", "it is the loss of every example: take the derivative"),
        ("(p - y) / len(z)", "-(y * np.log(p)).sum() / len(z)", "this is the loss: take the derivative"),
        ("(p - y)", "(p * (1 - p) - y)", "a factor 1 - p is too many: dE/dz is p - y alone"),
        ("(p - y) / len(z)", "(p - y).mean(0)", "there is one row for all examples: every number of z has its derivative"),
    ),
    tolerance=1e-10,
)  # fmt: skip

CHECKS = {"2.1": LAST_D, "2.2": BACK, "2.3": WEIGHT_AND_BIAS, "2.4": CROSS_ENTROPY_D}
