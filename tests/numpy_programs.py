"""A program run by NumPy, one equation after another: nothing is compiled for most of them."""

import itertools
import operator

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from initlab.programs.equations import scan_counts

ELEMENTWISE = {
    "abs": np.abs,
    "add": operator.add,
    "add_any": operator.add,
    "and": operator.and_,
    "cos": np.cos,
    "div": lambda a, b: np.true_divide(a, b) if np.result_type(a).kind in "fc" else a // b,
    "eq": operator.eq,
    "erf": special.erf,
    "erf_inv": special.erfinv,
    "exp": np.exp,
    "expm1": np.expm1,
    "floor": np.floor,
    "ge": operator.ge,
    "gt": operator.gt,
    "imag": np.imag,
    "is_finite": np.isfinite,
    "le": operator.le,
    "log": np.log,
    "log1p": np.log1p,
    "logistic": special.expit,
    "lt": operator.lt,
    "max": np.maximum,
    "min": np.minimum,
    "mul": operator.mul,
    "ne": operator.ne,
    "neg": operator.neg,
    "not": np.invert,
    "or": operator.or_,
    "pow": operator.pow,
    "real": np.real,
    "rem": np.fmod,
    "rsqrt": lambda a: 1 / np.sqrt(a),
    "shift_right_logical": lambda a, b: a >> b,
    "sign": np.sign,
    "sin": np.sin,
    "sqrt": np.sqrt,
    "square": np.square,
    "stop_gradient": lambda a: a,
    "sub": operator.sub,
    "tan": np.tan,
    "tanh": np.tanh,
}
REDUCTIONS = {
    "reduce_and": np.all,
    "reduce_max": np.max,
    "reduce_min": np.min,
    "reduce_or": np.any,
    "reduce_prod": np.prod,
    "reduce_sum": np.sum,
}
ALONG = {
    "cumsum": np.add,
    "cumprod": np.multiply,
    "cummax": np.maximum,
    "cummin": np.minimum,
    "cumlogsumexp": np.logaddexp,
}


def run(program, *inputs):
    """The outputs of a closed jaxpr, as NumPy arrays; what NumPy lacks JAX does, by itself."""
    known = dict(zip(program.jaxpr.constvars, program.consts, strict=True))
    known.update(zip(program.jaxpr.invars, inputs, strict=True))

    def read(variable):
        return variable.val if hasattr(variable, "val") else known[variable]

    for equation in program.jaxpr.eqns:
        operands = [read(variable) for variable in equation.invars]
        results = _step(equation, operands)
        for variable, result in zip(equation.outvars, results, strict=True):
            known[variable] = result
    return [read(variable) for variable in program.jaxpr.outvars]


def _step(equation, operands):
    name, params = equation.primitive.name, equation.params
    if name in LOOPS:
        return LOOPS[name](params, *operands)
    if name in ARRAYS or name in ELEMENTWISE or name in REDUCTIONS or name in ALONG:
        aval = equation.outvars[0].aval
        if not jnp.issubdtype(aval.dtype, jax.dtypes.extended):
            operands = [np.asarray(operand) for operand in operands]
            results = _compute(name, params, operands, aval)
            results = results if equation.primitive.multiple_results else [results]
            return [
                np.asarray(result, dtype=variable.aval.dtype).reshape(variable.aval.shape)
                for variable, result in zip(equation.outvars, results, strict=True)
            ]
    results = equation.primitive.bind(*operands, **params)
    return results if equation.primitive.multiple_results else [results]


def _compute(name, params, operands, aval):
    if name in ARRAYS:
        return ARRAYS[name](params, aval, *operands)
    if name in ELEMENTWISE:
        return ELEMENTWISE[name](*operands)
    if name in REDUCTIONS:
        return REDUCTIONS[name](operands[0], axis=tuple(params["axes"]))
    (array,), axis = operands, params["axis"]
    if params["reverse"]:
        return np.flip(ALONG[name].accumulate(np.flip(array, axis), axis=axis), axis)
    return ALONG[name].accumulate(array, axis=axis)


def _dot_general(params, aval, left, right):
    del aval
    (left_summed, right_summed), (left_batch, right_batch) = params["dimension_numbers"]
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    lefts, rights = [next(letters) for _ in left.shape], [next(letters) for _ in right.shape]
    for one, other in (
        *zip(left_summed, right_summed, strict=True),
        *zip(left_batch, right_batch, strict=True),
    ):
        rights[other] = lefts[one]
    batch = [lefts[n] for n in left_batch]
    free = [each for n, each in enumerate(lefts) if n not in (*left_summed, *left_batch)]
    free += [each for n, each in enumerate(rights) if n not in (*right_summed, *right_batch)]
    pattern = f"{''.join(lefts)},{''.join(rights)}->{''.join(batch + free)}"
    return np.einsum(pattern, left, right)


