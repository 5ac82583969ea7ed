"""Codes of the whole network: its numbers, its loss, what was not seen."""

from initlab.audits.explanations.explanation import Explanation

__all__ = ["WHOLE"]

WHOLE = {
    "non_finite": Explanation(
        cause="NaN or infinity in a parameter, a signal or a gradient; the first place of each is "
        "named, and everything that depends on it is lost.",
        remedy="Against an overflow: a smaller scale of the weights before it, a norm, or a dtype "
        "with a larger range (bfloat16 for float16). Against 0/0 or the slope of sqrt at 0: a "
        "small constant inside.",
        threshold="any number that is not finite: a failure.",
        reason="Exact: NaN and infinity spread to every parameter in one step.",
        example="report = audit(tanh_net, [jnp.full((8, 8), 3e38), draw(1, 8, 2)], jnp.ones((16, 8)"
        "))",
    ),
    "confident_start": Explanation(
        cause="A cross-entropy starts far above that of the constant predictor, log K: the outputs "
        "are confident, and wrong. The first steps unlearn it.",
        remedy="Initialize the readout smaller (initializers.small_readout), or at zero.",
        threshold="loss minus the loss of outputs of zero, in nats: over {excess_loss[0]:g} a "
        "warning, over {excess_loss[1]:g} a failure; requires loss=.",
        reason="Logits of standard deviation s cost s^2 / 2: two nats are s = 2, the right class "
        "being e^2 times less likely than by chance. Six nats are a factor of e^6 = 403.",
        example="""\
def loss(logits):
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(16), jnp.arange(16) % 4])

report = audit(tanh_net, [draw(0, 8, 8), 20 * draw(1, 8, 4)], x, loss=loss)""",
    ),
    "untracked": Explanation(
        cause="A part of the program that the audit could not see, and so did not check.",
        remedy="None is needed. Whatever matters there must be checked by other means.",
        threshold="none: a note.",
        reason="A pass says nothing about what was not seen.",
        example="""\
def apply(params, x):
    h = x @ params["in"]
    h = jax.lax.while_loop(lambda h: jnp.max(jnp.abs(h)) > 1, lambda h: h / 2, h)
    return h @ params["out"]

report = audit(apply, {"in": draw(0, 8, 8), "out": draw(1, 8, 2)}, x)""",
    ),
}
"""By code."""
