"""What the diagnostics read: one seed's measurements and the facts about the program."""

import dataclasses
import functools
import math
import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from initlab.audits.blocked import Blocked
from initlab.audits.class_prior import ClassPrior, Predictions
from initlab.audits.copies import Repeated
from initlab.audits.softmaxes import SOFTMAXES, Softmax
from initlab.symmetry import BlockAxis, Coverage
from initlab.taps import Chain, Model, Row

if TYPE_CHECKING:
    from initlab.audits.coarse import Draw
    from initlab.audits.faint import Faint
    from initlab.audits.fans import Fans
    from initlab.audits.keys import Drawn
    from initlab.audits.optimizers import FirstUpdate
    from initlab.audits.singular import Broken

__all__ = ["SMALL", "Evidence", "Rescaled", "Signal", "Weight", "signals_of", "weights_of"]

SMALL = 0.1
"""A gate under this rms, or a readout under this share of 1/sqrt(fan_in), is small on purpose."""

OF_UNITS = ("unit_rms", "unit_saturated")
"""Statistics that a row has of each unit, where units lie on several axes."""

BY_CHANCE = 0.01
"""Slices that are all dead are seen where draws would be so with a smaller probability."""


@dataclasses.dataclass(frozen=True)
class Signal:
    """One row of one seed; NaN where a number was not measured.

    Attributes:
      place: where.
      kind: "input", "product", "sum", "activation" or "output".
      on_path: whether it lies on every path from input to output.
      norms: how many normalizations lie before it.
      upstream: bit set of the parameters whose gradient is backpropagated through it.
      units: how many units it has.
      rms: root mean square.
      is_computed: whether it was, as it is not in a branch that was not taken.
      has_gradient: whether its gradient was measured, so that NaN means NaN.
      cosine_distance: 1 - mean cosine of two examples.
      gradient_norm: Euclidean norm of the gradient.
      saturated: share of units x examples with a flat slope.
      usual: that share on N(0, 1).
      dead: share of units that are flat on every example.
      gradient_behind_zeros: what gradient_norm would be, if parameters of zeros that make it zero
        were drawn at random; NaN where none does.
      branch_ratio: of a sum of a stream and a branch, rms of the branch over that of the stream.
      memory: logarithm of the factor by which a change of a loop's state is kept from step to step.
      fastest: the same of the entry that is kept least; NaN where entries are not kept each by a
        factor of its own.
      over_time: `{statistic: [steps]}` of a place that depends on a loop's state.
      loop: which loop that is.
      norms_gained: how many normalizations each of those steps adds.
      row: the number of its row.
      dead_slices: of several axes of units, `(index, size)` of the parts of one that are all dead,
        as a member of an ensemble, if chance does not explain it.
      of_units: where units lie on several axes, rms, saturated and dead of each, and their rms
        over_time [steps, ...], on these axes.
      names: bit set of the parameters that it is called by.
      biases: bit set of those that are added to it.
      through: bit set of those that multiply it on every path from the data.
    """

    place: str
    kind: str
    on_path: bool
    norms: int
    upstream: int
    units: int
    rms: float
    is_computed: bool = True
    has_gradient: bool = False
    cosine_distance: float = math.nan
    gradient_norm: float = math.nan
    saturated: float = math.nan
    usual: float = math.nan
    dead: float = math.nan
    gradient_behind_zeros: float = math.nan
    branch_ratio: float = math.nan
    memory: float = math.nan
    fastest: float = math.nan
    over_time: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    loop: tuple = ()
    norms_gained: int = 0
    row: int = -1
    dead_slices: tuple[tuple[int, int], ...] = ()
    half_dead: tuple[tuple[int, int, float], ...] = ()
    of_units: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    names: int = 0
    biases: int = 0
    through: int = 0


@dataclasses.dataclass(frozen=True)
class Weight:
    """One parameter, or one slice of a stacked one, of one seed.

    Attributes:
      path: its name.
      bit: its bit in sets of parameters.
      rms: root mean square.
      smallest: entry.
      largest: entry.
      gradient_rms: root mean square of its gradient.
    """

    path: str
    bit: int
    rms: float
    smallest: float
    largest: float
    gradient_rms: float


