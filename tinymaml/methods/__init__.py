"""The methods, one per file; `METHODS` lists them in the order in which tables show them."""

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
))  # fmt: skip

# {name: style} of all methods and baselines, the same in all figures
STYLES = {method.name: method.style for method in METHODS} | {
    baseline.name: baseline.style for family in FAMILIES for baseline in family.baselines
}


def named(name: str) -> Method:
    """The method with this name; ValueError, which lists all names, for an unknown one."""
    return validate.named("method", name, METHODS)
