"""Networks: pure functions over params, with specs of each parameter's role and fans."""

from initlab.adoption.adopt import adopt
from initlab.networks.convnet import convnet
from initlab.networks.mlp import mlp
from initlab.networks.residual_mlp import residual_mlp
from initlab.networks.transformer import transformer

__all__ = ["adopt", "convnet", "mlp", "residual_mlp", "transformer"]
