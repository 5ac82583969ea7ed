"""The command `initlab`: audits a start from a shell, explains codes, writes the page."""

from initlab.command.main import main

__all__ = ["main"]
