"""Programs and data at fault: each ends with one message that says where and what to do, status 1, nothing printed."""

import os

import numpy as np
import pytest

MESSAGES = {
    "y = inv([[1.0, 2.0], [2.0, 4.0]])": ["ValueError", "the matrix is singular", "^" * 20, "1e-6 * eye(n)"],
    "y = solve([[1.0, 2.0], [2.0, 4.0]], [1.0, 1.0])": ["ValueError", "the matrix is singular"],
    "y = cholesky([[1.0, 2.0], [2.0, 1.0]])": ["ValueError", "not positive definite"],
    "y = cast([1.0, inf], int32)": ["ValueError", "cannot convert inf to int32", "isfinite"],
    "y = cast(nan, int64)": ["ValueError", "cannot convert nan to int64"],
    'y = load("bad.csv")': ["DataError", "bad.csv, line 2, column 2: 'x' is not a number", '"bad.csv"'],
    'y = load("bed.csv")': ["DataError", "there is no file", "did you mean", "bad.csv"],
    'y = load("../outside.csv")': ["DataError", "only below the program's own folder", "leads outside"],
    'y = load("link.csv")': ["DataError", "only below the program's own folder"],
    'y = load("objects.npy")': ["DataError", "Python objects, which are never read"],
    "y = [[1.0, 2.0]] @ [[1.0, 2.0]]": ["ShapeError", "[1, 2]", "---", "transpose the second operand"],
    "y = [1.0, 2.0] + [1.0, 2.0, 3.0]": ["ShapeError", "shape [2]", "shape [3]"],
    "y = where(1, 2, 3)": ["TypeError", "must be bool, not int64", "`x != 0`"],
    "y = sine(1.0)": ["NameError", "sine", "did you mean `sin"],
    "height = 1.0; y = hieght": ["NameError", "did you mean `height`"],
    "variable x: [2]; y = sum(x)": ["ValueError", "`x` has no value", "--set 'x=…'"],
    "x = 1; x = 2": ["NameError", "`x` is bound twice", "first bound here", "bound again"],
    "y = 1 +": ["SyntaxError", "expected an expression"],
    "variable x = 1.0; g = gradients(floor(x), x); y = g + 1": ["ValueError", "floor", "unconnected_gradients"],
    "y = ones([1e9])": ["error["],
    "y = eye(10000000)": ["LimitError", "of memory at once", "eye"],
}


@pytest.mark.parametrize("program", MESSAGES)
def test_message(gradcli, tmp_path, program):
    folder = tmp_path / "programs"
    folder.mkdir()
    (tmp_path / "outside.csv").write_text("1,2\n")
    (folder / "bad.csv").write_text("1,2\n3,x\n")
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    if "link.csv" in program:
        if os.name == "nt":
            pytest.skip("links need rights on Windows")
        (folder / "link.csv").symlink_to("../outside.csv")
    (folder / "f.expr").write_text(program + "\n")
    done = gradcli("eval", "programs/f.expr")
    assert (done.status, done.out) == (1, "")
    assert "programs/f.expr:1:" in done.err
    for word in MESSAGES[program]:
        assert word in done.err
    assert "Traceback" not in done.err
    assert "internal error" not in done.err
