"""The table of published theory: a number that is off is out, and draws have their moments."""

import math

import jax
import numpy as np
from theory_oracles import within

from experiments.number_tables import rows, tables
from experiments.theory_tables.draws import descend, draw_dead_layers, draw_lengths
from experiments.theory_tables.tables import PUBLISHED, show
from experiments.theory_tables.values import measure_starts


def _rows(sections):
    published = rows.published_rows(PUBLISHED)
    return [row for row in published if row.section in sections]


def test_every_section_is_published():
    assert {row.section for row in _rows(range(100))} == {5, 6, 7, 8}


def test_a_number_that_is_off_is_out():
    with jax.enable_x64(True):
        measured = measure_starts()
    right = tables.summarize(rows.compare(_rows([8]), measured), {})
    assert (right["outside"], tables.verdict(right)) == (0, 0)
    measured["exponents of width: gamma, gamma'", "He"] += 0.01
    wrong = tables.summarize(rows.compare(_rows([8]), measured), {})
    assert (wrong["outside"], tables.verdict(wrong)) == (1, 1)
    assert "OUT" in show(wrong, {})


def test_lengths_are_drawn_with_their_moments():
    lengths = draw_lengths(25_001, 8, 2)
    assert lengths.shape == (25_001,)
    assert within(lengths, 1)
    assert within(lengths**2, (1 + 5 / 8) ** 2)


def test_dead_layers_are_drawn_with_their_share():
    share, expected = draw_dead_layers(20_001, 2, 3), 1 - (1 - 2.0**-2) ** 3
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / 20_001)


def test_gradient_descent_counts_its_steps():
    # One step from a = b = 1 on s = 2 with rate 1/4 leads to a = b = 5/4.
    assert descend(2.0, 1.0, 1.5, 0.25) == 1
    assert descend(2.0, 1.0, 1.6, 0.25) == 2
    np.testing.assert_allclose(descend(1.5, 0.02, 1.4, 1e-3) * 1e-3, 2.2978, rtol=1e-2)
