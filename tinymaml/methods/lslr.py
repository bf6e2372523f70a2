"""LSLR: one learning rate per array of theta, trained with theta (MAML++, Antoniou, Edwards and Storkey 2019), eq. 20.

The original trains one rate per layer and step. Here a rate belongs to a parameter name and is the same in every step, so
that new tasks can take any number of steps.
"""

from functools import partial

from tinymaml.methods.maml import STEPS
from tinymaml.methods.meta_sgd import gradient, initial, start
from tinymaml.methods.method import Method
from tinymaml.settings import PlotStyle

METHOD = Method(
    "lslr",
    "MAML with a learned inner rate per parameter array, initialised to inner-lr",
    PlotStyle("LSLR (per-array rates)", "#AAAA00", (0, (2, 1)), "*"),
    partial(gradient, shared=True),
    initial=partial(initial, shared=True),
    start=partial(start, shared=True),
    uses_inner_lr=lambda settings: False,
    options=(STEPS,),
    default=False,
)
