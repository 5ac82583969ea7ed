"""Planted faults of attentions and routers, and of single members."""

import flax.linen as nn
from audit_models import SEQUENCE, Fault, plain
from faults_members import MEMBER_FAULTS
from heads_models import (
    LONG,
    attend,
    by_jax,
    dense_experts,
    divided_afterwards,
    flax_heads,
    flax_switch,
    haiku_heads,
    in_scanned_blocks,
    in_unrolled_blocks,
    keeps_by_mask,
    keeps_by_slot,
    layered,
    masked,
    of_experts,
    of_heads,
    skipping_blocks,
    softmax_by_hand,
    switch,
    two_of_them,
    unit,
    with_capacity,
)

HEAD_FAULTS = {
    "queries and keys three times too large": Fault(
        "sharp_attention", "q", "warn", plain(attend(), of_heads(3.0), LONG)
    ),
    "queries and keys ten times too large, masked": Fault(
        "sharp_attention", "q", "fail", plain(attend(masked), of_heads(10.0), LONG)
    ),
    "sharp heads, a softmax by hand": Fault(
        "sharp_attention", "q", "warn", plain(attend(softmax=softmax_by_hand), of_heads(3.0), LONG)
    ),
    "sharp heads, divided afterwards": Fault(
        "sharp_attention", "q", "warn", plain(divided_afterwards, of_heads(2.0), LONG)
    ),
    "QK norm with a temperature of 20": Fault(
        "sharp_attention",
        "q",
        "warn",
        plain(attend(lambda z: 5 * z, normalize=unit), of_heads(), LONG),
    ),
    "sharp heads in every layer of a scan": Fault(
        "sharp_attention", "q[1]", "warn", plain(layered, of_heads(3.0, depth=2), LONG)
    ),
    "sharp heads in flax": Fault(
        "sharp_attention", "query/kernel", "warn", lambda: flax_heads(9.0)
    ),
    "sharp heads in haiku": Fault("sharp_attention", "query/w", "warn", lambda: haiku_heads(16.0)),
    "a router of zeros": Fault(
        "unbalanced_router", "router", "warn", plain(switch, of_experts(0.0), SEQUENCE)
    ),
    "tokens that are all alike": Fault(
        "unbalanced_router", "router", "warn", plain(two_of_them, of_experts(), SEQUENCE + 8)
    ),
    "a mixture of one expert": Fault(
        "unbalanced_router", "router", "warn", plain(dense_experts, of_experts(), SEQUENCE + 8)
    ),
    "a router that is sure of itself": Fault(
        "unbalanced_router", "router", "warn", plain(switch, of_experts(30.0), SEQUENCE)
    ),
    "a capacity of a quarter of a fair share": Fault(
        "unbalanced_router",
        "router",
        "warn",
        plain(with_capacity(keeps_by_mask, 3), of_experts(), SEQUENCE),
    ),
    "a capacity of three slots": Fault(
        "unbalanced_router",
        "router",
        "warn",
        plain(with_capacity(keeps_by_slot, 3, by_top_k=True), of_experts(), SEQUENCE),
    ),
    "sharp heads in unrolled blocks": Fault(
        "sharp_attention", "q", "warn", plain(in_unrolled_blocks, of_heads(3.0), LONG)
    ),
    "sharp heads in scanned blocks": Fault(
        "sharp_attention", "q", "warn", plain(in_scanned_blocks, of_heads(3.0), LONG)
    ),
    "sharp heads in blocks of which some are skipped": Fault(
        "sharp_attention", "q", "fail", plain(skipping_blocks, of_heads(8.0), LONG)
    ),
    "sharp heads by jax.nn": Fault(
        "sharp_attention", "q", "warn", plain(by_jax, of_heads(3.0), LONG)
    ),
    "a constant router in flax": Fault(
        "unbalanced_router",
        "router/kernel",
        "warn",
        lambda: flax_switch(router_init=nn.initializers.ones),
    ),
    **MEMBER_FAULTS,
}
