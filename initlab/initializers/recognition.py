"""What params may have been drawn from: the schemes that their values do not refute."""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from initlab import checks
from initlab.initializers.combinators import demands_of, scaled
from initlab.initializers.distributions import (
    truncated_normal,
    unit_normal,
    unit_truncated_normal,
    unit_uniform,
)
from initlab.initializers.fans import kernel_shape
from initlab.initializers.initialize import draw_parameter
from initlab.initializers.refutation import first_draws, refute
from initlab.initializers.zoo import schemes as named_schemes
from initlab.types import Initializer, Params, ParamSpec, Role

__all__ = ["Recognition", "RecognizedWeight", "recognize"]

SHAPES = {
    "normal": unit_normal,
    "normal cut at 2 std": unit_truncated_normal,
    "normal cut at 3 std": scaled(truncated_normal(1.0, -3.0, 3.0), 0.973337**-0.5),
    "uniform": unit_uniform,
}
"""Distributions, compared at the weight's own rms."""


class RecognizedWeight(NamedTuple):
    """One weight, or one slice of a stack.

    Attributes:
      path: its own.
      entries: how many numbers it has.
      rms: root mean square.
      fans: fan_in and fan_out.
      schemes: names of those that its values do not refute.
      refuted: `{name: why}` of the others.
      shapes: distributions that its values do not refute, whatever their scale.
    """

    path: str
    entries: int
    rms: float
    fans: tuple[float, float]
    schemes: tuple[str, ...]
    refuted: dict[str, str]
    shapes: tuple[str, ...]


class Recognition(NamedTuple):
    """What `recognize` found; its text is a table.

    Attributes:
      weights: one for each parameter and slice.
      level: how often the scheme that was drawn from is refuted by chance, in one weight or more.
    """

    weights: tuple[RecognizedWeight, ...]
    level: float

    @property
    def schemes(self) -> tuple[str, ...]:
        """Names of the schemes that no weight refutes."""
        first, *others = self.weights
        return tuple(name for name in first.schemes if all(name in each.schemes for each in others))

    def __str__(self) -> str:
        """Each weight with what it may be of; then the schemes that no weight refutes."""
        width = max(len(each.path) for each in self.weights)
        lines = [f"{'weight':{width}}      rms  var*fan_in  may be of"]
        for each in self.weights:
            names = ", ".join(each.schemes[:MOST]) or "no scheme of the table"
            more = f" and {len(each.schemes) - MOST} more" if len(each.schemes) > MOST else ""
            shapes = "" if each.schemes or not each.shapes else f"; {' or '.join(each.shapes)}"
            lines.append(
                f"{each.path:{width}} {each.rms:8.3g} {each.rms**2 * each.fans[0]:11.3g}  "
                f"{names}{more}{shapes}"
            )
        whole = ", ".join(self.schemes) or "none"
        return "\n".join([*lines, f"all weights may be of: {whole} (level {self.level:g})"])


MOST = 6
"""Names in a row of the table."""


@checks.checked
def recognize(
    params: Params,
    specs: Params,
    *,
    schemes: Mapping[str, Initializer] | None = None,
    level: float = 0.01,
) -> Recognition:
    """The schemes that params may be drawn from: those that no test refutes, weight by weight.

    A scheme is known by its own draws alone, for the same specs: what is the same in all of them
    must be in the weight; what is left is compared in scale (F test), distribution (Kolmogorov and
    Smirnov), extremes (Rosenbaum) and singular values (Student). The scheme that was drawn from is
    refuted at most with probability `level`, over all weights and tests (Bonferroni). Others may
    not be refuted either: a bias of zeros is one in many schemes, and a few entries tell little. A
    weight that is trained is refuted by all.

    Args:
      params: fresh ones, of any framework or a checkpoint.
      specs: their specs: `network.specs`, of any model `networks.adopt(init, apply, x).specs`.
      schemes: `{name: initializer of the whole network}`; None for all of the lab's, with the
        numbers that their sources give.
      level: over 0 and under 1.

    Returns:
      For each weight the schemes that are not refuted, and why the others are; print it.

    Raises:
      TypeError: if a scheme is not an initializer.
      ValueError: if params are not of the specs, one is not finite, there are no schemes, or level
        is not between 0 and 1.

    >>> from initlab.initializers import he_normal, he_uniform, lecun_normal
    >>> specs = {"w": ParamSpec((60, 50), 60, 50)}
    >>> params = {"w": he_normal()(jax.random.key(3), specs["w"])}
    >>> known = {"he": he_normal(), "he_uniform": he_uniform(), "lecun": lecun_normal()}
    >>> recognize(params, specs, schemes=known).weights[0].schemes
    ('he',)
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be over 0 and under 1, got {level}")
    by_path = {
        path: dataclasses.replace(spec, path=path)
        for path, spec in checks.check_specs(specs).items()
    }
    checks.check_params(params, specs)
    known = named_schemes(_branches(by_path)) if schemes is None else dict(schemes)
    if not known:
        raise ValueError("schemes must hold at least one, got none")
    impossible = _impossible(known, by_path)
    own = checks.leaves_by_path("params", params)
    each_level = level / sum(len(spec.stack) or 1 for spec in by_path.values())
    found = [
        weight
        for path, spec in by_path.items()
        for weight in _recognized(spec, _array(path, own[path]), known, impossible, each_level)
    ]
    return Recognition(tuple(found), level)


def _branches(specs: Mapping[str, ParamSpec]) -> int:
    return sum(len(each.stack) or 1 for each in specs.values() if each.role is Role.RESIDUAL)


def _impossible(known: Mapping[str, Initializer], specs: Mapping[str, ParamSpec]) -> dict[str, str]:
    """Schemes of parts that the network has not, by name, and what they say of it."""
    reasons = {}
    for name, initializer in known.items():
        try:
            for demand in demands_of(initializer):
                demand(specs)
        except ValueError as error:
            reasons[name] = _short(error)
    return reasons


def _short(error: Exception) -> str:
    return f"{error}".splitlines()[0][:80]


def _array(path: str, leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    if not np.isfinite(array).all():
        raise ValueError(f"params[{path!r}] must be finite, got NaN or infinity")
    return array


def _recognized(
    spec: ParamSpec,
    leaf: np.ndarray,
    known: Mapping[str, Initializer],
    impossible: Mapping[str, str],
    level: float,
) -> list[RecognizedWeight]:
    """A parameter's slices, or the parameter."""
    paths = spec.stack or (spec.path,)
    slices = list((leaf if spec.stack else leaf[None]).astype(np.float64))
    reasons: list[dict[str, str]] = [{} for _ in slices]
    # Many schemes have one law of one weight: the same draws under the same keys.
    asked: dict[bytes, list[str]] = {}
    for name, initializer in known.items():
        if name in impossible:
            answers = [impossible[name]] * len(slices)
        else:
            answers = _asked(spec, leaf.dtype, initializer, slices, level, asked)
        for reason, answer in zip(reasons, answers, strict=True):
            reason[name] = answer
    weights = []
    for path, values, answers in zip(paths, slices, reasons, strict=True):
        rms = float(np.sqrt(np.mean(values**2))) if values.size else 0.0
        weights.append(
            RecognizedWeight(
                path,
                values.size,
                rms,
                (float(spec.fan_in), float(spec.fan_out)),
                tuple(name for name, answer in answers.items() if not answer),
                {name: answer for name, answer in answers.items() if answer},
                _shapes(spec, leaf.dtype, values, rms, level),
            )
        )
    return weights


