"""Networks from foreign models: roles and fans of their parameters read off how they are used."""

import dataclasses
import fnmatch
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax

from initlab import checks
from initlab.adoption.facts import UNNORMALIZED, Use
from initlab.adoption.reader import Usage, read_usage
from initlab.adoption.rules import RULES, compute
from initlab.frameworks import check_are_parameters
from initlab.programs.trace import trace
from initlab.types import Apply, LayerState, Network, Params, ParamSpec, Role

__all__ = ["adopt", "one_use"]

NO_RULES: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
RULE_FIELDS = ("role", "fan_in", "fan_out")


@checks.checked
def adopt(
    init: Callable[[jax.Array], Params],
    apply: Apply,
    x: Any,
    *,
    rules: Mapping[str, Mapping[str, Any]] = NO_RULES,
) -> Network:
    """Reads ParamSpecs off a model of flax, equinox, haiku or plain JAX; nothing is computed.

    `apply` is traced, and each parameter followed to where it is used:

    - contracted with a value: a weight; fan_in is what the sum runs over (of a convolution window
      times channels in), fan_out the units; INPUT where x meets it first, READOUT if it is the only
      last weight before an output, and before no other weight, RESIDUAL if its product is added to
      what its branch began with;
    - looked up, set beside data (a learned token), or added along an axis that is not one of units
      (positions): EMBEDDING, fan_in 1;
    - added to a weight's product: BIAS, with the weight's fans;
    - multiplied with, then added to, what was divided by a root of the data: NORM_SCALE, NORM_BIAS;
    - a scalar that multiplies what is then added, or a vector that multiplies a residual branch
      (LayerScale): GATE.

    Fans and role of a parameter that `scan` slices along its first axis are those of a slice, which
    `initialize` draws by itself. So it is with members (`ParamSpec.members`): the matrices of a
    vmapped layer, of a block-diagonal one, of experts, of the modes of a Fourier layer. Real and
    imaginary part of a complex weight have its role and its fans. A product that contracts nothing
    is a multiplication. A branch beside which the stream itself goes through weights has
    no RESIDUAL: neither of the two began with the other. What is uncertain is in the network's
    `doubts`; such a parameter is a WEIGHT whose last two axes are inputs and units, unless a rule
    says otherwise.

    Args:
      init: `key -> params`: any pytree of floating arrays.
      apply: `(params, x) -> logits`, or any pytree of arrays (policy and value, a reconstruction
        and a code), pure. In flax.linen `module.apply`, in haiku that of
        `hk.without_apply_rng(hk.transform(f))`; in flax.nnx
        `nnx.merge(graph, params, rest, copy=True)(x)` after `nnx.split(model, nnx.Param, ...)`; in
        equinox `jax.vmap(eqx.combine(params, static))(x)` after `eqx.partition`.
      x: inputs, or `jax.ShapeDtypeStruct` of them, as apply takes them.
      rules: `{shell pattern: {"role": ..., "fan_in": ..., "fan_out": ...}}` against paths such as
        "params/Dense_0/kernel", "*" matching across "/"; the first pattern that matches a
        parameter wins over what was read, field by field, and ends its doubt.

    Returns:
      The network. Its specs have the params' tree; `apply` gives what the model gives (`make_run`
      takes one array of logits); `layers` raises, since the model does not show
      its inside; `doubts` is `{path: reason}`.

    Raises:
      TypeError: if init or apply is not a function, a parameter is not a floating array, init gives
        what a framework keeps besides parameters (running statistics, counters), apply takes x
        first or gives no array, or a rule holds another thing than a role and counts.
      ValueError: if init gives no parameter, or a pattern matches none.

    >>> import jax.numpy as jnp
    >>> def apply(params, x):
    ...     return jnp.tanh(x @ params["in"] + params["shift"][None]) @ params["out"]
    >>> def init(key):
    ...     return {"in": jnp.ones((2, 8)), "shift": jnp.ones(8), "out": jnp.ones((8, 3))}
    >>> specs = adopt(init, apply, jnp.ones((5, 2))).specs
    >>> specs["in"].role.value, specs["shift"].role.value, specs["out"].role.value
    ('input', 'bias', 'readout')
    """
    checks.check_callable("init", init)
    checks.check_callable("apply", apply)

    def drawn(key: jax.Array) -> Params:
        params = init(key)
        # Inside, where a framework's whole model is still one: JAX would refuse its functions.
        check_are_parameters(params)
        checks.check_array_leaves(params)
        return params

    with checks.calling("init", "(key)"):
        _, abstract = trace(drawn, jax.random.key(0))
    arrays, tree = jax.tree.flatten(abstract)
    if not arrays:
        raise ValueError("init must give at least one parameter, got none")
    with checks.naming_exchanged(apply, abstract, x):
        paths = [path for path, _ in checks.check_floating_params(abstract)]
        chosen = _choose(rules, paths)
        program, _ = trace(apply, abstract, x)
    if not program.out_avals:
        raise TypeError("apply must give at least one array, got none")
    shapes = [array.shape for array in arrays]
    usage = read_usage(program, shapes, RULES, compute)
    specs, doubts = [], {}
    for number, (path, array) in enumerate(zip(paths, arrays, strict=True)):
        use = one_use(number, usage)
        stacked = usage.stacked.get(number, 0)
        # A fan_in of 0 stands for unknown: the use was not understood, and its doubt says so.
        if not use.fan_in:
            use = use._replace(**_fans_of_shape(array.shape[bool(stacked) :]))
        rule = chosen.get(path, {})
        if use.doubt and path not in chosen:
            doubts[path] = use.doubt
        stack = tuple(_slice_path(path, n) for n in range(stacked))
        spec = ParamSpec(
            array.shape,
            use.fan_in,
            use.fan_out,
            use.role,
            array.dtype,
            stack=stack,
            members=use.members,
        )
        specs.append(dataclasses.replace(spec, **rule))

    def layers(params: Params, x: Any) -> dict[str, LayerState]:
        raise ValueError("an adopted model does not show its layers' states")

    specs = jax.tree_util.tree_unflatten(tree, specs)
    # A function of its own, for which JAX has kept no earlier trace of apply.
    fresh = jax.jit(lambda params, x: apply(params, x))
    return Network(specs, fresh, layers, doubts=MappingProxyType(doubts))


