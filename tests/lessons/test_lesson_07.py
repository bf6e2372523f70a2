"""Lesson 07: every known wrong answer gets its own diagnosis; a wrong kind is refused in words."""

import exercises
import matplotlib.pyplot as plt
import numpy as np
import pytest
from answering import refused
from figures import lesson_07 as draw

from tinymaml.nn.losses import softmax
from tinymaml.tasks import Episodes
from tinymaml.training.evaluation import Curve

SEEDS = [0, 1, 7, 12345]


# -- 7.1 ---------------------------------------------------------------------------------------------------------


def made(array, ways, shots, queries, rng, *, classes=None, draw=None, split=None):
    """An episode; `classes`, `draw` and `split` are the places where a mistake can be made on purpose."""
    C, M, _ = array.shape
    chosen = classes(rng, C, ways) if classes else rng.choice(C, ways, replace=False)
    same, support, query = rng.permutation(M), [], []
    for c in chosen:
        drawn = draw(rng, M, shots + queries, same) if draw else rng.permutation(M)[:shots + queries]
        s, q = split(drawn, shots, queries, rng) if split else (drawn[:shots], drawn[shots:])
        support.append(array[c, s])
        query.append(array[c, q])
    y_support, y_query = (np.repeat(np.eye(ways), count, axis=0) for count in (shots, queries))
    parts = np.concatenate(support), y_support, np.concatenate(query), y_query
    return parts


def one_by_one(array, ways, shots, queries, rng):
    """The classes sorted and the labels permuted, row after row."""
    parts = [[], [], [], []]
    for c, label in zip(np.sort(rng.permutation(len(array))[:ways]), rng.permutation(ways), strict=True):
        for place, m in enumerate(rng.permutation(array.shape[1])[:shots + queries]):
            at = 0 if place < shots else 2
            parts[at].append(array[c, m])
            parts[at + 1].append(np.eye(ways)[label])
    return [np.array(part) for part in parts]


def by_sorting_noise(array, ways, shots, queries, rng):
    """No loop, and the rows in any order."""
    classes = rng.random(len(array)).argsort()[:ways]
    x = array[classes[:, None], rng.random((ways, array.shape[1])).argsort(1)]  # (N, M, d)
    order = rng.permutation(ways * shots)
    labels, labels_q = (np.arange(ways).repeat(count) for count in (shots, queries))
    one_hot = lambda labels: (labels[:, None] == np.arange(ways)).astype(float)
    x_support, x_query = x[:, :shots].reshape(-1, array.shape[2]), x[:, shots:shots + queries].reshape(-1, array.shape[2])
    return x_support[order], one_hot(labels[order]), x_query, one_hot(labels_q)


@pytest.mark.parametrize("seed", range(5))
def test_an_episode_is_right_in_any_order_of_rows_and_as_a_list(seed, capsys):
    for answer in (made, one_by_one, by_sorting_noise):
        exercises.check("7.1", answer, seed=seed)
        printed = capsys.readouterr().out
        assert printed.count("right") == 7 and "Exercise 7.1 is right." in printed


ascending = lambda rng, C, N: np.sort(rng.permutation(C)[:N])


def two_swapped(rng, C, N):
    classes, places = ascending(rng, C, N), rng.permutation(N)[:2]
    classes[places] = classes[places[::-1]]
    return classes


