"""Verdicts that other people's models proved wrong, each kind at inputs of its own."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from audit_models import ROWS, cross_entropy
from descent_oracle import moves
from fault_list_faulty import FAULTY, dead_branch
from fault_list_sound import PASSING, gates, he
from model_pieces import Draws, zeros
from thorough import rows

import initlab

WIDTH = 16


def audited(apply, params, batch: Any = ROWS, **more):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return initlab.audit(apply, params, batch, **more)


def found(report, code):
    return {each.place: each for each in report.findings if each.code == code}


# Each beside a faster one of its kind.
SLOW = {
    "a dead branch of eight units",
    "a gate minus its start",
    "bytes",
    "copies behind an indexed mask",
    "policy, then value",
    "scales by einsum, exchanged",
    "tanh of a gate",
    "the lab's fixup",
    "value, then policy",
    "weights that the net makes",
    "zeros behind zeros",
}


@pytest.mark.parametrize("name", rows(PASSING, PASSING.keys() - SLOW))
def test_a_start_that_was_called_faulty_passes(name):
    apply, params, *batch = PASSING[name]()
    batch = batch[0] if batch else ROWS
    report = audited(apply, params, batch)
    assert report.verdict == "pass", str(report)


@pytest.mark.parametrize("name", rows(FAULTY, FAULTY.keys() - SLOW))
def test_a_start_that_passed_is_called_faulty(name):
    make, places = FAULTY[name]
    apply, params = make()
    report = audited(apply, params)
    assert report.verdict != "pass", str(report)
    said = [each.place for each in report.findings if each.severity != "info"]
    assert any(part in place for part in places for place in said), str(report)


def test_only_the_block_that_cannot_train_is_accused():
    """Of three gated branches the second ends in zeros as well."""
    apply, params = gates(lambda g: g)
    params["blocks"] = [dict(block) for block in [*params["blocks"], params["blocks"][0]]]
    params["blocks"][2] = {name: leaf + 0 for name, leaf in params["blocks"][2].items()}
    params["blocks"][2]["up"] = Draws(40)(WIDTH, WIDTH)
    params["blocks"][2]["down"] = Draws(41)(WIDTH, WIDTH)
    params["blocks"][1]["down"] = zeros(WIDTH, WIDTH)
    report = audited(apply, params)
    failed = {each.place for each in report.findings if each.severity == "fail"}
    assert failed, str(report)
    assert all("blocks/1" in place for place in failed), str(report)
    seen = moves(apply, params, ROWS)
    assert not any(seen[place] for place in failed if place in seen)
    assert seen["blocks/0/up"]
    assert seen["blocks/2/up"]


def test_a_low_rank_pair_of_zeros_names_its_partner():
    def apply(params, x):
        for layer in params:
            x = jnp.tanh(x @ (layer["w"] + layer["a"] @ layer["b"]))
        return x

    draw = Draws(42)
    params = [{"w": draw(8, 8), "a": draw(8, 2), "b": zeros(2, 8)} for _ in range(3)]
    params[1]["a"] = zeros(8, 2)
    report = audited(apply, params)
    failed = {
        place: each
        for place, each in found(report, "unused_parameter").items()
        if each.severity == "fail"
    }
    assert set(failed) == {"1/a", "1/b"}, str(report)
    assert "1/a" in failed["1/b"].cause or "1/b" in failed["1/a"].cause
    assert not any(other in each.cause for each in failed.values() for other in ("0/", "2/"))


def test_a_zero_layer_before_a_relu_is_dead_by_itself():
    def apply(params, x):
        for w in params[:-1]:
            x = jax.nn.relu(x @ w)
        return x @ params[-1]

    draw = Draws(43)
    params = [he(draw, 8, WIDTH), zeros(WIDTH, WIDTH), he(draw, WIDTH, WIDTH), draw(WIDTH, 10)]
    report = audited(apply, params)
    text = " ".join(each.cause for each in report.findings if each.place.startswith("1"))
    assert report.verdict == "fail"
    assert not any(f"because {n}" in text for n in (0, 2, 3)), str(report)


def test_dead_relus_of_zero_biases_are_one_finding_with_its_remedy():
    """Uniform weights between -1 and 0 kill each layer; no bias is to blame."""

    def apply(params, x):
        for layer in params[:-1]:
            x = jax.nn.relu(x @ layer["w"] + layer["b"])
        return x @ params[-1]["w"]

    draw = Draws(44)
    params = [
        {"w": draw(8, WIDTH), "b": zeros(WIDTH)},
        *[{"w": -abs(draw(WIDTH, WIDTH)), "b": zeros(WIDTH)} for _ in range(3)],
        {"w": draw(WIDTH, 10)},
    ]
    report = audited(apply, params)
    dead = [each for each in report.findings if each.code == "dead_units"]
    assert dead, str(report)
    assert dead[0].place.startswith("1"), str(report)
    assert not any("start the biases" in each.remedy for each in dead), str(report)
    assert len([each for each in report.findings if each.severity == "fail"]) <= 3, str(report)


def test_zero_over_zero_is_not_cured_by_smaller_numbers():
    def apply(params, x):
        w = params["w"] / jnp.linalg.norm(params["w"], axis=0)
        return jnp.tanh(x @ w) @ params["out"]

    draw = Draws(45)
    w = draw(8, WIDTH)
    w[:, 3] = 0
    report = audited(apply, {"w": w, "out": draw(WIDTH, 10)})
    (first, *_) = found(report, "non_finite").values()
    assert "smaller" not in first.remedy, str(report)


def test_a_tied_readout_is_not_told_to_be_smaller():
    def apply(params, tokens):
        h = params["table"][tokens]
        return jnp.tanh(h @ params["w"]) @ params["table"].T

    draw = Draws(46)
    params = {"table": draw(10, WIDTH, std=4.0), "w": draw(WIDTH, WIDTH)}
    tokens = (np.arange(16) % 10).astype(np.int32)
    report = audited(apply, params, tokens, loss=cross_entropy)
    (first,) = found(report, "confident_start").values()
    assert "small_readout" not in first.remedy, str(report)


def test_a_path_keeps_its_capitals():
    report = audited(*dead_branch(8))
    assert "Up" not in str(report)
    assert "Blocks" not in str(audited(*gates(lambda g: g * 0)))


def test_an_init_that_ignores_its_key_is_found():
    draw = Draws(47)
    params = {"a": draw(8, WIDTH), "b": draw(WIDTH, 10)}
    report = audited(lambda p, x: jnp.tanh(x @ p["a"]) @ p["b"], None, init=lambda key: params)
    assert "ignores_key" in {each.code for each in report.findings}, str(report)


def test_effects_do_not_stop_an_audit():
    def apply(params, x):
        h = jnp.tanh(x @ params["a"])
        jax.debug.callback(lambda h: None, h)
        return h @ params["b"]

    draw = Draws(48)
    assert audited(apply, {"a": draw(8, WIDTH), "b": draw(WIDTH, 10)}).verdict == "pass"


def test_what_a_function_closes_over_may_change():
    scale = [np.float32(1.0)]
    held = {"w": np.ones((), np.float32)}

    def apply(params, x):
        return jnp.tanh(scale[0] * held["w"] * (x @ params["a"])) @ params["b"]

    draw = Draws(49)
    params = {"a": draw(8, WIDTH), "b": draw(WIDTH, 10)}
    assert audited(apply, params).verdict == "pass"
    scale[0] = np.float32(1e6)
    assert audited(apply, params).verdict == "fail"
    scale[0] = np.float32(1.0)
    held["w"] = np.full((), 1e6, np.float32)
    assert audited(apply, params).verdict == "fail"


def test_a_kernel_too_small_is_reported_where_it_is():
    def apply(params, x):
        for w in params[:-1]:
            x = jax.nn.relu(x @ w)
        return x @ params[-1]

    draw = Draws(50)
    for layer in range(5):
        params = [he(draw, 8, WIDTH), *[he(draw, WIDTH, WIDTH) for _ in range(5)], draw(WIDTH, 10)]
        params[layer] = params[layer] * np.float32(1e-3)
        report = audited(apply, params)
        places = [*found(report, "vanishing_signal"), *found(report, "vanishing_gradient")]
        assert places, str(report)
        assert {place.partition(":")[0] for place in places} == {str(layer)}, str(report)


def test_a_whole_equinox_model_as_params_is_told_what_to_do():
    model = eqx.nn.MLP(8, 10, 8, 1, key=jax.random.key(0))
    with pytest.raises(TypeError, match=r"eqx\.|filter|partition"):
        audited(lambda m, x: jax.vmap(m)(x), model)
