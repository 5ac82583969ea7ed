"""What an audit says of parameters without a gradient is what descent does to them."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from audit_models import ROWS, normal
from blocked_models import FEATURES, MODELS, OUTPUTS, WIDTH, he, zeros
from compiled_programs import counting_measurements
from descent_oracle import gradients_seen
from thorough import rows

import initlab
from initlab import checks

TARGETS = np.random.default_rng(3).normal(size=(len(ROWS), 4)).astype(np.float32)


def distance(y):
    return jnp.mean(jnp.square(y - TARGETS[:, : y.shape[1]]))


def _at(tree, path):
    """A leaf, or a slice of it, by its name in findings."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    named = {checks.path_name(keys): leaf for keys, leaf in leaves}
    if path in named:
        return named[path]
    indexed = re.fullmatch(r"(.*)\[(\d+)\]", path)
    assert indexed is not None
    name, number = indexed.groups()
    return named[name][int(number)]


def _told(report):
    """`{parameter: (severity, what it says)}` of what is said to have no gradient."""
    codes = ("unused_parameter", "dead_units")
    return {each.place: each for each in report.findings if each.code in codes}


@pytest.fixture(autouse=True)
def as_frameworks_promote():
    """Other frameworks are written for JAX's own promotion."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture
def measured(monkeypatch):
    """What counts the runs of the compiled measurement."""
    return counting_measurements(monkeypatch)


# Each beside a faster one of its kind.
SLOW = {
    "a branch of 6 units that are off",
    "a narrow layer that has died",
    "flax: one of two gated branches ends in zeros",
    "one of three blocks that end in zeros",
    "one of three low-rank pairs of a vmap",
    "two of five scanned blocks",
}


@pytest.mark.parametrize("name", rows(MODELS, MODELS.keys() - SLOW))
def test_what_never_moves_is_what_never_moves_and_has_the_cause_that_it_has(name, measured):
    model = MODELS[name]
    report = initlab.audit(model.apply, model.params, ROWS, loss=distance)
    # The start, and once more with all moved that opens or never does.
    assert len(measured) == 2
    told = _told(report)
    seen = gradients_seen(model.apply, model.params, ROWS, distance)
    # By descent itself, not by what the table says.
    assert not any(_at(seen, path).any() for path in model.never)
    frozen = [each.place for each in told.values() if "stop_gradient" in each.cause]
    for path, flags in seen.items():
        moved = bool(flags.any())
        is_frozen = any(re.fullmatch(each.replace("*", r"\d+"), path) for each in frozen)
        assert moved or is_frozen or any(path == n.split("[")[0] for n in model.never)

    failures = {place: each for place, each in told.items() if each.severity == "fail"}
    assert set(failures) == set(model.culprits), str(report)
    assert {each.code for each in failures.values()} <= {model.code}
    said = " ".join(f"{each.place}: {each.cause}" for each in failures.values())
    more = re.search(r"and (\d+) more\b", said)
    named = [path for path in model.never if re.search(rf"(?<![\w/]){re.escape(path)}(?!\w)", said)]
    assert len(named) + int(more.group(1) if more else 0) >= len(model.never)
    for place, each in told.items():
        if each.severity == "info" and place not in frozen:
            assert _at(seen, place).any(), place


def _stepped(params, gradients, only=None):
    """A step of descent, of one parameter alone or of one slice of it."""

    def step(keys, leaf, gradient):
        path = checks.path_name(keys)
        if only is not None and path != only.split("[")[0]:
            return leaf
        kept = np.ones(np.shape(leaf), np.float32)
        if only is not None and path != only:
            kept[np.arange(len(leaf)) != int(only[len(path) + 1 : -1])] = 0
        return leaf - 0.1 * kept * gradient

    return jax.tree_util.tree_map_with_path(step, params, gradients)


@pytest.mark.parametrize(
    "name", rows([name for name, model in MODELS.items() if model.opens], MODELS.keys() - SLOW)
)
def test_what_is_named_alone_gives_a_gradient(name):
    model = MODELS[name]
    told = _told(initlab.audit(model.apply, model.params, ROWS, loss=distance))
    gradients = jax.jit(jax.grad(lambda params: distance(model.apply(params, ROWS))))
    waiting = {}
    for place, each in told.items():
        named = re.match(r"its gradient is zero (?:because|until) (\S+) (?:is|has)", each.cause)
        if each.severity == "info" and named:
            waiting[place] = named[1]
            steps = int((re.findall(r"(\d+) steps", each.remedy) or [1])[0])
            params = model.params
            for _ in range(steps - 1):
                params = _stepped(params, gradients(params))
            before = gradients(params)
            assert not np.any(_at(before, place))
            assert np.any(_at(gradients(_stepped(params, before, named[1])), place))
    assert waiting.items() >= model.opens.items()


def test_what_opens_in_the_third_step_waits_for_the_second(measured):
    model = MODELS["zeros that open one after the other"]
    (found,) = [
        each
        for each in initlab.audit(model.apply, model.params, ROWS).findings
        if each.place == "e"
    ]
    assert "because gate is" in found.cause
    assert "2 steps" in found.remedy
    # The start, and all that opens.
    assert len(measured) == 2


def attention(params, x):
    h = x.reshape(len(x), -1, 2) @ params["in"]
    for block in params["blocks"]:
        q, k, v = (h @ block[name] for name in "qkv")
        h = h + jax.nn.softmax(q @ jnp.swapaxes(k, 1, 2)) @ v @ block["o"]
        h = h + jax.nn.gelu(h @ block["up"]) @ block["down"]
    return h.mean(1) @ params["policy"] + h.mean(1) @ params["value"]


def _attention(depth=2, width=8):
    draw = np.random.default_rng(4)

    def square():
        return draw.normal(0, width**-0.5, (width, width)).astype(np.float32)

    zero = {name: np.zeros((width, width), np.float32) for name in ("o", "down")}
    blocks = [{name: square() for name in ("q", "k", "v", "up")} | zero for _ in range(depth)]
    heads = {"policy": np.zeros((width, 4), np.float32), "value": np.zeros((width, 1), np.float32)}
    return {"in": square()[:2], "blocks": blocks, **heads}


def test_a_start_with_many_zeros_is_measured_three_times_at_most(measured):
    # Two heads of zeros, either of which opens the trunk, whose branches end in zeros.
    params = _attention()
    told = _told(initlab.audit(attention, params, ROWS, loss=distance))
    assert len(measured) <= 3
    for n in range(2):
        for name, opener in (("q", "o"), ("k", "o"), ("v", "o"), ("up", "down")):
            assert f"because blocks/{n}/{opener} is" in told[f"blocks/{n}/{name}"].cause
            assert "2 steps" in told[f"blocks/{n}/{name}"].remedy
    (head,) = {each for each in ("policy", "value") if f" {each} is" in told["in"].cause}
    alone = params | {head: params["in"].T[:, :1] + np.zeros_like(params[head])}
    opened = jax.grad(lambda params: distance(attention(params, ROWS)))(alone)
    assert np.any(opened["in"])
    assert all(np.any(each["o"]) and not np.any(each["q"]) for each in opened["blocks"])


@pytest.mark.quick
def test_shares_of_a_step_tell_candidates_from_pairs_of_them():
    from initlab.audits.openers import SHARES, find_opener

    for number, share in enumerate(SHARES):
        assert find_opener(1.2 * share, 1.0) == number
        assert find_opener(share**2, 1.0) is None
    for part in (1.0, 0.0, np.inf, np.nan):
        assert find_opener(part, 1.0) is None
    assert find_opener(0.5, 0.0) is None


def test_several_seeds_are_each_asked():
    model = MODELS["one of three blocks that end in zeros"]

    def init(key):
        leaves, tree = jax.tree.flatten(model.params)
        keys = jax.random.split(key, len(leaves))
        drawn = [
            jnp.asarray(leaf) + 0.1 * jax.random.normal(each, leaf.shape) * float(np.any(leaf))
            for each, leaf in zip(keys, leaves, strict=True)
        ]
        return jax.tree.unflatten(tree, drawn)

    keys = jax.random.split(jax.random.key(1), 3)
    told = _told(initlab.audit(model.apply, None, ROWS, init=init, keys=keys))
    failed = {place for place, each in told.items() if each.severity == "fail"}
    assert failed == set(model.culprits)
    assert all(each.seeds == 1 for each in told.values())
    assert "blocks/2/alpha is" in told["blocks/2/up"].cause


def test_nothing_is_run_again_where_every_parameter_has_a_gradient(measured):
    params = {"in": MODELS["tanh of a gate"].params["in"], "out": np.ones((16, 4), np.float32)}
    initlab.audit(lambda p, x: jnp.tanh(x @ p["in"]) @ p["out"], params, ROWS)
    assert len(measured) == 1


def bounded(params, x):
    """Normalized layers of which one is off, by its biases: behind it only biases are left."""
    for layer in params["layers"]:
        h = jax.nn.relu(x @ layer["w"] + layer["b"][None])
        h = h - h.mean(-1, keepdims=True)
        h = h / jnp.sqrt(jnp.mean(h**2, -1, keepdims=True) + 1e-6)
        x = h * layer["scale"][None] + layer["shift"][None]
    return x @ params["out"]


def _bounded():
    layers = [
        {"w": he(n, FEATURES, FEATURES), "b": zeros(FEATURES), "scale": 1 + zeros(FEATURES)}
        | {"shift": zeros(FEATURES)}
        for n in range(3)
    ]
    layers[1]["b"] = layers[1]["b"] - 60
    return {"layers": layers, "out": he(9, FEATURES, OUTPUTS)}


def chosen(params, x):
    """Experts one by one, of which a router takes the first of equal scores."""
    scores = jax.nn.softmax(x @ params["router"])
    best = jax.nn.one_hot(jnp.argmax(scores, axis=-1), len(params["experts"]))
    weights = jnp.split(scores * best, len(params["experts"]), axis=-1)
    return sum(w * (x @ each) for w, each in zip(weights, params["experts"], strict=True))


def opposite(params, x):
    """A branch behind the difference of two products, which are equal at the start."""
    h = x @ params["in"]
    return h @ params["out"] + jnp.tanh(h @ params["a"] - h @ params["b"]) @ params["c"]


HARD = {
    "behind a layer that is off": (bounded, _bounded(), {"out": ("layers/2/shift",)}, "fail"),
    "experts that are chosen one after the other": (
        chosen,
        {
            "router": 1 + zeros(FEATURES, 4),
            "experts": [he(n, FEATURES, OUTPUTS) for n in range(4)],
        },
        {f"experts/{n}": ("router",) for n in (1, 2, 3)},
        "warn",
    ),
    "products that cancel": (
        opposite,
        {
            "in": he(1, FEATURES, WIDTH),
            "a": he(2, WIDTH, WIDTH),
            "b": he(2, WIDTH, WIDTH),
            "c": he(3, WIDTH, OUTPUTS),
            "out": he(4, WIDTH, OUTPUTS),
        },
        {"c": ("a", "b")},
        "warn",
    ),
}


@pytest.mark.parametrize("name", rows(HARD, HARD.keys() - {"products that cancel"}))
def test_what_no_zero_explains_is_measured_three_times_at_most(name, measured):
    apply, params, opens, verdict = HARD[name]
    report = initlab.audit(apply, params, ROWS, loss=distance)
    assert len(measured) == 3
    assert report.verdict == verdict, str(report)
    told = _told(report)
    seen = gradients_seen(apply, params, ROWS, distance)
    gradients = jax.jit(jax.grad(lambda params: distance(apply(params, ROWS))))
    for path, openers in opens.items():
        assert seen[path].any()
        assert told[path].severity == "info"
        (opener,) = re.findall(r"zero (?:because|until) (\S+) (?:is|has)", told[path].cause)
        assert opener in openers
        noise = jax.tree_util.tree_map_with_path(
            lambda keys, leaf, name=opener: (
                leaf + (checks.path_name(keys) == name) * normal(1, leaf.shape, 1.0)
            ),
            params,
        )
        assert np.any(_at(gradients(noise), path))
