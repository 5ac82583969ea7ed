"""From a dataset to what is said of it: shares with intervals, tables, JSON."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray

__all__ = [
    "best_rate",
    "format_quartiles",
    "format_share",
    "format_table",
    "quartiles",
    "trained",
    "wilson_interval",
    "write_json",
]


def trained(results: xarray.Dataset, constant_loss: float, fraction: float) -> xarray.DataArray:
    """`final loss is finite and < fraction * constant_loss`.

    Args:
      results: a sweep's results with a `loss` over `step`.
      constant_loss: the loss of the best predictor that ignores the inputs.
      fraction: how far under it a run must end, in (0, 1].

    Returns:
      Booleans over the sweep's axes.
    """
    final = results["loss"].isel(step=-1)
    return (final > -np.inf) & (final < fraction * constant_loss)


def best_rate(final: xarray.DataArray, trained_under: float) -> xarray.DataArray:
    """The learning rate that trains most seeds; of equal ones that of the least median loss.

    Args:
      final: final losses over "learning_rate", "seed" and what has a best rate of its own. One that
        is not finite counts as infinite.
      trained_under: a run trained if it ended under this loss.

    Returns:
      Indices of learning_rate, over the rest; of rates that are equal in both the first.

    >>> dims = ("learning_rate", "seed")
    >>> best_rate(xarray.DataArray([[0.1, 9.0], [0.2, 0.2], [0.3, 0.3]], dims=dims), 1.0).item()
    1
    """
    counted = final.where(np.isfinite(final), np.inf).astype(float)
    trained = (counted < trained_under).sum("seed")
    median = counted.quantile(0.5, "seed", method="inverted_cdf").drop_vars("quantile")
    # A median may be infinite where some seeds train: it still comes before rates that train fewer.
    ranked = median.clip(max=np.finfo(float).max)
    return ranked.where(trained == trained.max("learning_rate"), np.inf).argmin("learning_rate")


def wilson_interval(successes: int, runs: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The score interval of a share, 95 % by default.

    `(p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)`, p = successes / n.

    Args:
      successes: how many runs did.
      runs: of how many, at least 1.
      z: quantile of the normal distribution.

    Returns:
      The interval's ends, in [0, 1].

    Raises:
      ValueError: if runs is under 1 or successes not among them.

    Source: Wilson 1927, Probable inference, the law of succession, and statistical inference.

    >>> [round(end, 3) for end in wilson_interval(10, 10)]
    [0.722, 1.0]
    """
    if runs < 1 or not 0 <= successes <= runs:
        raise ValueError(f"successes must be 0 to runs, got {successes} of {runs}")
    share = successes / runs
    center = share + z * z / (2 * runs)
    half = z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    scale = 1 + z * z / runs
    # The ends at 0 and 1 are exact, where rounding would put the share outside of its interval.
    low = 0.0 if successes == 0 else (center - half) / scale
    high = 1.0 if successes == runs else (center + half) / scale
    return low, high


def quartiles(losses: np.ndarray) -> list[float]:
    """Lower quartile, median and upper quartile; a value that is not finite counts as infinite.

    Args:
      losses: one value for each run.

    Returns:
      Three of the values (no interpolation, so that one infinite run does not spoil a median).

    Raises:
      ValueError: if there is no value.

    >>> quartiles(np.array([3.0, 1.0, np.nan, 2.0]))
    [1.0, 2.0, 3.0]
    """
    if np.size(losses) == 0:
        raise ValueError("quartiles want at least one value, got none")
    ranked = np.where(np.isfinite(losses), losses, np.inf)
    return np.quantile(ranked, [0.25, 0.5, 0.75], method="inverted_cdf").tolist()


def format_quartiles(values: Sequence[float]) -> str:
    """`median [lower, upper]`.

    >>> format_quartiles([1.0, 2.0, 3.0])
    '2 [1, 3]'
    """
    low, middle, high = (f"{value:.3g}" for value in values)
    return f"{middle} [{low}, {high}]"


def format_share(share: float, interval: Sequence[float]) -> str:
    """`share [low, high]`.

    >>> format_share(0.5, (0.25, 0.75))
    '0.500 [0.250, 0.750]'
    """
    return f"{share:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def format_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows of text as aligned columns under their names.

    Args:
      rows: `{column: text}`, every row with the first row's columns.

    Returns:
      The table, a line for each row below a header and a rule.

    >>> print(format_table([{"start": "zero", "loss": "0.69"}]))
    start  loss
    -----  ----
    zero   0.69
    """
    columns = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}

    def line(cells: Mapping[str, str]) -> str:
        return "  ".join(cells[name].ljust(widths[name]) for name in columns).rstrip()

    rule = {name: "-" * widths[name] for name in columns}
    return "\n".join(line(cells) for cells in [{name: name for name in columns}, rule, *rows])


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes strict JSON, whole or not at all; NaN and infinity become null.

    Args:
      path: the file.
      content: what json can hold, and NumPy numbers and arrays.
    """
    text = json.dumps(_plain(content), indent=2, allow_nan=False) + "\n"
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(text)
    os.replace(unfinished, path)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