def one_use(number: int, usage: Usage) -> Use:
    """A parameter's uses as one, with what the whole program says of it."""
    uses = usage.uses.get(number, [])
    if not uses:
        return Use(Role.WEIGHT, 0, 0, "is not used")
    if number in usage.branch_gates:
        gate = Use(Role.GATE, 1, 1)
        uses = [gate if use.doubt == UNNORMALIZED else use for use in uses]
    if doubtful := [use for use in uses if use.doubt]:
        return doubtful[0]
    # A use that shows no members does not say that there are none: its axes are then all units'.
    members = max((use.members for use in uses), key=len)
    uses = [use._replace(members=members) for use in uses]
    roles, fans = {use.role for use in uses}, {use[1:3] for use in uses}
    weights = {Role.WEIGHT, Role.INPUT}
    if Role.EMBEDDING in roles and roles <= weights | {Role.EMBEDDING}:
        # A table that is also the readout is drawn as a table.
        return next(use for use in uses if use.role is Role.EMBEDDING)
    if len(fans) > 1 or (len(roles) > 1 and not roles <= weights):
        ways = sorted({f"{use.role.value} {use.fan_in} -> {use.fan_out}" for use in uses})
        return uses[0]._replace(doubt=f"is used in several ways: {', '.join(ways)}")
    use = uses[0]
    if roles <= weights:
        # Applied to x in one place and to hidden values in another: no input layer.
        role = use.role if len(roles) == 1 else Role.WEIGHT
        if number in usage.residual:
            role = Role.RESIDUAL
        return use._replace(role=Role.READOUT if number in usage.readouts else role)
    if use.role is Role.GATE and number not in usage.gates | usage.branch_gates:
        return use._replace(doubt="is a scalar that multiplies what is not added to anything")
    return use


def _fans_of_shape(shape: tuple[int, ...]) -> dict[str, int]:
    if len(shape) < 2:
        return {"fan_in": math.prod(shape), "fan_out": math.prod(shape)}
    field = math.prod(shape[:-2])
    return {"fan_in": field * shape[-2], "fan_out": field * shape[-1]}


def _slice_path(path: str, number: int) -> str:
    """Slice 3 of "blocks/dense/kernel" is "blocks/dense/3/kernel", so that its layer has a name."""
    parent, _, name = path.rpartition("/")
    return f"{parent}/{number}/{name}" if parent else f"{number}/{name}"


def _choose(rules: Mapping[str, Mapping[str, Any]], paths: list[str]) -> dict[str, dict[str, Any]]:
    """Of each path the first rule that matches it."""
    chosen: dict[str, dict[str, Any]] = {}
    for pattern, rule in rules.items():
        if unknown := sorted(set(rule) - set(RULE_FIELDS)):
            raise TypeError(f"rules[{pattern!r}] may hold {RULE_FIELDS}, got {unknown}")
        if not isinstance(rule.get("role", Role.WEIGHT), Role):
            raise TypeError(f"rules[{pattern!r}] must hold a Role, got {rule['role']!r}")
        for name in ("fan_in", "fan_out"):
            checks.check_count(f"rules[{pattern!r}][{name!r}]", rule.get(name, 1), 1)
        matching = [path for path in paths if fnmatch.fnmatchcase(path, pattern)]
        if not matching:
            raise ValueError(f"no parameter matches {pattern!r}; there are {paths}")
        for path in matching:
            chosen.setdefault(path, dict(rule))
    return chosen
