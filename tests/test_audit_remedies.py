"""A remedy that can be applied to the parameters, applied to the place it names, is one."""

import math
import re
from collections.abc import Callable

import jax
import numpy as np
import pytest
from audit_faults import FAULTS
from audit_models import residual
from heads_models import attend, unit
from thorough import rows

import initlab
from initlab import checks
from initlab.symmetry import find_groups

# Starts of one net and one shape, so that all of them are compiled once.
EVERY_RUN = frozenset({"two layers from one key", "weights times 100", "zero weights"})

RELU = frozenset(
    {
        "dead relu biases",
        "a fan of axes in another order",
        "layers out of balance",
        "one kernel times 0.01",
        "one kernel times 0.01, its gradient",
        "one kernel times 1000",
        "one layer of a relu net times 1e-4",
        "one layer of a relu net times 1e4",
        "twice He in a 30-layer net",
        "weights that see only one side",
        "zero kernels in flax",
        "dead biases in flax",
    }
)
"""Rows whose gain is that of relu; of the others it is 1."""


def redrawn(leaf, gain, seed):
    """Variance gain^2/fan_in, each slice of a stack with numbers of its own; a gate becomes 1."""
    draw = np.random.default_rng(1000 + seed)
    # A kernel of a convolution has all but its last axis in a sum; a stack has one of them.
    fan_in = math.prod(leaf.shape[:-1] if leaf.ndim == 4 else leaf.shape[-2:-1])
    size = gain / math.sqrt(fan_in) if leaf.ndim > 1 else 0.1 * bool(leaf.ndim)
    return np.asarray(draw.normal(size=leaf.shape) * size + (leaf.ndim == 0), leaf.dtype)


def named_in(text, paths):
    """The parameters that a place or a sentence names, whole."""
    return [path for path in paths if re.search(rf"(?<![\w/]){re.escape(path)}(?![\w/])", text)]


class Start:
    """A row's model, and what its remedies do to its parameters."""

    def __init__(self, name):
        self.apply, self.params, self.batch, *more = FAULTS[name].make()
        self.loss, self.asked = FAULTS[name].loss, dict(*more)
        self.gain = math.sqrt(2) if name in RELU else 1.0
        leaves, self.tree = jax.tree_util.tree_flatten_with_path(self.params)
        self.leaves = {checks.path_name(keys): np.asarray(leaf) for keys, leaf in leaves}

    def audit(self, leaves=None):
        params = jax.tree.unflatten(self.tree, list((leaves or self.leaves).values()))
        return initlab.audit(self.apply, params, self.batch, loss=self.loss, **self.asked)

    def drawn(self, paths):
        return {
            path: redrawn(self.leaves[path], self.gain, seed)
            for seed, path in enumerate(self.leaves)
            if path in paths
        }

    def scaled(self, paths, factor):
        return {path: self.leaves[path] * self.leaves[path].dtype.type(factor) for path in paths}

    def opened(self):
        """Gates that keep 0.98 of a state, time steps of 1e-3 to 1e-1 (softplus of a bias)."""
        steps = np.log(np.expm1(np.logspace(-3, -1, 16))).astype(np.float32)
        usual = {"dt_bias": steps}
        if "gate" in self.leaves:
            # One that multiplies as it is, or behind a sigmoid.
            usual["gate"] = np.where(self.leaves["gate"] == 1, 2, 4).astype(np.float32)
        return {path: usual[path] for path in self.leaves if path in usual}

    def along_or_scaled(self, finding):
        """New draws; of residual branches the old ones by 1/sqrt(depth)."""
        if self.apply is residual:
            return self.scaled(["blocks/w"], len(self.leaves["blocks/w"]) ** -0.5)
        return self.drawn(self.along(finding))

    def orthogonal(self, finding):
        paths = named_in(finding.place, self.leaves)
        draws = np.random.default_rng(0)
        return {
            path: np.linalg.qr(draws.normal(size=self.leaves[path].shape))[0].astype(np.float32)
            for path in paths
        }

    def with_norms(self, finding):
        """Tokens that are normalized, which are the batch itself here."""
        self.batch = (self.batch - self.batch.mean(-1, keepdims=True)) / self.batch.std(
            -1, keepdims=True
        )
        return self.drawn(named_in(finding.place, self.leaves))

    def of_units(self, name):
        """The weights that hold the units of a group."""
        groups = find_groups(self.apply, self.params, self.batch)
        found = [each for each in groups if each.name == name.split("[")[0]]
        paths = {unit.path for each in found for unit in each.axes}
        return [path for path in paths if self.leaves[path].ndim > 1]

    def along(self, finding):
        """The weights of a place; where the fault goes on from layer to layer, all of them."""
        if "from layer to layer" in finding.cause:
            return [path for path, leaf in self.leaves.items() if leaf.ndim > 1]
        return named_in(finding.place, self.leaves)


