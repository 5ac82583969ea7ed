"""Networks on the phase diagram: where they start, what is predicted there, the table."""

from typing import Any

import numpy as np
import xarray

from experiments.harness import Settings
from initlab import report, theory
from initlab.types import Activation

__all__ = ["predict_networks", "show", "summarize"]

SMALL, LARGE = 1e-4, 1e8
"""Where networks start whose mean square q vanishes, and diverges: no fixed point to start from."""

COMPARED = {"growth": "chi1", "decorrelation": "decorrelation"}
"""What networks measure, and what predicts it."""

RESOLVED = 1e-12
"""The smallest cosine distance above the rounding of float32, which enters it squared."""

ALLOWED = 3.0
"""Standard errors within which measured and predicted count as the same."""


def predict_networks(
    activation: Activation,
    sigma_w2: np.ndarray,
    sigma_b2: np.ndarray,
    correlation: float,
    width: int,
    depth: int,
) -> dict[str, np.ndarray]:
    """Where networks of the variances [P] start, and what they are to show.

    Args:
      activation: of the hidden layers.
      sigma_w2: of each network [P], above 0.
      sigma_b2: of each network [P].
      correlation: of the two inputs, in (-1, 1).
      width: units of a hidden layer.
      depth: hidden layers.

    Returns:
      Over [P]: input_length, the inputs' mean square from which the first layer is at the fixed q
      already; chi1, c and xi_c of the fixed point; decorrelation, the mean cosine distance at the
      last layer of this width.
    """
    point = theory.fixed_point(activation, sigma_w2, sigma_b2)
    q = np.where(np.isinf(point.q), LARGE, np.where(point.q <= 0, SMALL, point.q))
    # The first layer is linear, q = sigma_w2 length + sigma_b2. From the fixed point on every layer
    # is alike, so that the gradient's factor may be averaged over them.
    length = np.maximum(q - sigma_b2, 0) / sigma_w2
    first = map(np.asarray, theory.first_layer(sigma_w2, sigma_b2, length, correlation))
    apart = [
        np.asarray(theory.finite_width_correlation(activation, w, b, q0, c0, width, depth - 1))[-1]
        for w, b, q0, c0 in zip(sigma_w2, sigma_b2, *first, strict=True)
    ]
    return {
        "input_length": length,
        "decorrelation": np.stack(apart),
        "chi1": np.asarray(point.chi1),
        "c": np.asarray(point.c),
        "xi_c": np.asarray(point.xi_c),
    }


def summarize(results: xarray.Dataset, settings: Settings) -> dict[str, Any]:
    """Seconds of the map, the critical line, and a row for each network of the diagram.

    Args:
      results: what the experiment's `measure` returns.
      settings: not read: what the table needs of them is stored with the results.

    Returns:
      The numbers of the table.
    """
    rows = []
    for place in range(results.sizes["network"]):
        of = results.isel(network=place)
        row: dict[str, Any] = {
            name: float(of[name])
            for name in ("network_sigma_w2", "network_sigma_b2", "chi1", "c", "xi_c")
        }
        for name, prediction in COMPARED.items():
            values = of[f"{name}_measured"].values
            error = values.std(ddof=1) / np.sqrt(values.size)
            gap = values.mean() - float(of[prediction])
            is_resolved = prediction != "decorrelation" or float(of[prediction]) > RESOLVED
            row[name] = {
                "measured": float(values.mean()),
                "error": float(error),
                "predicted": float(of[prediction]),
                "off": (float(gap / error) if error > 0 else np.inf) if is_resolved else None,
            }
        rows.append(row)
    critical = results["critical_sigma_w2"].values
    return {
        **{name: results.attrs[name] for name in ("activation", "width", "depth", "correlation")},
        "seconds": {kind: results.attrs[f"{kind}_seconds"] for kind in ("compile", "run")},
        "grid": [results.sizes["sigma_w2"], results.sizes["sigma_b2"]],
        "critical": {
            "sigma_b2": results["sigma_b2"].values[[0, -1]].tolist(),
            "sigma_w2": critical[[0, -1]].tolist(),
        },
        "seeds": results.sizes["seed"],
        "within": {
            name: sum(abs(each) <= ALLOWED for each in _differences(rows, name))
            for name in COMPARED
        },
        "compared": {name: len(_differences(rows, name)) for name in COMPARED},
        "rows": rows,
    }


def _differences(rows: list[dict[str, Any]], name: str) -> list[float]:
    return [row[name]["off"] for row in rows if row[name]["off"] is not None]


def show(summary: dict[str, Any], settings: Settings) -> str:
    """The table."""
    rows = []
    for row in summary["rows"]:
        growth, apart = row["growth"], row["decorrelation"]
        rows.append(
            {
                "sigma_w2": f"{row['network_sigma_w2']:.3g}",
                "sigma_b2": f"{row['network_sigma_b2']:.3g}",
                "chi1": f"{row['chi1']:.4g}",
                "measured": f"{growth['measured']:.4g} +- {growth['error']:.1g}",
                "off": f"{growth['off']:+.1f}",
                "c*": f"{row['c']:.4g}",
                "xi_c": f"{row['xi_c']:.3g}",
                f"1 - c, layer {summary['depth']}": f"{apart['predicted']:.4g}",
                "measured ": f"{apart['measured']:.4g} +- {apart['error']:.1g}",
                "off ": "rounding" if apart["off"] is None else f"{apart['off']:+.1f}",
            }
        )
    seconds, critical = summary["seconds"], summary["critical"]
    line = ", ".join(
        f"{weights:.4g} at sigma_b2 = {biases:.3g}" if np.isfinite(weights) else "none"
        for weights, biases in zip(critical["sigma_w2"], critical["sigma_b2"], strict=True)
    )
    grid = " x ".join(map(str, summary["grid"]))
    within, compared = summary["within"], summary["compared"]
    return (
        f"{summary['activation']}: {grid} points in {seconds['run']:.2f} s, after "
        f"{seconds['compile']:.1f} s of compilation.\nCritical sigma_w2: {line}.\n"
        f"Measured: {summary['seeds']} networks of width {summary['width']} and depth "
        f"{summary['depth']} at each point; the factor of the squared gradient\nfrom layer to "
        f"layer beside chi1, and 1 - c of two inputs whose cosine was {summary['correlation']:g}; "
        "off: difference in standard errors.\n\n"
        f"{report.format_table(rows)}\n\n"
        f"Within {ALLOWED:g} standard errors: chi1 at {within['growth']} of {compared['growth']} "
        f"points, the correlation at {within['decorrelation']} of {compared['decorrelation']}. "
        "The draws are the same at all points."
    )
