"""Commands make no derivative that they are not asked for, and answer the same."""

import pytest

from gradcli.autodiff import jacobian
from tests.language.test_needed import PROGRAM


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval", "--of", "nll"],
        ["eval", "--of", "nll", "--profile"],
        ["eval", "--of", "nll", "--trace", "--kinks"],
        ["grad", "--of", "nll", "--wrt", "a,r"],
        ["jacobian", "--of", "r", "--wrt", "a"],
        ["check", "--of", "nll", "--order", "1"],
        ["fit", "--minimize", "nll", "--steps", "2"],
        ["plot", "--of", "nll", "--x", "a=0:1", "--order", "0"],
        ["jvp", "--of", "nll", "--tangent", "a=1"],
    ],
    ids=" ".join,
)
def test_no_command_makes_a_hessian_that_it_is_not_asked_for(gradcli, monkeypatch, arguments):
    command, *options = arguments
    whole = gradcli(command, "-e", PROGRAM, *options)
    assert whole.status == 0
    with monkeypatch.context() as patch:
        patch.setattr(jacobian, "hessian", unwanted)
        done = gradcli(command, "-e", PROGRAM, *options)
        assert done.status == 0
        if "--profile" not in options:  # whose times differ
            assert (done.out, done.err) == (whole.out, whole.err)
        assert "a Hessian" in gradcli("eval", "-e", PROGRAM, "--of", "error").err


def unwanted(*_):
    raise AssertionError("a Hessian")


def test_answers_are_the_same_with_the_derivatives_left_out(gradcli):
    text = PROGRAM + "u = random_normal([])\nv = H*u\nw = random_uniform([])\n"
    everything = dict(line.split(" = ") for line in gradcli("eval", "-e", text).out.splitlines())
    for name in ("nll", "error", "k", "u", "w", "v"):
        assert gradcli("eval", "-e", text, "--of", name).out == f"{name} = {everything[name]}\n"
    assert "`H` is computed" in gradcli("eval", "-e", text, "--of", "nll", "--set", "H=1").err
    assert "did you mean `nll`" in gradcli("eval", "-e", text, "--of", "nl").err
