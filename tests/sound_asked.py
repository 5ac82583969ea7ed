"""Sound starts under the checks that are made only where they are asked for."""

import haiku as hk
import numpy as np
from asked_models import (
    BATCH,
    BOTH,
    RARE,
    WORDS,
    asked,
    flax_batch_norm,
    flax_decoder,
    haiku_convolution,
    long_convolution,
    network,
    of_recurrent,
    of_words,
    one_logit,
    recurrent,
    twelve,
    two_layers,
    words,
)
from audit_models import LABELS, cross_entropy, normal, plain
from heads_models import LONG, attend


def _prior_met():
    params = two_layers(2, 0.1)
    return params | {"bias": np.log([0.99, 0.01]).astype(np.float32)}


ASKED_SOUND = {
    "a network, its labels": (
        asked(plain(network, two_layers(scale=0.1)), labels=LABELS, **BATCH),
        cross_entropy,
        (),
    ),
    "a bias that meets the prior": (
        asked(plain(network, _prior_met()), prior=[0.99, 0.01]),
        None,
        (),
    ),
    "one logit, its labels": (
        asked(plain(one_logit, two_layers(1, 0.1)), labels=RARE, **BATCH),
        None,
        (),
    ),
    "a decoder": (
        asked(plain(words(attend(twelve)), of_words(), WORDS), **BOTH, labels=WORDS),
        None,
        (),
    ),
    "a recurrent net, examples and times": (
        asked(plain(recurrent, of_recurrent(), LONG), **BOTH),
        None,
        (),
    ),
    "a convolution by a Fourier transform": (
        asked(
            plain(
                long_convolution,
                {"kernel": normal(1, (16, 16), 0.5), "out": normal(2, (16, 4), 0.25)},
                LONG,
            ),
            **BOTH,
        ),
        None,
        (),
    ),
    "flax: batch norm by running averages": (
        asked(lambda: flax_batch_norm(True), **BATCH),
        None,
        (),
    ),
    "flax: a decoder": (asked(flax_decoder, **BOTH), None, ()),
    "haiku: a causal convolution": (
        asked(lambda: haiku_convolution(hk.pad.causal), **BOTH),
        None,
        (),
    ),
}
