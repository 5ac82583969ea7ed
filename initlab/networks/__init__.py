"""Networks: pure functions over params, with specs of each parameter's role and fans."""

from initlab.adoption.adopt import adopt
from initlab.networks.convnet import convnet
from initlab.networks.mlp import mlp
from initlab.networks.multipliers import with_multipliers
from initlab.networks.recurrent import recurrent
from initlab.networks.residual_mlp import residual_mlp
from initlab.networks.state_space import state_space
from initlab.networks.transformer import transformer

__all__ = [
    "adopt",
    "convnet",
    "mlp",
    "recurrent",
    "residual_mlp",
    "state_space",
    "transformer",
    "with_multipliers",
]
