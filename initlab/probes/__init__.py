"""Probes `(network, params, batch) -> {name: array}`: what a run measures at its snapshots.

An array is a scalar, or has one entry for each layer, first layer first. The key is the name of the
variable in the results. What has options is a function that makes a probe.
"""

from initlab.probes.features import effective_rank
from initlab.probes.imbalance import imbalance
from initlab.probes.jacobians import jacobian_singular_values, jacobian_spectrum
from initlab.probes.layer_jacobians import layer_jacobians
from initlab.probes.long_names import LONG_NAMES
from initlab.probes.movement import kernel_movement, movement
from initlab.probes.noise import gradient_noise_scale
from initlab.probes.norms import gradient_norm, weight_norm
from initlab.probes.orientations import orientations
from initlab.probes.patterns import activation_patterns
from initlab.probes.scores import accuracy, loss
from initlab.probes.sharpness import sharpness
from initlab.probes.slopes import SATURATED_SLOPE, dead_units, saturation
from initlab.probes.units import distinct_units, effective_width, unit_spread

__all__ = [
    "LONG_NAMES",
    "SATURATED_SLOPE",
    "accuracy",
    "activation_patterns",
    "dead_units",
    "distinct_units",
    "effective_rank",
    "effective_width",
    "gradient_noise_scale",
    "gradient_norm",
    "imbalance",
    "jacobian_singular_values",
    "jacobian_spectrum",
    "kernel_movement",
    "layer_jacobians",
    "loss",
    "movement",
    "orientations",
    "saturation",
    "sharpness",
    "unit_spread",
    "weight_norm",
]
