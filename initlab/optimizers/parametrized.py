"""Optimizers by a parametrization: rates, epsilons and decays of each parameter."""

from collections.abc import Hashable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from initlab import checks
from initlab.theory import Optimizer, Scaling
from initlab.theory.parametrizations.scaling import is_orthogonalized
from initlab.types import Number, Params, ParamSpec

__all__ = ["parametrized", "scale_leaves"]


@checks.checked
def parametrized(
    scaling: Scaling,
    learning_rate: Number,
    *,
    momentum: Number = 0.0,
    epsilon: Number = 1e-8,
    weight_decay: Number = 0.0,
    adam_rate: Number | None = None,
) -> optax.GradientTransformation:
    """`w -= rate (step(g) + decay w)`: rate, decay and Adam's epsilon of each parameter its own.

    Each is the number given here, which is that of the base network, times the parameter's factor.

    Args:
      scaling: the parametrization on the network; it says which optimizer this is.
      learning_rate: at the base network; may be traced.
      momentum: of SGD alone: `m <- g + momentum m` is the step; may be traced. Adam, Lion and Muon
        have the means that are usual: 0.9 and 0.999, 0.9 and 0.99, 0.95 with Nesterov's.
      epsilon: of Adam; may be traced.
      weight_decay: decoupled, and multiplied with the learning rate; may be traced.
      adam_rate: of Muon alone: the learning rate of what it leaves to Adam; as `learning_rate`
        when absent.

    Returns:
      The optimizer. Muon takes each slice of a matrix that is stacked over blocks by itself.

    Raises:
      TypeError: if an argument is not of its kind.
      ValueError: if a number is NaN or infinite, or momentum or adam_rate is given to an optimizer
        that has none.

    Source: as for `theory.exponents`; Lion: Chen et al. 2023, arXiv:2302.06675; Muon: Jordan et al.
      2024, and `optax.contrib.muon`.

    >>> from initlab.theory import Parametrization, scaling
    >>> from initlab.types import ParamSpec, Role
    >>> wide, base = ({"w": ParamSpec((n, 3), n, 3, Role.READOUT)} for n in (8, 2))
    >>> way = scaling(wide, base, Parametrization.MUP, Optimizer.SGD)
    >>> descent, gradient = parametrized(way, 0.5), {"w": jnp.ones((8, 3), jnp.float32)}
    >>> updates, _ = descent.update(gradient, descent.init(gradient))
    >>> updates["w"][0, 0].item()
    -0.125
    """
    numbers = {"learning_rate": learning_rate, "momentum": momentum, "epsilon": epsilon}
    for name, number in (numbers | {"weight_decay": weight_decay}).items():
        checks.check_number(name, number)
    kind = scaling.optimizer
    if checks.is_concrete(momentum) and momentum != 0 and kind is not Optimizer.SGD:
        raise ValueError(f"momentum is of Optimizer.SGD alone, got {momentum} with {kind}")
    if adam_rate is not None and kind is not Optimizer.MUON:
        raise ValueError(f"adam_rate is of Optimizer.MUON alone, got {adam_rate} with {kind}")
    is_adams = {path: not is_orthogonalized(spec) for path, spec in _specs(scaling).items()}
    others = learning_rate if adam_rate is None else adam_rate
    rates = {
        path: -(others if kind is Optimizer.MUON and is_adams[path] else learning_rate) * factor
        for path, factor in _column(scaling, "learning_rate").items()
    }
    parts = [_steps(scaling, momentum, epsilon), scale_leaves(rates)]
    if not (checks.is_concrete(weight_decay) and weight_decay == 0):
        parts.insert(1, _decayed(weight_decay, _column(scaling, "weight_decay")))
    return optax.chain(*parts)


