"""The command `initlab`: audits a start from a shell, and explains what a code means."""

from initlab.command.main import main

__all__ = ["main"]
