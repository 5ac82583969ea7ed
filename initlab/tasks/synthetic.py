"""Points in the plane, made from a seed: two classes that no straight line separates."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from initlab import extras, objectives
from initlab.checks import check_count, check_scale, checked
from initlab.types import Task

__all__ = ["blobs", "circles", "flower", "moons", "spiral", "xor"]


@checked
def flower(seed: int = 1, points: int = 400, petals: int = 4) -> Task:
    """A rose of two colours: (r sin t, r cos t) with r = 4 sin(petals t) + 0.2 N(0, 1).

    Class j has t = linspace(3.12 j, 3.12 (j + 1), points / 2) + 0.2 N(0, 1), about half a turn;
    of each class the noise of t is drawn before the noise of r. The defaults give the planar
    data of A. Ng, K. Katanforoosh, Y. Bensouda Mourri, "Neural Networks and Deep Learning"
    (2017), week 3.

    Args:
      seed: seed of the legacy stream.
      points: how many points, even; half of them in each class.
      petals: how many petals each class has; of an odd number both classes share the petals.

    Returns:
      A binary task, x [points, 2], class 0 first; no test part.

    Raises:
      TypeError: a seed or a count that is not a whole number.
      ValueError: an odd number of points, fewer than 2, or no petal.

    >>> task = flower()
    >>> task.x.shape, task.x[0].round(6).tolist()
    ((400, 2), [1.204442, 3.576114])
    """
    check_count("seed", seed, 0)
    check_count("points", points, 2)
    check_count("petals", petals, 1)
    if points % 2:
        raise ValueError(f"points must be even, got {points}")
    rng = np.random.RandomState(seed)
    half = points // 2
    classes = []
    for j in (0, 1):
        t = np.linspace(j * 3.12, (j + 1) * 3.12, half) + rng.randn(half) * 0.2
        r = 4 * np.sin(petals * t) + rng.randn(half) * 0.2
        classes.append(np.column_stack([r * np.sin(t), r * np.cos(t)]))
    return Task(np.concatenate(classes), np.repeat([0, 1], half), objectives.binary)


@checked
def circles(
    seed: int = 1,
    points: int = 300,
    noise: float = 0.05,
    factor: float = 0.8,
    test_seed: int = 2,
    test_points: int = 100,
) -> Task:
    """Two circles around the origin, of radius 1 (class 0) and `factor` (class 1), plus noise.

    scikit-learn's `make_circles`. The defaults give the initialization exercise of A. Ng et al.,
    "Improving Deep Neural Networks" (2017), week 1, which seeds the global stream with 1 for
    the training part and with 2 for the test part: the same numbers as fresh streams of 1 and 2.

    Args:
      seed: seed of the training part.
      points: how many training points.
      noise: standard deviation of the noise on each coordinate.
      factor: radius of the inner circle, in [0, 1).
      test_seed: seed of the test part.
      test_points: how many test points.

    Returns:
      A binary task, x [points, 2], x_test [test_points, 2].

    Raises:
      TypeError: a seed or a count that is not a whole number.
      ValueError: fewer than 2 points, a noise or a factor out of range.

    >>> task = circles()
    >>> task.x.shape, task.x_test.shape, task.y.mean()
    ((300, 2), (100, 2), np.float64(0.5))
    """
    check_count("seed", seed, 0)
    check_count("points", points, 2)
    check_count("test_seed", test_seed, 0)
    check_count("test_points", test_points, 2)
    check_scale("noise", noise)
    if not 0 <= factor < 1:
        raise ValueError(f"factor must be a radius in [0, 1), got {factor}")
    with extras.needed("initlab.tasks.circles"):
        from sklearn.datasets import make_circles

    train = make_circles(points, noise=noise, factor=factor, random_state=seed)
    test = make_circles(test_points, noise=noise, factor=factor, random_state=test_seed)
    return Task(*_arrays(train), objectives.binary, *_arrays(test))


@checked
def moons(seed: int = 3, points: int = 200, noise: float = 0.2) -> Task:
    """Two interleaved half circles of radius 1, plus noise: scikit-learn's `make_moons`.

    Args:
      seed: seed of the legacy stream.
      points: how many points.
      noise: standard deviation of the noise on each coordinate.

    Returns:
      A binary task, x [points, 2]; no test part.

    Raises:
      TypeError: a seed or a count that is not a whole number.
      ValueError: fewer than 2 points, or a noise that is negative or not finite.

    >>> moons(points=6).y.tolist().count(1)
    3
    """
    check_count("seed", seed, 0)
    check_count("points", points, 2)
    check_scale("noise", noise)
    with extras.needed("initlab.tasks.moons"):
        from sklearn.datasets import make_moons

    made = make_moons(points, noise=noise, random_state=seed)
    return Task(*_arrays(made), objectives.binary)


@checked
def blobs(seed: int = 5, points: int = 200, centers: int = 6) -> Task:
    """Unit Gaussian clouds around centers drawn in [-10, 10]^2, coloured alternately.

    scikit-learn's `make_blobs`; the label is the number of the center modulo 2.

    Args:
      seed: seed of the legacy stream.
      points: how many points.
      centers: how many clouds.

    Returns:
      A binary task, x [points, 2]; no test part.

    Raises:
      TypeError: a seed or a count that is not a whole number.
      ValueError: fewer than 2 centers, or fewer points than centers.

    >>> sorted(set(blobs().y.tolist()))
    [0, 1]
    """
    check_count("seed", seed, 0)
    check_count("centers", centers, 2)
    check_count("points", points, centers)
    with extras.needed("initlab.tasks.blobs"):
        from sklearn.datasets import make_blobs

    made = make_blobs(points, n_features=2, centers=centers, random_state=seed)
    x, center = _arrays(made)
    return Task(x, center % 2, objectives.binary)


@checked
def spiral(seed: int = 0, points: int = 200, turns: float = 1.5, noise: float = 0.1) -> Task:
    """Two arms that wind around each other: +-(r sin t, r cos t) with r = 4 t / (2 pi turns).

    Class 0 is the arm of the plus sign, t = 2 pi turns k / n for k = 1, ..., n, n = points / 2.

    Args:
      seed: seed of the legacy stream.
      points: how many points, even; half of them on each arm.
      turns: how often an arm goes around the origin, over 0.
      noise: standard deviation of each coordinate around its arm.

    Returns:
      A binary task, x [points, 2], class 0 first, from the centre outward; no test part.

    Raises:
      TypeError: a seed or a count that is not a whole number.
      ValueError: an odd number of points, fewer than 2, turns or a noise out of range.

    Source: Lang and Witbrock 1988, Learning to tell two spirals apart.

    >>> spiral(points=4, turns=1.0, noise=0.0).x.round(6).tolist()
    [[0.0, -2.0], [-0.0, 4.0], [-0.0, 2.0], [0.0, -4.0]]
    """
    check_count("seed", seed, 0)
    check_count("points", points, 2)
    check_scale("turns", turns)
    check_scale("noise", noise)
    if points % 2:
        raise ValueError(f"points must be even, got {points}")
    if turns == 0:
        raise ValueError("turns must be over 0, got 0")
    half = points // 2
    t = 2 * np.pi * turns * np.arange(1, half + 1) / half
    arm = (4 * t / (2 * np.pi * turns))[:, None] * np.column_stack([np.sin(t), np.cos(t)])
    x = np.concatenate([arm, -arm]) + noise * np.random.RandomState(seed).randn(points, 2)
    return Task(x, np.repeat([0, 1], half), objectives.binary)


@checked
def xor(seed: int = 0, points: int = 200, noise: float = 0.2) -> Task:
    """Gaussian clouds at the corners s of the square (+-1, +-1), with label [s_1 s_2 < 0].

    Args:
      seed: seed of the legacy stream.
      points: how many points, a multiple of 4; a quarter at each corner.
      noise: standard deviation of each coordinate around its corner.

    Returns:
      A binary task, x [points, 2]; no test part.

    Raises:
      TypeError: a seed or a count that is not a whole number.
      ValueError: points that are no positive multiple of 4, or a noise out of range.

    >>> task = xor(points=4, noise=0.0)
    >>> task.x.tolist(), task.y.tolist()
    ([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    check_count("seed", seed, 0)
    check_count("points", points, 4)
    check_scale("noise", noise)
    if points % 4:
        raise ValueError(f"points must be a multiple of 4, got {points}")
    corners = np.tile([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], (points // 4, 1))
    x = corners + noise * np.random.RandomState(seed).randn(points, 2)
    return Task(x, (corners.prod(axis=1) < 0).astype(np.int64), objectives.binary)


def _arrays(made: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(made[0]), np.asarray(made[1])