@checks.checked
def scale_leaves(factors: Mapping[str, Number]) -> optax.GradientTransformation:
    """`update * factors[path]` for each parameter: a transformation without a state.

    Args:
      factors: by path, as "layer_1/weight"; they may be traced. Others are not multiplied.

    Returns:
      The transformation. Its update raises ValueError for a factor without a parameter.

    Raises:
      TypeError: if a factor is not a number.

    >>> scale = scale_leaves({"w": 0.5})
    >>> scale.update({"w": jnp.ones(1, jnp.float32)}, scale.init({}))[0]["w"].item()
    0.5
    """
    for path, factor in factors.items():
        checks.check_number(f"factors[{path!r}]", factor)
    return optax.stateless(lambda updates, _: _multiplied(updates, factors))


def _multiplied(updates: Params, factors: Mapping[str, Number]) -> Params:
    if lacking := set(factors) - set(checks.leaves_by_path("updates", updates)):
        raise ValueError(f"updates must hold the parameter {min(lacking)!r}, which has a factor")

    def one(tree_path: tuple[Any, ...], update: jax.Array) -> jax.Array:
        factor = factors.get(checks.path_name(tree_path))
        return update if factor is None else update * jnp.asarray(factor, update.dtype)

    return jax.tree_util.tree_map_with_path(one, updates)


def _specs(scaling: Scaling) -> dict[str, ParamSpec]:
    return checks.leaves_by_path("scaling.specs", scaling.specs)


def _column(scaling: Scaling, name: str) -> dict[str, float]:
    return {path: getattr(each, name) for path, each in scaling.factors.items()}


def _decayed(weight_decay: Number, factors: Mapping[str, float]) -> optax.GradientTransformation:
    decays = {path: weight_decay * factor for path, factor in factors.items()}

    def update(updates: Params, params: Params | None) -> Params:
        if params is None:
            raise ValueError("update must be given the params where there is a weight decay")
        return jax.tree.map(jnp.add, updates, _multiplied(params, decays))

    return optax.stateless(update)


def _steps(scaling: Scaling, momentum: Number, epsilon: Number) -> optax.GradientTransformation:
    """What the gradients become before they meet a learning rate."""
    if scaling.optimizer is Optimizer.SGD:
        return optax.trace(momentum)
    if scaling.optimizer is Optimizer.SIGN:
        return optax.scale_by_lion()
    # m / f and v / f^2 with an epsilon are m and v with f times that epsilon.
    shares = {path: 1 / factor for path, factor in _column(scaling, "epsilon").items()}
    scaled, adam = scale_leaves(shares), optax.scale_by_adam(eps=epsilon)
    if scaling.optimizer is Optimizer.ADAM:
        return optax.chain(scaled, adam)
    muon = _muon()
    kinds: dict[Hashable, optax.GradientTransformation] = {"adam": adam, "matrix": muon}
    for depth in {spec.shape[0] for spec in _specs(scaling).values() if spec.stack}:
        kinds[f"stack_{depth}"] = _each_slice(muon)
    labels = jax.tree.map(_kind, scaling.specs)
    return optax.chain(scaled, optax.partition(kinds, lambda _: labels))


def _kind(spec: ParamSpec) -> str:
    if not is_orthogonalized(spec):
        return "adam"
    return f"stack_{spec.shape[0]}" if spec.stack else "matrix"


def _muon() -> optax.GradientTransformation:
    """The step of matrices, times sqrt(max(1, fan_out / fan_in)), before its sign."""
    # A rate of 1 descends.
    step = optax.chain(optax.contrib.muon(1.0), optax.scale(-1.0))

    def update(updates: Params, state: Any, params: Params | None = None) -> tuple[Params, Any]:
        del params
        # It asks for params, of which nothing decays.
        return step.update(updates, state, updates)

    return optax.GradientTransformation(step.init, update)


def _each_slice(step: optax.GradientTransformation) -> optax.GradientTransformation:
    """The transformation of each slice along the leading axis, which all the leaves share."""

    def update(updates: Params, state: Any, params: Params | None = None) -> tuple[Params, Any]:
        del params
        return jax.vmap(step.update)(updates, state)

    return optax.GradientTransformation(jax.vmap(step.init), update)
