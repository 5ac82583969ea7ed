"""Units that are copies: how many differ, and how far those have drifted that started identical."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from initlab import checks
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
from initlab.types import Batch, Network, Params, Probe

__all__ = ["distinct_units", "effective_width", "unit_spread"]


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
