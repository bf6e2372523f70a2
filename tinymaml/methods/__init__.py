"""The methods, one per file; `METHODS` lists them in the order in which tables show them.

To add a method, write such a file, import it below and list it in `METHODS`; then `compare --methods maml,half` works:

    # tinymaml/methods/half.py
    from types import SimpleNamespace
    from tinymaml.maml import meta_gradient
    from tinymaml.methods.maml import STEPS
    from tinymaml.methods.method import Method
    from tinymaml.settings import PlotStyle

    def gradient(model, settings):
        def half(theta, batch, iteration):
            meta = meta_gradient(model, theta, batch, inner_lr=settings.inner_lr, steps=settings.options["steps"])
            return SimpleNamespace(loss=meta.loss, gradient=meta.first_order - 0.5 * meta.curvature)
        return half

    METHOD = Method("half", "half of the curvature term", PlotStyle("half MAML", "#88CCEE", (0, (2, 4))), gradient,
                    options=(STEPS,), default=False)  # by default `compare` would train it every time
"""

from tinymaml import validate
from tinymaml.methods import (
    anil,
    boil,
    es,
    first_order,
    imaml,
    lslr,
    maml,
    meta_sgd,
    multi_step,
    oracle,
    pretraining,
    prototypes,
    reptile,
    scratch,
    transfer,
)
from tinymaml.methods.method import Method
from tinymaml.methods.pretraining import pretraining_gradient
from tinymaml.tasks import FAMILIES

__all__ = ["METHODS", "STYLES", "Method", "named", "pretraining_gradient"]

METHODS = tuple(file.METHOD for file in (
    maml, first_order, pretraining, transfer, scratch, oracle, reptile, anil, boil, meta_sgd, lslr, multi_step, imaml, es,
    prototypes,
))  # fmt: skip

# {name: style} of all methods and baselines, the same in all figures
STYLES = {method.name: method.style for method in METHODS} | {
    baseline.name: baseline.style for family in FAMILIES for baseline in family.baselines
}


def named(name: str) -> Method:
    """The method with this name; ValueError, which lists all names, for an unknown one."""
    return validate.named("method", name, METHODS)
