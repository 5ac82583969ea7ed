"""Networks: pure functions over params, with specs that tell each parameter's role and fans."""

from initlab.networks.mlp import mlp

__all__ = ["mlp"]
