"""Numbers as text: quartiles, shares with intervals, aligned tables."""

from collections.abc import Mapping, Sequence

import numpy as np

from initlab import checks
from initlab.terminal import printable

__all__ = ["format_quartiles", "format_share", "format_table", "quartiles"]


@checks.checked
def quartiles(losses: np.ndarray) -> list[float]:
    """Lower quartile, median and upper quartile; a value that is not finite counts as infinite.

    Args:
      losses: one value for each run.

    Returns:
      Three of the values (no interpolation, so that one infinite run does not spoil a median).

    Raises:
      TypeError: if losses are not real numbers.
      ValueError: if there is no value.

    >>> quartiles(np.array([3.0, 1.0, np.nan, 2.0]))
    [1.0, 2.0, 3.0]
    """
    checks.check_reals("losses", losses)
    if np.size(losses) == 0:
        raise ValueError("losses must hold at least one value, got none")
    ranked = np.where(np.isfinite(losses), losses, np.inf)
    return np.quantile(ranked, [0.25, 0.5, 0.75], method="inverted_cdf").tolist()


@checks.checked
def format_quartiles(values: Sequence[float]) -> str:
    """`median [lower, upper]`.

    >>> format_quartiles([1.0, 2.0, 3.0])
    '2 [1, 3]'
    """
    checks.check_known("values", values, "format_quartiles")
    low, middle, high = (f"{value:.3g}" for value in values)
    return f"{middle} [{low}, {high}]"


@checks.checked
def format_share(share: float, interval: Sequence[float]) -> str:
    """`share [low, high]`.

    >>> format_share(0.5, (0.25, 0.75))
    '0.500 [0.250, 0.750]'
    """
    if len(interval) != 2:
        raise ValueError(f"interval must be two numbers, got {interval!r:.80}")
    for name, value in (("share", share), ("interval", interval)):
        checks.check_known(name, value, "format_share")
    return f"{share:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


@checks.checked
def format_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows of text as aligned columns under their names.

    Args:
      rows: `{column: text}`, every row with the first row's columns.

    Returns:
      The table, a line for each row below a header and a rule; control characters are escaped.

    >>> print(format_table([{"start": "zero", "loss": "0.69"}]))
    start  loss
    -----  ----
    zero   0.69
    """
    if not rows:
        raise ValueError("rows must hold at least one row, got none")
    columns = list(rows[0])
    rows = [{name: printable(row[name]) for name in columns} for row in rows]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}

    def line(cells: Mapping[str, str]) -> str:
        return "  ".join(cells[name].ljust(widths[name]) for name in columns).rstrip()

    rule = {name: "-" * widths[name] for name in columns}
    return "\n".join(line(cells) for cells in [{name: name for name in columns}, rule, *rows])
