"""Starts by a parametrization: a base network's scheme, with each parameter's own power."""

import dataclasses

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.initializers.combinators import made_of
from initlab.theory import Scaling
from initlab.types import Initializer, ParamSpec

__all__ = ["parametrized"]


@checks.checked
def parametrized(initializer: Initializer, scaling: Scaling) -> Initializer:
    """`w = (width / base width)^e initializer(key, spec with the base network's fans)`.

    At the base network it is the initializer itself. A scheme that asks for fans is given those of
    the base, so that its standard deviation there is what the power multiplies.

    Args:
      initializer: of the whole base network, as `by_role(lecun_normal())`, or `normal(0.02)`; one
        whose scale follows from the shape, as `orthogonal`, is not asked for the base's.
      scaling: the parametrization on the network that is drawn. Multipliers, if it has some, are
        for `networks.with_multipliers(network, scaling.multipliers)`.

    Returns:
      The initializer of that network; it raises ValueError for a parameter of another.

    Raises:
      TypeError: if initializer is not callable.

    Source: Yang et al. 2022, arXiv:2203.03466, table 3 and appendix B.

    >>> from initlab.initializers import lecun_normal
    >>> from initlab.theory import Optimizer, Parametrization, scaling
    >>> from initlab.types import Role
    >>> wide, base = ({"w": ParamSpec((n, 9), n, 9, Role.READOUT)} for n in (800, 200))
    >>> way = scaling(wide, base, Parametrization.MUP, Optimizer.ADAM)
    >>> spec = dataclasses.replace(wide["w"], path="w")
    >>> draws = (init(jax.random.key(0), spec) for init in (lecun_normal(), parametrized(
    ...     lecun_normal(), way)))
    >>> round(float(jnp.divide(*draws)[0, 0]), 3)
    2.0
    """

    def init(key: jax.Array, spec: ParamSpec) -> jax.Array:
        path = slices.get(spec.path, spec.path)
        if path not in scaling.factors:
            raise ValueError(f"{spec.path!r} must be a parameter of the scaling's network")
        base = scaling.base[path]
        drawn = initializer(
            key, dataclasses.replace(spec, fan_in=base.fan_in, fan_out=base.fan_out)
        )
        return drawn * jnp.asarray(scaling.factors[path].std, spec.dtype)

    specs = checks.leaves_by_path("scaling.specs", scaling.specs)
    slices = {own: path for path, each in specs.items() for own in each.stack}
    return made_of(init, [initializer])
