"""Complex weights and the spectra that they multiply, as in a Fourier neural operator.

Its layer (Li et al. 2021, arXiv:2010.08895) transforms the positions, multiplies the lowest modes
by a matrix each, puts the results back among zeros, and transforms them back.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from initlab.adoption.facts import Known, Linear, Tracked, Value, join
from initlab.adoption.reader import Path, Reader

__all__ = ["make_complex", "paired", "place", "transform"]


def make_complex(
    reader: Reader, equation: Any, path: Path, operands: list[Known]
) -> list[Known] | None:
    """A complex array of its two parts."""
    one, other = operands
    if isinstance(one, Tracked) and isinstance(other, Tracked):
        pair = paired(one, other)
        return None if pair is None else [pair]
    if isinstance(one, Tracked) or isinstance(other, Tracked):
        weight, rest = (one, other) if isinstance(one, Tracked) else (other, one)
        return [weight] if isinstance(rest, Value) and rest.is_constant else None
    features = [value.linear and value.linear.features for value in (one, other)]
    return [_combined(reader, path, [one, other], features)]


def paired(one: Tracked, other: Tracked) -> Tracked | None:
    """Real and imaginary part as one weight; None where their axes are not alike.

    They may be two parameters, or two slices of one.
    """
    if dataclasses.replace(other, param=one.param, partners=one.partners) != one:
        return None
    partners = (one.partners | other.partners | {other.param}) - {one.param}
    return dataclasses.replace(one, partners=partners)


def transform(
    reader: Reader, equation: Any, path: Path, operands: list[Known]
) -> list[Known] | None:
    """A Fourier transform along the last axes, or a part of it: what is a product is one still.

    Along members, as modes with a matrix each, it sums what they give: the units are the others.
    """
    (value,) = operands
    if isinstance(value, Tracked) or value.linear is None:
        return None
    kept = len(value.linear.features) - len(equation.params.get("fft_lengths", ()))
    features = value.linear.features
    if kept < len(features):
        features = _units(value, equation.invars[0].aval.shape)
        if any(features[kept:]) or not any(features):
            return None
    return [_combined(reader, path, [value], [features])]


def place(reader: Reader, equation: Any, path: Path, operands: list[Known]) -> list[Known] | None:
    """Products set among constants, or beside other products: their units are units still."""
    params, shape = equation.params, equation.outvars[0].aval.shape
    shapes = [variable.aval.shape for variable in equation.invars]
    match equation.primitive.name:
        case "concatenate":
            pieces = range(len(operands))
        case "scatter":
            # Windows of all axes, as slices are: each lies along an axis of the result.
            if len(params["dimension_numbers"].update_window_dims) != len(shape):
                return None
            pieces = (0, 2)
        case _:
            pieces = (0, 1)
    if any(isinstance(each, Tracked) for each in operands):
        return None
    values = [each for each in operands if isinstance(each, Value)]
    features: list[tuple[bool, ...] | None] = [None] * len(values)
    for n in pieces:
        if values[n].linear is not None:
            same = (a == b for a, b in zip(shapes[n], shape, strict=True))
            units = _units(values[n], shapes[n])
            features[n] = tuple(flag and kept for flag, kept in zip(units, same, strict=True))
    if not any(map(any, filter(None, features))):
        return None
    out = _combined(reader, path, [values[n] for n in pieces], [features[n] for n in pieces])
    whole = join(out.number, values)
    return [dataclasses.replace(whole, linear=out.linear)]


def _units(value: Value, shape: Sequence[int]) -> tuple[bool, ...]:
    """Of a product's axes those of units, without those along which its members lie."""
    assert value.linear is not None
    counts = value.members or (1,) * len(shape)
    return tuple(
        flag and not (size > 1 and count == size)
        for flag, count, size in zip(value.linear.features, counts, shape, strict=True)
    )


def _combined(
    reader: Reader,
    path: Path,
    values: Sequence[Value],
    features: Sequence[tuple[bool, ...] | None],
) -> Value:
    """Values side by side: a product if all of them but constants are, with the same fans."""
    out = join(reader.number(path), values)
    linears = {
        value.linear and Linear(*value.linear[:2], units or ())
        for value, units in zip(values, features, strict=True)
        if not value.is_constant
    }
    return dataclasses.replace(out, linear=linears.pop() if len(linears) == 1 else None)
