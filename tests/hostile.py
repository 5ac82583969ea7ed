"""Hostile calls of the whole public API, generated from its signatures and annotations.

Each case is a call that works with one argument replaced: another noun, shape or dtype, NaN, a
bound, a tracer, something that cannot be hashed. What comes back is

- clear: ValueError or TypeError whose message names the parameter (or what it holds);
- right: a result whose numbers are finite, or are not because what was given was not; of a traced
  argument (under jit, vmap or grad), the numbers of the same call without tracing;
- obscure: another exception, or a message that does not name the parameter;
- silent: a result where a wrong noun was given, numbers that are not finite of finite ones, or
  others under a transformation.

    python tests/hostile.py --cases 2000 --seed 1
"""

import argparse
import collections
import contextlib
import inspect
import os
import sys
import tempfile
import typing
from collections.abc import Callable
from typing import Any

import hypothesis
import jax.numpy as jnp
import numpy as np
from hostile_judge import Case, Traced, run_case
from hostile_nouns import public_functions
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

__all__ = ["SLOW", "ask", "cases"]

SLOW = frozenset(
    {
        "audits.assert_sound_initialization",
        "audits.audit",
        "audits.refine",
        "calibration.gradinit",
        "calibration.layerwise_whitening",
        "calibration.lsuv",
        "calibration.metainit",
        "calibration.to_criticality",
        "calibration.to_theory",
        "coordinates.coordinate_check",
        "figures.draw_audit",
        "figures.draw_coordinates",
        "figures.draw_curves",
        "figures.draw_map",
        "figures.draw_shares",
        "figures.draw_signal",
        "figures.explorer_page",
        "figures.save",
        "initializers.mimetic",
        "initializers.recognize",
        "networks.convnet",
        "networks.recurrent",
        "networks.residual_mlp",
        "networks.state_space",
        "networks.transformer",
        "symmetry.check_induction",
        "symmetry.transverse_growth",
        "sweeps.sweep",
        "taps.chains_of",
        "taps.measure",
        "taps.measure_signals",
        "taps.rows_of",
        "taps.unit_factors",
        "probes.activation_patterns",
        "probes.dead_units",
        "probes.effective_rank",
        "probes.gradient_noise_scale",
        "probes.gradient_norm",
        "probes.imbalance",
        "probes.jacobian_singular_values",
        "probes.movement",
        "signals.predict",
        "signals.predict_finite_width",
        "theory.critical_point",
        "theory.edge_of_chaos",
        "theory.finite_width_correlation",
        "theory.finite_width_gradient",
        "theory.sample_finite_width",
        "theory.trainable_depth",
        "theory.trainable_edges",
    }
)
"""Functions of which a call that gets past its checks compiles for seconds."""


class Thing:
    """An object of no meaning, which cannot be hashed."""

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return "Thing()"


class Unhashable:
    """A function that no cache can have as a key."""

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __call__(self, *values: Any) -> Any:
        return values[0] * 0.5


def branching(*values: Any) -> Any:
    """A function that asks for the value of what it is given."""
    return values[0] if jnp.all(values[0] > 0) else -values[0]


def failing(*values: Any) -> Any:
    """A function that raises."""
    raise RuntimeError("a fault of the caller's own")


def nothing(*values: Any) -> Any:
    """A function that gives nothing back."""


NOUNS: tuple[Any, ...] = (
    None,
    "text",
    "",
    b"bytes",
    1j,
    Thing(),
    object,
    {"a": 1},
    [[1.0], [1.0, 2.0]],
)
"""What hardly any parameter takes."""

NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, width=32),
    # Not a size that memory would just about hold.
    st.integers(-5, 5),
    st.sampled_from([-(2**70), 2**40, 2**63, 2**70]),
    st.sampled_from([0, 0.0, -1, 0.5, 1e39, 1e-50, True, np.float32(0.5), np.int8(-1)]),
)
ARRAYS = st.one_of(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int32, np.uint8, np.complex64, bool, "U3"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    ),
    st.sampled_from([np.asarray([None, "a"], object), np.asarray([[1.0, len]], object)]),
)
FUNCTIONS = st.sampled_from(
    [branching, failing, nothing, np.tanh, np.sort, len, dict, Unhashable(), "tanh", 3]
)
TRACERS = st.sampled_from([Traced("jit"), Traced("vmap"), Traced("grad")])


