"""Values in files that no array can be, or that no dtype holds: each is taken or is an error, without a warning."""

from __future__ import annotations

import json

import numpy as np
import pytest

SHAPES = [
    "1, " * 69 + "1",
    "1000000000000000000, 1000000",
    "0, " + "9" * 30,
    "0" * 5000,
    "0, 1000000000000000000, 1000000000000000000",
]
NESTED = "[" * 70 + "1" + "]" * 70
RECORDS = [
    {"dtype": "float64", "shape": [1] * 70, "value": [1]}, {"dtype": "int32", "shape": [1], "value": [9999999999]},
    {"dtype": "int32", "shape": [10**30], "value": [1]}, {"dtype": "float32", "shape": [1e300], "value": [1]},
    {"dtype": "float64", "shape": "x", "value": [1]}, {"dtype": [1], "shape": [1], "value": [1]},
    {"dtype": "float64", "shape": [0, 10**18, 10**18], "value": []},
]  # fmt: skip
TEXTS = {
    **{f"shape {i}": f"x = zeros([{shape}])\n" for i, shape in enumerate(SHAPES)},
    **{f"record {i}": json.dumps({"x": record}) for i, record in enumerate(RECORDS)},
    "nested text": f"x = {NESTED}\n",
    "nested JSON": f'{{"x": {NESTED}}}',
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_no_array_can_be(gradcli, tmp_path, name):
    (tmp_path / "values").write_text(TEXTS[name])
    for command in (["eval", "--values"], ["grad", "--seeds"]):
        done = gradcli(command[0], "-e", "variable x = 1.0; y = x", command[1], "values", "--format", "json")
        assert done.status == 1 and "internal error" not in done.err
        error = json.loads(done.err)["error"]
        assert "ragged" not in error["message"]


@pytest.mark.parametrize("dtype", ["float16", ">f2", "float32", "float64", ">f8", "longdouble"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_large_numbers_of_every_float_dtype(gradcli, tmp_path, dtype, precision):
    largest = np.finfo(np.dtype(dtype)).max
    array = np.array([largest, -largest, 1.0, np.inf], dtype=dtype)
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", x=array)
    with np.errstate(all="ignore"):
        expected = array.astype("float64").astype(precision) * 2
    program = "variable x: [4]; y = sum(x^2)"
    loading = 'variable x = cast(load("x.npy"), {}); y = sum(x*x)'
    for arguments in (
        ["grad", "-e", program, "--set", "x=@x.npy"],
        ["grad", "-e", program, "--values", "x.npz"],
        ["grad", "-e", loading.format(precision)],
    ):
        done = gradcli(*arguments, "--dtype", precision, "--format", "json")
        assert done.status == 0, done.err
        found = json.loads(done.out)["gradients"]["x"]["value"]
        assert [float(v) for v in found] == pytest.approx(expected.tolist(), nan_ok=True)
        for command in ("eval", "explain"):
            assert gradcli(command, *arguments[1:], "--dtype", precision).status == 0