# What is wrong, and the words of its diagnosis.
SLIPS = {
    "sorted": ({"classes": ascending}, "they are not permuted: of any two classes"),
    "rolled": ({"classes": lambda rng, C, N: np.roll(ascending(rng, C, N), rng.integers(N))}, "only rolled: of the 24 orders"),
    "two swapped": ({"classes": two_swapped}, "not permuted at random: of the 24 orders of 4 classes only 6 come"),
    "half the time": (
        {"classes": lambda rng, C, N: rng.permutation(C)[:N] if rng.random() < 0.5 else ascending(rng, C, N)},
        "some orders come far too often",
    ),
    "not all classes": ({"classes": lambda rng, C, N: rng.permutation(C - 1)[:N]}, "the classes [11] never come"),
    "one class always": (
        {"classes": lambda rng, C, N: rng.permutation(np.append(0, 1 + rng.permutation(C - 1)[:N - 1]))},
        "class 0 comes in 600 of 600 episodes",
    ),
    "a block of classes": (
        {"classes": lambda rng, C, N: (rng.integers(C) + rng.permutation(N)) % C},
        "the classes [0, 4] never come together",
    ),
    "in an order of their own": (
        {"classes": lambda rng, C, N: np.array(sorted(rng.permutation(C)[:N], key=lambda c: c * 5 % C))},
        "so a network can memorise labels",
    ),
    "classes repeated": ({"classes": lambda rng, C, N: rng.integers(C, size=N)}, "one is repeated: draw with replace=False"),
    "one index for all": ({"draw": lambda rng, M, count, same: same[:count]}, "examples of the same numbers"),
    "window": ({"draw": lambda rng, M, count, same: rng.integers(M - count + 1) + np.arange(count)}, "always neighbours"),
    "window around": ({"draw": lambda rng, M, count, same: (rng.integers(M) + np.arange(count)) % M}, "always neighbours"),
    "every second": (
        {"draw": lambda rng, M, count, same: (rng.integers(M) + 2 * np.arange(count)) % M},
        "the examples [0, 1] of a class never come together",
    ),
    "drawn and sorted": ({"draw": lambda rng, M, count, same: np.sort(rng.permutation(M)[:count])}, "before you sort it"),
    "not all examples": ({"draw": lambda rng, M, count, same: rng.permutation(M - 1)[:count]}, "the examples [8] of a class"),
    "first examples": ({"draw": lambda rng, M, count, same: np.arange(count)}, "of a class never come"),
    "two halves": (
        {"split": lambda drawn, K, Q, rng: (rng.permutation(4)[:K], 4 + rng.permutation(5)[:Q])},
        "it takes the examples [0, 1, 2, 3] of a class only",
    ),
    "examples repeated": ({"draw": lambda rng, M, count, same: rng.integers(M, size=count)}, "example"),
    "off by one": ({"split": lambda drawn, K, Q, rng: (drawn[:K], drawn[K - 1:-1])}, "support and query share an example"),
}
# Applied to a right episode: x_support, y_support, x_query, y_query, then N, K, Q and the array.
CHANGES = {
    "two permutations": (lambda x, y, xq, yq, *_: (x, y, xq, np.roll(yq, 1, axis=1)), "permute the labels once an episode"),
    "tile for repeat": (lambda x, y, xq, yq, N, K, Q, _: (x, np.tile(np.eye(N), (K, 1)), xq, yq), "np.repeat, not np.tile"),
    "repeat for tile": (
        lambda x, y, xq, yq, N, K, Q, _: (x.reshape(N, K, -1).swapaxes(0, 1).reshape(N * K, -1), y, xq, yq),
        "np.tile, not np.repeat",
    ),
    "x shuffled alone": (lambda x, y, xq, yq, N, K, *_: (np.roll(x, 1, axis=0), y, xq, yq), "are not in the same order"),
    "whole numbers": (lambda x, y, xq, yq, *_: (x, y.astype(int), xq, yq), "whole numbers"),
    "float32": (lambda *parts: tuple(part.astype(np.float32) for part in parts[:4]), "float32"),
    "labels": (lambda x, y, xq, yq, *_: (x, 1.0 * y.argmax(1), xq, yq), "make them one-hot: np.eye(ways)[labels]"),
    "labels from one": (lambda x, y, xq, yq, N, *_: (x, np.pad(y, ((0, 0), (1, 0))), xq, yq), "np.eye(ways)[labels]"),
    "not one-hot": (lambda x, y, xq, yq, *_: (x, y, xq, 0.5 * yq), "its rows are not one 1 among zeros"),
    "class numbers": (
        lambda x, y, xq, yq, N, K, Q, array: (x, np.eye(12)[y.argmax(1)], xq, yq),
        "not the number of the class in the array",
    ),
    "transposed": (lambda x, y, xq, yq, *_: (x, y.T, xq, yq), "it is transposed"),
    "three axes": (lambda x, y, xq, yq, N, K, *_: (x.reshape(N, K, -1), y, xq, yq), "np.concatenate, not np.stack"),
    "queries in all": (lambda x, y, xq, yq, N, K, Q, _: (x, y, xq[::N], yq[::N]), "queries counts the examples of each class"),
    "not split": (lambda x, y, xq, yq, *_: (np.concatenate([x, xq]), y, xq, yq), "both in it: split them"),
    "another order": (lambda x, y, xq, yq, *_: (x, xq, y, yq), "it comes in the order x_support, x_query, y_support, y_query"),
    "query first": (lambda x, y, xq, yq, *_: (xq, yq, x, y), "it comes in the order x_query, y_query, x_support, y_support"),
    "scaled": (lambda x, y, xq, yq, *_: (x, y, 2 * xq, yq), "is no example of the array"),
    "one class more often": (
        lambda x, y, xq, yq, *_: (x, np.concatenate([y[:-1], y[:1]]), xq, yq),
        "the same number of every class",
    ),
}


