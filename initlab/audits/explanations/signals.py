"""Codes of signals and gradients on their way through the layers."""

from initlab.audits.explanations.explanation import Explanation

__all__ = ["SIGNALS"]

_TRAINABLE = (
    "Schoenholz et al. 2017 (arXiv:1611.01232, section 5) find networks trainable up to about six "
    "depth scales xi; what decays as e^(-l/xi) has then fallen by e^-6. Half of it is the warning, "
    "where three quarters of the layers have the rate, so that one wide step is no trend."
)

SIGNALS = {
    "branch_dominates": Explanation(
        cause="A residual branch far larger than the stream that it is added to: what the layers "
        "before have computed is lost beside it, and rounded off in half precision.",
        remedy="Draw the weight that ends the branch smaller, by 1/sqrt(2 depth), or at zero; or "
        "start the stream, as an embedding, with an rms near 1.",
        threshold="rms of the branch over rms of the stream: over {branch_ratio[0]:g} a warning, "
        "over {branch_ratio[1]:g} a failure. A branch that is small has no threshold here: gates, "
        "zeros and LayerScale begin so (see `vanishing_branch`).",
        reason="At 100 the layers before are 1 % of the stream; at 1000 they are under the "
        "rounding of bfloat16 (2^-8) and near that of float16 (2^-11). GPT-2's first block, on "
        "embeddings of std 0.02, has 2.",
        example="""\
def apply(params, x):
    h = x @ params["in"]
    norm = h / jnp.sqrt(jnp.mean(h**2, axis=-1, keepdims=True) + 1e-6)
    return (h + jax.nn.relu(norm @ params["up"]) @ params["down"]) @ params["out"]

params = {"in": draw(0, 8, 8) / 50, "up": draw(1, 8, 32), "down": 30 * draw(2, 32, 8)}
report = audit(apply, params | {"out": draw(3, 8, 2)}, x)""",
    ),
    "vanishing_branch": Explanation(
        cause="Two weights of a residual branch are tiny, or one is and its last is zero, so that "
        "the gradient of each, which is proportional to the others, is tiny too: the start lies "
        "near a saddle point, and the network learns as if it had no branch.",
        remedy="Draw all weights of the branch but the last with variance gain^2/fan_in. The last "
        "one, or a gate behind it, may be small or zero: it learns through the others.",
        threshold="rms * sqrt(fan_in) of two or more weights in a branch, one of them perhaps 0: "
        "under exp(-{max_efolds:g}) a warning, if the branch over its stream is under the square "
        "of it, or what a zero at its end is given is under it beside the stream.",
        reason="Gradient descent leaves a saddle point after a time of log(1/size). Two branches "
        "of width 32 at a rate of 0.03 have, after 300 steps, a loss of 0.03 from weights of "
        "1/sqrt(fan_in), and of 0.62 from 1/403 of them: without branches it is 0.64. Steps of "
        "Adam do not shrink with the gradient, and leave the point within 100.",
        example="""\
def apply(params, x):
    h = x @ params["in"]
    return (h + jax.nn.relu(h @ params["up"]) @ params["down"]) @ params["out"]

params = {"in": draw(0, 8, 8), "up": 1e-4 * draw(1, 8, 32), "down": 1e-4 * draw(2, 32, 8)}
report = audit(apply, params | {"out": draw(3, 8, 2)}, x)""",
    ),
    "time_decay": Explanation(
        cause="A recurrence, a loop over time or an associative scan, forgets its state within a "
        "step, so that the outputs depend on the latest inputs alone; or its decays are all so "
        "slow that the state is the sum of all inputs.",
        remedy="Draw recurrent weights orthogonal or with variance 1/fan_in and start forget gates "
        "open (a bias of 1); draw the time steps of a state space so that its decays spread "
        "between 1/e and 1 - 1/length.",
        threshold="e-folds of a change of the state that a step loses: over {forgetting:g}, or, "
        "where each entry decays by itself, under {remembering:g}: a warning.",
        reason="At 1 a step keeps 37 %, and six steps 1/403; a forget gate that starts half open "
        "keeps 50 %. Gu et al. 2022 (arXiv:2206.11893, section 5.1) draw time steps between 1e-3 "
        "and 1e-1, whose slowest mode keeps about 2000 steps.",
        example="""\
def apply(params, x):
    step = lambda h, token: (jnp.tanh(token @ params["in"] + h @ params["state"]), None)
    h, _ = jax.lax.scan(step, jnp.zeros((16, 8)), jnp.stack([x] * 10))
    return h @ params["out"]

params = {"in": draw(0, 8, 8), "state": draw(1, 8, 8) / 20, "out": draw(2, 8, 2)}
report = audit(apply, params, x)""",
    ),
    "vanishing_signal": Explanation(
        cause="The rms of the signal falls from layer to layer, or is exactly zero. The outputs "
        "hardly depend on the data, and the gradients of the weights, which are products with the "
        "signal, fall with it.",
        remedy="Draw weights with variance gain^2/fan_in, with the activation's gain "
        "(initlab.theory.gain; 1.59 for tanh, sqrt(2) for relu), or put norms between the layers.",
        threshold="rms of the last layer over that of the first: under e^-{max_efolds:g} a "
        "failure; at a steady rate under e^-{trend_efolds:g} a warning; zero a failure. Of a "
        "member, an expert or a head its rms, or its weights', over its siblings' median: under "
        "e^-{max_efolds:g} a failure.",
        reason=_TRAINABLE,
        example="report = audit(tanh_net, [0.01 * draw(n, 8, 8) for n in range(6)], x)",
    ),
    "exploding_signal": Explanation(
        cause="The rms of the signal grows from layer to layer, and with it the outputs and every "
        "gradient: no learning rate is small enough, or numbers overflow.",
        remedy="Draw weights with variance gain^2/fan_in; scale residual branches by "
        "1/sqrt(depth), start them at zero, or put norms in front of them.",
        threshold="rms of the last layer over that of the first: over e^{max_efolds:g} a failure; "
        "at a steady rate over e^{trend_efolds:g} a warning.",
        reason=_TRAINABLE,
        example="""\
def relu_net(params, x):
    for w in params:
        x = jax.nn.relu(x @ w)
    return x

report = audit(relu_net, [10 * draw(n, 8, 8) for n in range(6)], x)""",
    ),
    "rank_collapse": Explanation(
        cause="All inputs are mapped to nearly one direction, as in ordered networks or in deep "
        "attention without residual branches: the outputs hardly depend on the data.",
        remedy="Larger weights or smaller biases (the edge of chaos, initializers.critical), an "
        "activation that is odd, or residual branches.",
        threshold="distance of two examples, sqrt(2 (1 - cosine)), at the last layer over that at "
        "the input: under e^-{max_efolds:g} a failure, under e^-{trend_efolds:g} a warning.",
        reason=_TRAINABLE,
        example="""\
def sigmoid_net(params, x):
    for w in params:
        x = jax.nn.sigmoid(x @ w)
    return x

report = audit(sigmoid_net, [draw(n, 8, 8) for n in range(8)], x)""",
    ),
    "vanishing_gradient": Explanation(
        cause="The backpropagated gradient shrinks from the last layer to the first, so that the "
        "first layers learn more slowly than the last, or not at all.",
        remedy="Bring chi_1, a layer's factor on the squared gradient, to 1 "
        "(initializers.critical, initlab.theory.gain), shorten the path with residual branches, or "
        "put norms in front of the branches.",
        threshold="gradient_norm at the first layer over that at the last: under "
        "e^-{max_efolds:g} a failure; at a steady rate under e^-{trend_efolds:g} a warning.",
        reason=_TRAINABLE,
        example="report = audit(tanh_net, [0.02 * draw(n, 8, 8) for n in range(6)], x)",
    ),
    "exploding_gradient": Explanation(
        cause="The backpropagated gradient grows from the last layer to the first (chaos), so that "
        "no learning rate suits both.",
        remedy="Draw weights with a smaller variance: chi_1 = 1 (initializers.critical) preserves "
        "the gradient's norm.",
        threshold="gradient_norm at the first layer over that at the last: over e^{max_efolds:g} "
        "a failure; at a steady rate over e^{trend_efolds:g} a warning.",
        reason=_TRAINABLE,
        example="""\
def linear_net(params, x):
    for w in params:
        x = x @ w
    return x

report = audit(linear_net, [5 * draw(n, 8, 8) for n in range(6)], x)""",
    ),
    "dead_units": Explanation(
        cause="Units whose activation has slope zero on every example of the batch: no gradient "
        "reaches the weights into them, and they stay as they are.",
        remedy="Start the biases before it at zero and the weights with mean zero, widen the "
        "layer (initlab.theory.dying_relu_probability), or use an activation with a slope on both "
        "sides, as leaky relu.",
        threshold="share of a layer's units that are flat on every example: {dead:g} a failure, as "
        "is a layer or a member of an ensemble all of whose units are; over one half, by more than "
        "three standard errors or by more than its siblings make likely, a warning.",
        reason="A draw symmetric about 0 leaves each unit on for half of all directions, so that "
        "at most half can be off at once, whatever the correlation of the examples.",
        example="""\
def relu_net(params, x):
    return jax.nn.relu(x @ params["in"] - 20) @ params["out"]

report = audit(relu_net, {"in": draw(1, 8, 16), "out": draw(2, 16, 2)}, x)""",
    ),
    "saturated": Explanation(
        cause="Most slopes of an activation are under 1 % of its largest, as those of tanh at "
        "large inputs: hardly any gradient passes.",
        remedy="Draw the weights before it smaller, or put a norm in front of the activation.",
        threshold="share of units x examples with a flat slope, over what the activation has on "
        "inputs drawn from N(0, 1): {saturated[0]:g} a warning, {saturated[1]:g} a failure.",
        reason="experiments.random_initialization: with 24 % at scale 1, 87 % of 256 seeds train; "
        "with 83 % at scale 10, 52 % do; with 97 % at scale 100, 0.4 % do.",
        example="report = audit(tanh_net, [100 * draw(n, 8, 8) for n in range(3)], x)",
    ),
}
"""By code."""
