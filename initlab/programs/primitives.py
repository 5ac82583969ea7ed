"""The names of JAX's primitives by kind: the one list that every instrument takes its names from.

A primitive that JAX renames is renamed here, and nowhere else. Old names stay beside new ones for
as long as a supported JAX has them; a name that the installed JAX lacks is never met.
"""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "ARG_REDUCTIONS",
    "CALLBACKS",
    "CALLS",
    "CASTS",
    "COMPUTING_CALLBACKS",
    "CONTRACTIONS",
    "CONTROL",
    "CONVOLUTIONS",
    "CUMULATIVE",
    "CUSTOM_DERIVATIVES",
    "ELEMENTWISE",
    "FLAT",
    "INDEXING",
    "KNOWN",
    "MOVES",
    "NONLINEARITIES",
    "ORDERED",
    "PASSING",
    "PRODUCTS",
    "RAGGED",
    "RANDOM",
    "REDUCTIONS",
    "SCATTERS",
    "SINGULAR",
    "SINGULAR_AT_ZERO",
    "SLICES",
    "UNCHANGED",
    "WINDOWS",
    "ZERO_AT_ZERO",
]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMPUTING_CALLBACKS = _names("io_callback pure_callback")
"""What takes arrays from Python."""

CALLBACKS = COMPUTING_CALLBACKS | _names("debug_callback debug_print")
"""What hands arrays to Python: it has no derivative, and no effect on any array but its results."""

CUSTOM_DERIVATIVES = _names("custom_jvp_call custom_vjp_call linear_call")
"""Calls of a program whose derivative is not that of its equations."""

CALLS = CUSTOM_DERIVATIVES | _names("""
    call checkpoint closed_call composite custom_vmap_call jit pjit remat2
""")
"""What runs one program of its own, once."""

CONTROL = CALLS | _names("cond scan while")
"""What runs programs of its own."""

CASTS = _names("convert_element_type reduce_precision")
"""Changes of dtype or precision: the same numbers, but for rounding."""

ELEMENTWISE = CASTS | _names("""
    abs acos acosh add add_any and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil
    clamp clz complex conj cos cosh digamma div eq eq_to erf erf_inv erfc exp exp2 expm1 floor ge
    gt igamma igamma_grad_a igammac imag integer_pow is_finite le le_to lgamma log log1p log2
    logistic lt lt_to max min mul mulhi ne neg nextafter not one_minus_square or polygamma
    polynomial population_count pow real regularized_incomplete_beta rem round rsqrt select_n
    shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square sub tan tanh xor
    zeta
""")
"""Each entry of the result is a function of the entries in its place; operands may be scalars."""

NONLINEARITIES = _names("""
    atan clamp cos custom_jvp_call custom_vjp_call erf erf_inv erfc expm1 log1p logistic max min
    select_n sin tanh
""")
"""What makes a function of one value an activation; squares and roots belong to norms."""

FLAT = _names("""
    argmax argmin ceil eq eq_to floor ge gt le le_to lt lt_to ne round sign stop_gradient top_k
""")
"""What backpropagates no gradient: locally constant, or cut off by hand."""

UNCHANGED = _names("""
    copy device_put name optimization_barrier pvary reshard sharding_constraint
    stop_gradient
""")
"""Each result is the operand of its place."""

MOVES = _names("""
    broadcast_in_dim dynamic_slice reshape rev slice split squeeze tile transpose
""")
"""What moves the entries of its first operand, or a part of them, without mixing them."""

SINGULAR_AT_ZERO = _names("div integer_pow log log1p pow rsqrt sqrt")
"""What may be infinite, or have an infinite slope, where its operand or a power of it is 0."""

SINGULAR = SINGULAR_AT_ZERO | _names("atanh erf_inv exp exp2")
"""What may be infinite, or have an infinite slope, where its operand is finite."""

ZERO_AT_ZERO = _names("""
    abs asin asinh atan atanh bessel_i1e cbrt ceil conj erf erf_inv expm1 floor imag log1p
    real reduce_window_max reduce_window_min reduce_window_sum round select_and_gather_add
    select_and_scatter_add sign sin sinh sqrt square tan tanh
""")
"""Functions of their first operand that are zero where it is."""

PASSING = MOVES | UNCHANGED | CASTS | {"neg"}
"""What an array passes as itself: moved, cut, rounded or negated, with nothing mixed into it."""

REDUCTIONS = _names("reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum reduce_xor")
"""Axes that are summed away, or the like, in any order."""

ARG_REDUCTIONS = _names("argmax argmin")
"""Axes reduced to a position along them."""

CUMULATIVE = _names("cumlogsumexp cummax cummin cumprod cumsum")
"""Running reductions along `axis`."""

PRODUCTS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"sum_over_inputs": (-2, -2), "sum_over_outputs": (-1, -2), "sum_over_examples": (-1, -1)}
)
"""The lab's own products (`networks.dense`) of matrices [..., m, n], leading axes those of runs:
the axis of the left and of the right factor that is summed over. The two free axes follow the
leading ones, the left factor's first."""

RAGGED = _names("ragged_dot_general")
"""Rows sorted by the matrix that each is multiplied by, as tokens are by their experts."""

CONVOLUTIONS = _names("conv_general_dilated")
"""Products of weights and of what a window of them sees."""

CONTRACTIONS = CONVOLUTIONS | _names("dot_general") | frozenset(PRODUCTS) | RAGGED
"""What sums products of the entries of two operands."""

SLICES = _names("dynamic_slice gather slice split")
"""What may leave a part of its operand unread."""

INDEXING = SLICES | _names("""
    concatenate dynamic_update_slice pad scatter stack tile unstack
""")
"""What takes arrays apart and puts them together."""

SCATTERS = _names("scatter-add scatter-max scatter-min scatter-mul scatter-sub")
"""Updates combined with what is there, in any order; plain `scatter` keeps the last."""

WINDOWS = _names("""
    reduce_window reduce_window_max reduce_window_min reduce_window_sum select_and_gather_add
    select_and_scatter_add
""")
"""Reductions over windows."""

ORDERED = _names("sort top_k")
"""What puts entries in the order of their values."""

RANDOM = _names("""
    empty empty2 platform_index random_bits random_clone random_fold_in random_gamma random_seed
    random_split random_unwrap random_wrap rng_bit_generator threefry2x32
""")
"""What depends on a key, a machine or nothing: its results are like no operand."""

KNOWN = frozenset[str]().union(
    CALLBACKS,
    CONTROL,
    ELEMENTWISE,
    UNCHANGED,
    MOVES,
    REDUCTIONS,
    ARG_REDUCTIONS,
    CUMULATIVE,
    CONTRACTIONS,
    INDEXING,
    SCATTERS,
    WINDOWS,
    ORDERED,
    RANDOM,
    _names("bitcast_convert_type fft iota reduce"),
)
"""Every name that some instrument has a rule for."""
