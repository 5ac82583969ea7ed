"""Tasks: synthetic, bundled with scikit-learn, or from the caller's own arrays and files."""

from initlab.tasks.custom import from_arrays, from_file
from initlab.tasks.sklearn_data import breast_cancer, digits, wine
from initlab.tasks.subset import take
from initlab.tasks.synthetic import blobs, circles, flower, moons, spiral, xor

__all__ = [
    "blobs",
    "breast_cancer",
    "circles",
    "digits",
    "flower",
    "from_arrays",
    "from_file",
    "moons",
    "spiral",
    "take",
    "wine",
    "xor",
]
