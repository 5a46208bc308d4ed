"""Derivatives that no name asked for needs are not made, and nothing else changes."""

from gradcli.diagnostics import Source
from gradcli.language.needed import without_unasked
from gradcli.language.parser import parse

PROGRAM = """\
constant t = [0.0, 1.0, 2.0]
variable a = 1.5
variable b = 0.5
def curvature(y) = sum(hessian(y, a))
noise = random_normal([3], seed=1)
r = a*exp(-b*t) - noise
nll = sum(r^2)
g = gradients(nll, a)
H = hessian(nll, a)
C = inv([[H]])
error = sqrt(C[0, 0])
k = curvature(nll)
other = nll + 1.0
"""


def left_out(of, also=(), text=PROGRAM):
    statements = parse(Source("", text)).statements
    kept = {id(statement) for statement in without_unasked(statements, (of, also))}
    return [text[s.start : s.end].partition(" ")[0] for s in statements if id(s) not in kept]


def test_what_is_left_out():
    assert left_out(["nll"]) == ["g", "H", "C", "error", "k"]
    assert left_out(["error"]) == ["g", "k"]
    assert left_out(["nll"], ["C"]) == ["g", "error", "k"]
    assert left_out(["k", "g"]) == ["H", "C", "error"]
    assert left_out(["other"]) == ["g", "H", "C", "error", "k"]


def test_what_stays():
    assert left_out(["nll", "lost"]) == [], "the error about a name lists all names"
    assert left_out(None) == left_out(None, text=PROGRAM + "output nll") == [], "the whole program is checked"
    assert left_out(["nll"], text=PROGRAM + "output nll, H") == ["g", "H", "C", "error", "k", "output"]
    assert left_out(["nll"], text=PROGRAM + "seed H = 2.0") == ["g", "C", "error", "k"]
    assert left_out(["nll"], text=PROGRAM + "z = H*random_normal([])") == ["g", "C", "error", "k"]
    assert left_out(["nll"], text=PROGRAM.replace("k =", "def same(y) = H*y\nk =")) == ["g", "C", "error", "k"]
    assert left_out(["nll"], text=PROGRAM.replace("def curvature", "def hessian(y, x) = y\ndef curvature")) == ["g"]
