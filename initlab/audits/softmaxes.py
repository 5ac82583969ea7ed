"""Attentions and routers as the diagnostics read them: one seed's entropies and loads."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from initlab.taps import Row

__all__ = ["SOFTMAXES", "Softmax", "softmaxes_of"]

SOFTMAXES = ("attention", "router", "gates")
"""Kinds of rows that are no signals."""


@dataclasses.dataclass(frozen=True, eq=False)
class Softmax:
    """A softmax, or a choice of the largest scores, of one seed; empty where it has no such number.

    Attributes:
      place: where.
      kind: one of SOFTMAXES.
      entropy: of each head, in nats.
      limit: log of the number of unmasked entries, of each head.
      std: of each head's unmasked logits.
      load: the share that each entry gets.
      choices: how many times one was chosen; 0 of a softmax.
      chosen: how many each token chooses; 1 of a softmax.
      dropped: the share of the choices that a capacity in the model drops; NaN without one.
    """

    place: str
    kind: str
    entropy: np.ndarray
    limit: np.ndarray
    std: np.ndarray
    load: np.ndarray
    choices: float
    chosen: float
    dropped: float


def softmaxes_of(rows: Sequence[Row], seed: int) -> list[Softmax]:
    """The attentions and routers of one seed, in the order of the program."""
    found = []
    for row in rows:
        if row.kind in SOFTMAXES:
            values = {name: np.asarray(each[seed], float) for name, each in row.values.items()}
            names = ("entropy", "limit", "std", "load")
            entropy, limit, std, load = (values.get(name, np.zeros(0)) for name in names)
            choices, chosen = float(values.get("choices", 0)), float(values.get("chosen", 1))
            dropped = float(values.get("dropped", np.nan))
            facts = (entropy, limit, std, load, choices, chosen, dropped)
            found.append(Softmax(row.place, row.kind, *facts))
    return found
