"""The walk through a program, and what its calls, loops and branches are unpacked to."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab.adoption import rules as adoption
from initlab.programs import primitives
from initlab.programs.control import Call, Cond, Scan, While, control
from initlab.programs.equations import live_equations, run_equation, scan_counts
from initlab.programs.walk import walk
from initlab.symmetry import primitive_rules as symmetry
from initlab.taps import rules as taps

pytestmark = pytest.mark.quick


def _trace(function, *operands):
    return jax.make_jaxpr(function)(*operands)


def _evaluate(program, operands):
    """An evaluator in which control flow is plain Python: walk and control are all it knows of."""

    def step(equation, values):
        match control(equation):
            case None:
                return run_equation(equation, values)
            case Call(body=body):
                return _evaluate(body, values)
            case Cond(branches):
                index, *rest = values
                return _evaluate(branches[int(index)], rest)
            case While() as loop:
                for_condition, for_body, carry = loop.split(values)
                while _evaluate(loop.condition, [*for_condition, *carry])[0]:
                    carry = _evaluate(loop.body, [*for_body, *carry])
                return carry
            case Scan() as loop:
                shared, carry, sliced = loop.split(values)
                stacked = []
                steps = range(loop.length)
                for n in reversed(steps) if loop.reverse else steps:
                    results = _evaluate(loop.body, [*shared, *carry, *(x[n] for x in sliced)])
                    carry = results[: loop.carried]
                    stacked.append(results[loop.carried :])
                ordered = stacked[::-1] if loop.reverse else stacked
                return [*carry, *map(jnp.stack, zip(*ordered, strict=True))]

    return walk(program, operands, step, constant=jnp.asarray, unused=lambda aval: None)


@jax.custom_jvp
def _own_slope(x):
    return x**3


@_own_slope.defjvp
def _own_slope_jvp(at, tangents):
    return _own_slope(*at), 5.0 * tangents[0]


TABLE = np.arange(6.0, dtype=np.float32).reshape(2, 3)

FUNCTIONS = {
    "literals and closed-over arrays": lambda x: 2.0 * x @ TABLE + 1.0,
    "jit": lambda x: jax.jit(lambda y: jnp.sin(y) * x)(x + 1.0),
    "remat": lambda x: jax.checkpoint(lambda y: jnp.sin(y) ** 2)(x),
    "custom derivative": lambda x: _own_slope(x) + 1.0,
    "dead code": lambda x: (jnp.exp(x), x * 3.0)[1],
    "cond": lambda x: jax.lax.cond(x[0, 0] > 0, lambda y: y * x[0, 1], lambda y: y - 7.0, x),
    "switch": lambda x: jax.lax.switch(2, [jnp.sin, jnp.cos, jnp.tanh], x),
    "while": lambda x: jax.lax.while_loop(
        lambda s: (s[0] < 4.0) & (s[1][0, 0] < 1e3),
        lambda s: (s[0] + 1.0, s[1] * 2.0 + x),
        (0.0, x),
    )[1],
    "scan": lambda x: jax.lax.scan(
        lambda s, row: (s * 0.5 + row + x[0], s.sum()), jnp.zeros(2), x, unroll=2
    ),
    "reversed scan": lambda x: jax.lax.scan(
        lambda s, row: (s * 0.5 + row, s * x[0]), jnp.zeros(2), x, reverse=True
    ),
    "an input as an output": lambda x: (x, x + 1.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_evaluator_made_of_walk_and_control_computes_the_function(name):
    function = FUNCTIONS[name]
    x = jnp.asarray(np.random.default_rng(0).standard_normal((4, 2)), jnp.float32)
    got = _evaluate(_trace(function, x), [x])
    for ours, theirs in zip(got, jax.tree.leaves(function(x)), strict=True):
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-6)


def test_a_walk_calls_step_for_live_equations_alone_in_the_program_s_order():
    def function(x):
        jnp.exp(x)
        return jnp.cos(jnp.sin(x))

    met = []

    def step(equation, operands):
        met.append(equation.primitive.name)
        return operands

    def none_is_asked_for(aval):
        asked.append(aval.shape)

    asked = []
    walk(_trace(function, 1.0), ["x"], step, constant=str, unused=none_is_asked_for)
    assert met == ["sin", "cos"]
    assert asked == [()]


def test_results_without_entries_are_unused_but_may_be_read():
    program = _trace(lambda x: jnp.concatenate([x, jnp.sin(x[:0])]), jnp.ones(3))
    given = []

    def step(equation, operands):
        given.append(operands)
        return ["out"]

    result = walk(program, ["x"], step, constant=str, unused=lambda aval: aval.shape)
    assert result == ["out"]
    assert given == [["x", (0,)]]


def test_a_walk_refuses_operands_and_results_of_another_number():
    program = _trace(lambda x, y: jnp.sin(x) + y, 1.0, 2.0)
    rest = {"constant": str, "unused": str}
    with pytest.raises(ValueError, match="shorter"):
        walk(program, ["x"], lambda equation, operands: ["out"], **rest)
    with pytest.raises(ValueError, match="longer"):
        walk(program, ["x", "y"], lambda equation, operands: ["out", "more"], **rest)


def test_an_equation_that_writes_is_live_and_one_that_prints_is_not():
    def prints(x):
        jax.debug.print("{}", x)
        return jnp.cos(x)

    def writes(x):
        memory = jax.new_ref(x)
        memory[...] = jnp.sin(x)
        return memory[...]

    assert live_equations(_trace(prints, 1.0).jaxpr) == [False, True]
    assert all(live_equations(_trace(writes, 1.0).jaxpr))


def _only(function, *operands):
    return _trace(function, *operands).eqns[-1]


def test_calls_say_whether_their_derivative_is_their_own():
    for function, is_own in ((jax.jit(jnp.sin), False), (_own_slope, True)):
        call = control(_only(function, 1.0))
        assert isinstance(call, Call)
        assert call.custom_derivative is is_own


def test_what_holds_a_program_but_does_not_run_it_once_is_no_call():
    def largest(x):
        return jax.lax.reduce(x, -jnp.inf, lambda a, b: jnp.maximum(a, b) + 0 * a, (0,))

    equation = _only(largest, jnp.ones(3))
    assert equation.primitive.name == "reduce"
    assert control(equation) is None
    assert control(_only(jnp.sin, 1.0)) is None


class Trees(tuple):
    """What JAX 0.12 has in place of counts."""

    __slots__ = ()

    def unpack(self):
        return self


def test_a_scan_s_operands_are_counted_in_either_jax():
    def body(carry, x):
        return (carry[0] + x, carry[1]), x

    program = jax.make_jaxpr(lambda a, b, xs: jax.lax.scan(body, (a, b), xs))(1.0, 2.0, jnp.ones(3))
    counted = scan_counts(program.eqns[-1].params)
    assert sum(counted) == len(program.eqns[-1].invars) - 1
    trees = Trees([("shared",) * 3, ("carried",) * 2, ("sliced",)])
    assert scan_counts({"ft_in": trees}) == (3, 2)


def test_split_gives_each_operand_to_one_part_in_order():
    scan = Scan(None, 2, 1, 5, False, 1)
    assert scan.split("abcde") == (["a", "b"], ["c"], ["d", "e"])
    loop = While(None, None, 1, 2)
    assert loop.split("abcde") == (["a"], ["b", "c"], ["d", "e"])


KINDS = [
    "ARG_REDUCTIONS",
    "CONTROL",
    "CONTRACTIONS",
    "CUMULATIVE",
    "ELEMENTWISE",
    "RANDOM",
    "REDUCTIONS",
    "SCATTERS",
    "WINDOWS",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_primitive_is_of_one_kind(kind):
    for other in KINDS:
        if other != kind:
            assert not getattr(primitives, kind) & getattr(primitives, other)


def test_names_lie_within_the_whole_list():
    for name in primitives.__all__:
        assert set(getattr(primitives, name)) <= primitives.KNOWN, name


# What the installed JAX does not show, under the name that another supported one gives it.
@pytest.mark.parametrize("name", ["call", "checkpoint", "closed_call", "pjit", "remat2"])
def test_what_other_versions_call_a_call_is_entered(name):
    program = _trace(jnp.transpose, jnp.ones((2, 3)))
    equation = SimpleNamespace(
        primitive=SimpleNamespace(name=name), params={"jaxpr": program.jaxpr}, invars=["x"]
    )
    call = control(equation)
    assert isinstance(call, Call)
    assert call.body.jaxpr is program.jaxpr


@pytest.mark.parametrize("rules", [adoption.RULES, symmetry.RULES, taps.RULES])
def test_an_instrument_has_rules_for_names_of_the_list_alone(rules):
    assert set(rules) <= primitives.KNOWN
