"""What each experiment's small run says, in a sentence or two, and whether its numbers do."""

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["CONCLUSIONS", "Conclusion"]


class Conclusion(NamedTuple):
    """What a run of `--smoke` says.

    Attributes:
      text: for a reader; every number in it is of that run.
      holds: whether `summary.json` bears it out; None where the documentation runs nothing.
    """

    text: str
    holds: Callable[[dict[str, Any]], bool] | None


def _calibration(summary: dict[str, Any]) -> bool:
    before, after = summary["rows"]
    return (
        summary["trains"] == {"none": 0, "lsuv": 0}
        and "vanishing_signal" in before["failures"]
        and "vanishing_signal" not in after["failures"]
        and after["loss"][0] < 0.75 * before["loss"][0]
    )


def _coordinate_check(summary: dict[str, Any]) -> bool:
    residual = summary["cases"]["residual"]
    return (
        summary["wrong"] == ["muP SGD"]
        and summary["cases"]["muP SGD"]["verdict"] == "warn"
        and all(low < 0 < high for _, low, high in summary["cases"]["muP SGD"]["start"].values())
        and residual["verdict"] == "fail"
        and residual["start"]["output"][1] > 0
    )


def _depth_constants(summary: dict[str, Any]) -> bool:
    (tanh,) = summary["activations"]
    trained = {
        row["depth"]: {name: each["p_train"] for name, each in row["constants"].items()}
        for row in tanh["rows"]
    }
    others = {"Glorot": 1, "He": 1, "critical": 1}
    return trained == {1: {"0.01": 1, **others}, 4: {"0.01": 0, **others}}


def _framework_defaults(summary: dict[str, Any]) -> bool:
    rows = {(row["framework"], row["layer"]): row for row in summary["rows"]}
    flax, torch = (
        [rows[name, layer] for layer in ("dense", "convolution")] for name in ("flax", "torch")
    )
    return (
        all(abs(row["sigma_w2"] - 1) < 0.1 and round(row["depth"]["relu"]) == 9 for row in flax)
        and all(abs(3 * row["sigma_w2"] - 1) < 0.1 for row in torch)
        and all(round(row["depth"]["relu"]) == 3 for row in torch)
    )


def _initializer_zoo(summary: dict[str, Any]) -> bool:
    ((he, zeros),) = (network["rows"] for network in summary["networks"])
    return (he["p_train"], zeros["p_train"], zeros["distinct_share"]) == (1, 0, 1 / 16)


def _lab_results(summary: dict[str, Any]) -> bool:
    (row,) = summary["rows"]
    return abs(row["power"][0] + 1) < 0.15 and abs(row["growth"][0] - 1) < 0.15


def _phase_diagram(summary: dict[str, Any]) -> bool:
    # Rounded: older versions of NumPy space a grid by other last bits.
    critical = {
        round(sigma_b2, 6): sigma_w2
        for sigma_b2, sigma_w2 in zip(*summary["critical"].values(), strict=True)
    }
    return (
        abs(critical[0.0] - 1) < 1e-6
        and abs(critical[0.5] - 2.84) < 0.01
        and summary["within"] == summary["compared"]
    )


def _published(summary: dict[str, Any]) -> bool:
    return summary["not comparable"] == len(summary["rows"]) > 0


def _random_initialization(summary: dict[str, Any]) -> bool:
    rows = {row["start"]: row for row in summary["starts"]}
    zero = rows.pop("zero")
    return (
        zero["distinct_end"] == [1, 1]
        and all(abs(loss - 0.693) < 0.001 for loss in zero["loss"])
        and all(row["distinct_end"] == [4, 4] for row in rows.values())
        and rows["0.01"]["saturation"] == 0
        and rows["1000"]["saturation"] > 0.9
    )


def _trainability_map(summary: dict[str, Any]) -> bool:
    (row,) = summary["rows"]
    return (
        abs(row["share"] - 0.37) < 0.02
        and row["between"] < 0.05
        and abs(row["dimension"][0] - 1) < 0.1
    )


def _saturation(summary: dict[str, Any]) -> bool:
    def of(activation: str, name: str) -> list[float]:
        return [row[name] for row in summary["rows"] if row["activation"] == activation]

    hidden = [of(activation, "saturation_hidden") for activation in ("tanh", "sigmoid")]
    outputs = of("relu", "saturation_output")
    return (
        all(shares == sorted(shares) and shares[-1] > 0.9 for shares in hidden)
        and outputs[0] == 0
        and outputs[-1] > 0.9
    )


def _signal_propagation(summary: dict[str, Any]) -> bool:
    return all(row["finite"]["within"] == row["layers"] for row in summary["rows"])


def _symmetry_escape(summary: dict[str, Any]) -> bool:
    planted = [row for row in summary["rows"] if row["perturbation"] and row["escape"] >= 0]
    kept = [
        row for row in summary["rows"] if row["arithmetic"] == "ordered" and not row["perturbation"]
    ]
    return (
        bool(planted and kept)
        and all(abs(row["escape"] / row["predicted"] - 1) < 0.15 for row in planted)
        and all(row["first_difference"] == -1 for row in kept)
    )


