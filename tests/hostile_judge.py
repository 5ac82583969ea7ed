"""The judge of a hostile call: what came back is clear, right, obscure or silent."""

import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hostile_nouns import BY_NAME, clean_arguments, public_functions

__all__ = ["Case", "Outcome", "Traced", "run_case"]


UNBOUNDED = frozenset(
    {
        "report.steps_to",
        "report.quartiles",
        "theory.fixed_point",
        "theory.frequency_depth_scale",
        "theory.trainable_depth",
    }
)
"""Functions whose contract has infinite results: a depth scale at criticality, a run that fails."""


class Case(NamedTuple):
    """One call.

    Attributes:
      function: as "theory.gain".
      parameter: whose argument is replaced.
      value: by what.
      wrong: whether it is another noun than the annotation asks for.
    """

    function: str
    parameter: str
    value: Any
    wrong: bool


class Outcome(NamedTuple):
    """What came of a case: "clear", "right", "obscure" or "silent", and what was said."""

    kind: str
    said: str


class Traced(NamedTuple):
    """The clean argument as a program sees it: traced by "jit", "vmap" or "grad"."""

    by: str


def run_case(case: Case) -> Outcome:
    """Makes the call and judges what comes back."""
    if isinstance(case.value, Traced):
        return _run_traced(case, case.value.by)
    arguments = clean_arguments(case.function) | {case.parameter: case.value}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = public_functions()[case.function](**arguments)
            leaves = list(_numbers(result))
    except Exception as error:
        return _judged(case, error)
    if case.wrong:
        return Outcome("silent", f"{result!r:.200}")
    finite = all(
        np.isfinite(leaf).all() or (case.function in UNBOUNDED and not np.isnan(leaf).any())
        for leaf in leaves
    )
    # "exists" says that there is none, and NaN is its number.
    if not np.all(getattr(result, "exists", True)):
        return Outcome("right", f"{result!r:.200}")
    given = list(_numbers(case.value))
    known = all(np.isfinite(leaf).all() for leaf in given)
    return Outcome("right" if finite or not known else "silent", f"{result!r:.200}")


def _judged(case: Case, error: Exception) -> Outcome:
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, AssertionError):
        # An assertion's own verdict.
        return Outcome("right", said)
    # JAX's own errors are of no argument, whatever they name.
    if not isinstance(error, ValueError | TypeError) or isinstance(error, jax.errors.JAXTypeError):
        return Outcome("obscure", said)
    # A message is for people: its first lines are what they read.
    names = {case.parameter, *_parts(case.parameter)}
    clear = any(name in str(error) for name in names) and len(str(error)) < 2000
    return Outcome("clear" if clear else "obscure", said)


def _run_traced(case: Case, by: str) -> Outcome:
    """The call with the clean argument traced, beside the call without: the same numbers."""
    function, arguments = public_functions()[case.function], clean_arguments(case.function)
    default = inspect.signature(function).parameters[case.parameter].default
    clean = arguments.get(case.parameter, BY_NAME.get(case.parameter, default))
    given = jax.tree.leaves(clean)
    is_noun = not given or not all(isinstance(leaf, NUMERIC) for leaf in given)
    # Where a noun is wanted, a traced number is none.
    value = jnp.float32(0.5) if clean is None or is_noun else jax.tree.map(jnp.asarray, clean)

    def call(given: Any) -> list[Any]:
        result = function(**(arguments | {case.parameter: given}))
        leaves = [leaf for leaf in jax.tree.leaves(result) if isinstance(leaf, NUMERIC)]
        return [leaf for leaf in leaves if not _is_key(leaf)]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = TRANSFORMS[by](call, value)
    except Exception as error:
        return _judged(case, error)
    try:
        known = call(value)
    except (ValueError, TypeError):
        return Outcome("silent", f"{found!r:.200} where the same number, not traced, is refused")
    same = len(known) == len(found) and all(
        np.allclose(np.asarray(one), np.asarray(other), rtol=1e-3, atol=1e-4, equal_nan=True)
        for one, other in zip(known, found, strict=True)
    )
    return Outcome("right" if same else "silent", f"{found!r:.100} for {known!r:.100}")


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.prng_key)


def _under_vmap(call: Callable[[Any], Any], value: Any) -> Any:
    pair = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), value)
    return jax.tree.map(lambda leaf: leaf[1], jax.vmap(call)(pair))


def _under_grad(call: Callable[[Any], Any], value: Any) -> Any:
    leaves = jax.tree.leaves(value)
    # What has no derivative, as labels and keys have none, is traced by jit.
    if not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves):
        return jax.jit(call)(value)

    def total(given: Any) -> tuple[jax.Array, Any]:
        found = call(given)
        floating = [leaf for leaf in found if jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating)]
        return sum((jnp.sum(leaf) for leaf in floating), jnp.zeros(())).astype(jnp.float32), found

    return jax.grad(total, has_aux=True)(value)[1]


NUMERIC = (int, float, np.generic, np.ndarray, jax.Array)
TRANSFORMS: dict[str, Callable[[Callable[[Any], Any], Any], Any]] = {
    "jit": lambda call, value: jax.jit(call)(value),
    "vmap": _under_vmap,
    "grad": _under_grad,
}

ALIASES = {
    "x": ("rows", "batch", "x_test"),
    "y": ("labels", "values", "y_test"),
    "patterns": ("pattern",),
    "objective": ("objective",),
    "init": ("params",),
    "specs": ("spec",),
    "axes": ("axis", "point", "seed", "the run uses", "std"),
    "results": ("dataset", "variable"),
}


def _parts(parameter: str) -> tuple[str, ...]:
    return ALIASES.get(parameter, ())


def _numbers(tree: Any) -> Iterator[np.ndarray]:
    """The floating numbers that a result or an argument holds."""
    try:
        leaves = jax.tree.leaves(tree)
    # Keys of two types, which JAX cannot sort.
    except ValueError:
        leaves = list(tree.values())
    for leaf in leaves:
        if hasattr(leaf, "to_array") or hasattr(leaf, "data_vars"):
            continue
        if isinstance(leaf, float | np.floating | np.ndarray | jax.Array):
            try:
                array = np.asarray(leaf)
            except (TypeError, ValueError):
                continue
            if array.dtype.kind in "fc":
                yield array
        elif isinstance(leaf, int) and abs(leaf) > 1e300:
            yield np.asarray(np.inf)
