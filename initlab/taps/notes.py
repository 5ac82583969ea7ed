"""What the whole of a traced program says besides what is measured at its places."""

import dataclasses

__all__ = ["Notes"]


@dataclasses.dataclass
class Notes:
    """What a whole program says besides its sites.

    Attributes:
      batch: the number of examples.
      untracked: what could not be measured inside: `{name: why}`.
      multiplied: bit set of the parameters that multiply a value or another parameter, as they are
        or through a function: where one is zero, others may have no gradient.
      frozen: bit set of the parameters that a stop_gradient takes before data meet them.
      gating: bit set of the parameters that acted last on a factor of data which does not vanish
        with them, as an exponential or a sigmoid does not.
      contracted: bit set of the weights of products.
      looked_up: bit set of tables.
      stacked: bit set of those that a loop takes a slice of each iteration.
      not_followed: of each state of a loop whose memory cannot be measured the bit set of the
        parameters that it is called by.
    """

    batch: int
    untracked: dict[str, str] = dataclasses.field(default_factory=dict)
    multiplied: int = 0
    frozen: int = 0
    gating: int = 0
    contracted: int = 0
    looked_up: int = 0
    stacked: int = 0
    not_followed: set[int] = dataclasses.field(default_factory=set)