class Rescaled(NamedTuple):
    """The weights of a start whose small gates and readouts have been brought to a usual size.

    Attributes:
      names: the gates and readouts.
      weights: every parameter, measured there.
      signals: every row, measured there.
    """

    names: Sequence[str]
    weights: Sequence[Weight]
    signals: Sequence[Signal]


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What is known of one start.

    Attributes:
      model: the program's facts.
      signals: in the order in which the data meet them.
      weights: every parameter.
      widths: `{group of units: (different ones, all, paths of its parameters)}`.
      duplicates: sets of tensors that are one draw, with their correlation.
      loss: at the start; NaN without one.
      loss_at_zero: where all outputs are 0.
      classes: the size of the outputs' last axis.
      coverage: what the symmetry analysis does not support, or why it did not run.
      blocks: where the block of a name in widths lies that is one of several.
      repeated: axes of parameters with slices that hold the same random numbers.
      batched: axes of parameters in each index of which units lie, as members have them.
      faint: slices of weights that are far smaller than their siblings.
      chains: numbers of rows that follow each other on the way to an output or to a join.
      blocked: of each parameter whose gradient is zero though outputs depend on it, what becomes of
        it.
      rescaled: the start with small gates and readouts at their usual size, if they may explain
        updates out of balance, or a collapse.
      softmaxes: attentions and routers.
      prior: the classes' frequencies, where they are given.
      predictions: what the outputs say of the classes, where these are.
      leaks: outputs that depend on what they must not see, where that was asked.
      coarse: parameters that look drawn in low precision.
      broken: functions of parameters that some of their entries are unfit for.
      fans: of each weight whose use is understood, by its number.
      drawn: what several keys say of init; None where it drew nothing.
      first_update: one step of the optimizer; None without one.
    """

    model: Model
    signals: Sequence[Signal]
    weights: Sequence[Weight]
    widths: Mapping[str, tuple[int, int, tuple[str, ...]]]
    duplicates: Sequence[tuple[list[str], float]]
    loss: float
    loss_at_zero: float
    classes: int
    coverage: Coverage | str
    chains: Sequence[Chain] = ()
    blocked: Mapping[str, Blocked] = dataclasses.field(default_factory=dict)
    rescaled: Rescaled | None = None
    softmaxes: Sequence[Softmax] = ()
    prior: ClassPrior | None = None
    predictions: Predictions | None = None
    leaks: Sequence[Any] = ()
    coarse: "Sequence[Draw]" = ()
    broken: "Sequence[Broken]" = ()
    fans: "Mapping[int, Fans]" = dataclasses.field(default_factory=dict)
    drawn: "Drawn | None" = None
    first_update: "FirstUpdate | None" = None
    blocks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    repeated: Sequence[Repeated] = ()
    batched: Sequence[tuple[str, BlockAxis]] = ()
    faint: "Sequence[Faint]" = ()

    @functools.cached_property
    def by_row(self) -> dict[int, Signal]:
        """The signals by the numbers of their rows, as chains name them."""
        return {signal.row: signal for signal in self.signals}

    @property
    def is_finite(self) -> bool:
        """Whether every signal that was computed is, and every gradient."""
        signals = [s for s in self.signals if s.is_computed]
        numbers = [s.rms for s in signals] + [w.gradient_rms for w in self.weights]
        numbers += [s.gradient_norm for s in signals if s.has_gradient]
        return all(map(math.isfinite, numbers))

    @property
    def path(self) -> list[Signal]:
        """Products and sums that lie on every path from input to output."""
        return [s for s in self.signals if s.on_path and s.kind in ("product", "sum")]

    @property
    def hidden(self) -> list[Signal]:
        """The same without the readout: a last product, which may start at any size."""
        path = self.path
        return path[:-1] if path and path[-1].kind == "product" else path

    @property
    def alone(self) -> int:
        """Bit set of the parameters that are all of a product's weight, not one factor of it."""
        names = [p.site.names for p in self.model.plan.sites() if p.site.kind == "product"]
        return functools.reduce(operator.or_, (n for n in names if n.bit_count() == 1), 0)


def signals_of(rows: Sequence[Row], seed: int) -> list[Signal]:
    """The rows of one seed."""
    signals = []
    for number, row in enumerate(rows):
        if row.kind in SOFTMAXES:
            continue
        # `dead` is a flag for each unit, whose mean is their share; the others are numbers.
        values: dict[str, Any] = {
            name: float(np.mean(each[seed]))
            for name, each in row.values.items()
            if name not in OF_UNITS
        }
        facts = (row.place, row.kind, row.on_path, row.norms, row.upstream, row.units)
        more: dict[str, Any] = {
            "is_computed": not row.in_branch or _is_computed(values),
            "has_gradient": "gradient_norm" in values,
            "row": number,
            "names": row.names,
            "biases": row.biases,
            "through": row.through,
            "over_time": {
                name: each[seed] for name, each in row.over_time.items() if name not in OF_UNITS
            },
            "of_units": _of_units(row, seed),
            "loop": (row.key[:-1], row.turns) if row.key and row.over_time else (),
            "norms_gained": row.norms_gained,
        }
        if "dead" in row.values:
            dead = np.asarray(row.values["dead"][seed])
            more["dead_slices"], more["half_dead"] = _dead_slices(row, dead), _half_dead(row, dead)
        signals.append(Signal(*facts, **more, **values))
    return signals


