"""Will the start of a model of your own train? An audit, and exit code 1 if it fails.

    python -m experiments.audit --model package.module:factory

The factory takes nothing and gives what `initlab.audit` takes, by name: `apply`, `batch`, `params`
or `init`, perhaps `loss`. `experiments/examples` has one for each framework. With --seeds its
`init` draws so many starts, and findings come with intervals over them.
"""

import importlib
import json
from collections.abc import Mapping
from typing import Any

import jax
import xarray
from absl import flags as absl_flags

import initlab
from experiments import harness
from experiments.harness import flags
from initlab import checks, figures

__all__ = ["load", "measure"]

MODEL = absl_flags.DEFINE_string(
    "model", "experiments.examples.plain:deep_tanh", "The factory, as package.module:factory."
)
SEEDS = flags.define_count(
    "seeds", 0, "Starts that the factory's init draws; 0: its params as they are.", least=0
)
SEED = flags.define_count("seed", 0, "Draws the cotangent and the starts.", least=0)
SMOKE: dict[str, Any] = {}
ARGUMENTS = {"apply", "params", "batch", "loss", "init"}


def load(name: str) -> dict[str, Any]:
    """The arguments that a factory gives.

    Args:
      name: "package.module:factory".

    Returns:
      Keyword arguments of `initlab.audit`.

    Raises:
      ValueError: if there is no such factory, or it gives something else.
    """
    module, _, factory = name.partition(":")
    if not module or not factory:
        raise ValueError(f"--model must be package.module:factory, got {name!r}")
    try:
        make = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"--model {name!r} cannot be found: {error}") from error
    checks.check_callable(f"--model {name!r}", make)
    given = make()
    if not isinstance(given, Mapping) or not {"apply", "batch"} <= set(given) <= ARGUMENTS:
        got = sorted(given) if isinstance(given, Mapping) else type(given).__name__
        raise ValueError(
            f"the factory must give a dict with apply, batch, params or init, perhaps loss; "
            f"got {got}"
        )
    return dict(given)


def measure() -> xarray.Dataset:
    """Audits the model; the report is stored with the numbers, so that --figures_only prints it."""
    given = load(MODEL.value)
    key = jax.random.key(SEED.value)
    if SEEDS.value:
        if "init" not in given:
            raise ValueError(f"--seeds requires a factory that gives an init, got {sorted(given)}")
        given["keys"] = jax.random.split(key, SEEDS.value)
    else:
        init = given.pop("init", None)
        if "params" not in given:
            if init is None:
                raise ValueError(f"the factory must give params or init, got {sorted(given)}")
            given["params"] = jax.jit(init)(key)
    report = initlab.audit(
        given.pop("apply"), given.pop("params", None), given.pop("batch"), key=key, **given
    )
    summary = json.loads(report.to_json()) | {"text": str(report)}
    return report.to_dataset().assign_attrs(summary=json.dumps(summary))


def summarize(results: xarray.Dataset, settings: harness.Settings) -> dict[str, Any]:
    """The report as JSON."""
    del settings
    return json.loads(results.attrs["summary"])


if __name__ == "__main__":
    harness.launch(
        harness.Experiment(
            "audit",
            measure,
            summarize,
            lambda summary, settings: summary["text"],
            lambda results, settings: figures.draw_audit(results),
            SMOKE,
            lambda summary: int(summary["verdict"] == "fail"),
        )
    )
