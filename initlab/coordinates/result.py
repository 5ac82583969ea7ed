"""The result of a coordinate check: slopes, a finding for each layer, and a verdict."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from initlab import extras
from initlab.coordinates.remedies import find_remedies
from initlab.coordinates.slopes import Slope, fit_slope
from initlab.terminal import printable
from initlab.theory import Growth

if TYPE_CHECKING:
    import xarray

__all__ = ["CoordinateCheck"]

FLAT, GROWS, SHRINKS, UNCLEAR = "flat", "grows", "shrinks", "unclear"
ZERO, DIVERGES = "is zero", "is not finite"


@dataclasses.dataclass(frozen=True)
class CoordinateCheck:
    """Sizes of each layer's output, and of its change in training, over widths and seeds.

    Attributes:
      axis: what was varied: "width" or "depth".
      sizes: the widths [W].
      layers: names of the layers [L], in the order of the forward pass; the last one is the output.
      start: root mean square of each layer's output at initialization [W, S, L], S seeds.
      change: that of its difference from the start after 1, 2, ... T steps [W, S, T, L].
      predicted: the slopes that theory gives to a layer, of those that it knows.
      tolerance: slopes of up to so much count as flat, and as agreeing with theory.
      roles: names of the parameters' roles [R], where they are known.
      own: the change of each layer's output when the first step updates one role's parameters
        alone [W, S, R, L]; None where roles are not known.
    """

    axis: str
    sizes: tuple[int, ...]
    layers: tuple[str, ...]
    start: np.ndarray
    change: np.ndarray
    predicted: Mapping[str, Growth]
    tolerance: float
    roles: tuple[str, ...] = ()
    own: np.ndarray | None = None

    @property
    def start_slopes(self) -> dict[str, Slope]:
        """`log start` against `log size`, by layer."""
        return {
            name: fit_slope(self.sizes, self.start[..., number])
            for number, name in enumerate(self.layers)
        }

    @property
    def change_slopes(self) -> dict[str, tuple[Slope, ...]]:
        """`log change` against `log size`, by layer, after each step."""
        return {
            name: tuple(
                fit_slope(self.sizes, self.change[:, :, step, number])
                for step in range(self.change.shape[2])
            )
            for number, name in enumerate(self.layers)
        }

    @property
    def findings(self) -> dict[str, tuple[str, str]]:
        """By layer the finding of its start, and the worst finding of its change in any step.

        One of: flat; grows; shrinks; unclear (the interval reaches beyond the tolerance, and does
        not lie beyond it); is zero (exactly, for every size and seed); is not finite.
        """
        found = {}
        for number, name in enumerate(self.layers):
            start = self._finding(self.start[..., number], self.start_slopes[name])
            steps = [
                self._finding(self.change[:, :, step, number], slope)
                for step, slope in enumerate(self.change_slopes[name])
            ]
            # A change of zero counts only if every step has it: below a readout of zeros no
            # gradient is backpropagated in the first step, and the layer trains from the second on.
            nonzero = [each for each in steps if each != ZERO] or [ZERO]
            found[name] = (start, max(nonzero, key=WORSE.index))
        return found

    @property
    def verdict(self) -> str:
        """One of "pass", "warn" and "fail".

        It fails if anything grows with size or is not finite. It warns if a change shrinks or
        is zero, if a hidden layer's start shrinks, or if something is unclear. The output may
        start smaller in wider networks, as it does in maximal update.
        """
        return _verdict(list(self.findings.values()))

    @property
    def remedies(self) -> tuple[str, ...]:
        """Which role breaks, and the power that would mend it: a sentence each; none if it passes.

        Of a learning rate it is the power that holds what grows most in the first step: all these
        rates together let nothing grow. They need not make every layer learn: where hidden layers
        then move less and less, the readout's start is too large, as in the kernel's limit. What
        grows exponentially with depth is said to, and no power is named.
        """
        if self.own is None or self.verdict == "pass":
            return ()
        return find_remedies(
            self.axis, self.sizes, self.layers, self.start, self.roles, self.own, self.tolerance
        )

    @property
    def predicted_verdict(self) -> str | None:
        """What the verdict would be if all slopes were theory's; None if theory lacks a layer."""
        if set(self.predicted) != set(self.layers):
            return None
        found = [
            tuple(self._classify(Slope(each, each, each)) for each in self.predicted[name])
            for name in self.layers
        ]
        return _verdict(found)

    @property
    def apart(self) -> dict[str, tuple[str, ...]]:
        """By layer of which slopes theory's is further away than the tolerance, in words.

        As for `disagreement` it is the slope's value that counts; that its interval holds theory's
        is said beside it.
        """
        found = {}
        for name, growth in self.predicted.items():
            words = []
            for what, measured, exponent in (
                ("start", self.start_slopes[name], growth.start),
                ("change", self.change_slopes[name][0], growth.change),
            ):
                distance = abs(measured.value - exponent)
                if np.isnan(distance):
                    words.append(f"{what} has no slope to compare with theory's")
                elif distance > self.tolerance:
                    inside = measured.low <= exponent <= measured.high
                    also = ", within its interval" if inside else ""
                    words.append(f"{what} {distance:.2f} from theory{also}")
            if words:
                found[name] = tuple(words)
        return found

    @property
    def disagreement(self) -> float:
        """The largest distance of a slope from theory: starts, and changes in the first step.

        Theory is of a first small step. NaN where it has no slope, or a change is zero.
        """
        apart = [
            abs(measured.value - exponent)
            for name, growth in self.predicted.items()
            for measured, exponent in (
                (self.start_slopes[name], growth.start),
                (self.change_slopes[name][0], growth.change),
            )
        ]
        return float(np.max(apart)) if apart else float("nan")

    @property
    def agrees(self) -> bool:
        """Whether every slope that theory predicts is within the tolerance of it."""
        return self.disagreement <= self.tolerance

    @classmethod
    def from_dataset(cls, results: "xarray.Dataset") -> "CoordinateCheck":
        """The check that `to_dataset` was called on: `from_dataset(check.to_dataset())` equals it.

        Args:
          results: `start` over (axis, seed, layer), `change` over (axis, seed, step, layer), and
            `predicted_start` and `predicted_change` over layer, NaN where theory has no slope;
            where roles are known, `own` over (axis, seed, role, layer); attrs: axis, the name of
            the dimension of sizes, and tolerance. All else is ignored.

        Returns:
          The check; its verdict is found anew.

        Raises:
          ValueError: if a variable, a dimension or an attribute is missing.

        >>> sizes = np.ones((2, 3, 1)), np.ones((2, 3, 4, 1))
        >>> growth = {"layer_1": Growth(0.0, 0.0)}
        >>> check = CoordinateCheck("width", (8, 16), ("layer_1",), *sizes, growth, 0.15)
        >>> str(CoordinateCheck.from_dataset(check.to_dataset())) == str(check)
        True
        """
        if missing := [name for name in ("axis", "tolerance") if name not in results.attrs]:
            raise ValueError(f"results must have the attributes axis and tolerance, lack {missing}")
        axis = str(results.attrs["axis"])
        dims = {
            "start": (axis, "seed", "layer"),
            "change": (axis, "seed", "step", "layer"),
            "predicted_start": ("layer",),
            "predicted_change": ("layer",),
        }
        columns = {}
        for name, over in dims.items():
            if name not in results or set(results[name].dims) != set(over):
                given = results[name].dims if name in results else "no such variable"
                raise ValueError(f"results must hold {name!r} over {over}, got {given}")
            # Merging datasets may have put the dimensions in another order.
            columns[name] = results[name].transpose(*over).values
        layers = tuple(str(name) for name in results["layer"].values)
        predicted = zip(
            layers,
            columns["predicted_start"].tolist(),
            columns["predicted_change"].tolist(),
            strict=True,
        )
        return cls(
            axis,
            tuple(results[axis].values.tolist()),
            layers,
            columns["start"],
            columns["change"],
            {
                name: Growth(start, change)
                for name, start, change in predicted
                if np.isfinite(start)
            },
            float(results.attrs["tolerance"]),
            *_own_changes(results, axis),
        )

    def to_dataset(self) -> "xarray.Dataset":
        """Sizes over (axis, seed, step, layer), predicted slopes over layer; attrs: the rest."""
        with extras.needed("CoordinateCheck.to_dataset"):
            import xarray

        nothing = Growth(np.nan, np.nan)
        growth = [self.predicted.get(name, nothing) for name in self.layers]
        own: dict[str, Any] = {}
        if self.own is not None:
            own = {"own": ((self.axis, "seed", "role", "layer"), self.own)}
        return xarray.Dataset(
            own
            | {
                "start": ((self.axis, "seed", "layer"), self.start),
                "change": ((self.axis, "seed", "step", "layer"), self.change),
                "predicted_start": ("layer", [each.start for each in growth]),
                "predicted_change": ("layer", [each.change for each in growth]),
            },
            coords={
                self.axis: list(self.sizes),
                "layer": np.asarray(self.layers, dtype=object),
                "step": np.arange(1, self.change.shape[2] + 1),
            }
            | ({} if self.own is None else {"role": np.asarray(self.roles, dtype=object)}),
            attrs={"axis": self.axis, "verdict": self.verdict, "tolerance": self.tolerance},
        )

    def __str__(self) -> str:
        """The verdict, whether theory agrees, and a line for each layer."""
        last = self.change.shape[2]
        rows = [("layer", "start", "theory", "change: step 1", "theory", f"step {last}", "says")]
        for name in self.layers:
            growth = self.predicted.get(name)
            start, change = self.findings[name]
            steps = self.change_slopes[name]
            apart = self.apart.get(name, ())
            rows.append(
                (
                    printable(name),
                    _text(self.start_slopes[name]),
                    f"{growth.start:+.2f}" if growth else "",
                    _text(steps[0]),
                    f"{growth.change:+.2f}" if growth else "",
                    _text(steps[-1]),
                    "; ".join([f"start {start}, change {change}", *apart]),
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        title = (
            f"{self.verdict}: slopes of log size against log {self.axis}, "
            f"{self.sizes[0]} to {self.sizes[-1]}, {self.start.shape[1]} seeds [95 % interval]"
        )
        if self.predicted:
            says = "agrees" if self.agrees else f"differs by more than {self.tolerance:g}"
            title += f"; theory {says}"
        return "\n".join([title, *lines, *(f"breaks: {each}." for each in self.remedies)])

    def _finding(self, measured: np.ndarray, slope: Slope) -> str:
        if not np.isfinite(measured).all():
            return DIVERGES
        if not measured.any():
            return ZERO
        return self._classify(slope)

    def _classify(self, slope: Slope) -> str:
        if slope.low > self.tolerance:
            return GROWS
        if slope.high < -self.tolerance:
            return SHRINKS
        inside = -self.tolerance <= slope.low and slope.high <= self.tolerance
        return FLAT if inside else UNCLEAR


def _own_changes(results: "xarray.Dataset", axis: str) -> tuple[Any, ...]:
    if "own" not in results:
        return ()
    own = results["own"].transpose(axis, "seed", "role", "layer").values
    return tuple(str(name) for name in results["role"].values), own


def _verdict(found: Sequence[tuple[str, ...]]) -> str:
    """The verdict of the findings (start, change) of each layer, the output last."""
    *hidden, (start, change) = found
    words = {word for pair in hidden for word in pair} | {change}
    words |= {start} & {GROWS, UNCLEAR, DIVERGES}
    if words & {GROWS, DIVERGES}:
        return "fail"
    return "warn" if words & {SHRINKS, UNCLEAR, ZERO} else "pass"


WORSE = (ZERO, FLAT, UNCLEAR, SHRINKS, GROWS, DIVERGES)
"""Of a layer whose steps have different findings the last one here counts."""


def _text(slope: Slope) -> str:
    if not np.isfinite(slope.value):
        return "-"
    return f"{slope.value:+.2f} [{slope.low:+.2f}, {slope.high:+.2f}]"