def axes_exchanged(array, ways, shots, queries, rng):
    return made(array.swapaxes(0, 1), ways, shots, queries, rng)


def classes_drawn_twice(array, ways, shots, queries, rng):
    support, query = (made(array, ways, shots, queries, rng) for _ in range(2))
    return *support[:2], *query[2:]


def pooled(array, ways, shots, queries, rng):
    x = array.reshape(-1, array.shape[2])[rng.permutation(108)[:ways * (shots + queries)]]
    y_support, y_query = (np.repeat(np.eye(ways), count, axis=0) for count in (shots, queries))
    return x[:ways * shots], y_support, x[ways * shots:], y_query


OTHERS = {
    "axis 0 of the array is the class and axis 1 the example": axes_exchanged,
    "draw the classes once, for both sets": classes_drawn_twice,
    "draw 4 classes first": pooled,
    "every episode is the same": lambda array, ways, shots, queries, rng: made(
        array, ways, shots, queries, np.random.default_rng(5)
    ),
    "two calls with the same seed": lambda array, ways, shots, queries, rng: made(
        array, ways, shots, queries, np.random.default_rng()
    ),
}


def test_every_mistake_in_an_episode_has_its_diagnosis(seed=1):
    for slip, words in SLIPS.values():
        refused("7.1", lambda *given, slip=slip, **named: made(*given, **named, **slip), words, seed=seed)
    for change, words in CHANGES.values():

        def answer(array, ways, shots, queries, rng, change=change):
            return change(*made(array, ways, shots, queries, rng), ways, shots, queries, array)

        refused("7.1", answer, words, seed=seed)
    for words, answer in OTHERS.items():
        refused("7.1", answer, words, seed=seed)


def test_wrong_shapes_say_both_shapes():
    refused("7.1", lambda array, ways, shots, queries, rng: [np.zeros((1, 3))] * 4, "it has shape (1, 3), expected (8, 3)")
    refused("7.2", lambda z, y, r: (z[:, :1], r), "the answer has shape (7, 1), expected (7, 3)")
    refused("7.3", lambda p: -np.log(p), "it has shape (5,), expected ()", "take their mean")


@pytest.mark.parametrize("value", ["labels", (1, 2, 3)])
def test_none_and_the_wrong_kind_get_a_sentence(value):
    refused("7.1", lambda *args, **kwargs: value, "expected 4 things: end with `return x_support, y_support, x_query, y_query`")
    refused("7.2", lambda z, y, r: value, "expected 2 things: end with `return gradient, hvp`")
    refused("7.2", lambda z, y, r: (None, None), "it is None, expected an array of numbers")
    refused("7.1", lambda *args, **kwargs: (None,) * 4, "it is None, expected an array of numbers")


