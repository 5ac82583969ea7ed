"""Networks of sines."""

from initlab import checks
from initlab.initializers.combinators import by_role, scaled
from initlab.initializers.distributions import unit_uniform
from initlab.initializers.fans import fan_in
from initlab.initializers.variance import variance_scaling
from initlab.types import Initializer, Number

__all__ = ["siren"]


@checks.checked
def siren(omega: Number = 30.0) -> Initializer:
    """`w ~ U[-r, r)`, `r = sqrt(6/fan_in)/omega`, in the first layer `1/fan_in`, for sin(omega z).

    With these weights `omega z` of the second layer starts at N(0, 1), and its variance maps
    from layer to layer as `q -> 1 - exp(-2 q)`, to 0.797. Biases are `U[-r, r)`,
    `r = 1/sqrt(fan_in)`, as in the authors' code, and come on top.

    Args:
      omega: the frequency inside the activation, `lambda z: jnp.sin(omega * z)`, over 0; may be
        traced.

    Returns:
      The initializer of a whole network; the first layer's role is INPUT.

    Raises:
      TypeError: if omega is not a number.
      ValueError: if omega is not over 0, or NaN or infinite.

    Source: Sitzmann et al. 2020, arXiv:2006.09661, section 3.2.

    >>> import jax
    >>> from initlab.types import ParamSpec
    >>> w = siren(30.0)(jax.random.key(0), ParamSpec((6, 100), 6, 100))
    >>> bool(abs(w).max() <= 1 / 30)
    True
    """
    checks.check_scale("omega", omega)
    if checks.is_concrete(omega) and omega == 0:
        raise ValueError("omega must be over 0, got 0")
    return by_role(
        weight=scaled(variance_scaling(2.0, fan_in, unit_uniform), 1 / omega),
        input=variance_scaling(1 / 3, lambda spec: fan_in(spec) ** 2, unit_uniform),
        bias=variance_scaling(1 / 3, fan_in, unit_uniform),
    )
