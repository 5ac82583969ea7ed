"""Multipliers: what parameters are multiplied by in the forward pass, and not trained."""

import fnmatch
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.types import Array, LayerState, Network, Number, Params

__all__ = ["with_multipliers"]


@checks.checked
def with_multipliers(network: Network, multipliers: Mapping[str, Number]) -> Network:
    """`f(params, x) = network(m * params, x)`: each parameter times its multiplier m.

    The parametrizations of wide networks are made of these: a weight is `m w`, w is drawn and
    trained. `{"layer_2/*": alpha}` on the last layer is the output times alpha, the scale of lazy
    training (Chizat, Oyallon and Bach 2019, arXiv:1812.07956); `{"layer_2/weight": 1 / width}` is
    the mean-field readout; powers of width are `theory.exponents(...).multiplier`.

    Args:
      network: any; its specs, and so what is drawn, stay as they are.
      multipliers: `{shell pattern: finite number, which may be traced}` against paths as
        "layer_1/weight"; "*" matches across "/". The first pattern counts; parameters that none
        matches are not multiplied.

    Returns:
      The network. Multipliers of one that has some already are multiplied with them.

    Raises:
      TypeError: if a multiplier is not a number.
      ValueError: if one is NaN or infinite, or a pattern matches no parameter, or only
        what earlier ones take.

    Source: Yang and Hu 2021, arXiv:2011.14522, section 3.

    >>> from initlab import networks
    >>> network = with_multipliers(networks.mlp((1, 1), jnp.tanh), {"*/weight": 3.0})
    >>> params = {"layer_1": {"weight": jnp.ones((1, 1)), "bias": jnp.ones(1)}}
    >>> network.apply(params, jnp.ones((1, 1))).item()
    4.0
    """
    paths = list(checks.leaves_by_path("network.specs", network.specs))
    checks.check_patterns(multipliers, paths)
    for pattern, number in multipliers.items():
        checks.check_number(f"multipliers[{pattern!r}]", number)
    own = {
        path: multipliers[matching[0]]
        for path in paths
        if (matching := [each for each in multipliers if fnmatch.fnmatchcase(path, each)])
    }

    def multiplied(params: Params) -> Params:
        checks.check_params(params, network.specs)

        def one(tree_path: tuple, leaf: Array) -> Array:
            number = own.get(checks.path_name(tree_path))
            return leaf if number is None else leaf * jnp.asarray(number, leaf.dtype)

        return jax.tree_util.tree_map_with_path(one, params)

    def apply(params: Params, x: Array) -> jax.Array:
        return network.apply(multiplied(params), x)

    def layers(params: Params, x: Array) -> dict[str, LayerState]:
        return network.layers(multiplied(params), x)

    before = network.multipliers
    together = dict(before) | {path: before.get(path, 1.0) * own[path] for path in own}
    return network._replace(apply=apply, layers=layers, multipliers=together)
