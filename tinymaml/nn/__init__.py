"""Networks: layers of four rules each, chained under a loss (eqs. 1-10, 14-18).

In reading order: activations, losses, fast_weights, layers, chain, surface, network; then the other layers in
convolution, normalisation and recurrent; then models, which builds networks of them.
"""

from tinymaml.nn.chain import Chain
from tinymaml.nn.convolution import Flatten, Patches
from tinymaml.nn.layers import Affine, Elementwise
from tinymaml.nn.losses import Loss
from tinymaml.nn.models import CNN, MLP, RNN
from tinymaml.nn.network import Network
from tinymaml.nn.normalisation import BatchNorm, LayerNorm
from tinymaml.nn.recurrent import Recurrent

__all__ = [
    "CNN", "MLP", "RNN", "Affine", "BatchNorm", "Chain", "Elementwise", "Flatten", "LayerNorm", "Loss",
    "Network", "Patches", "Recurrent",
]  # fmt: skip
