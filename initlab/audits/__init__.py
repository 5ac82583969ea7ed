"""The audit: does this initialization train, and if not, why not?"""

from initlab.audits.auditing import assert_sound_initialization, audit
from initlab.audits.finding import Finding
from initlab.audits.refined import refine
from initlab.audits.report import Report
from initlab.audits.thresholds import Thresholds

__all__ = ["Finding", "Report", "Thresholds", "assert_sound_initialization", "audit", "refine"]
