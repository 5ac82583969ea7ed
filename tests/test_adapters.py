"""Low-rank adapters beside NumPy, in peft's own orientation: weights [units, inputs], `B A`."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from initializer_tables import KEY, weight_spec

import initlab
from initlab import initializers as I  # noqa: N812
from initlab import networks
from initlab.types import ParamSpec, Role

SPECS = {
    "narrow": weight_spec(9, 6),
    # Two members, and two layers whose heads are one matrix.
    "members": ParamSpec((6, 2, 5), 6, 5, members=(1,)),
    "heads": ParamSpec((2, 6, 3, 2), 6, 6, stack=("block_1/heads", "block_2/heads")),
    "table": ParamSpec((7, 6), 1, 6, Role.EMBEDDING),
    "window": weight_spec(3, 4, 5),
}
MATRICES = ("heads", "members", "narrow")
SCALE = 1.7


@pytest.fixture(scope="module")
def params():
    rng = np.random.default_rng(0)
    return {name: np.float32(rng.standard_normal(spec.shape)) for name, spec in SPECS.items()}


def matrices(name, w):
    """Each matrix of a parameter as peft has it, [units, inputs], in float64."""
    w = np.asarray(w, np.float64)
    if name == "members":
        return [w[:, member].T for member in range(2)]
    return [each.reshape(6, 6).T for each in w] if name == "heads" else [w.T]


def factors(adapted, name):
    """A [rank, inputs] and B [units, rank] of each matrix."""
    a, b = (np.asarray(adapted.factors[name][each], np.float64) for each in "ab")
    rank = a.shape[-1]
    return zip(
        a.reshape(-1, *a.shape[-2:]).transpose(0, 2, 1),
        b.reshape(-1, rank, b.shape[-1]).transpose(0, 2, 1),
        strict=True,
    )


@pytest.mark.parametrize("start", ["pissa", "olora"])
def test_a_decomposition_is_numpys(start, params):
    adapted = getattr(I, start)(SPECS, params, 2, scale=SCALE)
    assert tuple(sorted(adapted.factors)) == MATRICES
    for name in MATRICES:
        rests = matrices(name, adapted.base[name])
        for w, rest, (a, b) in zip(
            matrices(name, params[name]), rests, factors(adapted, name), strict=True
        ):
            if start == "olora":
                q, r = np.linalg.qr(w)
                want_a, want_b = r[:2], q[:, :2]
            else:
                u, s, v = np.linalg.svd(w, full_matrices=False)
                roots = np.sqrt(s[:2] / SCALE)
                want_a, want_b = roots[:, None] * v[:2], u[:, :2] * roots
            # Each pair of vectors is known up to one sign.
            signs = np.sign(np.sum(a * want_a, axis=1))
            np.testing.assert_allclose(a, signs[:, None] * want_a, atol=1e-5)
            np.testing.assert_allclose(b, signs * want_b, atol=1e-5)
            np.testing.assert_allclose(rest, w - SCALE * want_b @ want_a, atol=1e-5)
    for name in ("table", "window"):
        np.testing.assert_array_equal(adapted.base[name], params[name])


def test_lora_starts_uniform_and_at_zero(params):
    adapted = I.lora(KEY, SPECS, params, 2, scale=SCALE)
    for name in MATRICES:
        np.testing.assert_array_equal(adapted.base[name], params[name])
        for a, b in factors(adapted, name):
            assert not b.any()
            assert 0.5 < np.abs(a).max() * np.sqrt(a.shape[1]) <= 1
    specs = {"w": weight_spec(400, 64)}
    (a, _), *_ = factors(I.lora(KEY, specs, {"w": np.zeros((400, 64), "f")}, 50), "w")
    # torch's kaiming_uniform_(a=sqrt(5)): variance 1/(3 inputs), of kurtosis 9/5.
    assert abs((a**2).mean() * 3 * 400 - 1) < 5 * np.sqrt(0.8 / a.size)
    assert abs(a).max() <= 1 / 20


@pytest.mark.parametrize("start", ["lora", "pissa", "olora"])
def test_an_adapted_network_computes_what_it_did_and_learns(start, params):
    given = (KEY, SPECS, params, 3) if start == "lora" else (SPECS, params, 3)
    adapted = getattr(I, start)(*given, weights="narrow", scale=SCALE)
    assert set(adapted.factors) == {"narrow"}

    def loss(factors):
        merged = I.adapted_params(SPECS, adapted._replace(factors=factors))
        return jnp.sum(merged["narrow"] ** 3), merged

    gradients, merged = jax.jit(jax.grad(loss, has_aux=True))(adapted.factors)
    for name, w in params.items():
        np.testing.assert_allclose(merged[name], w, atol=1e-5)
    assert gradients["narrow"]["b"].any()
    # B = 0 hides A from the first step.
    assert gradients["narrow"]["a"].any() == (start != "lora")


def test_a_rank_stabilized_scale_is_over_the_root():
    assert I.lora_scale(8.0, 16) == 2
    assert I.lora_scale(8.0, 16, stabilized=False) == 0.5


WRONG = {
    "rank must be at most the inputs and units of 'narrow', (9, 6), got 7": lambda p: I.pissa(
        SPECS, p, 7, weights="narrow"
    ),
    "weights must name a matrix, got 'table', of which": lambda p: I.olora(
        SPECS, p, 1, weights="table"
    ),
    "weights must name a matrix, got 'narow', of which ['heads', 'members'": lambda p: I.lora(
        KEY, SPECS, p, 1, weights="narow"
    ),
    "scale must be over 0, got 0": lambda p: I.pissa(SPECS, p, 1, scale=0),
}


@pytest.mark.parametrize("message", WRONG)
def test_what_cannot_be_adapted_is_refused(message, params):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        WRONG[message](params)


def test_mimetic_attentions_are_near_the_identities_that_are_named():
    heads, width = 2, 32
    makes = {
        scanned: networks.transformer(
            (3, width, 2), 2, jnp.tanh, heads=heads, length=3, scanned=scanned
        )
        for scanned in (False, True)
    }
    drawn = {}
    for scanned, network in makes.items():
        params = initlab.initialize(KEY, network.specs, I.by_role(I.constant(0.5)))
        new = I.mimetic(jax.random.key(1), network.specs, params, heads)
        drawn[scanned] = new["blocks"] if scanned else new
        assert new["readout"]["weight"][0, 0] == 0.5
    for block in (1, 2):
        w = {
            part: np.asarray(each["weight"], np.float64)
            for part, each in drawn[False][f"block_{block}"]["attention"].items()
            if part in ("query", "key", "value", "output")
        }
        for part, each in w.items():
            stacked = drawn[True]["attention"][part]["weight"][block - 1]
            np.testing.assert_allclose(stacked, each, atol=1e-4)
        # c Z - d I: the trace is -d width, its standard error c; the rest has variance c^2 / width.
        product = w["value"] @ w["output"]
        assert abs(np.trace(product) / width + 0.4) < 5 * 0.4 / width
        rest = product - np.diag(np.diag(product))
        assert abs((rest**2).sum() / width / 0.4**2 - 1) < 0.15
        for head in range(heads):
            columns = slice(head * width // heads, (head + 1) * width // heads)
            query, key = w["query"][:, columns], w["key"][:, columns]
            # The largest half of the singular values of one matrix, their roots in both.
            np.testing.assert_allclose(query.T @ query, key.T @ key, atol=1e-4)
            values = np.diag(query.T @ query)
            np.testing.assert_allclose(query.T @ query, np.diag(values), atol=1e-4)
            assert (np.diff(values) < 0).all()
            assert np.trace(query @ key.T) > 0.25 * width


def test_mimetic_says_what_it_wants():
    mlp = networks.mlp((2, 4, 1), jnp.tanh)
    params = initlab.initialize(KEY, mlp.specs, I.zeros())
    with pytest.raises(ValueError, match="must have attentions with weights of query, key, value"):
        I.mimetic(KEY, mlp.specs, params, 2)
    for kv_heads, heads, message in (
        (2, 4, "keys and values of as many heads as queries"),
        (4, 3, "heads must divide the width 8 of 'block_1/attention/', got 3"),
    ):
        network = networks.transformer((3, 8, 2), 1, jnp.tanh, heads=4, kv_heads=kv_heads, length=3)
        params = initlab.initialize(KEY, network.specs, I.zeros())
        with pytest.raises(ValueError, match=message):
            I.mimetic(KEY, network.specs, params, heads)
