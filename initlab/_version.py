"""The version: the build reads it here, and so does a checkout that is imported from its path."""

__all__ = ["__version__"]

__version__ = "0.2.0"