def _asked(
    spec: ParamSpec,
    dtype: np.dtype,
    initializer: Initializer,
    slices: Sequence[np.ndarray],
    level: float,
    asked: dict[bytes, list[str]],
) -> list[str]:
    """Why each slice is no draw of the scheme, or ""."""
    draws = functools.cache(functools.partial(_draws, spec, dtype, initializer))
    try:
        few = draws(0, first_draws(slices[0].size))
    except (TypeError, ValueError) as error:
        # What a scheme cannot draw, as a matrix of a vector, is not of it: it says why.
        return [_short(error)] * len(slices)
    same = few.tobytes()
    if same not in asked:
        asked[same] = [
            refute(
                values,
                lambda first, count, n=n: draws(first, count)[:, n].astype(np.float64),
                functools.partial(_matrices, spec),
                level,
            )
            for n, values in enumerate(slices)
        ]
    return asked[same]


def _shapes(
    spec: ParamSpec, dtype: np.dtype, values: np.ndarray, rms: float, level: float
) -> tuple[str, ...]:
    if values.size < 2 or not np.ptp(values):
        return ()
    one = dataclasses.replace(_of_slice(spec), stack=())
    found = []
    for name, unit in SHAPES.items():
        asked = _asked(one, dtype, scaled(unit, rms), [values], level, {})
        found += [] if asked[0] else [name]
    return tuple(found)


def _of_slice(spec: ParamSpec) -> ParamSpec:
    return dataclasses.replace(spec, shape=spec.shape[1:]) if spec.stack else spec


def _draws(
    spec: ParamSpec, dtype: np.dtype, initializer: Initializer, first: int, count: int
) -> np.ndarray:
    """[count, slices, *shape], rounded as the params are."""
    # A key of its own: not one that somebody may have drawn params with.
    keys = jax.random.split(jax.random.fold_in(jax.random.key(SEED), first), count)
    wide = dataclasses.replace(spec, dtype=np.promote_types(dtype, np.float32))

    def draw(key: jax.Array) -> jax.Array:
        return draw_parameter(key, wide, initializer)

    together = count * math.prod(spec.shape) <= TOGETHER
    drawn = jax.vmap(draw)(keys) if together else np.stack([np.asarray(draw(k)) for k in keys])
    drawn = np.asarray(drawn).astype(dtype)
    return drawn if spec.stack else drawn[:, None]


SEED = 0x696E6974
"""Of the references."""

TOGETHER = 2**14
"""Entries that one step draws; more are drawn one by one, as `initialize` draws them."""


def _matrices(spec: ParamSpec, array: np.ndarray) -> np.ndarray:
    """[members, inputs, units] of a slice, or none where it is no matrix."""
    one = _of_slice(spec)
    shape = tuple(size for axis, size in enumerate(one.shape) if axis not in one.members)
    if spec.role not in MATRICES or len(shape) < 2:
        return np.empty((0, 1, 1))
    _, _, units = kernel_shape("recognize", dataclasses.replace(one, shape=shape, members=()))
    fronts = range(len(one.members))
    return np.moveaxis(array, one.members, fronts).reshape(-1, math.prod(shape) // units, units)


MATRICES = (Role.INPUT, Role.WEIGHT, Role.RESIDUAL, Role.READOUT, Role.EMBEDDING)
"""Roles of parameters whose singular values are compared."""