def _broadcast(params, aval, array):
    shape = [1] * len(aval.shape)
    for size, place in zip(array.shape, params["broadcast_dimensions"], strict=True):
        shape[place] = size
    return np.broadcast_to(array.reshape(shape), aval.shape)


def _pad(params, aval, array, value):
    out = np.full([n + max(0, n - 1) * inside for n, (*_, inside) in _sizes(params, array)], value)
    out[tuple(slice(None, None, inside + 1) for *_, inside in params["padding_config"])] = array
    width = [(max(low, 0), max(high, 0)) for low, high, _ in params["padding_config"]]
    out = np.pad(out, width, constant_values=value)
    crop = [slice(max(-low, 0), None) for low, *_ in params["padding_config"]]
    return out[tuple(crop)][tuple(map(slice, aval.shape))]


def _sizes(params, array):
    return zip(array.shape, params["padding_config"], strict=True)


def _window(starts, array, shape):
    return tuple(
        slice(first := int(np.clip(start, 0, size - length)), first + length)
        for start, size, length in zip(starts, array.shape, shape, strict=True)
    )


def _dynamic_update(params, aval, array, update, *starts):
    del params, aval
    out = array.copy()
    out[_window(starts, array, update.shape)] = update
    return out


def _split(params, aval, array):
    del aval
    ends = list(itertools.accumulate(params["sizes"]))
    return np.split(array, ends[:-1], params["axis"])


def _unstack(params, aval, array):
    del aval
    return list(np.moveaxis(array, params["axis"], 0))


def _iota(params, aval):
    place = params["dimension"]
    shape = [-1 if n == place else 1 for n in range(len(aval.shape))]
    return np.broadcast_to(np.arange(aval.shape[place]).reshape(shape), aval.shape)


ARRAYS = {
    "argmax": lambda params, aval, a: np.argmax(a, *params["axes"]),
    "bitcast_convert_type": lambda params, aval, a: a.view(aval.dtype),
    "broadcast_in_dim": _broadcast,
    "clamp": lambda params, aval, low, a, high: np.clip(a, low, high),
    "complex": lambda params, aval, a, b: a + 1j * b,
    "concatenate": lambda params, aval, *a: np.concatenate(a, params["dimension"]),
    "convert_element_type": lambda params, aval, a: a if aval.dtype.kind == "c" else a.real,
    "copy": lambda params, aval, a: a,
    "dot_general": _dot_general,
    "dynamic_slice": lambda params, aval, a, *starts: a[_window(starts, a, aval.shape)],
    "dynamic_update_slice": _dynamic_update,
    "integer_pow": lambda params, aval, a: a ** float(params["y"]),
    "iota": _iota,
    "pad": _pad,
    "reshape": lambda params, aval, a: a.reshape(aval.shape),
    "rev": lambda params, aval, a: np.flip(a, params["dimensions"]),
    "select_n": lambda params, aval, which, *cases: np.choose(which, cases),
    "slice": lambda params, aval, a: a[
        tuple(
            map(
                slice,
                params["start_indices"],
                params["limit_indices"],
                params["strides"] or [1] * a.ndim,
            )
        )
    ],
    "split": _split,
    "squeeze": lambda params, aval, a: a.reshape(aval.shape),
    "stack": lambda params, aval, *a: np.stack(a, params["axis"]),
    "tile": lambda params, aval, a: np.tile(a, params["reps"]),
    "transpose": lambda params, aval, a: np.transpose(a, params["permutation"]),
    "unstack": _unstack,
}


def _call(params, *operands):
    program = params.get("jaxpr") or params.get("call_jaxpr")
    return run(program if hasattr(program, "consts") else _Closed(program), *operands)


class _Closed:
    consts = ()

    def __init__(self, jaxpr):
        self.jaxpr = jaxpr


def _scan(params, *operands):
    consts, carried = scan_counts(params)
    fixed, state, stacked = (
        operands[:consts],
        operands[consts : consts + carried],
        operands[consts + carried :],
    )
    steps = range(params["length"])
    rows = []
    for step in reversed(steps) if params["reverse"] else steps:
        outputs = run(params["jaxpr"], *fixed, *state, *(each[step] for each in stacked))
        state = outputs[:carried]
        rows.append(outputs[carried:])
    rows = rows[::-1] if params["reverse"] else rows
    return [*state, *(np.stack(row) for row in zip(*rows, strict=True))]


def _while(params, *operands):
    first, second = params["cond_nconsts"], params["body_nconsts"]
    state = operands[first + second :]
    while run(params["cond_jaxpr"], *operands[:first], *state)[0]:
        state = run(params["body_jaxpr"], *operands[first : first + second], *state)
    return state


LOOPS = {
    **dict.fromkeys(
        ("jit", "pjit", "remat2", "checkpoint", "custom_jvp_call", "custom_vjp_call"), _call
    ),
    "scan": _scan,
    "while": _while,
    "cond": lambda params, which, *operands: run(params["branches"][int(which)], *operands),
}