def _of_units(row: Row, seed: int) -> dict[str, np.ndarray]:
    """What was measured of each unit, on the axes of units, where there are several."""
    if len(row.unit_shape) < 2:
        return {}
    found = {
        name: np.asarray(row.values[key][seed], float).reshape(row.unit_shape)
        for name, key in (("rms", "unit_rms"), ("saturated", "unit_saturated"), ("dead", "dead"))
        if key in row.values
    }
    if "unit_rms" in row.over_time:
        steps = np.asarray(row.over_time["unit_rms"][seed], float)
        found["over_time"] = steps.reshape(len(steps), *row.unit_shape)
    return found


def _dead_slices(row: Row, dead: np.ndarray) -> tuple[tuple[int, int], ...]:
    """The parts of an axis of units, as members of an ensemble, that are dead as a whole."""
    if len(row.unit_shape) < 2:
        return ()
    units = dead.reshape(row.unit_shape)
    for axis, size in enumerate(row.unit_shape):
        others = tuple(n for n in range(units.ndim) if n != axis)
        (parts,) = np.nonzero(units.all(axis=others))
        each = units.size // size
        # How likely a unit is off on every example: at most one draw in two, and as the units of
        # the other parts say (Laplace's rule of succession). Of the last axis, which holds the
        # units themselves, one is off in all members at once more often than that.
        likely = 0.5
        if axis < units.ndim - 1 and len(parts):
            likely = min(0.5, (dead.sum() - each + 1) / (dead.size - each + 2))
        if len(parts) and ((axis == 0 and row.leading) or size * likely**each < BY_CHANCE):
            return tuple((int(part), size) for part in parts)
    return ()


def _half_dead(row: Row, dead: np.ndarray) -> tuple[tuple[int, int, float], ...]:
    """The members, of whose units more than half are dead, and their share: more than by chance."""
    shape = row.unit_shape
    for axis, size in enumerate(shape[:-1]):
        shares = np.moveaxis(dead.reshape(shape), axis, 0).reshape(size, -1).mean(axis=1)
        each = dead.size // size
        # Members of an ensemble see the same data; an expert may be sent a single example, on which
        # half of its units are off.
        likely = np.full(size, 0.5)
        if axis == 0 and row.leading:
            others = (dead.sum() - each * shares + 1) / (dead.size - each + 2)
            likely = np.minimum(likely, others)
        parts = [
            (n, size, float(share))
            for n, (share, usual) in enumerate(zip(shares, likely, strict=True))
            if 0.5 < share < 1 and size * _chance(share, usual, each) < BY_CHANCE
        ]
        if parts:
            return tuple(parts)
    return ()


def _chance(share: float, likely: float, count: int) -> float:
    """At most how probable such a share of draws is, each likely by itself (Chernoff 1952)."""
    off, on = share * math.log(share / likely), (1 - share) * math.log((1 - share) / (1 - likely))
    return math.exp(-count * (off + on))


def _is_computed(values: Mapping[str, float]) -> bool:
    """A branch that was not taken has NaN for every statistic, and a gradient of exactly zero."""
    if not math.isnan(values["rms"]):
        return True
    if "saturated" in values:
        return not math.isnan(values["saturated"])
    return values.get("gradient_norm") != 0


def weights_of(model: Model, measured: Sequence[Mapping[str, Any]], seed: int) -> list[Weight]:
    """The parameters of one seed, stacked ones slice by slice."""
    weights = []
    for bit, (path, values) in enumerate(zip(model.paths, measured, strict=True)):
        slices = np.stack(
            [values[name][seed] for name in ("rms", "smallest", "largest", "gradient_rms")], axis=-1
        )
        for number, each in enumerate(slices):
            name = f"{path}[{number}]" if model.notes.stacked >> bit & 1 else path
            weights.append(Weight(name, bit, *map(float, each)))
    return weights
