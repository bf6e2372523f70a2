"""Exercises of lesson 04: each known wrong answer is named."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from answering import refused
from exercises import lesson_04
from figures import lesson_04 as draw

from tinymaml import MLP
from tinymaml.check import central_difference, complex_step, mistakes, relative_error


def forward(Rz="Ra @ W + a @ V + c", Ra="s1 * Rz"):
    """The right answer to 4.1, with either line replaced by another formula."""

    def answer(here, v):
        speeds, of_a = {}, {0: np.zeros_like(here.x)}
        for l in range(1, here.depth + 1):
            names = {"W": here.theta[f"W{l}"], "b": here.theta[f"b{l}"], "V": v[f"W{l}"], "c": v[f"b{l}"]}
            names |= {"a": here.a[l - 1], "z": here.z.get(l - 1, here.x), "Ra": of_a[l - 1]}
            speeds[l] = eval(Rz, {}, names)
            if l < here.depth:
                of_a[l] = eval(Ra, {"tanh": np.tanh}, {"s1": here.s1[l], "s2": here.s2[l], "Rz": speeds[l]})
        return speeds, of_a

    return answer


def back(rule):
    """An answer to 4.2 from its formula."""

    def answer(here, v, Rz, RD, l):
        names = {"W": here.theta[f"W{l}"], "V": v[f"W{l}"], "D": here.D[l], "RD": RD[l]}
        return eval(rule, {}, names | {"Rz": Rz[l - 1], "s1": here.s1[l - 1], "s2": here.s2[l - 1]})

    return answer


def gradient(W="a.T @ RD + Ra.T @ D", b="RD.sum(0, keepdims=True)"):
    """The right answer to 4.3, with either line replaced by another formula."""

    def answer(here, Ra, RD):
        Hv = {}
        for l in range(1, here.depth + 1):
            names = {"a": here.a[l - 1], "Ra": Ra[l - 1], "D": here.D[l], "RD": RD[l], "n": here.n}
            Hv[f"W{l}"], Hv[f"b{l}"] = eval(W, {}, names), eval(b, {}, names)
        return Hv

    return answer


def judge(decide=lambda error: error < 1e-9, derivative=complex_step):
    """An answer to 4.4 from its last line."""

    def answer(model, theta, x, y, v, Hv):
        return decide(relative_error(Hv, derivative(lambda theta: model.at(theta, x, y).gradient, theta, v)))

    return answer


WRONG = [
    ("4.1", forward("Ra @ W + c"), "the term a V of eq. 5 is missing"),
    ("4.1", forward("a @ V + c"), "the term Ra W of eq. 5 is missing"),
    ("4.1", forward("Ra @ W + a @ V"), "the direction of the bias, c, is missing"),
    ("4.1", forward("Ra @ W + a @ V + b"), "theta's bias b_1"),
    ("4.1", forward("Ra @ W + a @ W + c"), "W stands where V belongs"),
    ("4.1", forward("Ra @ V + a @ V + c"), "V stands where W belongs"),
    ("4.1", forward("Ra @ W + z @ V + c"), "z stands where a belongs"),
    ("4.1", forward(Ra="Rz"), "s' is missing in Ra"),
    ("4.1", forward(Ra="s2 * Rz"), "s'' stands where s' belongs"),
    ("4.1", forward(Ra="tanh(Rz)"), "this is s(Rz)"),
    ("4.1", forward(Ra="(1 - tanh(Rz) ** 2) * Rz"), "s' is taken at Rz"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1"), "s'' is missing in eq. 8"),
    ("4.2", back("(RD @ W.T) * s1 + (D @ W.T) * s2 * Rz"), "the V-term of eq. 8"),
    ("4.2", back("(D @ V.T) * s1 + (D @ W.T) * s2 * Rz"), "the term RD W^T of eq. 8 is missing"),
    ("4.2", back("RD @ W.T + D @ V.T + (D @ W.T) * s2 * Rz"), "s' is missing in eq. 8"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + (D @ W.T) * s1 * Rz"), "s' stands where s'' belongs"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + (D @ W.T) * s2"), "Rz is missing beside s''"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + (RD @ W.T) * s2 * Rz"), "needs D, not RD"),
    ("4.2", back("(RD @ W.T + D @ V) * s1 + (D @ W.T) * s2 * Rz"), "V is not transposed in eq. 8"),
    ("4.2", back("(RD @ W + D @ V.T) * s1 + (D @ W.T) * s2 * Rz"), "W is not transposed in eq. 8"),
    ("4.2", back("(RD @ W + D @ V.T) * s1 + (D @ W) * s2 * Rz"), "W is not transposed in eq. 8"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + (D @ W) * s2 * Rz"), "W is not transposed in eq. 8"),
    ("4.2", back("RD @ W.T + (D @ V.T) * s1 + (D @ W.T) * s2 * Rz"), "it needs brackets"),
    ("4.2", back("(RD @ W.T) * s1 + D @ V.T + (D @ W.T) * s2 * Rz"), "it needs brackets"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + s2 * Rz"), "the factor D W^T is missing"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + (D @ V.T) * s2 * Rz"), "stands beside D V^T"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + (D @ W.T) * s2 * s1 * Rz"), "Ra stands where Rz belongs"),
    ("4.2", back("(RD @ V.T + D @ V.T) * s1 + (D @ W.T) * s2 * Rz"), "V stands where W belongs"),
    ("4.2", back("(RD @ W.T + D @ W.T) * s1 + (D @ W.T) * s2 * Rz"), "W stands where V belongs"),
    ("4.2", back("RD @ W.T + D @ V.T"), "s' is missing, and so is s''"),
    ("4.2", back("(RD @ W.T) * s1"), "s'' is missing, and so is the V-term"),
    ("4.2", back("RD @ W.T"), "this is RD W^T alone"),
    ("4.2", back("(D @ W.T) * s2 * Rz"), "this is the s'' term alone"),
    ("4.3", gradient("a.T @ RD"), "the term Ra^T D of eq. 7 is missing"),
    ("4.3", gradient("Ra.T @ D"), "the term a^T RD of eq. 7 is missing"),
    ("4.3", gradient("Ra.T @ RD"), "one moves at a time"),
    ("4.3", gradient("a.T @ RD + Ra.T @ RD"), "one moves at a time"),
    ("4.3", gradient("a.T @ D"), "this is dW[3], not RdW[3]"),
    ("4.3", gradient("a.T @ RD + a.T @ D"), "this is the gradient plus a^T RD"),
    ("4.3", gradient("a.T @ RD - Ra.T @ D"), "has the wrong sign: eq. 7 adds it"),
    ("4.3", gradient("(a.T @ RD + Ra.T @ D) / n"), "it is divided by n once more"),
    ("4.3", gradient("(a.T @ RD + Ra.T @ D).T"), "transposed"),
    ("4.3", gradient(b="RD.mean(0, keepdims=True)"), "it is the mean over the examples: Rdb is the sum"),
    ("4.3", gradient(b="D.sum(0, keepdims=True)"), "this is db[3], not Rdb[3]"),
    ("4.4", judge(lambda error: True), "it lets every wrong product pass"),
    ("4.4", judge(lambda error: False), "it refuses a right product"),
    ("4.4", judge(lambda error: error > 1e-9), "it refuses a right product"),
    ("4.4", judge(lambda error: error < 1e-30), "it refuses a right product"),
    ("4.4", judge(derivative=lambda f, theta, v: central_difference(f, theta, v, h=3.0)), "it refuses a right product"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG, ids=[f"{number}: {words}" for number, _, words in WRONG])
def test_every_known_mistake_is_named(number, answer, words):
    refused(number, answer, words)


@pytest.mark.parametrize("bug", lesson_04.BUGS)
def test_a_check_that_misses_one_mistake_is_told_which(bug, capsys):
    def misses(model, theta, x, y, v, Hv):
        passes = relative_error(Hv, mistakes.made(model, [bug]).at(theta, x, y).hvp(v)) < 1e-9
        return passes or judge()(model, theta, x, y, v, Hv)

    refused("4.4", misses, lesson_04.BUGS[bug])
    assert "refused, 0 of 10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "answer", "words"),
    [
        ("4.1", lambda here, v: {}, "the answer is a dict, expected two dictionaries"),
        ("4.1", lambda here, v: ({1: here.z[1]}, {}), "Rz: it has the layers [1], expected [1, 2, 3]: Rz[2] is missing"),
        ("4.1", forward("(a @ V)[:1]"), "shape (1, 3), expected (5, 3)"),
        ("4.1", lambda here, v: (dict.fromkeys((1, 2, 3)), {1: 0, 2: 0}), "the answer is None, expected numbers of shape (5, 3)"),
        ("4.2", lambda here, v, Rz, RD, l: RD[l].T, "shape (3, 5), expected (5, 3)"),
        ("4.2", lambda here, v, Rz, RD, l: RD[l] * np.nan, "it holds NaN"),
        ("4.3", lambda here, Ra, RD: {}, "the answer holds nothing, expected W1, b1"),
        ("4.3", lambda here, Ra, RD: {"W1": 0}, "b1 is missing"),
        ("4.3", gradient(b="RD.sum(0)"), "shape (3,), expected (1, 3): the numbers are right, keep the axis"),
        ("4.4", lambda *asked: 1e-16, "the answer is 1e-16, expected True or False"),
    ],
)
def test_answers_of_the_wrong_kind_are_refused_in_words(number, answer, words):
    refused(number, answer, words)


def test_the_figure_has_a_panel_for_every_part():
    rng = np.random.default_rng(0)
    theta = MLP([1, 2, 1]).init(rng)
    parts = {"H": np.eye(theta.size), "G": np.zeros((theta.size, theta.size))}
    figure = draw.hessians({"tanh": parts, "relu": parts}, theta)
    panels = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in panels[:2]] == ["H", "G"]
    assert [label.get_text() for label in panels[0].get_xticklabels()] == list(theta)
    plt.close("all")
