"""How long a recurrence remembers at its start: biases of gates, step sizes and decays."""

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from initlab import checks
from initlab.initializers.combinators import by_path, by_role, made_of
from initlab.types import Initializer, Number, ParamSpec

__all__ = ["chrono", "forget_bias", "mamba"]

LSTM_GATES = ("input", "forget", "candidate", "output")
"""The rows of an LSTM's biases."""

Gates = Callable[[jax.Array, tuple[int, ...], Any], dict[str, jax.Array]]
"""`(key, shape of one gate's biases, dtype) -> {gate: biases}`; those of other gates are 0."""


@checks.checked
def forget_bias(inside: Initializer, value: Number = 1.0, biases: str = "*bias") -> Initializer:
    """`b_f = value` in an LSTM's forget gate, other biases 0: a gate that starts open.

    Args:
      inside: for the weights.
      value: the bias; may be traced.
      biases: shell pattern of the paths of the gates' biases, [4, width] as in
        `networks.recurrent`; other biases, of one axis, are 0.

    Returns:
      The initializer of a whole network; `initialize` raises ValueError for one without such gates.

    Raises:
      TypeError: if inside is not callable or value not a number.
      ValueError: if value is NaN or infinite.

    Source: Jozefowicz, Zaremba and Sutskever 2015, An empirical exploration of recurrent network
      architectures; Gers, Schmidhuber and Cummins 2000.

    >>> from initlab.initializers import ones
    >>> from initlab.types import Role
    >>> spec = ParamSpec((4, 1), 2, 1, Role.BIAS, path="block_1/bias")
    >>> forget_bias(ones())(jax.random.key(0), spec).ravel().tolist()
    [0.0, 1.0, 0.0, 0.0]
    """
    checks.check_number("value", value)

    def gates(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> dict[str, jax.Array]:
        del key
        return {"forget": jnp.full(shape, value, dtype)}

    return _of_gates(inside, gates, biases)


@checks.checked
def chrono(inside: Initializer, longest: Number, biases: str = "*bias") -> Initializer:
    """`b_f = log U(1, T - 1)`, `b_i = -b_f` in an LSTM: units that remember from 2 to T steps.

    A forget gate of bias b keeps for about `1 + exp(b)` steps. Candidate and output gate have
    biases 0.

    Args:
      inside: for the weights.
      longest: T, the longest dependency, over 2; may be traced.
      biases: shell pattern of the paths of the gates' biases, [4, width] as in
        `networks.recurrent`; other biases, of one axis, are 0.

    Returns:
      The initializer of a whole network; `initialize` raises ValueError for one without such gates.

    Raises:
      TypeError: if inside is not callable or longest not a number.
      ValueError: if longest is at most 2, NaN or infinite.

    Source: Tallec and Ollivier 2018, arXiv:1804.11188, section 2.

    >>> from initlab.initializers import ones
    >>> from initlab.types import Role
    >>> spec = ParamSpec((4, 1), 2, 1, Role.BIAS, path="block_1/bias")
    >>> b = chrono(ones(), 100)(jax.random.key(0), spec)
    >>> bool(b[0, 0] == -b[1, 0]), bool(0 <= b[1, 0] <= jnp.log(99.0))
    (True, True)
    """
    checks.check_number("longest", longest)
    if checks.is_concrete(longest) and float(longest) <= 2:
        raise ValueError(f"longest must be over 2, got {longest}")

    def gates(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> dict[str, jax.Array]:
        most = jnp.asarray(longest, dtype) - 1
        forget = jnp.log(jax.random.uniform(key, shape, dtype, 1.0, most))
        return {"input": -forget, "forget": forget}

    return _of_gates(inside, gates, biases)


def _of_gates(inside: Initializer, gates: Gates, biases: str) -> Initializer:
    def bias(key: jax.Array, spec: ParamSpec) -> jax.Array:
        if len(spec.shape) == 1:
            return jnp.zeros(spec.shape, spec.dtype)
        if spec.shape[0] != len(LSTM_GATES):
            raise ValueError(f"{spec.path!r} must be [4, width], an LSTM's, got {spec.shape}")
        rows = gates(key, spec.shape[1:], spec.dtype)
        none = jnp.zeros(spec.shape[1:], spec.dtype)
        return jnp.stack([rows.get(name, none) for name in LSTM_GATES])

    def demand(specs: Mapping[str, ParamSpec]) -> None:
        shapes = {
            path: spec.shape[bool(spec.stack) :]
            for path, spec in specs.items()
            if fnmatch.fnmatchcase(path, biases)
        }
        if not any(len(shape) == 2 and shape[0] == len(LSTM_GATES) for shape in shapes.values()):
            raise ValueError(
                f"{biases!r} must match biases of an LSTM's gates, [4, width], rows "
                f"{', '.join(LSTM_GATES)}, as networks.recurrent has them, got {shapes!s:.200}"
            )

    parts = by_path({biases: bias, "*": by_role(inside)})
    return made_of(parts, [parts], demand)


@checks.checked
def mamba(inside: Initializer, least: Number = 1e-3, most: Number = 1e-1) -> Initializer:
    """`softplus(dt_bias) = exp U(log least, log most)`, `A_log = log(1, ..., N)`, D = 1.

    State n of N forgets at the rate n dt: a channel remembers from `1 / (N most)` to `1 / least`
    steps. B and C of `networks.state_space` are weights, and D is a scale.

    Args:
      inside: for the weights.
      least: the shortest step, over 0; may be traced.
      most: the longest step; may be traced.

    Returns:
      The initializer of a whole network with parameters of these names.

    Raises:
      TypeError: if inside is not callable, or a step not a number.
      ValueError: if least is not over 0, or most not over least.

    Source: Gu and Dao 2023, arXiv:2312.00752, section 3.6, and its code (dt_init, A_log);
      A is S4D-Real of Gu et al. 2022, arXiv:2206.11893.

    >>> from initlab.initializers import ones
    >>> from initlab.types import Role
    >>> spec = ParamSpec((1, 3), 1, 3, Role.BIAS, path="block_1/mixer/A_log")
    >>> jnp.exp(mamba(ones())(jax.random.key(0), spec)).round(4).tolist()
    [[1.0, 2.0, 3.0]]
    """
    for name, step in (("least", least), ("most", most)):
        checks.check_number(name, step)
    if checks.is_concrete(least) and float(least) <= 0:
        raise ValueError(f"least must be over 0, got {least}")
    if checks.is_concrete(least) and checks.is_concrete(most) and not least < most:
        raise ValueError(f"most must be over least {least}, got {most}")

    def step_bias(key: jax.Array, spec: ParamSpec) -> jax.Array:
        low, high = (jnp.log(jnp.asarray(each, spec.dtype)) for each in (least, most))
        dt = jnp.exp(jax.random.uniform(key, spec.shape, spec.dtype, low, high))
        # The inverse of softplus, log(exp(dt) - 1), without the difference of two near numbers.
        return dt + jnp.log(-jnp.expm1(-dt))

    def decays(key: jax.Array, spec: ParamSpec) -> jax.Array:
        del key
        counted = jnp.arange(1, spec.shape[-1] + 1, dtype=spec.dtype)
        return jnp.broadcast_to(jnp.log(counted), spec.shape)

    return by_path({"*dt_bias": step_bias, "*A_log": decays, "*": by_role(inside)})