# -- 7.2 ---------------------------------------------------------------------------------------------------------


def twice(z, y, r):
    p = softmax(z)
    return p - y, p * (r - (p * r).sum(-1, keepdims=True))


def with_matrices(z, y, r):
    """One example at a time, by the whole Hessian."""
    gradient, hvp = np.empty_like(z), np.empty_like(z)
    for i in range(len(z)):
        p = np.exp(z[i] - z[i].max() - np.log(np.exp(z[i] - z[i].max()).sum()))
        gradient[i], hvp[i] = p - y[i], (np.diag(p) - np.outer(p, p)) @ r[i]
    return [gradient, hvp]


@pytest.mark.parametrize("seed", range(5))
def test_the_cross_entropy_twice(seed, capsys):
    for answer in (twice, with_matrices):
        exercises.check("7.2", answer, seed=seed)
        assert capsys.readouterr().out.count("right") == 15


GRADIENTS = {
    "the softmax is missing": lambda z, y, p: z - y,
    "the target is missing": lambda z, y, p: p,
    "(axis 0)": lambda z, y, p: np.exp(z) / np.exp(z).sum(0) - y,
    "over all numbers of z": lambda z, y, p: np.exp(z) / np.exp(z).sum() - y,
    "divided by n": lambda z, y, p: (p - y) / len(z),
    "divided by N": lambda z, y, p: (p - y) / z.shape[1],
    "a sigmoid stands where the softmax belongs": lambda z, y, p: 1 / (1 + np.exp(-z)) - y,
    "the logarithm of the softmax stands where p belongs": lambda z, y, p: np.log(p) - y,
    "the largest probability is made 1": lambda z, y, p: np.eye(z.shape[1])[z.argmax(1)] - y,
    "this is p (1 - p)": lambda z, y, p: p * (1 - p),
    "the largest logit is taken over the examples": lambda z, y, p: softmax(z - z.max(0)) - y,
    "eq. 9, of the squared error": lambda z, y, p: 2 * (z - y),
    "this is the loss -y ln p": lambda z, y, p: -y * np.log(p),
    "this is the mean over the examples": lambda z, y, p: (p - y).mean(0),
    "holds NaN or infinite numbers, for small logits already": lambda z, y, p: np.full_like(z, np.nan),
    "dE/dp": lambda z, y, p: -y / p,
    "only the logit of the right class": lambda z, y, p: y * (p - y),
    "not normalised": lambda z, y, p: np.exp(z) - y,
    "the sign is wrong": lambda z, y, p: y - p,
    "it has the factor 2, which eq. 10 has not": lambda z, y, p: 2 * (p - y),
}
HVPS = {
    "the term p * sum(p * r) of eq. 10 is missing": lambda p, y, r: p * r,
    "only the diagonal of the Hessian": lambda p, y, r: p * (1 - p) * r,
    "the mean of r is not weighted": lambda p, y, r: p * (r - r.mean(-1, keepdims=True)),
    "runs over all examples": lambda p, y, r: p * (r - (p * r).sum()),
    "runs over the examples (axis 0)": lambda p, y, r: p * (r - (p * r).sum(0)),
    "the factor p before the bracket": lambda p, y, r: r - (p * r).sum(-1, keepdims=True),
    "the two terms are added": lambda p, y, r: p * (r + (p * r).sum(-1, keepdims=True)),
    "the sum of r is not weighted": lambda p, y, r: p * (r - r.sum(-1, keepdims=True)),
    "the mean of p * r over the classes": lambda p, y, r: p * (r - (p * r).mean(-1, keepdims=True)),
    "the second term lost its factor p": lambda p, y, r: p * r - (p * r).sum(-1, keepdims=True),
    "eq. 9, of the squared error": lambda p, y, r: 2 * r,
    "this is the gradient again": lambda p, y, r: p - y,
    "these are the derivatives of p without r": lambda p, y, r: p * (1 - p),
    "a matrix for each example, multiply it by r": lambda p, y, r: p[:, :, None] * (np.eye(3) - p[:, None]),
    "the product with r a second time": lambda p, y, r: (r * p * (r - (p * r).sum(-1, keepdims=True))).sum(-1),
    "p - y stands where p belongs": lambda p, y, r: (p - y) * (r - ((p - y) * r).sum(-1, keepdims=True)),
    "every number is 0, as with y where p belongs": lambda p, y, r: y * (r - (y * r).sum(-1, keepdims=True)),
    "this is r itself": lambda p, y, r: r,
    "the gradient times r": lambda p, y, r: (p - y) * r,
    "divided by n": lambda p, y, r: p * (r - (p * r).sum(-1, keepdims=True)) / len(p),
    "the sign is wrong": lambda p, y, r: -p * (r - (p * r).sum(-1, keepdims=True)),
}


