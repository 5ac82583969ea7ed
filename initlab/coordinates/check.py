"""Trains one model at many sizes for a few steps, and measures every layer's output."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from initlab import checks
from initlab.coordinates.measurement import Measured, check_counts, measure_all
from initlab.coordinates.result import CoordinateCheck
from initlab.coordinates.subject import Subject
from initlab.theory import Growth
from initlab.types import Role

__all__ = ["assert_coordinates_stable", "coordinate_check", "coordinate_checks"]


@checks.checked
def coordinate_check(
    make: Callable[[int], Subject],
    widths: Sequence[int],
    batch: Any,
    loss: Callable[[jax.Array], jax.Array],
    *,
    seeds: Sequence[int] = tuple(range(8)),
    steps: int = 3,
    axis: str = "width",
    predicted: Mapping[Role, Growth] | None = None,
    tolerance: float = 0.15,
) -> CoordinateCheck:
    """How each layer's output, and its change over the first steps, scale with width or depth.

    What neither grows nor shrinks is stable: a learning rate tuned on a narrow network transfers
    to a wide one, and every layer trains.

    Args:
      make: `width -> Subject`: the model at this width (or depth).
      widths: at least two.
      batch: the inputs of every step.
      loss: `outputs -> scalar`; labels are closed over.
      seeds: of the starts, at least two; intervals are over them.
      steps: of the optimizer, at least 1.
      axis: what `make` varies, as tables and pictures call it. Where layers' names change with it,
        as with depth, the first, the middle and the last hidden one and the output are compared.
      predicted: slopes by role, as `theory.growth` gives them: INPUT of the first layer, READOUT of
        the output, WEIGHT of those between.
      tolerance: slopes of up to so much count as flat. At a finite width the powers below the
        leading one change a slope: by up to 0.1 at 128 to 2048 units, in the cases measured.

    Returns:
      The check; print it. `figures.draw_coordinates({title: check.to_dataset()})` is its picture.

    Raises:
      TypeError: if make or loss is not a function, a count not an integer, a loss not a scalar, or
        batch traced.
      ValueError: if there are too few widths, seeds, layers or steps, one of them is given
        twice, or tolerance is negative.

    Source: Yang et al. 2022, arXiv:2203.03466, appendix D.1.

    >>> import jax.numpy as jnp
    >>> import optax
    >>> def make(width):
    ...     def init(key):
    ...         first = jax.random.normal(key, (2, width))
    ...         return {"first": first, "last": first[0] / width}
    ...     def layers(params, x):
    ...         z = x @ params["first"]
    ...         return {"first": z, "last": jnp.tanh(z) @ params["last"]}
    ...     return Subject(init, layers, optax.sgd(0.1))
    >>> check = coordinate_check(make, [8, 16], np.ones((4, 2), np.float32), jnp.mean, steps=1)
    >>> check.layers, check.change.shape
    (('first', 'last'), (2, 8, 1, 2))
    """
    check_counts("widths", widths, 1)
    for role, growth in (predicted or {}).items():
        checks.check_kind("predicted: a role", role, Role)
        checks.check_kind(f"predicted[{role}]", growth, Growth)
    sizes = [(width,) for width in widths]
    measured = measure_all(make, sizes, batch, loss, seeds, steps, tolerance)
    return _check(axis, widths, measured, predicted, tolerance)


@checks.checked
def coordinate_checks(
    make: Callable[[int, int], Subject],
    widths: Sequence[int],
    depths: Sequence[int],
    batch: Any,
    loss: Callable[[jax.Array], jax.Array],
    *,
    seeds: Sequence[int] = tuple(range(8)),
    steps: int = 3,
    predicted: Mapping[str, Mapping[Role, Growth]] | None = None,
    tolerance: float = 0.15,
) -> dict[str, CoordinateCheck]:
    """`size ~ width^a depth^b` of each layer's output and its change, over both at once.

    Every width is measured at every depth. On such a grid the least squares of both powers together
    are those of each over the geometric means along the other: two coordinate checks.

    Args:
      make: `(width, depth) -> Subject`.
      widths: at least two.
      depths: at least two.
      batch: the inputs of every step.
      loss: `outputs -> scalar`; labels are closed over.
      seeds: of the starts, at least two.
      steps: of the optimizer, at least 1.
      predicted: by "width" and "depth" the slopes by role, as `theory.growth` gives them.
      tolerance: slopes of up to so much count as flat.

    Returns:
      `{"width": check, "depth": check}`.

    Raises:
      TypeError: as for `coordinate_check`.
      ValueError: as for `coordinate_check`; if predicted names another axis.

    Source: as for `coordinate_check`.

    >>> import jax.numpy as jnp
    >>> import optax
    >>> def make(width, depth):
    ...     def init(key):
    ...         return jax.random.normal(key, (2, width))
    ...     def layers(params, x):
    ...         z = x @ params
    ...         return {"first": z, "last": depth * z}
    ...     return Subject(init, layers, optax.sgd(0.1))
    >>> data = np.ones((4, 2), np.float32), jnp.mean
    >>> both = coordinate_checks(make, [8, 16], [1, 4], *data, steps=1)
    >>> round(both["depth"].start_slopes["last"].value, 3)
    1.0
    """
    predicted = dict(predicted or {})
    if unknown := set(predicted) - {"width", "depth"}:
        raise ValueError(f'predicted must be by "width" and "depth", got {min(unknown)!r}')
    check_counts("widths", widths, 1)
    check_counts("depths", depths, 1)
    pairs = [(width, depth) for width in widths for depth in depths]
    measured = measure_all(make, pairs, batch, loss, seeds, steps, tolerance)
    found = {}
    for number, (axis, sizes) in enumerate((("width", widths), ("depth", depths))):
        grids = (
            None if each is None else each.reshape(len(widths), len(depths), *each.shape[1:])
            for each in (measured.sizes, measured.own)
        )
        # The logarithm of what is zero is infinite, and its mean's exponential zero again.
        with np.errstate(divide="ignore"):
            means = [
                None if each is None else np.exp(np.mean(np.log(each), axis=1 - number))
                for each in grids
            ]
        along = measured._replace(sizes=means[0], own=means[1])
        found[axis] = _check(axis, sizes, along, predicted.get(axis), tolerance)
    return found


@checks.checked
def assert_coordinates_stable(check: CoordinateCheck) -> None:
    """Asserts that a coordinate check passes: nothing grows, and every layer trains.

    Args:
      check: what `coordinate_check` found.

    Raises:
      AssertionError: if its verdict is not "pass", with its table.
    """
    if check.verdict != "pass":
        raise AssertionError(f"coordinates change with {check.axis}:\n{check}")


def _check(
    axis: str,
    sizes: Sequence[int],
    measured: Measured,
    predicted: Mapping[Role, Growth] | None,
    tolerance: float,
) -> CoordinateCheck:
    return CoordinateCheck(
        axis,
        tuple(int(size) for size in sizes),
        measured.layers,
        measured.sizes[:, :, 0],
        measured.sizes[:, :, 1:],
        {} if predicted is None else _by_place(measured.layers, predicted),
        tolerance,
        tuple(role.name for role in measured.roles),
        measured.own,
    )


def _by_place(layers: Sequence[str], predicted: Mapping[Role, Growth]) -> dict[str, Growth]:
    first, *between, output = layers
    roles = {first: Role.INPUT, **dict.fromkeys(between, Role.WEIGHT), output: Role.READOUT}
    return {name: predicted[role] for name, role in roles.items() if role in predicted}
