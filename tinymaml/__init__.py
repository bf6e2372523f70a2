"""Model-Agnostic Meta-Learning in NumPy, with every first and second derivative by hand.

    model = MLP([1, 40, 40, 1])                                          a network; or a CNN or RNN
    theta = model.init(np.random.default_rng(0))                         its parameters (`Parameters`)
    here = model.at(theta, x, y)                                         here.loss, here.gradient, here.hvp(v)
    theta_K = adapt(model, theta, x, y, inner_lr=0.01)                   the inner loop, eq. 11
    meta = meta_gradient(model, theta, batch, inner_lr=0.01)             the outer gradient, eqs. 12 and 13

Read the package in this order; every file imports only from files above it in the list:

    validate.py      errors at the boundary: shapes, broadcasting, precision
    parameters.py    theta, named arrays that add and multiply as a vector
    nn/              layers with four rules each, and losses, eqs. 1-10 and 14-18
    maml.py          the inner loop and the meta-gradient, eqs. 11-13 and 20: the core
    rl/              policies whose loss is a cost-to-go, exact and sampled, eqs. 23-25
    training/        the outer loop, its optimisers, evaluation after adaptation
    settings.py      settings of a run, and options of task families and methods
    plot/            figures
    tasks/           task distributions: one file per family
    methods/         training methods: one file per method, eqs. 19, 21, 22 and 26
    check/           independent derivatives, and checks that name the mistake
    experiment/      training runs on disk, comparisons, the command line
"""

from tinymaml.maml import adapt, meta_gradient
from tinymaml.methods import pretraining_gradient
from tinymaml.nn import CNN, MLP, RNN, Network
from tinymaml.parameters import Parameters
from tinymaml.training import SGD, Adam, evaluate, train

__all__ = [
    "CNN", "MLP", "RNN", "SGD", "Adam", "Network", "Parameters", "adapt", "evaluate", "meta_gradient", "pretraining_gradient",
    "train",
]  # fmt: skip
__version__ = "0.1.0"
