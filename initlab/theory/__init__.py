"""What initialization theory predicts: maps, fixed points, criticality, finite width, scaling."""

from initlab.theory.attention import Tokens, propagate_uniform_attention, rank_collapse_bound
from initlab.theory.convolutions import frequency_depth_scale, frequency_gains
from initlab.theory.criticality import (
    CriticalPoint,
    critical_point,
    critical_sigma_w2,
    critical_variances,
)
from initlab.theory.finite_gradients import finite_width_gradient
from initlab.theory.finite_pairs import finite_width_correlation
from initlab.theory.finite_sample import FiniteSample, sample_finite_width
from initlab.theory.finite_width import FiniteWidth, dying_relu_probability, finite_width_variance
from initlab.theory.fixed_points import FixedPoint, fixed_point
from initlab.theory.gains import centered_gain, gain, leaky_relu_gain, torch_gain
from initlab.theory.jacobians import JacobianSpectrum, jacobian_spectrum
from initlab.theory.linear_networks import linear_learning_time, linear_mode
from initlab.theory.maps import c_map, chi, q_map
from initlab.theory.parametrizations import (
    EXPONENTS,
    Exponents,
    Factors,
    Growth,
    Optimizer,
    Parametrization,
    Scaling,
    exponents,
    growth,
    scaling,
)
from initlab.theory.phases import EdgeOfChaos, edge_of_chaos
from initlab.theory.propagation import (
    Propagation,
    first_layer,
    propagate,
    propagate_normalized,
    propagate_residual,
)
from initlab.theory.quadrature import Expectation, expectation, pair_expectation
from initlab.theory.regimes import Regime, training_regime
from initlab.theory.residual import fixup_scale, stable_branch_scale
from initlab.theory.trainable_depth import trainable_depth
from initlab.theory.trainable_edges import TrainableEdges, trainable_edges

__all__ = [
    "EXPONENTS",
    "CriticalPoint",
    "EdgeOfChaos",
    "Expectation",
    "Exponents",
    "Factors",
    "FiniteSample",
    "FiniteWidth",
    "FixedPoint",
    "Growth",
    "JacobianSpectrum",
    "Optimizer",
    "Parametrization",
    "Propagation",
    "Regime",
    "Scaling",
    "Tokens",
    "TrainableEdges",
    "c_map",
    "centered_gain",
    "chi",
    "critical_point",
    "critical_sigma_w2",
    "critical_variances",
    "dying_relu_probability",
    "edge_of_chaos",
    "expectation",
    "exponents",
    "finite_width_correlation",
    "finite_width_gradient",
    "finite_width_variance",
    "first_layer",
    "fixed_point",
    "fixup_scale",
    "frequency_depth_scale",
    "frequency_gains",
    "gain",
    "growth",
    "jacobian_spectrum",
    "leaky_relu_gain",
    "linear_learning_time",
    "linear_mode",
    "pair_expectation",
    "propagate",
    "propagate_normalized",
    "propagate_residual",
    "propagate_uniform_attention",
    "q_map",
    "rank_collapse_bound",
    "sample_finite_width",
    "scaling",
    "stable_branch_scale",
    "torch_gain",
    "trainable_depth",
    "trainable_edges",
    "training_regime",
]