def _kinds(parameter: inspect.Parameter) -> tuple[type, ...]:
    """The plain nouns that an annotation takes; () where it says nothing."""
    text = str(parameter.annotation)
    kinds: list[type] = []
    if parameter.annotation in (Any, inspect.Parameter.empty) or text.startswith("typing.Any"):
        return ()
    if "float" in text or parameter.annotation is float:
        kinds += [float, int]
    if "int" in text.replace("typing", "").replace("Hint", ""):
        kinds.append(int)
    if "Array" in text or "ndarray" in text:
        kinds += [np.ndarray, float, int]
    if "bool" in text:
        kinds.append(bool)
    if "str" in text.replace("structure", ""):
        kinds.append(str)
    if "None" in text or parameter.default is None:
        kinds.append(type(None))
    return tuple(kinds) or (Thing,)


def values_for(parameter: inspect.Parameter) -> st.SearchStrategy:
    """What to put in an argument's place: numbers for numbers, functions for functions, nouns."""
    text = str(parameter.annotation)
    choices = [st.sampled_from(NOUNS)]
    if "float" in text or "int" in text or "Array" in text:
        choices += [NUMBERS, NUMBERS, TRACERS]
    if "Array" in text or "ndarray" in text or "Any" in text or "Sequence" in text:
        choices.append(ARRAYS)
    if "Callable" in text:
        choices += [FUNCTIONS, FUNCTIONS]
    if "Sequence" in text or "Iterable" in text or "tuple" in text:
        choices.append(st.lists(NUMBERS, max_size=3))
    if parameter.name in ("params", "specs", "before", "after", "batch", "key", "x", "y"):
        choices.append(TRACERS)
    if "Mapping" in text:
        choices.append(st.dictionaries(st.text(max_size=3), NUMBERS, max_size=2))
    return st.one_of(choices)


def cases(*, slow: bool = True) -> st.SearchStrategy[Case]:
    """Cases over the whole public API.

    Args:
      slow: whether functions that compile for seconds are among them.
    """
    functions = public_functions()
    names = sorted(name for name in functions if slow or name not in SLOW)
    places = [
        (name, parameter)
        for name in names
        for parameter in inspect.signature(functions[name]).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]

    def case(place: tuple[str, inspect.Parameter]) -> st.SearchStrategy[Case]:
        name, parameter = place
        return values_for(parameter).map(
            lambda value: Case(name, parameter.name, value, _is_wrong(parameter, value))
        )

    return st.sampled_from(places).flatmap(case)


def _is_wrong(parameter: inspect.Parameter, value: Any) -> bool:
    kinds = _kinds(parameter)
    if not kinds:
        return False
    if isinstance(value, bool | np.bool_):
        return bool not in kinds and np.ndarray not in kinds
    if isinstance(value, np.ndarray | list | tuple | dict) or callable(value):
        return False
    if isinstance(value, int | float | np.generic):
        return not any(kind in kinds for kind in (int, float, np.ndarray))
    return not isinstance(value, kinds)


def ask(count: int, judge: Callable[[Case], None], *, slow: bool, seed: int | None = None) -> None:
    """Judges as many cases; those of a seed, or else always the same."""

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=seed is None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(cases(slow=slow))
    def one(case: Case) -> None:
        judge(case)

    # A call may write where a text says, as a sweep does.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        (one if seed is None else hypothesis.seed(seed)(one))()


def main(argv: typing.Sequence[str] | None = None) -> int:
    """Prints every case that is obscure or silent, and the table."""
    parser = argparse.ArgumentParser(description="hostile calls of the whole public API")
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--fast", action="store_true", help="leave out what compiles for seconds")
    parser.add_argument("--seed", type=int, help="other draws than the suite's")
    asked = parser.parse_args(argv)
    tally: collections.Counter[str] = collections.Counter()

    def judge(case: Case) -> None:
        outcome = run_case(case)
        tally[outcome.kind] += 1
        if outcome.kind in ("obscure", "silent"):
            print(f"{outcome.kind}: {case.function}({case.parameter}={case.value!r:.80})")
            print(f"    {outcome.said:.300}", flush=True)

    ask(asked.cases, judge, slow=not asked.fast, seed=asked.seed)
    total = sum(tally.values())
    print(
        *(f"{kind} {tally[kind]} of {total}" for kind in ("clear", "right", "obscure", "silent")),
        sep="\n",
    )
    return int(tally["silent"] > 0)


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    sys.exit(main())
