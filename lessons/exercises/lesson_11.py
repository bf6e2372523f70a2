"""The exercises of lesson 11: the three things of a model, and the four rules of a layer."""

from __future__ import annotations

import numpy as np

from exercises.exercise import Exercise
from tinymaml import Parameters

normal = lambda rng, *shape: rng.standard_normal(shape)


def decays(rng: np.random.Generator, tasks: int, n: int, adapted: bool = False) -> tuple:
    """theta and a direction v of the model a exp(-b x), shared or one for each task, and its data."""
    axis = (tasks,) if adapted else ()
    theta = Parameters(a=rng.uniform(1, 2, (*axis, 1, 1)), b=rng.uniform(0.3, 1, (*axis, 1, 1)))
    v = Parameters(a=normal(rng, *axis, 1, 1), b=normal(rng, *axis, 1, 1))
    return theta, rng.uniform(0, 2, (tasks, n, 1)), normal(rng, tasks, n, 1), v


THREE = Exercise(
    """def three(theta, x, y, v):
    a, b, mean = theta["a"], theta["b"], lambda rows: rows.mean(-2, keepdims=True)  # (T, 1, 1)
    e = np.exp(-b * x)                                   # (T, n, 1)
    error = a * e - y
    gradient = Parameters(a=mean(2 * error * e), b=mean(-2 * error * a * x * e))
    Re = -x * v["b"] * e                                 # R of each line above
    Rerror = v["a"] * e + a * Re
    Ra = mean(2 * (Rerror * e + error * Re))
    Rb = mean(-2 * x * (Rerror * a * e + error * v["a"] * e + error * a * Re))
    return mean(error**2)[..., 0, 0], gradient, Parameters(a=Ra, b=Rb)
""",
    lambda rng: [decays(rng, 3, 4), decays(rng, 2, 5, adapted=True), decays(rng, 1, 3)],
    ("loss", "gradient", "Hv"),
    (
        ("mean(error**2)", "mean(error**2 / 2)", "the loss has a factor 1/2: it is the mean of the squared errors"),
        ("mean(2 * error * e)", "mean(error * e)", "the derivative with respect to a lacks the factor 2 of the square"),
        ("mean(-2 * error * a * x * e)", "mean(-error * a * x * e)", "the derivative with respect to b lacks the factor 2 of the square"),
        ("mean(-2 * error * a * x * e)", "mean(2 * error * a * x * e)", "the derivative with respect to b has the wrong sign: exp(-b x) falls with b"),
        ("mean(-2 * error * a * x * e)", "mean(-2 * error * a * e)", "the factor x is missing in the derivative with respect to b"),
        ("mean(-2 * error * a * x * e)", "mean(-2 * error * x * e)", "the factor a is missing in the derivative with respect to b"),
        ("mean(2 * error * e)", "mean(2 * error * a * e)", "there is a factor a too many in the derivative with respect to a"),
        ("Re = -x * v", "Re = x * v", "R of exp(-b x) has the wrong sign"),
        ("Re = -x * v", "Re = -1 * v", "the factor x is missing in R of exp(-b x)"),
        ("Rerror = v[\"a\"] * e + a * Re", "Rerror = a * Re", "a moves too: R of a e has the term Ra e, with Ra = v['a']"),
        ("Rerror = v[\"a\"] * e + a * Re", "Rerror = v[\"a\"] * e", "e moves too: R of a e has the term a Re"),
        ("Rerror = v[\"a\"] * e + a * Re", "Rerror = v[\"a\"] * e + Re", "the factor a before Re is missing in R of the error"),
        ("mean(error**2)[..., 0, 0]", "np.mean(error**2)", "the loss is averaged over the tasks too: each task has its own"),
        ("Parameters(a=Ra, b=Rb)", "Parameters(a=mean(2 * e**2) * v[\"a\"], b=mean(2 * x**2 * a * e * (a * e + error)) * v[\"b\"])", "this is the diagonal of H alone: the derivative in both a and b is missing"),
        ("Rerror * e + error * Re", "Rerror * e", "this is the Gauss-Newton part: in the derivative with respect to a, e moves as well as the error"),
        ("Rerror * e + error * Re", "error * Re", "the error moves too: in the derivative with respect to a, the product rule has two terms"),
        ("Rerror * a * e + error * v[\"a\"] * e + error * a * Re", "Rerror * a * e", "this is the Gauss-Newton part: in the derivative with respect to b, a and e move as well as the error"),
        (" + error * v[\"a\"] * e", "", "in the derivative with respect to b, a moves too: the term error Ra e is missing"),
        (" + error * a * Re", "", "in the derivative with respect to b, e moves too: the term error a Re is missing"),
        ("rows.mean(-2, keepdims=True)", "rows.sum(-2, keepdims=True)", "it is summed over the examples: a loss is their mean"),
        ("Parameters(a=Ra, b=Rb)", "Parameters(a=gradient[\"a\"] * v[\"a\"], b=gradient[\"b\"] * v[\"b\"])", "this is the gradient times v: Hv is how the gradient changes along v"),
    ),
)  # fmt: skip


