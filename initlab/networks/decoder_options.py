"""The options of the decoder: which there are, and which go together."""

from typing import Any, NamedTuple

from initlab import checks
from initlab.activations import check_activation
from initlab.networks.attention import Attention
from initlab.types import Activation, Number

__all__ = ["Decoder", "check_options"]


class Decoder(NamedTuple):
    """The arguments of `initlab.networks.transformer`, which says what each is."""

    sizes: tuple[int, ...]
    depth: int
    activation: Activation
    heads: int
    length: int
    tokens: bool
    positions: str | None
    norm: str | None
    norm_at: str
    kv_heads: int | None
    qk_norm: str | None
    attention_scale: str | Number
    softcap: Number | None
    mlp: str
    hidden: int | None
    bias: bool
    gates: str | None
    branch_scale: Number
    tied: bool
    readout_scale: Number
    readout_softcap: Number | None
    last_only: bool
    scanned: bool
    dtype: Any

    @property
    def attention(self) -> Attention:
        """How every block attends."""
        kv_heads = self.heads if self.kv_heads is None else self.kv_heads
        is_rotary = self.positions == "rotary"
        return Attention(
            self.heads, kv_heads, self.qk_norm, is_rotary, self.attention_scale, self.softcap
        )

    @property
    def hidden_units(self) -> int:
        """Of an mlp: as many parameters gated as plain, where nothing else is asked."""
        if self.hidden is not None:
            return self.hidden
        width = self.sizes[1]
        return max(1, 8 * width // 3) if self.mlp == "gated" else 4 * width

    @property
    def has_last_norm(self) -> bool:
        """Whether the readout has a norm: a post-norm stream is normalized already."""
        return self.norm is not None and self.norm_at != "post"


# What each option may be; None stands for "none of it".
CHOICES: dict[str, tuple[str | None, ...]] = {
    "positions": ("learned", "sinusoidal", "rotary", None),
    "norm": ("layer", "rms", None),
    "norm_at": ("pre", "post", "both"),
    "qk_norm": ("layer", "rms", None),
    "mlp": ("plain", "gated"),
    "gates": ("scalar", "channel", None),
}


def check_options(net: Decoder) -> None:
    """Raises unless each option is one, and they go together.

    Raises:
      TypeError: if a size is not an integer, activation not an elementwise function, or a scale or
        cap not a number.
      ValueError: if an option is none of its choices, a size is under 1, or two contradict.
    """
    check_activation("activation", net.activation, net.dtype)
    _check_sizes(net)
    for name, choices in CHOICES.items():
        _check_choice(name, getattr(net, name), choices)
    if isinstance(net.attention_scale, str):
        _check_choice("attention_scale", net.attention_scale, ("1/sqrt(d)", "1/d"), also="a number")
    else:
        checks.check_number("attention_scale", net.attention_scale)
    for name in ("branch_scale", "readout_scale"):
        checks.check_number(name, getattr(net, name))
    for name in ("softcap", "readout_softcap"):
        _check_cap(name, getattr(net, name))
    _check_together(net)


def _check_sizes(net: Decoder) -> None:
    if len(net.sizes) != 3:
        raise ValueError(f"sizes must be (inputs, width, outputs), got {net.sizes}")
    for position, size in enumerate(net.sizes):
        checks.check_count(f"sizes[{position}]", size, 1)
    for name in ("depth", "heads", "length"):
        checks.check_count(name, getattr(net, name), 1)
    for name in ("hidden", "kv_heads"):
        if getattr(net, name) is not None:
            checks.check_count(name, getattr(net, name), 1)
    width = net.sizes[1]
    if width % net.heads:
        raise ValueError(f"heads must divide the width {width}, got {net.heads}")
    if net.heads % net.attention.kv_heads:
        raise ValueError(f"kv_heads must divide heads {net.heads}, got {net.kv_heads}")
    if net.positions == "rotary" and (size := width // net.heads) % 2:
        raise ValueError(
            "positions='rotary' requires an even number of features in a head, got "
            f"{size} = {width} / {net.heads}"
        )


def _check_choice(name: str, given: Any, choices: tuple[str | None, ...], also: str = "") -> None:
    # Compared one by one: what cannot be hashed, or compares as an array, is none of them.
    if not (given is None or isinstance(given, str)) or given not in choices:
        words = ", ".join([*map(repr, choices), *([also] if also else [])])
        raise ValueError(f"{name} must be one of {words}, got {given!r:.80}")


def _check_cap(name: str, cap: Any) -> None:
    if cap is None:
        return
    checks.check_number(name, cap)
    if checks.is_concrete(cap) and float(cap) <= 0:
        raise ValueError(f"{name} must be over 0, or None for none, got {cap}")


def _check_together(net: Decoder) -> None:
    inputs, _, outputs = net.sizes
    if net.norm is None and net.norm_at != "pre":
        raise ValueError(f"norm_at={net.norm_at!r} requires a norm, got norm=None")
    if net.tied and not (net.tokens and inputs == outputs):
        raise ValueError(
            "tied requires tokens and as many outputs as inputs, got "
            f"tokens={net.tokens}, sizes={net.sizes}"
        )
