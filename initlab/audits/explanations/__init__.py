"""Every code in words: what it means, what helps, its threshold and why, an example that has it."""

from collections.abc import Mapping
from types import MappingProxyType

from initlab.audits.explanations.draws import DRAWS
from initlab.audits.explanations.explanation import SETUP, Explanation
from initlab.audits.explanations.heads import HEADS
from initlab.audits.explanations.parameters import PARAMETERS
from initlab.audits.explanations.signals import SIGNALS
from initlab.audits.explanations.whole import WHOLE

__all__ = ["EXPLANATIONS", "SETUP", "Explanation"]

EXPLANATIONS: Mapping[str, Explanation] = MappingProxyType(
    {**SIGNALS, **HEADS, **PARAMETERS, **DRAWS, **WHOLE}
)
"""Code to explanation: one for each code of `diagnostics.DIAGNOSTICS`."""
