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
    "unmet_prior": Explanation(
        cause="The outputs' mean probabilities miss the frequencies of the classes: the first "
        "steps learn how often each class is, with gradients that are mostly of the bias.",
        remedy="Set the readout's bias to the log of the class frequencies (Report.class_bias); of "
        "one logit to log p / (1 - p).",
        threshold="the share of the starting loss that predicting the frequencies takes off it: "
        "over {prior_share[0]:g} a note, over {prior_share[1]:g} a warning; requires labels= or "
        "prior=.",
        reason="GPT-2 starts at log 50257 = 10.8 nats where its tokens' frequencies leave 7.7, a "
        "share of 0.29 that is learned in the first hundred steps. Three quarters are one "
        "positive in 25 or fewer: Lin et al. 2017 (arXiv:1708.02002) see a detector diverge "
        "without that bias.",
        example="""\
report = audit(tanh_net, [draw(0, 8, 8), 0.1 * draw(1, 8, 2)], x, prior=[0.99, 0.01])""",
    ),
    "leak": Explanation(
        cause="An output depends on what it must not see: on other examples of its batch "
        "(independent=True), as through batch norm in training mode or a softmax over the wrong "
        "axis, or on inputs of later times (causal=True), as through a mask that is missing.",
        remedy="Another norm, or running averages; masks in front of the softmax; convolutions "
        "padded on the left only; no statistics over times or examples.",
        threshold="the largest change of an output over the largest output, when what it must not "
        "see is changed: over rounding (128 epsilon of float32 or float64, 8 of halves) a warning.",
        reason="The same program on the same numbers rounds alike; only transforms along time mix "
        "the rounding of all times.",
        example="""\
def centred(params, x):
    h = x @ params[0]
    return (h - h.mean(axis=0, keepdims=True)) @ params[1]

report = audit(centred, [draw(0, 8, 8), draw(1, 8, 2)], x, independent=True)""",
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
