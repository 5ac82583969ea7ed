"""Maps whose borders have a known dimension, to see what box counting makes of them."""

import numpy as np

__all__ = ["KNOWN", "carpet", "half_plane", "koch_snowflake"]


def half_plane(pixels: int, number: int) -> np.ndarray:
    """One side of a line [H, W], at an angle of the golden ratio's."""
    return _rotated(pixels, number)[0] > 0


def koch_snowflake(pixels: int, number: int) -> np.ndarray:
    """Koch's snowflake [H, W] with sides under a pixel; its border has log 4 / log 3."""
    corners = np.exp(2j * np.pi * (np.arange(4) / 3 + number * 0.618)) * 0.9
    # Its copies are three times as small: a third of a pixel is reached after so many.
    for _ in range(int(np.ceil(np.log(2 * pixels) / np.log(3)))):
        begin, side = corners[:-1], np.diff(corners) / 3
        peak = begin + side + side * np.exp(-1j * np.pi / 3)
        within = np.stack([begin, begin + side, peak, begin + 2 * side], axis=1).ravel()
        corners = np.append(within, corners[-1])
    along = np.linspace(-1, 1, pixels)
    return np.stack([_inside(corners, height, along) for height in along])


def _inside(corners: np.ndarray, height: float, along: np.ndarray) -> np.ndarray:
    """Which points of a row lie within a polygon: an odd number of sides is left of them."""
    x, y = np.real(corners), np.imag(corners)
    crosses = np.flatnonzero((y[:-1] > height) != (y[1:] > height))
    share = (height - y[crosses]) / (y[crosses + 1] - y[crosses])
    left = np.sort(x[crosses] + share * (x[crosses + 1] - x[crosses]))
    return np.searchsorted(left, along) % 2 == 1


def carpet(pixels: int, number: int) -> np.ndarray:
    """Sierpinski's carpet [H, W] with holes down to a pixel; its border has log 8 / log 3."""
    x, y = _rotated(pixels, number)
    x, y = x / 3 + 0.5, y / 3 + 0.5
    solid = np.ones((pixels, pixels), bool)
    # The whole is one and a half times as large as the map.
    for _ in range(int(np.log(1.5 * pixels) / np.log(3))):
        x, y = 3 * x, 3 * y
        solid &= ~((np.floor(x) % 3 == 1) & (np.floor(y) % 3 == 1))
    return solid


def _rotated(pixels: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the pixels of [-1, 1]^2, turned by an angle that differs for each number."""
    along = np.linspace(-1, 1, pixels)
    turned = (along[None, :] + 1j * along[:, None]) * np.exp(2j * np.pi * number * 0.618)
    return turned.real + 0.01 * number, turned.imag


KNOWN = {
    "a line": (half_plane, 1.0),
    "Koch's snowflake": (koch_snowflake, np.log(4) / np.log(3)),
    "Sierpinski's carpet": (carpet, np.log(8) / np.log(3)),
}
"""`(pixels, number) -> map`, and the dimension of its border."""
