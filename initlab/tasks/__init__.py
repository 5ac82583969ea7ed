"""Data to initialize networks for: made, bundled with scikit-learn, or given by the caller."""

from initlab.tasks.bundled import breast_cancer, digits, wine
from initlab.tasks.given import from_arrays, from_file
from initlab.tasks.points import blobs, circles, flower, moons, xor

__all__ = [
    "blobs",
    "breast_cancer",
    "circles",
    "digits",
    "flower",
    "from_arrays",
    "from_file",
    "moons",
    "wine",
    "xor",
]
