"""First-order MAML: the query gradient at the adapted parameters replaces the meta-gradient: eq. 12 without Hessians."""

from functools import partial

from tinymaml.methods.maml import STEPS, gradient
from tinymaml.methods.method import Method
from tinymaml.settings import PlotStyle

METHOD = Method(
    "first-order",
    "MAML without second derivatives: the gradient of the query loss at the adapted parameters",
    PlotStyle("first-order MAML", "#56B4E9", "--", "s"),
    partial(gradient, first_order=True),
    copies=lambda settings: 1,
    options=(STEPS,),
)
