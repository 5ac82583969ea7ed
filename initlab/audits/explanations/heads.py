"""Codes of attentions and routers."""

from initlab.audits.explanations.explanation import Explanation

__all__ = ["HEADS"]

HEADS = {
    "sharp_attention": Explanation(
        cause="A head attends to one or two of its entries before any training: its logits are so "
        "spread that the softmax is nearly one-hot, and passes hardly any gradient to query and "
        "key. Most often the division of the dot products by sqrt(head size) is missing, or query "
        "and key are drawn too large. A softmax over logits of one size, as of 1/d instead of "
        "1/sqrt(d), is flat and no fault; nor is a head that looks nearby by design, as of ALiBi.",
        remedy="Divide the dot products by sqrt(head size), draw query and key with variance "
        "1/fan_in, or normalize both (QK norm) with a temperature near 1.",
        threshold="a head's mean entropy over log of its unmasked entries: under "
        "{attention_entropy:g} a warning, under {attention_collapse:g} a failure, where it attends "
        "to fewer than {attention_entries:g} effective entries, exp(entropy).",
        reason="Logits drawn with std s leave log n - s^2/2 nats, until at s = sqrt(2 log n) a few "
        "entries hold all the weight (Derrida 1981, the random energy model). Dot products of 64 "
        "features that nobody scales have s = 8. Zhai et al. 2023 (arXiv:2303.06296): training "
        "diverges as the entropy collapses.",
        example="""\
def attention(params, x):
    q, k, v = (x @ w for w in params)
    return jax.nn.softmax(q @ k.T) @ v

report = audit(attention, [4 * draw(n, 8, 8) for n in range(3)], x)""",
    ),
    "unbalanced_router": Explanation(
        cause="Most experts of a mixture get hardly any tokens at the start, or the router's "
        "probabilities are nearly one-hot. Experts that no token chooses get no gradient, and a "
        "capacity drops the tokens of the crowded ones.",
        remedy="Draw the router's weights with mean zero and a small variance, normalize the "
        "tokens in front of it, and add a balancing loss or noise to its scores.",
        threshold="where a token chooses k of n experts, (exp(entropy of the load) - k) / (n - k), "
        "1 of a balanced load and 0 where all choose the same: under {router_load:g} a warning; so "
        "are scores whose entropy is under {attention_entropy:g} of its largest, and a capacity in "
        "the model (a running sum of the choices compared with a number) that drops more than "
        "{dropped_choices:g} of them. With fewer choices than twice the experts nothing is said of "
        "the load.",
        reason="Capacities are 1.25 to 2 times the fair share (Fedus et al. 2021, "
        "arXiv:2101.03961; Lepikhin et al. 2020, arXiv:2006.16668): with half of the experts idle "
        "the others get twice theirs.",
        example="""\
def mixture(params, x):
    gates, chosen = jax.lax.top_k(jax.nn.softmax(x @ params["router"]), 1)
    parts = jnp.einsum("bi,eij->bej", x, params["experts"])
    return jnp.einsum("be,bej->bj", jax.nn.one_hot(chosen[:, 0], 4) * gates, parts)

router = jnp.zeros((8, 4))
experts = jnp.stack([draw(n, 8, 8) for n in range(4)])
report = audit(mixture, {"router": router, "experts": experts}, x)""",
    ),
}