def rows(rng: np.random.Generator, tasks: tuple[int, ...], n: int, width: int) -> tuple:
    """gamma, z and D of a layer of this width."""
    return 1 + 0.3 * normal(rng, 1, width), 2 * normal(rng, *tasks, n, width), normal(rng, *tasks, n, width)


BACK = Exercise(
    """def rms_back(gamma, z, D):
    mean = lambda array: array.mean(-1, keepdims=True)   # over the features of a row
    r = np.sqrt(mean(z**2) + 0.01)
    h = z / r
    G = gamma * D                                        # dL/dh
    return gamma * h, (G - h * mean(G * h)) / r, (D * h).sum(-2, keepdims=True)
""",
    lambda rng: [rows(rng, (), 5, 3), rows(rng, (2,), 4, 4), rows(rng, (3,), 4, 2)],
    ("u", "Dz", "dgamma"),
    (
        (" + 0.01", "", "the 0.01 under the root is missing"),
        ("np.sqrt(mean(z**2) + 0.01)", "np.sqrt(mean(z**2)) + 0.01", "the 0.01 stands outside of the root"),
        ("mean(G * h)", "(G * h).sum(-1, keepdims=True)", "there is a sum over the features in Dz: it is the mean of G h"),
        ("(G - h * mean(G * h)) / r", "G / r - z * mean(G * z) / r**2", "a power of r is missing in the second term of Dz: it is z mean(G z) / r^3"),
        ("mean(z**2)", "mean((z - mean(z))**2)", "the mean is subtracted: this is layer norm, and the layer here has the mean square alone"),
        ("array.mean(-1", "array.mean(-2", "the mean is over the rows: each row has its own, over its features"),
        ("array.mean(-1", "array.sum(-1", "there is a sum over the features: it is the mean square"),
        ("np.sqrt(mean(z**2) + 0.01)", "(mean(z**2) + 0.01)", "the root is missing: it is divided by r, not by r^2"),
        ("(G - h * mean(G * h)) / r", "G / r", "r depends on z too: the term -h mean(G h) is missing in Dz"),
        ("(G - h * mean(G * h)) / r", "G - h * mean(G * h)", "it is not divided by r in Dz"),
        ("(G - h * mean(G * h)) / r", "(G + h * mean(G * h)) / r", "the second term of Dz has the wrong sign"),
        ("(G - h * mean(G * h)) / r", "(G - z * mean(G * z)) / r", "z stands for h in the second term of Dz: h = z / r"),
        ("(G - h * mean(G * h)) / r", "(G - h * mean(G) * mean(h)) / r", "the mean of the product is not the product of the means"),
        ("(G - h * mean(G * h)) / r", "(G - mean(G) - h * mean(G * h)) / r", "the term -mean(G) is that of layer norm: nothing is subtracted here"),
        ("G = gamma * D ", "G = D ", "gamma is missing on the way back: h is multiplied by it"),
        ("(D * h).sum(-2, keepdims=True)", "(D * h).mean(-2, keepdims=True)", "dgamma is a sum over the rows: the 1/n is in D since eq. 2"),
        ("(D * h).sum(-2, keepdims=True)", "(G * h).sum(-2, keepdims=True)", "dgamma has a factor gamma too many"),
        ("(D * h).sum(-2, keepdims=True)", "(D * z).sum(-2, keepdims=True)", "dgamma has z for h: gamma multiplies h"),
        ("(D * h).sum(-2, keepdims=True)", "(D * h).reshape(-1, z.shape[-1]).sum(0, keepdims=True)", "dgamma is summed over the tasks too: each task has its own"),
        ("(D * h).sum(-2, keepdims=True)", "(D * h)", "dgamma is not summed over the rows: gamma is one row for all"),
        ("(D * h).sum(-2, keepdims=True)", "D.sum(-2, keepdims=True)", "the factor h is missing in dgamma"),
    ),
)  # fmt: skip