@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.parametrize("words", GRADIENTS)
def test_every_mistake_in_the_gradient_has_its_diagnosis(words, seed):
    answer = lambda z, y, r: (GRADIENTS[words](z, y, softmax(z)), twice(z, y, r)[1])
    said = refused("7.2", answer, "gradient", words, seed=seed)
    assert "; or" not in said


@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.parametrize("words", HVPS)
def test_every_mistake_in_the_second_derivative_has_its_diagnosis(words, seed):
    answer = lambda z, y, r: (softmax(z) - y, HVPS[words](softmax(z), y, r))
    said = refused("7.2", answer, "hvp", words, seed=seed)
    assert "; or" not in said


SHIFTS = {
    "e^z overflows for logits near 1000": lambda z: np.zeros_like(z),
    "one number is taken from the logits of all examples": lambda z: z.max(),
    "one number is taken from the logits of all examples, ": lambda z: z.mean(),
    "near -1500 every e^z is 0": lambda z: np.abs(z).max(-1, keepdims=True),
    "is not the largest of them": lambda z: z.mean(-1, keepdims=True),
    "is not the largest of them, ": lambda z: z.min(-1, keepdims=True),
    "is not the largest of them, and": lambda z: z[:, :1],
}


@pytest.mark.parametrize("words", SHIFTS)
def test_a_shift_that_is_not_the_own_largest_logit_is_named(words):
    """Tried on large logits, on rows of very different height, and on logits far from one another."""

    def shifted(z, y, r):
        p = np.exp(z - SHIFTS[words](z))
        p /= p.sum(-1, keepdims=True)
        return p - y, p * (r - (p * r).sum(-1, keepdims=True))

    refused("7.2", shifted, "holds NaN or infinite numbers", words.rstrip(", "), "z.max(-1, keepdims=True)")


def test_the_wrong_order_and_logits_cut_off_are_named():
    refused("7.2", lambda z, y, r: twice(z, y, r)[::-1], "return gradient, hvp in this order")
    refused("7.2", lambda z, y, r: twice(np.minimum(z, 500), y, r), "a constant added to all logits of an example changes no p")


# -- 7.3 ---------------------------------------------------------------------------------------------------------

