"""Exercises of lesson 04: each known wrong answer is named."""

import exercises
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
            names["z"] = here.z.get(l - 1, here.x)
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
    ("4.1", forward("Ra @ W + a @ V"), "the term c of eq. 5 is missing"),
    ("4.1", forward("Ra @ W + a @ V + b"), "theta's bias b_1"),
    ("4.1", forward("Ra @ W + a @ W + c"), "W stands where V belongs"),
    ("4.1", forward("Ra @ V + a @ V + c"), "V stands where W belongs"),
    ("4.1", forward("Ra @ W + z @ V + c"), "z stands where a belongs"),
    ("4.1", forward(Ra="Rz"), "s' is missing in Ra"),
    ("4.1", forward(Ra="s2 * Rz"), "s'' stands where s' belongs"),
    ("4.1", forward(Ra="tanh(Rz)"), "this is s(Rz)"),
    ("4.1", forward(Ra="(1 - tanh(Rz) ** 2) * Rz"), "s' is taken at Rz"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1"), "s'' is missing in eq. 8"),
    ("4.2", back("(RD @ W.T) * s1 + (D @ W.T) * s2 * Rz"), "the term (D V^T) s' of eq. 8 is missing"),
    ("4.2", back("(D @ V.T) * s1 + (D @ W.T) * s2 * Rz"), "the term (RD W^T) s' of eq. 8 is missing"),
    ("4.2", back("RD @ W.T + D @ V.T + (D @ W.T) * s2 * Rz"), "s' is missing in eq. 8"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + (D @ W.T) * s1 * Rz"), "s' stands where s'' belongs"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + (D @ W.T) * s2"), "the factor Rz is missing"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + (RD @ W.T) * s2 * Rz"), "RD stands where D belongs"),
    ("4.2", back("(RD @ W.T + D @ V) * s1 + (D @ W.T) * s2 * Rz"), "V is not transposed in eq. 8"),
    ("4.2", back("(RD @ W + D @ V.T) * s1 + (D @ W.T) * s2 * Rz"), "W stands where W^T belongs"),
    ("4.2", back("(RD @ W + D @ V.T) * s1 + (D @ W) * s2 * Rz"), "W is not transposed in eq. 8"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + (D @ W) * s2 * Rz"), "W stands where W^T belongs"),
    ("4.2", back("RD @ W.T + (D @ V.T) * s1 + (D @ W.T) * s2 * Rz"), "it needs brackets"),
    ("4.2", back("(RD @ W.T) * s1 + D @ V.T + (D @ W.T) * s2 * Rz"), "it needs brackets"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + s2 * Rz"), "the factor D W^T is missing"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + (D @ V.T) * s2 * Rz"), "V^T stands where W^T belongs, in the term (D W^T) s'' Rz"),
    ("4.2", back("(RD @ W.T + D @ V.T) * s1 + (D @ W.T) * s2 * s1 * Rz"), "the s'' term has s' in it as well"),
    ("4.2", back("(RD @ V.T + D @ V.T) * s1 + (D @ W.T) * s2 * Rz"), "V^T stands where W^T belongs"),
    ("4.2", back("(RD @ W.T + D @ W.T) * s1 + (D @ W.T) * s2 * Rz"), "W^T stands where V^T belongs"),
    ("4.2", back("RD @ W.T + D @ V.T"), "s' is missing, and so is s''"),
    ("4.2", back("(RD @ W.T) * s1"), "s'' is missing, and so is the V-term"),
    ("4.2", back("RD @ W.T"), "this is RD W^T alone"),
    ("4.2", back("(D @ W.T) * s2 * Rz"), "this is the term (D W^T) s'' Rz alone"),
    ("4.3", gradient("a.T @ RD"), "the term Ra^T D of eq. 7 is missing"),
    ("4.3", gradient("Ra.T @ D"), "the term a^T RD of eq. 7 is missing"),
    ("4.3", gradient("Ra.T @ RD"), "one moves at a time"),
    ("4.3", gradient("a.T @ RD + Ra.T @ RD"), "one moves at a time"),
    ("4.3", gradient("a.T @ D"), "this is dW[3], not RdW[3]"),
    ("4.3", gradient("a.T @ RD + a.T @ D"), "this is the gradient plus a^T RD"),
    ("4.3", gradient("a.T @ RD - Ra.T @ D"), "has the wrong sign: eq. 7 adds it"),
    ("4.3", gradient("(a.T @ RD + Ra.T @ D) / n"), "it is divided by n: eq. 7 has no such factor"),
    ("4.3", gradient("(a.T @ RD + Ra.T @ D).T"), "transposed"),
    ("4.3", gradient(b="RD.mean(0, keepdims=True)"), "it is the mean over the examples: Rdb is the sum"),
    ("4.3", gradient(b="D.sum(0, keepdims=True)"), "this is db[3], not Rdb[3]"),
    ("4.4", judge(lambda error: True), "it lets every wrong product pass"),
    ("4.4", judge(lambda error: False), "it refuses a right product"),
    ("4.4", judge(lambda error: error > 1e-9), "the comparison is turned around"),
    ("4.4", judge(lambda error: error < 1e-30), "it refuses a right product"),
    ("4.4", judge(derivative=lambda f, theta, v: central_difference(f, theta, v, h=3.0)), "it refuses a right product"),
]


def sweep(Rz=None, Ra=None, starts_with_x=False):
    """An answer to 4.1 that is right but for one line, a function of (here, v, Ra, l)."""

    def answer(here, v):
        speeds, of_a = {}, {0: here.x if starts_with_x else 0 * here.x}
        for l in range(1, here.depth + 1):
            right = of_a[l - 1] @ here.theta[f"W{l}"] + here.a[l - 1] @ v[f"W{l}"] + v[f"b{l}"]
            speeds[l] = Rz(here, v, of_a, l) if Rz else right
            if l < here.depth:
                of_a[l] = Ra(here, speeds[l], l) if Ra else here.s1[l] * speeds[l]
        return speeds, {l: array for l, array in of_a.items() if l > 0}

    return answer


def in_place(here, v):
    speeds, of_a = sweep()(here, v)
    here.s1[1][...] *= 2
    return speeds, of_a


def layer(W="W{l}", V="W{l}", D="{l}", late=0):
    """An answer to 4.2 with something taken from another layer."""

    def answer(here, v, Rz, RD, l):
        at = lambda name: name.format(l=l, last=here.depth, below=l - 1)
        W_l, V_l, k = here.theta[at(W)], v[at(V)], int(at(D))
        two = (RD[k] @ W_l.T + here.D[l] @ V_l.T) * here.s1[l - 1 + late]
        return two + (here.D[l] @ W_l.T) * here.s2[l - 1 + late] * Rz[l - 1]

    return answer


def spoils_RD(here, v, Rz, RD, l):
    RD[l] *= 2
    return back("(RD @ W.T + D @ V.T) * s1 + (D @ W.T) * s2 * Rz")(here, v, Rz, {l: RD[l] / 2}, l)


def only(*which):
    """An answer to 4.4 that looks at some arrays."""
    return lambda model, theta, x, y, v, Hv: all(
        relative_error(Hv[name], moved(model, theta, x, y, v)[name]) < 1e-9 for name in theta if name[0] in which
    )


def moved(model, theta, x, y, v):
    return complex_step(lambda theta: model.at(theta, x, y).gradient, theta, v)


def numbers(of):
    """An answer to 4.4 that compares something that it computes from both."""
    return lambda model, theta, x, y, v, Hv: relative_error(of(Hv, v), of(moved(model, theta, x, y, v), v)) < 1e-9


def along_one_u(model, theta, x, y, v, Hv):
    u = model.init(np.random.default_rng(0))
    return relative_error(u.dot(Hv), v.dot(moved(model, theta, x, y, u))) < 1e-9


def symmetric(model, theta, x, y, v, Hv):
    u = model.init(np.random.default_rng())
    return relative_error(u.dot(Hv), v.dot(model.at(theta, x, y).hvp(u))) < 1e-9


def subtracts_in_place(model, theta, x, y, v, Hv):
    truth = moved(model, theta, x, y, v)
    for name in Hv:
        Hv[name][...] -= truth[name]
    return bool(np.linalg.norm(Hv.flat) < 1e-9)


def single(answer):
    """The same answer in float32."""

    def told(*given):
        value = answer(*given)
        if isinstance(value, np.ndarray):
            return value.astype(np.float32)
        low = lambda arrays: {name: array.astype(np.float32) for name, array in arrays.items()}
        return tuple(map(low, value)) if isinstance(value, tuple) else low(value)

    return told


right_back = back("(RD @ W.T + D @ V.T) * s1 + (D @ W.T) * s2 * Rz")
norm = np.linalg.norm
WRONG += [
    ("4.1", sweep(starts_with_x=True), "x W is added, as if Ra_0 were x"),
    ("4.1", sweep(lambda here, v, Ra, l: Ra[l - 1] @ here.theta[f"W{l}"] + here.x @ v[f"W{l}"] + v[f"b{l}"]), "a[0] stands"),
    ("4.1", sweep(Ra=lambda here, Rz, l: here.s1[max(l - 1, 1)] * Rz), "s'[1] stands where s' belongs"),
    ("4.1", sweep(Ra=lambda here, Rz, l: (1 - here.a[l] ** 2) * Rz), "true of tanh only"),
    ("4.1", sweep(Ra=lambda here, Rz, l: here.s1[l + 1] * Rz), "it asks for layer [3] of something that has none"),
    ("4.1", in_place, "it changes its argument here"),
    ("4.1", lambda here, v: sweep()(here, v)[::-1], "the two are exchanged"),
    ("4.1", single(sweep()), "in float32, and float64 was given"),
    ("4.2", layer(late=1), "s'[2] stands where s' belongs (eq. 8); and s''[2] stands"),
    ("4.2", back("(RD @ W.T + D @ V.T + (D @ W.T) * s2 * Rz) * s1"), "has s' in it as well"),
    ("4.2", back("(RD @ W.T + RD @ V.T) * s1 + (D @ W.T) * s2 * Rz"), "RD stands where D belongs"),
    ("4.2", layer(W="W2"), "W^T[2] stands where W^T belongs"),
    ("4.2", layer(D="{last}"), "RD[3] stands where RD belongs"),
    ("4.2", spoils_RD, "it changes its argument RD[2] in place"),
    ("4.2", lambda here, v, Rz, RD, l: {l - 1: right_back(here, v, Rz, RD, l)}, "the answer is a dict, expected one array"),
    ("4.2", single(right_back), "in float32, and float64 was given"),
    ("4.3", gradient("a.T @ RD + D.T @ Ra"), "the term Ra^T D is transposed"),
    ("4.3", gradient("a.T @ RD + Ra.T @ D / n"), "the term Ra^T D is divided by n"),
    ("4.3", gradient(b="RD.sum(keepdims=True)"), "it is the sum over examples and units"),
    ("4.3", gradient(b="RD[:1]"), "only the first example"),
    ("4.3", gradient(b="0 * RD[:1]"), "every number is 0"),
    ("4.3", gradient("z.T @ RD - Ra.T @ D"), "has the wrong sign: eq. 7 adds it; and z^T stands where a^T belongs"),
    ("4.3", single(gradient()), "in float32, and float64 was given"),
    ("4.4", numbers(lambda Hv, v: norm(Hv.flat)), "it lets pass -Hv"),
    ("4.4", numbers(lambda Hv, v: np.sort(Hv.flat)), "the right numbers in wrong places"),
    ("4.4", numbers(lambda Hv, v: Hv.flat / norm(Hv.flat)), "it lets pass 2 Hv"),
    ("4.4", numbers(lambda Hv, v: v.dot(Hv)), "it compares v.Hv, and lets pass products that differ in every other direction"),
    ("4.4", numbers(lambda Hv, v: np.array([v.dot(Hv), norm(Hv.flat)])), "the right norm and the right v.Hv"),
    ("4.4", along_one_u, "it compares one number, such as u.Hv with v.Hu"),
    ("4.4", symmetric, "it trusts that hvp"),
    ("4.4", lambda model, theta, x, y, v, Hv: relative_error(Hv, model.at(theta, x, y).hvp(v)) < 1e-9, "it trusts that hvp"),
    ("4.4", only("W"), "it does not look at the biases"),
    ("4.4", only("b"), "it does not look at all arrays: products that are wrong in W1, W2, W3 alone pass"),
    ("4.4", judge(lambda error: error < 1e-2), "the tolerance is too loose"),
    ("4.4", judge(lambda error: error < 3e-2), "the tolerance is too loose"),
    ("4.4", judge(lambda error: not error > 1e-9), "it lets pass a product that holds NaN"),
    ("4.4", lambda model, theta, x, y, v, Hv: relative_error(Hv, model.at(theta, x, y).gradient) < 1e-9, "accepts the gradient"),
    ("4.4", subtracts_in_place, "it changes its argument Hv"),
]
RIGHT = [  # written in other ways
    ("4.1", lambda here, v: list(sweep()(here, v))),
    ("4.1", lambda here, v: (here.along(v).Rz, {0: 0 * here.x, **here.along(v).Ra})),
    ("4.2", lambda here, v, Rz, RD, l: here.along(v).RD[l - 1]),
    ("4.3", gradient("(RD.T @ a + D.T @ Ra).T")),
    ("4.4", judge(lambda error: error < 1e-5, central_difference)),
    ("4.4", lambda model, theta, x, y, v, Hv: np.allclose(Hv.flat, moved(model, theta, x, y, v).flat, rtol=1e-7, atol=1e-10)),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("number", "answer"), RIGHT)
def test_a_right_answer_written_in_another_way_is_accepted(number, answer, seed):
    exercises.check(number, answer, seed=seed)


@pytest.mark.parametrize(("number", "answer", "words"), WRONG, ids=[f"{number}: {words}" for number, _, words in WRONG])
def test_every_known_mistake_is_named(number, answer, words):
    refused(number, answer, words)


@pytest.mark.parametrize("bug", lesson_04.BUGS)
def test_a_check_that_misses_one_mistake_is_told_which(bug):
    def misses(model, theta, x, y, v, Hv):
        passes = relative_error(Hv, mistakes.with_mistakes(model, [bug]).at(theta, x, y).hvp(v)) < 1e-9
        return passes or judge()(model, theta, x, y, v, Hv)

    refused("4.4", misses, lesson_04.BUGS[bug])


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


def test_an_answer_is_told_as_a_sum_of_terms():
    refused("4.2", back("(RD @ W.T + D @ V.T) * s1 + (D @ W.T) * s2 + Rz"), "(D W^T) s'' + Rz, and not (RD W^T) s'")
    refused("4.1", forward("Ra @ W + (a @ V) * c"), "it is (a V) (c), and not a V + c")