R_BACK = Exercise(
    """def rms_r(gamma, z, D, Rgamma, Rz, RD):
    mean = lambda array: array.mean(-1, keepdims=True)
    r = np.sqrt(mean(z**2) + 0.01)
    h, G = z / r, gamma * D
    Rr = mean(h * Rz)
    Rh = (Rz - h * Rr) / r
    RG = Rgamma * D + gamma * RD
    Dz = (G - h * mean(G * h)) / r
    RDz = (RG - Rh * mean(G * h) - h * mean(RG * h + G * Rh) - Dz * Rr) / r
    return Rgamma * h + gamma * Rh, RDz, (RD * h + D * Rh).sum(-2, keepdims=True)
""",
    lambda rng: [(*rows(rng, tasks, n, width), normal(rng, 1, width), *(normal(rng, *tasks, n, width) for _ in range(2)))
                 for tasks, n, width in (((), 5, 3), ((2,), 4, 4), ((3,), 4, 2))],
    ("Ru", "RDz", "Rdgamma"),
    (
        ("Rr = mean(h * Rz)", "Rr = mean(z * Rz)", "Rr has z for h: r^2 = mean z^2 gives 2 r Rr = 2 mean(z Rz)"),
        ("Rr = mean(h * Rz)", "Rr = 2 * mean(h * Rz)", "Rr has a factor 2 too many: the root takes it away"),
        ("Rr = mean(h * Rz)", "Rr = 0 * mean(h * Rz)", "r is held: it depends on z, so it moves"),
        (" + 0.01", "", "the 0.01 under the root is missing"),
        ("np.sqrt(mean(z**2) + 0.01)", "np.sqrt(mean(z**2)) + 0.01", "the 0.01 stands outside of the root"),
        ("array.mean(-1", "array.sum(-1", "there are sums over the features: they are means"),
        ("Rh = (Rz - h * Rr) / r", "Rh = (Rz - z * Rr) / r", "Rh has z for h in its second term: h = z / r"),
        ("Rh = (Rz - h * Rr) / r", "Rh = (Rz + h * Rr) / r", "Rh has the wrong sign in its second term"),
        ("Rh = (Rz - h * Rr) / r", "Rh = Rz - h * Rr", "Rh is not divided by r"),
        ("Rgamma * h + gamma * Rh", "gamma * Rh", "gamma moves too: the term Rgamma h is missing in Ru"),
        ("Rgamma * h + gamma * Rh", "Rgamma * h", "h moves too: the term gamma Rh is missing in Ru"),
        ("RG = Rgamma * D + gamma * RD", "RG = gamma * RD", "gamma moves too: the term Rgamma D is missing in RG"),
        ("RG = Rgamma * D + gamma * RD", "RG = Rgamma * D", "D moves too: the term gamma RD is missing in RG"),
        (" - Dz * Rr", "", "the r by which all is divided moves too: the term -Dz Rr is missing in RDz"),
        (" - Rh * mean(G * h)", "", "the h before the mean moves too: the term -Rh mean(G h) is missing in RDz"),
        ("RG * h + G * Rh", "RG * h", "h moves inside of the mean too: the term G Rh is missing in RDz"),
        ("RG * h + G * Rh", "G * Rh", "G moves inside of the mean too: the term RG h is missing in RDz"),
        ("- Dz * Rr) / r", "- Dz * Rr)", "RDz is not divided by r"),
        ("- Dz * Rr) / r", "+ Dz * Rr) / r", "the last term of RDz has the wrong sign"),
        ("(RG - Rh * mean(G * h) - h * mean(RG * h + G * Rh) - Dz * Rr) / r", "(RG - h * mean(RG * h)) / r", "this is the backward rule with RG for G: h and r move as well"),
        ("(RD * h + D * Rh)", "(RD * h)", "h moves too: the term D Rh is missing in Rdgamma"),
        ("(RD * h + D * Rh)", "(D * Rh)", "D moves too: the term RD h is missing in Rdgamma"),
        (".sum(-2, keepdims=True)", ".mean(-2, keepdims=True)", "Rdgamma is a sum over the rows"),
        ("(RD * h + D * Rh).sum(-2, keepdims=True)", "(RD * h + D * Rh).reshape(-1, z.shape[-1]).sum(0, keepdims=True)", "Rdgamma is summed over the tasks too: each task has its own"),
    ),
)  # fmt: skip

CHECKS = {"11.1": THREE, "11.2": BACK, "11.3": R_BACK}
three, rms_back, rms_r = THREE.solve, BACK.solve, R_BACK.solve  # the lesson goes on with them
