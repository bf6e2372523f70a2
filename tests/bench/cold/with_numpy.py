"""MAML by tinymaml, from the import to the trained network: `python with_numpy.py sinusoids 1000`, or `cnn 100`."""

from work import BLOCKS, FILTERS, INNER_LR, ITERATIONS, KIND, OUTER_LR, SIDE, WAYS, batch, report, start

from tinymaml import CNN, MLP, Adam, Parameters, meta_gradient
from tinymaml.tasks import TaskBatch

model = MLP([1, 40, 40, 1]) if KIND == "sinusoids" else CNN(SIDE, FILTERS, BLOCKS, WAYS)
theta, optimizer, losses = Parameters(start()), Adam(OUTER_LR), []
state = optimizer.start(theta)
for _ in range(ITERATIONS):
    meta = meta_gradient(model, theta, TaskBatch(*batch()), inner_lr=INNER_LR)
    theta, state = optimizer.step(theta, meta.gradient, state)
    losses.append(meta.loss)
report(losses)
