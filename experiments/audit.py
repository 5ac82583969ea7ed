"""Will the start of a model of your own train? An audit, and exit code 1 if it fails.

    python -m experiments.audit --model package.module:factory

The factory takes nothing and gives what `initlab.audit` takes, by name: `apply`, `batch`, `params`
or `init`, perhaps `loss`. `experiments/examples` has one for each framework. With --seeds its
`init` draws so many starts, and findings come with intervals over them. The command `initlab audit`
does the same without a folder of results and figures.
"""

import json
from typing import Any

import xarray
from absl import flags as absl_flags

from experiments import harness
from experiments.harness import flags
from initlab import figures
from initlab.command.factory import audit_factory, find_factory, make_arguments

__all__ = ["EXPERIMENT"]

MODEL = absl_flags.DEFINE_string(
    "model", "experiments.examples.plain:deep_tanh", "The factory, as package.module:factory."
)
SEEDS = flags.define_count(
    "seeds", 0, "Starts that the factory's init draws; 0: its params as they are.", least=0
)
SEED = flags.define_count("seed", 0, "Draws the cotangent and the starts.", least=0)
SMOKE: dict[str, Any] = {}


def measure() -> xarray.Dataset:
    """Audits the model; the report is stored with the numbers, so that --figures_only prints it."""
    given = make_arguments(find_factory(MODEL.value, "--model"))
    report = audit_factory(given, SEEDS.value, SEED.value)
    summary = json.loads(report.to_json()) | {"text": str(report)}
    return report.to_dataset().assign_attrs(summary=json.dumps(summary))


def summarize(results: xarray.Dataset, settings: harness.Settings) -> dict[str, Any]:
    """The report as JSON."""
    del settings
    return json.loads(results.attrs["summary"])


EXPERIMENT = harness.Experiment(
    "audit",
    measure,
    summarize,
    lambda summary, settings: summary["text"],
    lambda results, settings: figures.draw_audit(results),
    SMOKE,
    lambda summary: int(summary["verdict"] == "fail"),
)

if __name__ == "__main__":
    harness.launch(EXPERIMENT)
