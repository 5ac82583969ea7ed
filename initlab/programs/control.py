"""The programs within a program: what calls, loops and branches run, and on which operands."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from initlab.programs.equations import inner_program, scan_counts
from initlab.programs.primitives import CALLS, CUSTOM_DERIVATIVES

__all__ = ["Call", "Cond", "Scan", "While", "control"]

T = TypeVar("T")


class Call(NamedTuple):
    """A program that is run once, on all operands: jit, remat, custom derivatives.

    Attributes:
      body: the program, closed.
      custom_derivative: whether its derivative is another than that of its equations.
    """

    body: Any
    custom_derivative: bool


class Scan(NamedTuple):
    """A loop of known length: `body(*shared, *carry, *slices) -> (*carry, *stacked)`.

    Attributes:
      body: the program, closed.
      shared: how many operands every iteration takes whole.
      carried: how many each iteration takes from the one before.
      length: the number of iterations.
      reverse: whether slices are taken from the last to the first.
      unroll: how many iterations are compiled as one.
    """

    body: Any
    shared: int
    carried: int
    length: int
    reverse: bool
    unroll: int

    def split(self, operands: Sequence[T]) -> tuple[list[T], list[T], list[T]]:
        """Operands, or what is known of them, as shared, carried, and those that are sliced."""
        first = self.shared + self.carried
        return (
            list(operands[: self.shared]),
            list(operands[self.shared : first]),
            list(operands[first:]),
        )


class While(NamedTuple):
    """A loop of unknown length: `body(*shared, *carry) -> carry`, while `condition(...)` holds.

    Attributes:
      condition: a program of `(*its shared operands, *carry)`, closed.
      body: the program of an iteration, closed.
      condition_shared: how many operands every evaluation of the condition takes.
      body_shared: how many every iteration takes.
    """

    condition: Any
    body: Any
    condition_shared: int
    body_shared: int

    def split(self, operands: Sequence[T]) -> tuple[list[T], list[T], list[T]]:
        """Operands as those shared by the condition, those shared by the body, and the carry."""
        first = self.condition_shared
        second = first + self.body_shared
        return list(operands[:first]), list(operands[first:second]), list(operands[second:])


class Cond(NamedTuple):
    """One of several programs, of the same operands and results; operand 0 says which.

    Attributes:
      branches: the programs, closed, each of operands 1, 2, ...
    """

    branches: tuple[Any, ...]


def control(equation: Any) -> Call | Scan | While | Cond | None:
    """The programs that an equation runs, or None for a plain operation.

    Args:
      equation: of a jaxpr of JAX 0.10 to 0.12, which name a scan's parameters differently.

    Returns:
      The equation's parameters by the kind of control. None also for what holds a program
      but does not run it once on its operands (`reduce`), and for what runs programs in ways that
      nobody here knows (`shard_map`): it is then an operation like any other without a rule.

    >>> import jax
    >>> body = lambda total, x: (total + x, total)
    >>> program = jax.make_jaxpr(lambda xs: jax.lax.scan(body, 0.0, xs))(jax.numpy.ones(3))
    >>> scan = control(program.eqns[-1])
    >>> scan.shared, scan.carried, scan.length
    (0, 1, 3)
    """
    name, params = equation.primitive.name, equation.params
    if name == "scan":
        shared, carried = scan_counts(params)
        length, reverse, unroll = params["length"], params["reverse"], params["unroll"]
        return Scan(params["jaxpr"], shared, carried, length, reverse, unroll)
    if name == "while":
        return While(
            params["cond_jaxpr"],
            params["body_jaxpr"],
            params["cond_nconsts"],
            params["body_nconsts"],
        )
    if name == "cond":
        return Cond(tuple(params["branches"]))
    body = inner_program(params) if name in CALLS else None
    if body is None or len(body.jaxpr.invars) != len(equation.invars):
        return None
    return Call(body, name in CUSTOM_DERIVATIVES)
