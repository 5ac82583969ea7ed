"""What each variable that a probe measures is called in results and figures."""

__all__ = ["LONG_NAMES"]

LONG_NAMES = {
    "loss": "training loss",
    "test_loss": "test loss",
    "accuracy": "training accuracy",
    "test_accuracy": "test accuracy",
    "distinct_units": "distinct units",
    "unit_spread": "largest difference between units that started identical",
    "saturation": "share of units x examples with a slope under 1 % of the largest",
    "dead_units": "units with zero slope on every example",
    "gradient_norm": "norm of the gradient",
    "weight_norm": "norm of the weights",
    "jacobian_mean_square": "mean squared singular value of the input-output Jacobian",
    "jacobian_spread": "variance of the Jacobian's squared singular values over their squared mean",
    "jacobian_largest": "largest singular value of the input-output Jacobian",
    "jacobian_mean": "mean singular value of the input-output Jacobian",
    "jacobian_smallest": "smallest singular value of the input-output Jacobian",
    "layer_jacobian_mean_square": "mean squared singular value of a layer's Jacobian",
    "layer_jacobian_spread": "variance of a layer's squared singular values over squared mean",
    "layer_jacobian_largest": "largest singular value of a layer's Jacobian",
    "layer_jacobian_mean": "mean singular value of a layer's Jacobian",
    "layer_jacobian_smallest": "smallest singular value of a layer's Jacobian",
    "orientations": "clusters of incoming weights by orientation",
    "movement": "distance of a layer's parameters from their start over their size there",
    "total_movement": "distance of all parameters from their start over their size there",
    "kernel_movement": "distance of the tangent kernel from its start over its size there",
    "imbalance": "squared incoming minus squared outgoing parameters of a layer's units",
    "imbalance_drift": "largest change of a unit's imbalance since the start",
    "effective_rank": "effective rank of a layer's activations",
    "activation_patterns": "linear maps that the examples meet up to a layer",
    "sharpness": "largest eigenvalue of the loss's Hessian",
    "gradient_noise_scale": "variance of the examples' gradients over the squared mean gradient",
}
"""`{variable: long name}`."""