def _transfer(summary: dict[str, Any]) -> bool:
    return [row["verdict"] for row in summary["rows"]] == ["undecided"]


def _what_breaks_symmetry(summary: dict[str, Any]) -> bool:
    broken = {name for name, row in summary["symmetric"].items() if row["happened"]}
    left = {name for row in summary["random"].values() for name in row["not"]}
    return broken == {"dropout"} and left == {"relu 0 0 r"}


def _zero_initialization(summary: dict[str, Any]) -> bool:
    return summary["broken"] == 0 and summary["wide_minus_one_unit"] < 1e-6


def _reproduced(summary: dict[str, Any]) -> bool:
    return summary["outside"] == 0 < summary["within"] == len(summary["rows"])


CONCLUSIONS = {
    "calibration": Conclusion(
        "The 24 relu layers of standard deviation 0.01 fail the audit, as no signal comes through. "
        "After LSUV one does and the loss falls further, but five steps train neither.",
        _calibration,
    ),
    "coordinate_check": Conclusion(
        "Two seeds of two narrow networks decide nothing, and the check says so: muP's slopes have "
        "intervals on both sides of zero, and the verdict is a warning. The residual networks' "
        "output grows with depth beyond doubt even so, and that fails.",
        _coordinate_check,
    ),
    "course_tables": Conclusion(
        "Every published number of the course that needs no training is reproduced within its "
        "tolerance.",
        _reproduced,
    ),
    "depth_constants": Conclusion(
        "With one hidden layer all four constants train. With four layers 0.01 trains no seed, and "
        "Glorot's, He's and the critical scale train them all.",
        _depth_constants,
    ),
    "framework_defaults": Conclusion(
        "flax draws dense and convolution weights of variance 1 / fan_in, PyTorch of a third of "
        "that: a signal comes through 9 relu layers of the first, and through 3 of the second.",
        _framework_defaults,
    ),
    "initializer_zoo": Conclusion(
        "From He's start every seed of the plain network trains; from zeros none does, whose 16 "
        "units are copies of one.",
        _initializer_zoo,
    ),
    "lab_results": Conclusion(
        "A symmetric start whose three layers are eps small stays for a time of about 1 / eps, in "
        "which the logarithm of a difference between units grows by about log(1 / eps).",
        _lab_results,
    ),
    "phase_diagram": Conclusion(
        "Without biases tanh is critical at sigma_w2 = 1, with sigma_b2 = 0.5 at 2.84. Networks of "
        "width 32, drawn at four points, agree with theory within three standard errors.",
        _phase_diagram,
    ),
    "published": Conclusion(
        "All recipes run, at sizes of which nothing is published: no row claims to agree or not. "
        "What the published settings gave is in the [guide](../guide/published.md).",
        _published,
    ),
    "random_initialization": Conclusion(
        "From zero the four units stay one and the loss stays at 0.693 = ln 2; from every random "
        "start they stay four. None is saturated at 0.01, nearly all are at 1000.",
        _random_initialization,
    ),
    "saturation": Conclusion(
        "The larger the weights, the more tanh and sigmoid units are saturated: over 90 % at 1000. "
        "relu units do not saturate more, but the sigmoid output behind them does.",
        _saturation,
    ),
    "signal_propagation": Conclusion(
        "Mean square, correlation and gradient of networks of width 32 lie within three standard "
        "errors of theory, with its correction for that width, at every layer.",
        _signal_propagation,
    ),
    "symmetry_escape": Conclusion(
        "A planted difference grows as the linearised update says, and the units escape within "
        "15 % of the predicted step. With nothing planted the lab's layers keep them equal to the "
        "last bit to the end.",
        _symmetry_escape,
    ),
    "theory_tables": Conclusion(
        "Every published number of initialization theory in the table is reproduced within its "
        "tolerance.",
        _reproduced,
    ),
    "throughput": Conclusion(
        "How fast is a question to your machine, so nothing is run here. What carries over from "
        "one machine to another are ratios: the sides take turns in one process, and are timed "
        "only after they have given the same losses.",
        None,
    ),
    "torture": Conclusion(
        "It takes minutes, so nothing is run here; a smaller one is a test of every revision. It "
        "ends with 0 only if every sweep was finished with the bits of one that was not killed.",
        None,
    ),
    "trainability_map": Conclusion(
        "Of these starts and learning rates 37 % train. Two seeds hardly disagree on where the "
        "border is, and at 16 x 16 pixels it is a line, of dimension 1.",
        _trainability_map,
    ),
    "transfer": Conclusion(
        "Two steps at widths 4 and 8 tell nothing of the best rate: the claim stays undecided.",
        _transfer,
    ),
    "what_breaks_symmetry": Conclusion(
        "Of starts without a random piece only dropout brings units apart; minibatches, momentum, "
        "Adam, decay and noise do not. A random piece does under every treatment, but for random "
        "outgoing weights over relu units whose weights and biases are zero.",
        _what_breaks_symmetry,
    ),
    "zero_initialization": Conclusion(
        "Every fact of the induction holds to the last bit: units that start identical stay so, at "
        "zero and at one half, alone and under vmap. Four such units have the losses of one.",
        _zero_initialization,
    ),
}
