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
    'y = load("both.npz")': ["several arrays (X, Y)", 'load("both.npz", "X")'],
    'y = load("pipe.json")': ["DataError", "is a pipe, not a file"],
    "y = cast(1e30, int32)": ["ValueError", "cannot convert 1e+30 to int32", "clip(x, lo, hi)"],
    "variable x = 3; n = -2; y = x^n": ["ValueError", "not an integer", "cast(x, float64)^n"],
    "y = 2^1000": ["does not fit into int64", "`2.0^1000`"],
    "y = 10^1000": ["does not fit into int64", "too large for a float, too"],
    "y = 10^10^10": ["neither into an integer nor into a float"],
    "y = np.array([1, 2])": ["NameError", "no modules", "`[1, 2]`"],
    "y = tf.Variable(3.0)": ["no modules", "variable x = …"],
    "y = torch.tensor([1.0])": ["no modules", "write `[1.0]`"],
    "y = tf.math.log(2.0)": ["no modules", "`log(2.0)`"],
    "y = np.pi": ["no attribute `.pi`", "write `pi`"],
    "variable x = [1.0]; y = x.detach()": ["no methods", "stop_gradient(x)"],
    "variable x = [1.0]; y = x.sum()": ["no methods", "write `sum(x)`"],
    "variable x = [1.0]; y = x.foo()": ["no methods", "gradcli ops"],
    "y = TRUE": ["`TRUE` is not defined", "write `true`"],
    "x = [1.0]; y = x[none]": ["`none` is not defined", "write `None`"],
    "y = 2*π": ["write `pi`"],
    "y = array([1, 2])": ["`array` is not defined", "write `[1, 2]`"],
    "x = [1.0]; y = numel(x)": ["write `size(x)`"],
    "y = foobarbaz(2)": ["gradcli ops", "def foobarbaz(x)"],
    "y = 1; print(y)": ["`output y`"],
    "y = z; z = 1": ["NameError", "`z` is not defined yet", "used here", "bound here"],
    "variable x = 2.0; y = x^2; g = gradients(y, [x])*2": ["a list of 1 x must", "gradients(y, x)"],
    "y = concat([1.0], [2.0])": ["concat([a, b], axis)"],
    "y = ones(2, 3)": ["`ones([2, 3])`"],
    "x = [1.0]; y = sum(x, dim=0)": ["no parameter `dim`", "`axis`"],
    "x = [1.0]; y = expand_dims(x, 0, axis=1)": ["`axis` twice", "expand_dims(x, axis)"],
    "y = [[1, 2], [3]]": ["this row has 1 entry, the first has 2"],
    'y = einsum("ij,jk", eye(2))': ["2 terms for 1 operand\n"],
    "y = reshape([1], [3])": ["holds 1 entry and"],
    "variable x = true; y = cast(x, float64); g = gradients(y, x); z = g + 1": ["x is bool"],
    "dtype float32; dtype float64; y = 1": ["SyntaxError", "one dtype line", "the precision is set here"],
    "variable x = 2.0; y = x^2; z = taylor(y, x, 2001)": ["LimitError", "up to order 2000"],
    "y = eye(10000000)": ["LimitError", "of memory at once", "eye"],
}


@pytest.mark.parametrize("program", MESSAGES)
def test_message(gradcli, tmp_path, program):
    folder = tmp_path / "programs"
    folder.mkdir()
    (tmp_path / "outside.csv").write_text("1,2\n")
    (folder / "bad.csv").write_text("1,2\n3,x\n")
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(folder / "both.npz", X=np.ones(1), Y=np.ones(1))
    if "pipe.json" in program:
        if not hasattr(os, "mkfifo"):
            pytest.skip("needs FIFOs")
        os.mkfifo(folder / "pipe.json")
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
