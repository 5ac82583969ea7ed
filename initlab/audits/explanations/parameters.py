"""Codes of the parameters themselves."""

from initlab.audits.explanations.explanation import Explanation

__all__ = ["PARAMETERS"]

PARAMETERS = {
    "symmetric_units": Explanation(
        cause="Units (or channels, or heads) that are copies of each other, with the same weights "
        "in and out. They get the same gradient and stay copies however long they train: the layer "
        "is as wide as the number of its classes.",
        remedy="Draw every unit's weights at random, each with a key of its own.",
        threshold="units that differ under all units: a failure.",
        reason="Exact: the exchange of two copies leaves the network's function and its parameters "
        "as they are, and every optimizer that treats units alike keeps it "
        "(symmetry.check_induction proves it step by step).",
        example="""\
def apply(params, x):
    return jnp.tanh(x @ params["in"]) @ params["out"]

report = audit(apply, {"in": jnp.zeros((8, 4)), "out": jnp.zeros((4, 2))}, x)""",
    ),
    "constant_tensor": Explanation(
        cause="A weight all of whose entries are one number, so that its units start identical. A "
        "zero weight that ends a branch or is the readout is common and only noted.",
        remedy="Draw it at random, unless it ends a branch or is the readout.",
        threshold="smallest entry = largest entry: a failure where nothing else distinguishes the "
        "units, a warning where something may, a note where it is zero.",
        reason="Exact: see symmetric_units.",
        example="report = audit(tanh_net, [draw(0, 8, 8), jnp.full((8, 8), 0.1), draw(1, 8, 2)], "
        "x)",
    ),
    "duplicate_tensors": Explanation(
        cause="Tensors that hold the same random numbers, in whatever shape and scale: one key "
        "drew them all. Layers that should be independent are correlated.",
        remedy="Split the key: one for each tensor and each layer.",
        threshold="correlation of the first entries over {duplicate_correlation:g}, either sign: "
        "a warning.",
        reason="Of 16 independent normal entries it exceeds 0.999 with probability under 1e-15.",
        example="report = audit(tanh_net, [draw(0, 8, 8), draw(1, 8, 8), draw(1, 8, 2)], x)",
    ),
    "repeated_slices": Explanation(
        cause="Indices of an axis that parameters and signals share (members of an ensemble, "
        "experts, heads) hold the same random numbers: they start as copies, and only what differs "
        "in their inputs, outputs or gradients parts them.",
        remedy="Draw each index with a key of its own.",
        threshold="slices of drawn numbers that agree in every bit: a warning. Where nothing can "
        "part them, under the loss if one is given, they are symmetric_units and a failure.",
        reason="Exact; tables that rise or fall along an axis, as log(arange(N)), are no draws.",
        example="""\
def apply(params, x):
    hidden = jnp.tanh(jnp.einsum("bi,nih->bnh", x, params["w"]))
    return jnp.einsum("bnh,nh->bn", hidden, params["v"])

params = {"w": jnp.stack([draw(0, 8, 16)] * 4), "v": jnp.stack([draw(1, 16, 1)[:, 0]] * 4)}
report = audit(apply, params, x)""",
    ),
    "unused_parameter": Explanation(
        cause="The gradient of a parameter is exactly zero: no output depends on it, a "
        "stop_gradient or a step function lies on every path, or other parameters are zero. Where "
        "it waits for one of these, it gets a gradient once that has taken a step.",
        remedy="Use it or remove it; move the stop_gradient; of several zeros that multiply each "
        "other start all but one elsewhere, as at random.",
        threshold="gradient = 0, now and, by what the gradients' program multiplies, after any "
        "number of steps: a failure where it stays so, a warning where nothing reads it or a "
        "stop_gradient cuts the data's path, a note where steps open it or it is frozen by design.",
        reason="Exact: a gradient of zero is no step, for every optimizer without weight decay.",
        example="""\
def apply(params, x):
    return jnp.tanh(x @ params["in"]) @ params["out"]

params = {"in": draw(0, 8, 8), "out": draw(1, 8, 2), "spare": draw(2, 8, 8)}
report = audit(apply, params, x)""",
    ),
    "unbalanced_updates": Explanation(
        cause="One step of gradient descent changes one weight by a far larger share of its rms "
        "than another: with a learning rate that suits the fastest the slowest hardly moves.",
        remedy="Bring the weights to one scale, or give them learning rates of their own (Adam "
        "does).",
        threshold="the largest gradient_rms / rms of a weight over the smallest: over "
        "{update_ratio[0]:g} a warning, over {update_ratio[1]:g} a failure; a note where the small "
        "start of gates (LayerScale) or readouts explains it, measured with them at a usual size.",
        reason="Where a step changes the fastest layer by a tenth of its rms, it changes one 1e4 "
        "times slower by 1e-5: 1e5 steps replace it once. At 1e7, about 1 / epsilon of float32, "
        "its steps are rounded off.",
        example="""\
def relu_net(params, x):
    return jax.nn.relu(jax.nn.relu(x @ params[0]) @ params[1]) @ params[2]

params = [draw(0, 8, 8), 30 * draw(1, 8, 8), draw(2, 8, 8) / 30]
report = audit(relu_net, params, x)""",
    ),
}
"""By code."""
