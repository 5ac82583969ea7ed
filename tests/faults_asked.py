"""Planted faults of what is checked only where it is asked for: leaks, and the classes' prior."""

import numpy as np
from asked_models import (
    BATCH,
    RARE,
    TIME,
    WORDS,
    asked,
    flax_batch_norm,
    haiku_convolution,
    in_chunks,
    network,
    normalized_by_batch,
    of_words,
    one_logit,
    over_examples,
    renormalized,
    shifted_examples,
    two_layers,
    words,
)
from audit_models import LABELS, ROWS, Fault, plain
from heads_models import attend

ONE_HOT = np.eye(10, dtype=np.float32)[LABELS]

ASKED_FAULTS = {
    "a softmax over examples": Fault(
        "leak", "output", "warn", asked(plain(over_examples, two_layers()), **BATCH)
    ),
    "statistics of the batch": Fault(
        "leak", "output", "warn", asked(plain(normalized_by_batch, two_layers()), **BATCH)
    ),
    "neighbours in the batch, two of them": Fault(
        "leak", "output", "warn", asked(plain(shifted_examples, two_layers(), ROWS[:2]), **BATCH)
    ),
    "batch norm in training mode, a zero readout": Fault(
        "leak", "output", "warn", asked(plain(normalized_by_batch, two_layers(scale=0)), **BATCH)
    ),
    "flax: batch norm in training mode": Fault(
        "leak", "output", "warn", asked(lambda: flax_batch_norm(False), **BATCH)
    ),
    "a decoder without a mask": Fault(
        "leak", "output", "warn", asked(plain(words(attend()), of_words(), WORDS), **TIME)
    ),
    "a decoder without a mask, a zero readout": Fault(
        "leak", "output", "warn", asked(plain(words(attend()), of_words(0.0), WORDS), **TIME)
    ),
    "a mask of chunks": Fault(
        "leak", "output", "warn", asked(plain(words(attend(in_chunks)), of_words(), WORDS), **TIME)
    ),
    "a mask after the softmax": Fault(
        "leak",
        "output",
        "warn",
        asked(plain(words(attend(softmax=renormalized)), of_words(), WORDS), **TIME),
    ),
    "haiku: a convolution padded on both sides": Fault(
        "leak", "output", "warn", asked(lambda: haiku_convolution("SAME"), **TIME)
    ),
    "one positive in a hundred": Fault(
        "unmet_prior",
        "output",
        "warn",
        asked(plain(network, two_layers(2, 0.1)), prior=[0.99, 0.01]),
    ),
    "one positive in sixteen, one logit": Fault(
        "unmet_prior", "output", "info", asked(plain(one_logit, two_layers(1, 0.1)), labels=RARE)
    ),
    "confident logits, labels and no loss": Fault(
        "confident_start",
        "output",
        "fail",
        asked(plain(network, two_layers(scale=20)), labels=LABELS),
    ),
    "confident logits, one-hot labels": Fault(
        "confident_start",
        "output",
        "fail",
        asked(plain(network, two_layers(scale=20)), labels=ONE_HOT),
    ),
}