BLIND = {
    "this is the entropy of p": lambda p: -(p * np.log(p)).sum(),
    "it is the sum over the labels": lambda p: -np.log(p).sum(),
    "-log of the mean of p": lambda p: -np.log(p.mean()),
    "the likeliest label only": lambda p: -np.log(p.max()),
    "the first label only": lambda p: -np.log(p[0]),
    "base 2": lambda p: -np.log2(p).mean(),
    "base 10": lambda p: -np.log10(p).mean(),
    "the expected error rate": lambda p: 1 - p.mean(),
    "the sign is wrong": lambda p: np.log(p).mean(),
    "divided by N twice": lambda p: -np.log(p).mean() / len(p),
    "divided by N - 1": lambda p: -np.log(p).sum() / (len(p) - 1),
    "the entropy of p, divided by N": lambda p: -(p * np.log(p)).mean(),
    "this is ln N": lambda p: np.log(len(p)),
    "the unlikeliest label only": lambda p: -np.log(p.min()),
    "the last label only": lambda p: -np.log(p[-1]),
    "this is the median": lambda p: -np.median(np.log(p)),
    "p is taken for logits": lambda p: -np.log(softmax(p)).mean(),
    "ln N is taken off": lambda p: -np.log(p).mean() - np.log(len(p)),
    "ln N minus the entropy": lambda p: np.log(len(p)) + (p * np.log(p)).sum(),
    "the logarithm is missing": lambda p: p.mean(),
    "e to the loss": lambda p: np.exp(-np.log(p).mean()),
    "-ln(1 - p)": lambda p: -np.log(1 - p).mean(),
    "a small number is added to p": lambda p: -np.log(p + 1e-8).mean(),
    "or p is cut off": lambda p: -np.log(np.clip(p, 1e-3, 1)).mean(),
    "an axis is too many: remove it": lambda p: -np.log(p).mean(keepdims=True),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_loss_of_a_task_blind_network(seed, capsys):
    exercises.check("7.3", lambda p: -np.log(p).mean(), seed=seed)
    exercises.check("7.3", lambda p: sum(-np.log(p_i) for p_i in p) / len(p), seed=seed)
    assert capsys.readouterr().out.count("relative error") == 8


@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.parametrize("words", BLIND)
def test_every_mistake_in_the_blind_loss_has_its_diagnosis(words, seed):
    assert "; or" not in refused("7.3", BLIND[words], words, seed=seed)


# -- all ---------------------------------------------------------------------------------------------------------


def test_the_figures_are_drawn():
    rng = np.random.default_rng(0)
    tasks = Episodes(np.zeros((6, 4, 64)), ways=3).sample(rng, tasks=2, shots=2, queries=1)
    assert len(draw.characters(tasks, size=8).axes) == 2
    curve = Curve(rng.random((3, 4)), np.zeros((3, 4), bool))
    ax = draw.accuracy({"maml": curve}, {"chance": 0.2, "neighbour": 0.3, "told": 0.9})
    assert len(ax.get_legend().get_texts()) == 4
    panels = {title: rng.integers(0, 5, 400) for title in ("before", "after", "other")} | {"one label": np.zeros(400, int)}
    figure = draw.regions(panels, rng.standard_normal((5, 2)), rng.standard_normal((5, 3, 2)))
    assert [ax.get_title() for ax in figure.axes] == list(panels)
    assert len(draw.directions({"maml": np.ones(10), "scratch": np.ones(10)}).get_xticks()) == 10
    assert draw.grid(points=7).shape == (49, 2)
    plt.close("all")


def test_kinds_of_mistakes_are_told_by_what_was_done(seed=1):
    p_r = lambda z, r: (softmax(z) * r).sum(-1, keepdims=True)
    for hvp, words in (
        (lambda z, y, r: softmax(z) * r - y * p_r(z, r), "it is p r - y sum(p r), and not p r - p sum(p r)"),
        (lambda z, y, r: y * (r - p_r(z, r)), "y stands where p belongs, before the bracket"),
        (lambda z, y, r: 2 * twice(z, y, r)[1] / len(z), "it has the factor 2/n"),
    ):
        refused("7.2", lambda z, y, r, hvp=hvp: (softmax(z) - y, hvp(z, y, r)), words, seed=seed)
    refused("7.2", lambda z, y, r: (softmax(z) - y / len(z), twice(z, y, r)[1]), "it is p - 1/7 y, and not p - y", seed=seed)
    refused("7.3", lambda p: 1 - np.log(p).mean(), "it is the mean of -ln p + 1", seed=seed)
