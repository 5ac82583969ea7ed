"""Codes of how parameters were drawn, and of what an optimizer's first step does to them."""

from initlab.audits.explanations.explanation import Explanation

__all__ = ["DRAWS"]

DRAWS = {
    "fan_mismatch": Explanation(
        cause="A weight's variance is not what its siblings' scheme gives for the fans of its use, "
        "and is what it gives for fans of other axes: attention heads or experts counted as inputs "
        "or as a window, stacked layers drawn as one tensor, a packed qkv drawn as one matrix, a "
        "depthwise kernel by all channels.",
        remedy="Name the axes of its use to the scheme (in_axis, out_axis and batch_axis of "
        "jax.nn.initializers.variance_scaling), draw each layer, head group or part by itself, or "
        "use initialize with the specs of networks.adopt.",
        threshold="its std over what the scheme gives for its use: over {fan_ratio:g}, or under "
        "one over that, a warning, if a known mistake brings it back to the gain of two siblings "
        "and no sibling has its own gain.",
        reason="By a factor of 1.25 in each layer a signal changes by e in five. Three standard "
        "errors of two variances and 1 % decide what is equal; a small readout and branches scaled "
        "by their number are left out, as other reasons for the same numbers.",
        example="""\
def apply(params, x):
    def layer(h, w):
        return jnp.tanh(h @ w), None
    h, _ = jax.lax.scan(layer, jnp.tanh(x @ params["in"]), params["layers"])
    return h @ params["out"]

as_one_tensor = draw(1, 6 * 32, 32).reshape(6, 32, 32)  # variance 1/(6 * 32), used with 1/32
params = {"in": draw(0, 8, 32), "layers": as_one_tensor, "out": draw(2, 32, 10)}
report = audit(apply, params, x)""",
    ),
    "coarse_draw": Explanation(
        cause="Random numbers drawn in low precision: many entries at one bound, few different "
        "values, or an infinite logarithm of a draw that came out as 0. The tails are cut and the "
        "mean is shifted, for every unit alike.",
        remedy="Draw in float32 and round the result to the parameter's dtype.",
        threshold="the most common entry's share over {stuck_share:g}, or the effective number of "
        "values, n (n - 1) / sum count (count - 1), under {draw_values:g}: a warning; some entries "
        "infinite or NaN, or so once the model has taken their log, root, power or reciprocal: a "
        "failure. Zeros, copies of a slice and tables are not counted.",
        reason="JAX's uniform numbers in bfloat16, and normal ones made of them, take 128 equally "
        "likely values; rounded from float32 they take at least 258. A clip at two standard "
        "deviations puts 2.3 % at each bound; a truncated normal drawn in bfloat16 had 30 % at one "
        "(torchtitan, pull request 2269).",
        example="""\
coarse = jax.random.normal(jax.random.key(1), (32, 32), jnp.bfloat16)
coarse = coarse.astype(jnp.float32) / 32**0.5
report = audit(tanh_net, [draw(0, 8, 32), coarse, draw(2, 32, 10)], x)""",
    ),
    "ignores_key": Explanation(
        cause="Parameters that look random and are the same for every key that init is given, or "
        "whole starts that are: what is reported over seeds is then about one start.",
        remedy="Draw from init's argument (jax.random.split), not from a key made inside; nothing, "
        "if the numbers are loaded, or fixed on purpose.",
        threshold="different starts (or values of a parameter) under different keys: a warning; a "
        "note where nothing in them is random or the parameter is not trained.",
        reason="Exact for starts and parameters, compared bit by bit. Entries count as random "
        "unless they are monotone, turn too seldom or are periodic along an axis, as 1 of 1e6 "
        "draws is; parameters too small for that are compared over all keys.",
        example="""\
def init(key):
    return [draw(0, 8, 8), jax.random.normal(key, (8, 2))]

report = audit(tanh_net, None, x, init=init)""",
    ),
    "first_update": Explanation(
        cause="The optimizer's first step is too long for the gradient to say where it leads, or "
        "is hardly one of the gradient: under epsilon, mostly weight decay, or rounded off.",
        remedy="A smaller learning rate or a warm-up, for wide layers over fan_in (muP); a smaller "
        "eps or weight decay; a float32 copy of the parameters.",
        threshold="of the decrease of the loss that the gradient predicts, the share that comes "
        "true, under {descent_share:g}: a warning; a rise by {loss_rise:g} times the loss, "
        "or an update that goes uphill: a failure; a share of a weight's entries or of its update "
        "over {update_share:g}: a warning. Measured only with optimizer=.",
        reason="On a quadratic loss that share is 1 - step / (2 / curvature), and descent diverges "
        "at 0. In tanh nets of 64 and 1,024 units those of 0.09 and 0.02 had a higher loss after "
        "the second step; one of 0.36 fell on.",
        example="""\
import optax

report = audit(tanh_net, [draw(0, 8, 64), draw(1, 64, 64), draw(2, 64, 1)], x,
               loss=lambda y: jnp.mean(y**2), optimizer=optax.sgd(300.0))""",
    ),
}
"""By code."""
