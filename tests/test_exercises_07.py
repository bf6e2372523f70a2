"""Lesson 07: every known wrong answer gets its own diagnosis; a wrong kind is refused in words."""

import exercises
import matplotlib.pyplot as plt
import numpy as np
import pytest
from answering import refused
from figures import lesson_07 as draw

from tinymaml.evaluation import Curve
from tinymaml.losses import softmax
from tinymaml.tasks import Episodes

SEEDS = [0, 1, 7, 12345]


# -- 7.1 ---------------------------------------------------------------------------------------------------------


def made(array, ways, shots, queries, rng, *, slip=""):
    """An episode, with one mistake made on purpose."""
    if slip == "own rng":
        rng = np.random.default_rng(5)
    if slip == "global rng":
        rng = np.random.default_rng()
    C, M, _ = array.shape
    classes = rng.choice(C - (slip == "not all classes"), ways, replace=slip == "classes repeated")
    if slip == "never permuted":
        classes = np.sort(classes)
    if slip == "first classes":
        classes = np.arange(ways)
    if slip == "modulo":
        classes = np.arange(ways) + ways * rng.integers(0, C // ways, ways)
    support, query = [], []
    for c in classes:
        drawn = rng.choice(M, shots + queries, replace=slip == "examples repeated")
        if slip == "first examples":
            drawn = np.arange(shots + queries)
        s, q = drawn[:shots], drawn[shots:]
        if slip == "shared":
            s, q = rng.choice(M, shots, replace=False), rng.choice(M, queries, replace=False)
        support.append(array[c, s])
        query.append(array[c, q])
    x_support, x_query = np.concatenate(support), np.concatenate(query)
    labels = np.arange(ways)
    if slip == "two permutations":
        labels = np.roll(labels, 1)
    y_support, y_query = np.repeat(np.eye(ways), shots, axis=0), np.repeat(np.eye(ways)[labels], queries, axis=0)
    match slip:
        case "integers":
            y_support = np.repeat(np.arange(ways), shots)
        case "three axes":
            x_support = x_support.reshape(ways, shots, -1)
        case "scaled":
            x_query = 2 * x_query
        case "labels from one":
            y_support = np.repeat(np.eye(ways + 1)[1:], shots, axis=0)
        case "not one-hot":
            y_query = 0.5 * y_query
        case "tiled":
            y_support = np.tile(np.eye(ways), (shots, 1))
        case "pooled":
            chosen = rng.choice(C * M, ways * (shots + queries), replace=False)
            x = array.reshape(C * M, -1)[chosen]
            x_support, x_query = x[:ways * shots], x[ways * shots:]
        case "one class more often":
            y_support = y_support.copy()
            y_support[-1] = y_support[0]
        case "swapped":
            return x_support, x_query, y_support, y_query
    return x_support, y_support, x_query, y_query


@pytest.mark.parametrize("seed", SEEDS)
def test_an_episode_is_right_in_any_order_of_rows_and_as_a_list(seed, capsys):
    def in_any_order(array, ways, shots, queries, rng):
        x, y, xq, yq = made(array, ways, shots, queries, rng)
        order, order_q = rng.permutation(len(x)), rng.permutation(len(xq))
        return [x[order], y[order].astype(int), xq[order_q], yq[order_q] > 0]

    for answer in (made, in_any_order):
        exercises.check("7.1", answer, seed=seed)
        printed = capsys.readouterr().out
        assert printed.count("right") == 7 and "Exercise 7.1 is right." in printed


SLIPS = {
    "own rng": "every episode is the same",
    "global rng": "two calls with the same seed",
    "not all classes": "the classes [11] never come",
    "classes repeated": "one is repeated",
    "never permuted": "the labels are not permuted",
    "first classes": "never come",
    "modulo": "the labels are not permuted",
    "examples repeated": "example",
    "first examples": "of a class never come",
    "shared": "support and query share an example",
    "two permutations": "permute the labels once an episode",
    "integers": "np.eye(ways)[labels]",
    "three axes": "rows are examples",
    "scaled": "is no example of the array",
    "labels from one": "np.eye(ways)[labels]",
    "not one-hot": "its rows are not one 1 among zeros",
    "tiled": "is the classes",
    "pooled": "is the classes",
    "one class more often": "the same number of every class",
    "swapped": "it has shape",
}


@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.parametrize("slip", SLIPS)
def test_every_mistake_in_an_episode_has_its_diagnosis(slip, seed):
    refused("7.1", lambda *args, **kwargs: made(*args, **kwargs, slip=slip), SLIPS[slip], seed=seed)


def test_wrong_shapes_say_both_shapes():
    said = refused("7.1", lambda array, ways, shots, queries, rng: [np.zeros((1, 3))] * 4, "it has shape (1, 3), expected (")
    assert said
    refused("7.2", lambda z, y, r: (z[:, :1], r), "the answer has shape (4, 1), expected (4, 3)")
    refused("7.3", lambda p: p, "the answer has shape (2,), expected ()")
    refused("7.3", lambda p: -np.log(p), "it has shape (2,), expected ()", "take their mean")


@pytest.mark.parametrize("value", ["labels", (1, 2, 3)])
def test_none_and_the_wrong_kind_get_a_sentence(value):
    refused("7.1", lambda *args, **kwargs: value, "expected 4 things: end with `return x_support, y_support, x_query, y_query`")
    refused("7.2", lambda z, y, r: value, "expected 2 things: end with `return gradient, hvp`")
    refused("7.2", lambda z, y, r: (None, None), "the answer is None, expected numbers of shape (4, 3)")
    refused("7.1", lambda *args, **kwargs: (None,) * 4, "it is None, expected an array of numbers")


# -- 7.2 ---------------------------------------------------------------------------------------------------------


def twice(z, y, r):
    p = softmax(z)
    return p - y, p * (r - (p * r).sum(-1, keepdims=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_cross_entropy_twice(seed, capsys):
    exercises.check("7.2", twice, seed=seed)
    assert capsys.readouterr().out.count("right") == 5


GRADIENTS = {
    "the softmax is missing": lambda z, y, p: z - y,
    "the target is missing": lambda z, y, p: p,
    "(axis 0)": lambda z, y, p: np.exp(z) / np.exp(z).sum(0) - y,
    "over all numbers of z": lambda z, y, p: np.exp(z) / np.exp(z).sum() - y,
    "divided by n": lambda z, y, p: (p - y) / len(z),
    "dl/dp": lambda z, y, p: -y / p,
    "only the logit of the right class": lambda z, y, p: y * (p - y),
    "not normalised": lambda z, y, p: np.exp(z) - y,
    "the sign is turned": lambda z, y, p: y - p,
    "2 times the right one": lambda z, y, p: 2 * (p - y),
}
HVPS = {
    "the term p * sum(p * r) of eq. 10 is missing": lambda p, y, r: p * r,
    "only the diagonal of the Hessian": lambda p, y, r: p * (1 - p) * r,
    "the mean of r is not weighted": lambda p, y, r: p * (r - r.mean(-1, keepdims=True)),
    "runs over all examples": lambda p, y, r: p * (r - (p * r).sum()),
    "runs over the examples (axis 0)": lambda p, y, r: p * (r - (p * r).sum(0)),
    "the factor p before the bracket": lambda p, y, r: r - (p * r).sum(-1, keepdims=True),
    "the two terms are added": lambda p, y, r: p * (r + (p * r).sum(-1, keepdims=True)),
    "p - y stands where p belongs": lambda p, y, r: (p - y) * (r - ((p - y) * r).sum(-1, keepdims=True)),
    "y stands where p belongs: ": lambda p, y, r: y * (r - (y * r).sum(-1, keepdims=True)),
    "this is r itself": lambda p, y, r: r,
    "the gradient times r": lambda p, y, r: (p - y) * r,
    "divided by n": lambda p, y, r: p * (r - (p * r).sum(-1, keepdims=True)) / len(p),
    "the sign is turned": lambda p, y, r: -p * (r - (p * r).sum(-1, keepdims=True)),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("words", GRADIENTS)
def test_every_mistake_in_the_gradient_has_its_diagnosis(words, seed):
    answer = lambda z, y, r: (GRADIENTS[words](z, y, softmax(z)), twice(z, y, r)[1])
    said = refused("7.2", answer, "gradient is wrong", words, seed=seed)
    assert "; or" not in said


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("words", HVPS)
def test_every_mistake_in_the_second_derivative_has_its_diagnosis(words, seed):
    answer = lambda z, y, r: (softmax(z) - y, HVPS[words](softmax(z), y, r))
    said = refused("7.2", answer, "hvp is wrong", words, seed=seed)
    assert "; or" not in said


def test_the_wrong_order_and_an_overflow_are_named():
    refused("7.2", lambda z, y, r: twice(z, y, r)[::-1], "return gradient, hvp in this order")

    def overflows(z, y, r):
        p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
        return p - y, p * (r - (p * r).sum(-1, keepdims=True))

    refused("7.2", overflows, "subtract the largest logit of every row")

    def one_maximum_for_all(z, y, r):  # right as well, for logits of one size
        p = np.exp(z - z.max())
        p /= p.sum(-1, keepdims=True)
        return p - y, p * (r - (p * r).sum(-1, keepdims=True))

    exercises.check("7.2", one_maximum_for_all)

    def cut(z, y, r):
        return twice(np.minimum(z, 500), y, r)

    refused("7.2", cut, "a constant added to all logits of an example changes no p")


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
    "the sign is turned": lambda p: np.log(p).mean(),
}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_loss_of_a_task_blind_network(seed, capsys):
    exercises.check("7.3", lambda p: -np.log(p).mean(), seed=seed)
    exercises.check("7.3", lambda p: sum(-np.log(p_i) for p_i in p) / len(p), seed=seed)
    assert capsys.readouterr().out.count("relative error") == 6


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("words", BLIND)
def test_every_mistake_in_the_blind_loss_has_its_diagnosis(words, seed):
    refused("7.3", BLIND[words], words, seed=seed)


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