OTHERWISE = frozenset(
    {
        # The weights that are named make others, whose fans the draw must meet.
        "generated kernels",
        # What is told is not what was planted, and not cured where it is told: a grid.
        "a bump's grid that no input reaches",
    }
)
"""Rows whose first remedy is not carried out by what is below."""

APPLIES = {"QK norm with a temperature of 20": attend(normalize=unit)}
"""Of rows whose remedy changes the model: the model that it asks for."""

Repair = Callable[[Start, initlab.audits.Finding, re.Match], dict]

REPAIRS: dict[str, Repair] = {
    r"start larger what multiplies the signal": lambda s, f, m: s.opened(),
    r"start time steps larger": lambda s, f, m: s.opened(),
    r"draw recurrent weights orthogonal \(init": lambda s, f, m: s.orthogonal(f),
    r"draw the router's weights .*normalize the tokens": lambda s, f, m: s.with_norms(f),
    r"draw every unit's weights at random": lambda s, f, m: s.drawn(s.of_units(f.place)),
    r"draw each index with a key of its own": lambda s, f, m: s.drawn(named_in(f.place, s.leaves)),
    r"split the key": lambda s, f, m: s.drawn(named_in(f.place, s.leaves)[1:] or s.leaves),
    r"draw the weights at and before this place": lambda s, f, m: s.drawn(
        named_in(f.place, s.leaves)
    ),
    r"draw weights with (?:a smaller )?variance": lambda s, f, m: s.along_or_scaled(f),
    r"bring the weights to one scale": lambda s, f, m: s.drawn(
        named_in(f"{f.place} {f.cause}", s.leaves)
    ),
    r"start (.*) away from zero": lambda s, f, m: s.drawn(named_in(m[1], s.leaves)),
    r"draw (\S+) at random$": lambda s, f, m: s.drawn(named_in(m[1], s.leaves)),
    r"else draw it at random|draw it anew": lambda s, f, m: s.drawn(named_in(f.place, s.leaves)),
    r"draw (.*) with mean zero": lambda s, f, m: s.drawn(named_in(m[1], s.leaves)),
    r"initialize (.*) smaller": lambda s, f, m: s.scaled(named_in(m[1], s.leaves), 0.01),
    r"start (.*) at zero": lambda s, f, m: s.scaled(named_in(m[1], s.leaves), 0),
    r"draw the weights before it smaller": lambda s, f, m: s.drawn(named_in(f.place, s.leaves)),
    r"draw the weight that ends the branch smaller": lambda s, f, m: s.scaled(
        named_in(f.place.split("[")[0], s.leaves), 0.01
    ),
    r"draw all weights of the branch": lambda s, f, m: s.drawn(named_in(f.cause, s.leaves)),
    r"draw query and key with variance 1/fan_in": lambda s, f, m: s.drawn(
        named_in(f.place, s.leaves)
    ),
    r"draw in float32": lambda s, f, m: s.drawn(named_in(f.place, s.leaves)),
}
"""What a remedy says, and that done to the parameters it names."""


def repaired(start, report):
    """What the first finding's remedy, at all of its places, makes of the parameters; or None.

    A report tells findings that differ in their place alone as one, with one remedy. What comes
    after it may be its consequence.
    """
    worst = [each for each in report.findings if each.severity != "info"]
    change = {}
    for each in worst:
        if (each.code, each.severity) != (worst[0].code, worst[0].severity):
            continue
        for pattern, repair in REPAIRS.items():
            if match := re.search(pattern, each.remedy):
                change |= repair(start, each, match)
                break
    return (worst[0], change) if change else None


NAMES = [name for name, fault in FAULTS.items() if fault.severity != "info"]


@pytest.mark.parametrize("name", rows(sorted(set(NAMES) - OTHERWISE), EVERY_RUN))
def test_a_remedy_cures_its_finding_and_breaks_nothing(name):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        start = Start(name)
        report, cured = start.audit(), set()
        while found := repaired(start, report):
            first, change = found
            start.leaves |= change
            start.apply = APPLIES.get(name, start.apply)
            after = start.audit()
            left = {(each.code, each.severity) for each in after.findings}
            told = first.code, first.severity
            assert told not in left | cured, f"{report}\n{after}"
            before, now = (
                {(e.code, e.place) for e in each.findings if e.severity == "fail"}
                for each in (report, after)
            )
            assert now <= before, f"{sorted(change)}\n{report}\n{after}"
            cured.add(told)
            report = after
    assert cured or name not in EVERY_RUN
