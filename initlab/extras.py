"""What the core leaves out: packages that an extra brings, named where they are missing."""

import contextlib
from collections.abc import Iterator

__all__ = ["EXTRAS", "MissingExtraError", "needed"]

EXTRAS = {
    "matplotlib": "figures",
    "obstore": "cloud",
    "plotly": "figures",
    "sklearn": "data",
    "tqdm": "sweeps",
    "xarray": "sweeps",
    "zarr": "sweeps",
}
"""The extra that brings a package, by the name under which Python imports it."""


class MissingExtraError(ModuleNotFoundError):
    """What was asked for requires a package that is not installed: no fault of the program's."""


@contextlib.contextmanager
def needed(by: str, extra: str | None = None) -> Iterator[None]:
    """Imports of packages that an extra brings; where one is missing, the error says which extra.

    Args:
      by: what cannot do without them, as a reader would write it: "initlab.sweeps".
      extra: the one that brings all that it needs; else each package's own is named.

    Raises:
      MissingExtraError: `by`, the package, and the command that installs it. One of a package
        that no extra brings passes as it is.

    >>> with needed("initlab.sweeps"):
    ...     raise ModuleNotFoundError("No module named 'zarr.storage'", name="zarr.storage")
    Traceback (most recent call last):
    initlab.extras.MissingExtraError: initlab.sweeps requires zarr: pip install "initlab[sweeps]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        message = f'{by} requires {package}: pip install "initlab[{extra or EXTRAS[package]}]"'
        raise MissingExtraError(message, name=error.name) from error
