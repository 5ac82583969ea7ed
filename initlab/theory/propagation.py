"""q, correlation and gradient layer by layer, as wide networks have them at initialization."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.theory.evaluation import evaluate
from initlab.theory.existence import lost_layers, nan_after, nan_where
from initlab.theory.maps import as_correlation, covariance_step, gradient_factor, q_step
from initlab.theory.piecewise import Pieces, find_pieces, slope_pieces
from initlab.types import Activation, Array, Numbers

__all__ = [
    "Propagation",
    "first_layer",
    "propagate",
    "propagate_normalized",
    "propagate_residual",
]

Signals = tuple[jax.Array, jax.Array, jax.Array, jax.Array]
"""The next layer's q and covariance, the gradient's factor back, and the q that phi sees."""

Step = Callable[..., Signals]
"""From pieces, sigma_w2, sigma_b2, q, c and numbers of its own."""


class Propagation(NamedTuple):
    """What to expect layer by layer; arrays [..., depth + 1], the start included.

    Attributes:
      q: variance of the pre-activations, or of the stream of a residual network.
      c: correlation of two inputs' pre-activations.
      chi: the factor by which the mean squared gradient grows from the next layer back to this one.
      gradient: mean squared gradient with respect to the layer, over that of the last one.
    """

    q: Array
    c: Array
    chi: Array
    gradient: Array


@checks.checked
def first_layer(
    sigma_w2: Numbers, sigma_b2: Numbers, length: Numbers, correlation: Numbers
) -> tuple[Array, Array]:
    """`q_1 = sigma_w2 length + sigma_b2`, and the correlation there: the data meet no activation.

    Args:
      sigma_w2: fan_in times the variance of the first layer's weights.
      sigma_b2: variance of its biases.
      length: mean squared entry of the inputs, `|x|^2 / n_0`.
      correlation: cosine of the angle between two inputs; numbers or arrays that broadcast.

    Returns:
      q and c of the first layer's pre-activations, NumPy float64; traced in the dtype of traced
      arguments: where `propagate` starts.

    Raises:
      TypeError: if a number is not real.
      ValueError: if one is negative, or correlation outside [-1, 1].

    >>> [float(each) for each in first_layer(2.0, 0.0, 1.5, 0.5)]
    [3.0, 0.5]
    """
    numbers = {
        "sigma_w2": sigma_w2,
        "sigma_b2": sigma_b2,
        "length": length,
        "correlation": correlation,
    }
    return evaluate(_first_layer, (), numbers)


@checks.checked
def propagate(
    activation: Activation,
    sigma_w2: Numbers,
    sigma_b2: Numbers,
    q0: Numbers,
    c0: Numbers,
    depth: int,
) -> Propagation:
    """`q_l = q_map(q_(l-1))`, `c_l = c_map(q_(l-1), c_(l-1))`, `chi_l = chi(q_l)`.

    Args:
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the weights.
      sigma_b2: variance of the biases.
      q0: variance of the pre-activations where it starts; see `first_layer`.
      c0: correlation there, in [-1, 1]; numbers or arrays that broadcast.
      depth: how many layers follow.

    Returns:
      The layers, NumPy float64; traced in the dtype of traced arguments, and NaN from a layer on
      whose mean square is infinite.

    Raises:
      TypeError: if activation is not a function of one array, depth not an integer, or a number not
        real.
      ValueError: if activation is not elementwise, depth under 1, a number negative, c0 outside
        [-1, 1], or the mean square of the activation or of its slope infinite at a layer's q.

    Source: Poole et al. 2016, arXiv:1606.05340, eq. 3 and 5; Schoenholz et al. 2017,
    arXiv:1611.01232.

    >>> propagate(jax.nn.relu, 2.0, 0.0, 1.0, 0.0, 3).c.round(6).tolist()
    [0.0, 0.31831, 0.493731, 0.604826]
    """
    return _evaluate(_plain_step, activation, depth, sigma_w2, sigma_b2, q0, c0)


@checks.checked
def propagate_residual(
    activation: Activation,
    sigma_w2: Numbers,
    sigma_b2: Numbers,
    q0: Numbers,
    c0: Numbers,
    depth: int,
    *,
    branch_scale: Numbers = 1.0,
    pre_norm: bool = False,
    inner: tuple[Numbers, Numbers] | None = None,
) -> Propagation:
    """`h_l = h_(l-1) + s (W phi(h_(l-1)) + b)`: `q_l = q_(l-1) + s^2 q_map(q_(l-1))`.

    Stream and branch are uncorrelated, because the branch ends in weights of mean 0, so that their
    covariances add and the gradient's factor is `1 + s^2 chi`. relu's stream grows geometrically,
    tanh's linearly; with `s = 1 / sqrt(depth)` either stays bounded. Normalized before the branch,
    every stream grows linearly, and gradients as a power of depth. With inner weights the branch is
    `W phi(W_1 h + b_1) + b`, two layers as in a residual MLP: the first is linear in the stream, so
    that `q_1 = sigma_w2_1 q + sigma_b2_1` enters the maps, and chi gains a factor `sigma_w2_1`.

    Args:
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the branch's last weights.
      sigma_b2: variance of its last biases.
      q0: variance of the stream where it starts.
      c0: correlation there, in [-1, 1].
      depth: how many blocks follow.
      branch_scale: s, what multiplies a branch; numbers or arrays that broadcast.
      pre_norm: whether a branch sees the stream through a layer norm.
      inner: `(sigma_w2, sigma_b2)` of a linear layer between the stream and phi; None: there is
        none.

    Returns:
      The stream after each block, NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError: as `propagate`, or if inner is not a pair.
      ValueError: as `propagate`.

    Source: Yang and Schoenholz 2017, arXiv:1712.08969; Hanin and Rolnick 2018, arXiv:1803.01719;
    with a norm Xiong et al. 2020, arXiv:2002.04745.

    >>> propagate_residual(jax.nn.relu, 2.0, 0.0, 1.0, 1.0, 3).q.round(12).tolist()
    [1.0, 2.0, 4.0, 8.0]
    """
    step = _pre_norm_step if pre_norm else _residual_step
    numbers = {"branch_scale": branch_scale}
    if inner is not None:
        if not isinstance(inner, Sequence) or len(inner) != 2:
            raise TypeError(f"inner must be a pair (sigma_w2, sigma_b2), got {inner!r}")
        numbers |= {"inner sigma_w2": inner[0], "inner sigma_b2": inner[1]}
    return _evaluate(step, activation, depth, sigma_w2, sigma_b2, q0, c0, **numbers)


@checks.checked
def propagate_normalized(
    activation: Activation,
    sigma_w2: Numbers,
    sigma_b2: Numbers,
    c0: Numbers,
    depth: int,
) -> Propagation:
    """`h_l = norm(W phi(h_(l-1)) + b)`: q is 1, and the gradient's factor `chi(1) / q_map(1)`.

    A layer norm cancels any scale of the weights. For a layer of many units it divides by
    `sqrt(q)`, forward and backward; what it takes from the gradient along mean and norm is of the
    order of 1 / width.

    Args:
      activation: elementwise function phi.
      sigma_w2: fan_in times the variance of the weights.
      sigma_b2: variance of the biases.
      c0: correlation of two inputs' normalized pre-activations, in [-1, 1].
      depth: how many layers follow.

    Returns:
      The normalized pre-activations, NumPy float64; traced in the dtype of traced arguments.

    Raises:
      TypeError, ValueError: as `propagate`.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450, applied to the maps of `propagate`.

    >>> propagate_normalized(jax.nn.relu, 7.0, 0.0, 0.5, 10).gradient[0].round(12)
    np.float64(1.0)
    """
    return _evaluate(_normalized_step, activation, depth, sigma_w2, sigma_b2, 1.0, c0)


def _evaluate(
    step: Step,
    activation: Activation,
    depth: int,
    sigma_w2: Numbers,
    sigma_b2: Numbers,
    q0: Numbers,
    c0: Numbers,
    **numbers: Numbers,
) -> Propagation:
    checks.check_count("depth", depth, 1)
    numbers = {"sigma_w2": sigma_w2, "sigma_b2": sigma_b2, "q0": q0, "c0": c0, **numbers}
    pieces = find_pieces(activation)
    found, seen = evaluate(_layers, (step, pieces, depth), numbers)
    by_square = lost_layers(activation, seen[..., :-1], found.q[..., 1:], power=2)
    by_slope = lost_layers(slope_pieces(pieces).function, seen, found.chi, power=2)
    if by_square is None:
        return found
    q, c, chi = (nan_after(by_square, each) for each in found[:3])
    chi = nan_where(by_slope, chi)
    return Propagation(q, c, chi, _gradient(chi))


def _layers(
    step: Step,
    pieces: Pieces,
    depth: int,
    sigma_w2: jax.Array,
    sigma_b2: jax.Array,
    q0: jax.Array,
    c0: jax.Array,
    *numbers: jax.Array,
) -> tuple[Propagation, jax.Array]:
    """The layers, and the q that phi sees in each [depth + 1]."""

    def layer(
        state: tuple[jax.Array, jax.Array], _: None
    ) -> tuple[tuple[jax.Array, jax.Array], Signals]:
        q, c = state
        after, covariance, factor, seen = step(pieces, sigma_w2, sigma_b2, q, c, *numbers)
        return (after, as_correlation(covariance / after)), (q, c, factor, seen)

    # One step more than layers follow: a step records the state that it starts from.
    _, (q, c, chi, seen) = jax.lax.scan(layer, (q0, c0), length=depth + 1)
    return Propagation(q, c, chi, _gradient(chi)), seen


def _gradient(chi: jax.Array) -> jax.Array:
    # By products and not by quotients of one: where a chi is 0, these would be 0 / 0.
    from_here_on = jnp.cumprod(chi[..., :-1][..., ::-1], axis=-1)[..., ::-1]
    return jnp.concatenate([from_here_on, jnp.ones_like(chi[..., :1])], axis=-1)


def _first_layer(
    sigma_w2: jax.Array, sigma_b2: jax.Array, q: jax.Array, c: jax.Array
) -> tuple[jax.Array, jax.Array]:
    after = sigma_w2 * q + sigma_b2
    return after, (sigma_w2 * q * c + sigma_b2) / after


def _plain_step(
    pieces: Pieces, sigma_w2: jax.Array, sigma_b2: jax.Array, q: jax.Array, c: jax.Array
) -> Signals:
    return (
        q_step(pieces, sigma_w2, sigma_b2, q),
        covariance_step(pieces, sigma_w2, sigma_b2, q, c),
        gradient_factor(pieces, sigma_w2, q),
        q,
    )


def _residual_step(
    pieces: Pieces,
    sigma_w2: jax.Array,
    sigma_b2: jax.Array,
    q: jax.Array,
    c: jax.Array,
    branch_scale: jax.Array,
    *inner: jax.Array,
) -> Signals:
    branch_q, covariance, factor, seen = _branch(pieces, sigma_w2, sigma_b2, q, c, *inner)
    # Variances of uncorrelated terms add, and so do squared norms of the two gradients.
    scale2 = branch_scale**2
    return q + scale2 * branch_q, q * c + scale2 * covariance, 1 + scale2 * factor, seen


def _pre_norm_step(
    pieces: Pieces,
    sigma_w2: jax.Array,
    sigma_b2: jax.Array,
    q: jax.Array,
    c: jax.Array,
    branch_scale: jax.Array,
    *inner: jax.Array,
) -> Signals:
    # A norm divides the stream by sqrt(q), and the backpropagated gradient too; the angle between
    # two streams does not change.
    one = jnp.ones_like(q)
    branch_q, covariance, factor, seen = _branch(pieces, sigma_w2, sigma_b2, one, c, *inner)
    scale2 = branch_scale**2
    return q + scale2 * branch_q, q * c + scale2 * covariance, 1 + scale2 * factor / q, seen


def _branch(
    pieces: Pieces,
    sigma_w2: jax.Array,
    sigma_b2: jax.Array,
    q: jax.Array,
    c: jax.Array,
    *inner: jax.Array,
) -> Signals:
    """What `_plain_step` gives, of a branch whose input has (q, c)."""
    # Whether there is an inner layer is structure, and static: no traced branch, no factor of 1.
    if not inner:
        return _plain_step(pieces, sigma_w2, sigma_b2, q, c)
    inner_sigma_w2, inner_sigma_b2 = inner
    q, c = _first_layer(inner_sigma_w2, inner_sigma_b2, q, c)
    branch_q, covariance, factor, seen = _plain_step(pieces, sigma_w2, sigma_b2, q, c)
    # The chain rule through W_1: E |W_1^T v|^2 = sigma_w2_1 |v|^2 at equal fans.
    return branch_q, covariance, inner_sigma_w2 * factor, seen


def _normalized_step(
    pieces: Pieces, sigma_w2: jax.Array, sigma_b2: jax.Array, q: jax.Array, c: jax.Array
) -> Signals:
    after, covariance, factor, seen = _plain_step(pieces, sigma_w2, sigma_b2, q, c)
    return jnp.ones_like(q), covariance / after, factor / after, seen
