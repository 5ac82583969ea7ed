"""An audit reads the model as it is now, whatever else it does: prints, calls, references."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from audit_models import ROWS, lecun, normal
from compiled_programs import counting
from jax.experimental import io_callback

import initlab
from initlab.symmetry import find_groups

WEIGHTS = [normal(n, (8, 8), lecun(8)) for n in range(3)]


def init(key):
    return [jax.random.normal(each, (8, 8)) / 8**0.5 for each in jax.random.split(key, 3)]


def prints(params, x):
    h = jnp.tanh(x @ params[0])
    jax.debug.print("{}", h, ordered=True)
    jax.debug.callback(lambda h: None, h)
    io_callback(lambda h: None, None, h, ordered=True)
    return jnp.tanh(h @ params[1]) @ params[2]


def prints_inside(params, x):
    def layer(h, w):
        jax.debug.print("{}", h)
        return jnp.tanh(h @ w), None

    # The first loop does nothing but print.
    jax.lax.scan(lambda h, w: (h, layer(x, w)[1]), None, jnp.stack(params))
    h, _ = jax.lax.scan(jax.checkpoint(layer), x, jnp.stack(params))
    return jax.lax.cond(jnp.sum(h) > 1e9, lambda h: layer(h, params[0])[0], lambda h: h, h)


def asks_python(params, x):
    h = jnp.tanh(x @ params[0])
    kept = jax.lax.stop_gradient(h)
    said = io_callback(np.copy, kept, kept, ordered=True)
    told = jax.pure_callback(np.copy, kept, h)
    return jnp.tanh(h @ params[1] + 0.1 * (said + told)) @ params[2]


def refuses(params, x):
    h = eqx.error_if(jnp.tanh(x @ params[0]), jnp.sum(x) > 1e9, "too large")
    return jnp.tanh(h @ params[1]) @ params[2]


def remembers(params, x):
    memory = jax.new_ref(jnp.zeros(x.shape))
    memory[...] = jnp.tanh(x @ params[0])
    return jnp.tanh(memory[...] @ params[1]) @ params[2]


EFFECTS = {
    prints: {"debug_print", "debug_callback", "io_callback"},
    prints_inside: {"debug_print"},
    asks_python: {"io_callback", "pure_callback"},
    refuses: {"pure_callback"},
    remembers: {"symmetry"},
}


@pytest.mark.parametrize(
    "apply",
    [
        pytest.param(apply, marks=pytest.mark.thorough if apply is prints_inside else ())
        for apply in EFFECTS
    ],
    ids=lambda apply: apply.__name__,
)
def test_a_model_with_side_effects_is_audited_and_what_is_not_seen_is_said(apply, capsys):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        one = initlab.audit(apply, WEIGHTS, ROWS)
        keys = jax.random.split(jax.random.key(0), 2)
        drawn = initlab.audit(apply, None, ROWS, init=init, keys=keys)
    assert (one.verdict, drawn.verdict) == ("pass", "pass"), str(one)
    untracked = {each.place for each in one.findings if each.code == "untracked"}
    assert untracked >= EFFECTS[apply]
    # Nothing is printed: what no output depends on is not run.
    assert capsys.readouterr().out == ""


def test_side_effects_hide_no_fault():
    params = [0.0 * each for each in WEIGHTS]
    found = {each.code for each in initlab.audit(prints, params, ROWS).findings}
    assert {"unused_parameter", "symmetric_units"} <= found


def test_what_python_does_in_a_model_is_done_once(capsys):
    def apply(params, x):
        print("traced")
        return jnp.tanh(x @ params[0]) @ params[1]

    initlab.audit(apply, WEIGHTS[:2], ROWS, loss=jnp.mean)
    assert capsys.readouterr().out == "traced\n"


def test_an_audit_reads_what_a_function_closes_over_anew():
    held = {"scale": 1.0, "shift": np.zeros(8, np.float32), "std": 1.0, "goal": 0.0}

    def apply(params, x):
        h = held["scale"] * (x @ params[0]) + held["shift"][None]
        return jnp.tanh(h) @ params[1]

    def loss(outputs):
        return jnp.mean((outputs - held["goal"]) ** 2)

    def draw(key):
        return [held["std"] * each for each in init(key)[:2]]

    def given():
        report = initlab.audit(apply, WEIGHTS[:2], ROWS, loss=loss)
        return report.verdict, report.loss.item()

    def drawn():
        keys = jax.random.key(0)[None]
        return initlab.audit(apply, None, ROWS, init=draw, keys=keys).verdict

    verdict, at_start = given()
    assert (verdict, drawn()) == ("pass", "pass")
    with counting() as again:
        assert (given(), drawn()) == ((verdict, at_start), "pass")
    assert again.programs == 0
    held["scale"] = 1e6
    assert given()[0] == "fail"
    held["scale"] = 1.0
    held["std"] = 1e6
    assert drawn() == "fail"
    held["std"] = 1.0
    held["shift"] = np.full(8, 1e3, np.float32)
    assert given()[0] == "fail"
    held["shift"] = np.zeros(8, np.float32)
    held["goal"] = 10.0
    assert given()[1] > at_start + 50
    held["goal"] = 0.0
    assert (given(), drawn()) == ((verdict, at_start), "pass")


def test_programs_of_one_text_keep_the_names_of_their_own_parameters():
    def audit(first, second):
        params = {first: WEIGHTS[0], second: WEIGHTS[1]}
        report = initlab.audit(lambda p, x: jnp.tanh(x @ p[first]) @ p[second], params, ROWS)
        return [row.place for row in report.rows if row.kind == "product"]

    assert audit("a", "b") == ["a", "b"]
    assert audit("c", "d") == ["c", "d"]


def test_groups_and_fans_are_those_of_the_function_as_it_is_now():
    held = {"gain": np.ones(8, np.float32)}

    def apply(params, x):
        return jnp.tanh(x @ params["in"]) * held["gain"][None] @ params["out"]

    params = {"in": WEIGHTS[0], "out": WEIGHTS[1]}
    assert [group.size for group in find_groups(apply, params, ROWS)] == [8]
    # Units whose gains differ cannot be exchanged.
    held["gain"] = np.arange(8, dtype=np.float32)
    assert find_groups(apply, params, ROWS) == ()

    adopt = initlab.networks.adopt
    net = adopt(lambda key: params, apply, ROWS)
    zero = net.apply(params, ROWS)
    held["gain"] = np.zeros(8, np.float32)
    net = adopt(lambda key: params, apply, ROWS)
    assert np.any(zero)
    assert not np.any(net.apply(params, ROWS))
