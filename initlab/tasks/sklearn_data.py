"""Real data that scikit-learn carries with it: no download, a seeded split, standardized inputs."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from initlab import extras, objectives
from initlab.checks import check_count, checked
from initlab.types import Objective, Task

__all__ = ["breast_cancer", "digits", "wine"]


@checked
def breast_cancer(test_share: float = 0.2, seed: int = 0) -> Task:
    """Malignant (0) or benign (1), from 30 measurements of cell nuclei; 569 patients.

    Source: W. N. Street, W. H. Wolberg, O. L. Mangasarian (1993).

    Args:
      test_share: share of the rows held out, in (0, 1); both parts have every class.
      seed: seed of the split.

    Returns:
      A binary task, x standardized by the training part.

    Raises:
      TypeError: a seed that is not a whole number.
      ValueError: a share out of range, or one that leaves a part without some class.

    >>> breast_cancer().x.shape
    (455, 30)
    """
    with extras.needed("initlab.tasks.breast_cancer"):
        from sklearn.datasets import load_breast_cancer

    return _split(load_breast_cancer(return_X_y=True), objectives.binary, test_share, seed)


@checked
def wine(test_share: float = 0.2, seed: int = 0) -> Task:
    """Which of 3 growers made the wine, from 13 chemical measurements; 178 wines.

    Source: M. Forina et al., PARVUS (1988).

    Args:
      test_share: share of the rows held out, in (0, 1); both parts have every class.
      seed: seed of the split.

    Returns:
      A softmax task of 3 classes, x standardized by the training part.

    Raises:
      TypeError: a seed that is not a whole number.
      ValueError: a share out of range, or one that leaves a part without some class.

    >>> wine().x.shape
    (142, 13)
    """
    with extras.needed("initlab.tasks.wine"):
        from sklearn.datasets import load_wine

    return _split(load_wine(return_X_y=True), objectives.softmax, test_share, seed)


@checked
def digits(test_share: float = 0.2, seed: int = 0) -> Task:
    """Which digit was written, from an image of 8 x 8 pixels; 1797 images.

    Source: E. Alpaydin, C. Kaynak (1998).

    Args:
      test_share: share of the rows held out, in (0, 1); both parts have every class.
      seed: seed of the split.

    Returns:
      A softmax task of 10 classes, x standardized by the training part; a pixel that is constant
      there is zero in both parts.

    Raises:
      TypeError: a seed that is not a whole number.
      ValueError: a share out of range, or one that leaves a part without some class.

    >>> digits().x.shape
    (1437, 64)
    """
    with extras.needed("initlab.tasks.digits"):
        from sklearn.datasets import load_digits

    return _split(load_digits(return_X_y=True), objectives.softmax, test_share, seed)


def _split(loaded: Iterable[Any], objective: Objective, test_share: float, seed: int) -> Task:
    check_count("seed", seed, 0)
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must be in (0, 1), got {test_share}")
    from sklearn.model_selection import train_test_split

    x, y = loaded
    try:
        parts = train_test_split(x, y, test_size=test_share, random_state=seed, stratify=y)
    except ValueError as error:
        raise ValueError(
            f"test_share must leave both parts some rows of each class, got {test_share}: {error}"
        ) from error
    x, x_test, y, y_test = (np.asarray(part) for part in parts)
    # Nothing can be learned from a column that is constant in training. Were it only centred, the
    # test part could hold values in it that no training example had: it is zero in both.
    varies = x.max(axis=0) > x.min(axis=0)
    mean, scale = x.mean(axis=0), varies / np.where(varies, x.std(axis=0), 1.0)
    return Task((x - mean) * scale, y, objective, (x_test - mean) * scale, y_test)
