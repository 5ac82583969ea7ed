"""Probes `(network, params, batch) -> {name: array}`: what a run measures at its snapshots.

An array is a scalar, or has one entry for each layer, first layer first. The key is the name of the
variable in the results.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.activations import SATURATED_SLOPE, max_slope, slope
from initlab.networks.layer_params import layer_leaves
from initlab.symmetry import (
    UnitGroup,
    class_spread,
    count_classes,
    mlp_groups,
    mlp_units,
    row_classes,
    unit_classes,
    unit_rows,
)
from initlab.symmetry.groups import check_names
from initlab.types import Batch, Network, Params, Probe, Role

__all__ = [
    "LONG_NAMES",
    "SATURATED_SLOPE",
    "accuracy",
    "dead_units",
    "distinct_units",
    "effective_width",
    "gradient_norm",
    "loss",
    "saturation",
    "unit_spread",
    "weight_norm",
]

NO_WEIGHTS = {Role.BIAS, Role.NORM_SCALE, Role.NORM_BIAS, Role.GATE}
"""Roles that a norm of the weights leaves out."""

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
}
"""What each variable is called in results and figures."""


@checks.checked
def loss(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """The objective's mean loss on the training data, and on the test data where there are any.

    Args:
      network: the model.
      params: its params of the moment.
      batch: the run's data and objective.

    Returns:
      `loss` and perhaps `test_loss`, scalars (nats for cross-entropies).
    """
    return _on_both(batch.objective.loss, "loss", network, params, batch)


@checks.checked
def accuracy(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """The objective's metric: share of correct labels, or R^2 for regression.

    Args:
      network: the model.
      params: its params of the moment.
      batch: the run's data and objective.

    Returns:
      `accuracy` and perhaps `test_accuracy`, scalars; NaN where a logit is NaN.
    """

    def score(logits: jax.Array, y: jax.Array) -> jax.Array:
        # A diverged run predicts nothing.
        return jnp.where(jnp.any(jnp.isnan(logits)), jnp.nan, batch.objective.metric(logits, y))

    return _on_both(score, "accuracy", network, params, batch)


@checks.checked
def distinct_units(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """How many units of each layer differ in any bit of their incoming or outgoing parameters.

    Args:
      network: an mlp.
      params: its params of the moment.
      batch: unused.

    Returns:
      `distinct_units`, int32 [layers]; 1 is a layer all of whose units compute the same function.
    """
    del network, batch
    groups = (*mlp_groups(params), mlp_units(params)[-1])
    counts = [count_classes(row_classes(unit_rows(params, group))) for group in groups]
    return {"distinct_units": jnp.stack(counts)}


@checks.checked
def effective_width(groups: Sequence[UnitGroup]) -> Probe:
    """A probe of any network: how many distinct units each group of exchangeable units has.

    Args:
      groups: the units, as `symmetry.find_groups(network.apply, params, x)` finds them.

    Returns:
      A probe that gives `effective_width: NAME`, an int32 scalar, for each group; a "/" in a
      group's name becomes a ".".

    >>> import numpy as np
    >>> layers = {f"layer_{n}": {"weight": np.ones((2, 2)), "bias": np.ones(2)} for n in (1, 2)}
    >>> probe = effective_width(mlp_groups(layers))
    >>> {name: int(width) for name, width in probe(None, layers, None).items()}
    {'effective_width: layer_1': 1}
    """
    check_names(groups)

    def probe(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
        del network, batch
        return {
            f"effective_width: {group.name.replace('/', '.')}": count_classes(
                unit_classes(params, group)
            )
            for group in groups
        }

    return probe


@checks.checked
def unit_spread(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """The largest difference between the parameters of two units that started identical.

    Args:
      network: an mlp.
      params: its params of the moment.
      batch: its `start` says which units started identical.

    Returns:
      `unit_spread` [layers]; 0 as long as the symmetry holds to the last bit.
    """
    del network
    groups = (*mlp_groups(params), mlp_units(params)[-1])
    spreads = [
        class_spread(unit_rows(params, group), row_classes(unit_rows(batch.start, group)))
        for group in groups
    ]
    return {"unit_spread": jnp.stack(spreads)}


@checks.checked
def saturation(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """Share of units x examples whose slope is under SATURATED_SLOPE of the largest slope.

    The last layer is read through the objective's link: a sigmoid output saturates too.

    Args:
      network: the model.
      params: its params of the moment.
      batch: the run's data and objective.

    Returns:
      `saturation` [layers], in [0, 1]; NaN where a slope is NaN.
    """
    slopes = _relative_slopes(network, params, batch)
    # NaN is not under anything; a diverged run must not count as unsaturated.
    shares = [
        jnp.mean(jnp.where(jnp.isnan(s), s, (s < SATURATED_SLOPE).astype(s.dtype))) for s in slopes
    ]
    return {"saturation": jnp.stack(shares)}


@checks.checked
def dead_units(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """How many units of each layer have a slope of exactly 0 on every example.

    Nothing reaches the weights into such a hidden unit. For the output it is its link's slope; the
    gradient of a cross-entropy does not vanish with it.

    Args:
      network: the model.
      params: its params of the moment.
      batch: the run's data and objective.

    Returns:
      `dead_units`, int32 [layers].
    """
    slopes = _relative_slopes(network, params, batch)
    counts = [
        jnp.sum(jnp.all(each == 0, axis=tuple(range(each.ndim - 1))), dtype=jnp.int32)
        for each in slopes
    ]
    return {"dead_units": jnp.stack(counts)}


@checks.checked
def gradient_norm(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """`|dL/d(parameters)|_2` of each layer, over the whole training data.

    Args:
      network: the model.
      params: its params of the moment.
      batch: the run's data and objective.

    Returns:
      `gradient_norm` [layers]; 0 for a layer without parameters of its own.

    Raises:
      TypeError: if a leaf of params is not a floating array.
    """
    checks.check_floating_params(params)
    gradient = jax.grad(
        lambda params: batch.objective.loss(network.apply(params, batch.x), batch.y)
    )(params)
    layers = layer_leaves(network, gradient).values()
    norms = [_norm([leaf for _, leaf in leaves]) for leaves in layers]
    return {"gradient_norm": jnp.stack(norms)}


@checks.checked
def weight_norm(network: Network, params: Params, batch: Batch) -> dict[str, jax.Array]:
    """`|weights|_2` of each layer: biases, norms and gates left out.

    Args:
      network: the model.
      params: its params of the moment.
      batch: unused.

    Returns:
      `weight_norm` [layers]; 0 for a layer without weights of its own.
    """
    del batch
    norms = [
        _norm([leaf for spec, leaf in leaves if spec.role not in NO_WEIGHTS])
        for leaves in layer_leaves(network, params).values()
    ]
    return {"weight_norm": jnp.stack(norms)}


def _on_both(
    score: Callable[[Any, Any], jax.Array],
    name: str,
    network: Network,
    params: Params,
    batch: Batch,
) -> dict[str, jax.Array]:
    scores = {name: score(network.apply(params, batch.x), batch.y)}
    if batch.x_test is not None and batch.y_test is not None:
        scores[f"test_{name}"] = score(network.apply(params, batch.x_test), batch.y_test)
    return scores


def _relative_slopes(network: Network, params: Params, batch: Batch) -> list[jax.Array]:
    """`|phi'(z)| / max |phi'|` [B, ..., n_l] of each layer; the output's is its link's."""
    states = network.layers(params, batch.x)
    *hidden, last = network.activations
    slopes = [
        jnp.abs(slope(network.activations[name], states[name].z))
        / max_slope(network.activations[name])
        for name in hidden
    ]
    slopes.append(_link_slopes(batch.objective.link, states[last].z))
    return slopes


def _link_slopes(link: Callable[[jax.Array], jax.Array], logits: jax.Array) -> jax.Array:
    """`|d link(z)_k / d z_k|` over its largest value: 1/4 for sigmoid and softmax."""

    def diagonal(z: jax.Array) -> jax.Array:
        def along(direction: jax.Array) -> jax.Array:
            return jnp.sum(jax.jvp(link, (z,), (direction,))[1] * direction)

        return jax.vmap(along)(jnp.eye(z.shape[0], dtype=z.dtype))

    # A single logit at 0 against another at 0 is where softmax and sigmoid are steepest.
    steepest = jnp.max(jnp.abs(diagonal(jnp.zeros((max(2, logits.shape[-1]),), logits.dtype)[:2])))
    return jnp.abs(jax.vmap(diagonal)(logits)) / steepest


def _norm(leaves: Sequence[jax.Array]) -> jax.Array:
    """The Euclidean norm over all leaves, scaled so that no square under- or overflows."""
    if not leaves:
        return jnp.zeros(())
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in leaves]))
    unit = jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1)
    return unit * jnp.sqrt(sum(jnp.sum(jnp.square(leaf / unit)) for leaf in leaves))
