"""Model-Agnostic Meta-Learning in NumPy, with every first and second derivative by hand.

    model = MLP([1, 40, 40, 1])                                          a network; CNN and RNN are others
    theta = model.init(np.random.default_rng(0))                         its parameters, a `Parameters`
    here = model.at(theta, x, y)                                         here.loss, here.gradient, here.hvp(v)
    theta_K = adapt(model, theta, x, y, inner_lr=0.01)                   the inner loop, eq. 11
    meta = meta_gradient(model, theta, batch, inner_lr=0.01)             the outer gradient, eqs. 12 and 13

The package is read from the top of this list down; every file imports only from those above it:

    validate.py      errors at the boundary: shapes, broadcasting, precision
    parameters.py    theta, named arrays that add and multiply as a vector
    nn/              layers of four rules each, chained under a loss, eqs. 1-10 and 14-18
    maml.py          the inner loop and the meta-gradient, eqs. 11-13 and 20: the heart
    rl/              policies whose loss is a cost-to-go, exact and sampled, eqs. 23-25
    training/        the outer loop, its optimisers, evaluation after adaptation
    settings.py      what families of tasks and methods declare themselves with
    plot/            figures
    tasks/           where tasks come from: one file a family
    methods/         what is trained and compared: one file a method, eqs. 19, 21, 22 and 26
    check/           derivatives by other means, and checks that name the mistake
    experiment/      from settings to a run on disk, comparisons, the command line
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
