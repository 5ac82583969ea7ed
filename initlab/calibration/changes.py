"""What a refiner did."""

import jax
import numpy as np

from initlab import checks
from initlab.types import Params

__all__ = ["changes"]


@checks.checked
def changes(before: Params, after: Params) -> dict[str, float]:
    """`|after| / |before|` of each parameter: the factor of its scale.

    Args:
      before: params.
      after: what a refiner made of them.

    Returns:
      `{path: factor}`, 1.0 where nothing changed, in the order of the tree; of a parameter stacked
      over layers it is the factor of the whole stack. NaN where before is zero.

    Raises:
      TypeError: if a leaf does not hold real numbers.
      ValueError: if the two trees or the shapes of a leaf differ, or two leaves have one path.

    >>> changes({"w": np.ones(4), "b": np.zeros(4)}, {"w": 3 * np.ones(4), "b": np.zeros(4)})
    {'b': nan, 'w': 3.0}
    """
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise ValueError("before and after must have the same tree")
    factors = {}
    pairs = checks.leaves_by_path("before", before).items()
    for (name, old), new in zip(pairs, jax.tree.leaves(after), strict=True):
        for which, leaf in (("before", old), ("after", new)):
            checks.check_reals(f"{which}[{name!r}]", leaf)
        if np.shape(old) != np.shape(new):
            raise ValueError(
                f"after[{name!r}] must have shape {np.shape(old)} as before, got {np.shape(new)}"
            )
        norm = np.linalg.norm(np.asarray(old, np.float64))
        new_norm = np.linalg.norm(np.asarray(new, np.float64))
        factors[name] = float(new_norm / norm) if norm else float("nan")
    return factors
