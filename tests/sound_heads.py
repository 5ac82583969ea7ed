"""Sound attentions and mixtures: masks, norms, temperatures, and what is no attention."""

import jax
import jax.numpy as jnp
import numpy as np
from audit_models import SEQUENCE, normal, plain
from faults_members import MEMBER_SOUND
from heads_models import (
    DISTANCE,
    LONG,
    SLOPES,
    attend,
    classify,
    codes,
    dense_experts,
    flax_heads,
    flax_switch,
    haiku_heads,
    in_scanned_blocks,
    in_unrolled_blocks,
    keeps_by_place,
    layered,
    masked,
    of_experts,
    of_heads,
    switch,
    two_of_them,
    unit,
    with_capacity,
)

ALIBI = (-SLOPES[:, None, None] * np.abs(DISTANCE)[None]).astype(np.float32)[None]
WINDOW = np.where((DISTANCE >= 0) & (DISTANCE < 3), 0, -1e4).astype(np.float32)[None, None]

HEAD_SOUND = {
    "masked heads, pre-norm": (plain(layered, of_heads(depth=2), LONG), None, ()),
    "heads of 1/d": (plain(attend(lambda z: z / 4), of_heads(), LONG), None, ()),
    "QK norm": (plain(attend(normalize=unit), of_heads(4.0), LONG), None, ()),
    "ALiBi": (plain(attend(lambda z: masked(z / 2 + ALIBI)), of_heads(), LONG), None, ()),
    "a window of three": (plain(attend(lambda z: z / 2 + WINDOW), of_heads(), LONG), None, ()),
    "flax: masked heads in half precision": (lambda: flax_heads(1.0, jnp.bfloat16), None, ()),
    "haiku: heads": (haiku_heads, None, ()),
    "a mixture of experts": (plain(dense_experts, of_experts(), SEQUENCE), None, ()),
    "a switch of experts": (plain(switch, of_experts(), SEQUENCE), None, ()),
    "two of four experts": (plain(two_of_them, of_experts(), SEQUENCE), None, ()),
    "flax: a switch of experts": (flax_switch, None, ()),
    "a switch with a capacity": (
        plain(with_capacity(keeps_by_place, 12), of_experts(), SEQUENCE),
        None,
        (),
    ),
    "heads in unrolled blocks": (plain(in_unrolled_blocks, of_heads(), LONG), None, ()),
    "heads in scanned blocks": (plain(in_scanned_blocks, of_heads(), LONG), None, ()),
    "a sparse code": (
        plain(codes, {"up": normal(1, (16, 64), 0.25), "down": normal(2, (64, 16), 0.2)}, SEQUENCE),
        None,
        (),
    ),
    "probabilities of classes": (
        plain(classify, {"w": normal(1, (16, 8), 4.0)}, SEQUENCE[:, 0]),
        None,
        (),
    ),
    "a gate by softmax": (
        plain(
            lambda p, x: (jax.nn.softmax(x @ p["g"]) * (x @ p["w"])) @ p["o"],
            {name: normal(n, (16, 16), 0.25) for n, name in enumerate("gwo")},
            SEQUENCE,
        ),
        None,
        (),
    ),
    **MEMBER_SOUND,
}
