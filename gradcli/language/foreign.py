"""Functions, methods and values of other libraries and languages, and what to write here instead."""

from __future__ import annotations

BRACKETS = "write the entries in brackets: `[1, 2]`"

FUNCTIONS = {
    "array": BRACKETS, "asarray": BRACKETS, "tensor": BRACKETS, "as_tensor": BRACKETS, "convert_to_tensor": BRACKETS,
    "Variable": "declare it: `variable x = …`", "requires_grad_": "declare it: `variable x = …`",
    "detach": "write `stop_gradient(x)`", "grad": "write `gradients(y, x)`", "backward": "write `gradients(y, x)`",
    "gradient": "write `gradients(y, x)`", "diff": "write `gradients(y, x)`", "GradientTape": "write `gradients(y, x)`",
    "numel": "write `size(x)`", "len": "write `size(x)`, or `shape(x)[0]`", "ndim": "write `rank(x)`",
    "reciprocal": "write `1 / x`", "fabs": "write `abs(x)`", "sgn": "write `sign(x)`", "clamp": "write `clip(x, lo, hi)`",
    "view": "write `reshape(x, shape)`", "flatten": "write `reshape(x, [-1])`", "ravel": "write `reshape(x, [-1])`",
    "unsqueeze": "write `expand_dims(x, axis)`", "permute": "write `transpose(x, axes)`", "t": "write `x.T`",
    "cat": "write `concat([a, b], axis)`", "hstack": "write `concat([a, b], axis)`",
    "vstack": "write `concat([a, b], axis)`", "mm": "write `a @ b`", "bmm": "write `a @ b`", "mv": "write `a @ b`",
    "astype": "write `cast(x, float64)`", "to": "write `cast(x, float64)`", "float": "write `cast(x, float64)`",
    "double": "write `cast(x, float64)`", "int": "write `cast(x, int64)`", "bool": "write `x != 0`",
    "item": "leave it out: a scalar is a value like any other", "numpy": "leave it out: every value is an array",
    "print": "`output y` says which values are printed", "println": "`output y` says which values are printed",
    "disp": "`output y` says which values are printed", "if": "write `where(condition, a, b)`",
    "randn": "write `random_normal([n])`", "rand": "write `random_uniform([n])`", "sec": "write `1 / cos(x)`",
    "csc": "write `1 / sin(x)`", "cot": "write `1 / tan(x)`", "fmod": "write `mod(a, b)`", "floordiv": "write `floor(a / b)`",
}  # fmt: skip

VALUES = {
    "True": "true", "TRUE": "true", "False": "false", "FALSE": "false", "null": "None", "none": "None", "nil": "None",
    "NULL": "None", "NaN": "nan", "NAN": "nan", "Inf": "inf", "Infinity": "inf", "infinity": "inf", "oo": "inf",
    "π": "pi", "PI": "pi", "Pi": "pi", "tau": "2*pi", "τ": "2*pi", "E": "e",
}  # fmt: skip

PARAMETERS = {"dim": "axis", "dims": "axis", "keepdim": "keepdims", "reduction_indices": "axis", "input": "x"}
