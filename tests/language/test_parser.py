"""What each construct becomes, with exact places; and that size and depth do not matter."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from gradcli.diagnostics import GradcliError, Source
from gradcli.language import syntax
from gradcli.language.parser import parse
from tests.quickly import some


def program(text: str) -> list[syntax.Statement]:
    return parse(Source("test", text)).statements


def expression(text: str) -> Any:
    (statement,) = program(f"y = {text}")
    assert isinstance(statement, syntax.Assignment)
    return statement.value


def show(node: Any) -> str:
    """A tree in fully bracketed prefix form."""
    match node:
        case None:
            return "_"
        case list():
            return f"[{' '.join(map(show, node))}]"
        case syntax.Name(id=text) | syntax.Word(value=text):
            return text
        case syntax.Number(value=value) | syntax.String(value=value):
            return repr(value)
        case syntax.Unary():
            return f"({node.operator} {show(node.operand)})"
        case syntax.Binary():
            return f"({node.operator} {show(node.left)} {show(node.right)})"
        case syntax.Argument():
            return f"{node.name.id}={show(node.value)}" if node.name else show(node.value)
    fields = (syntax.Assignment if isinstance(node, syntax.Assignment) else type(node)).__slots__
    parts = [getattr(node, field) for field in fields]
    return f"{type(node).__name__}({', '.join(part if isinstance(part, str) else show(part) for part in parts)})"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a + b * c ^ d", "(+ a (* b (^ c d)))"),
        ("a - b - c", "(- (- a b) c)"),
        ("a / b * c @ d", "(@ (* (/ a b) c) d)"),
        ("-x^2", "(- (^ x 2))"),
        ("2^-x^2", "(^ 2 (- (^ x 2)))"),
        ("a ** b ** c", "(^ a (^ b c))"),
        ("-a * -b", "(* (- a) (- b))"),
        ("a - -b", "(- a (- b))"),
        ("--a", "(- (- a))"),
        ("(a + b) * c", "(* (+ a b) c)"),
        ("not a < b and c or d", "(or (and (not (< a b)) c) d)"),
        ("not not a", "(not (not a))"),
        ("a <= b", "(<= a b)"),
        ("a > b", "(> a b)"),
        ("a >= b", "(>= a b)"),
        ("a == b", "(== a b)"),
        ("a != b", "(!= a b)"),
        ("-x.T[0]^2", "(- (^ Index(Attribute(x, T), [0]) 2))"),
        ("f(a, k=b,)(c)", "Call(Call(f, [a k=b]), [c])"),
        ("f()", "Call(f, [])"),
        ("f(\n a\n,\n b\n)", "Call(f, [a b])"),
        ("[a, [b, c,]]", "List([a List([b c])])"),
        ("[]", "List([])"),
        ("x[1, a:, :b, a:b, ::s, :, ..., newaxis]",
         "Index(x, [1 Slice(a, _, _) Slice(_, b, _) Slice(a, b, _) Slice(_, _, s) Slice(_, _, _) Dots() newaxis])"),
        ("[true, false, None]", "List([true false None])"),
        ("1_000 + 2.5 + 3. + .5 + 1e3 + 1_0.0_1e-0_2", "(+ (+ (+ (+ (+ 1000 2.5) 3.0) 0.5) 1000.0) 0.1001)"),
        (r"""f('a"\'\n', "b'\"\\\t")""", r"""Call(f, ['a"\'\n' 'b\'"\\\t'])"""),
        ("f(seed, seed=3, output=dtype)", "Call(f, [seed seed=3 output=dtype])"),
        ("seed and output", "(and seed output)"),
        ("e\u0301 + ﬁ + Ω", "(+ (+ é fi) Ω)"),
    ],
)  # fmt: skip
def test_expressions(text: str, shown: str) -> None:
    assert show(expression(text)) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("variable x", "Declaration(variable, x, _, _, _)"),
        ("var x: float32", "Declaration(variable, x, float32, _, _)"),
        ("variable w: [n]", "Declaration(variable, w, _, [n], _)"),
        ("variable w: float32[n, 2,] = a", "Declaration(variable, w, float32, [n 2], a)"),
        ("variable w: []", "Declaration(variable, w, _, [], _)"),
        ("const k = 1", "Declaration(constant, k, _, _, 1)"),
        ("constant k: int64 = 1", "Declaration(constant, k, int64, _, 1)"),
        ("a = b", "Assignment([a], b)"),
        ("a, b = c", "Assignment([a b], c)"),
        ("a, b, = c", "Unpacking([a b], c)"),
        ("a, = c", "Unpacking([a], c)"),
        ("sin(x)", "Bare(Call(sin, [x]))"),
        ("def f() = 1", "Function(f, [], 1)"),
        ("def f(a, b=2,) = a", "Function(f, [Parameter(a, _) Parameter(b, 2)], a)"),
        ("def f(a) = {\n h = a; k = (h\n)\n\n k\n}",
         "Function(f, [Parameter(a, _)], Block([Assignment([h], a) Assignment([k], h) Bare(k)]))"),
        ("def f() = {}", "Function(f, [], Block([]))"),
        ("def f() = { def g() = { a }; g() }",
         "Function(f, [], Block([Function(g, [], Block([Bare(a)])) Bare(Call(g, []))]))"),
        ("def f() = a, b", "Function(f, [], Values([a b]))"),
        ("def f() = a + 1, b,", "Function(f, [], Values([(+ a 1) b]))"),
        ("def f() = a,", "Function(f, [], Values([a]))"),
        ("def f() = { a, b = c; a, b }",
         "Function(f, [], Block([Assignment([a b], c) Bare(Values([a b]))]))"),
        ("def f() = { a, b, c + 1, d, }", "Function(f, [], Block([Bare(Values([a b (+ c 1) d]))]))"),
        ("def f() = {\n -a, b\n}", "Function(f, [], Block([Bare(Values([(- a) b]))]))"),
        ("def f() = { a, }", "Function(f, [], Block([Bare(Values([a]))]))"),
        ("a, sin(x)", "Bare(Values([a Call(sin, [x])]))"),
        ("output a, b,", "Output([a b])"),
        ("seed y = 1", "Seed(y, 1)"),
        ("dtype float32", "Dtype(float32)"),
        ("seed = 3", "Assignment([seed], 3)"),
        ("output, dtype = f", "Assignment([output dtype], f)"),
        ("output output", "Output([output])"),
        ("seed seed = seed", "Seed(seed, seed)"),
        ("dtype\tdtype", "Dtype(dtype)"),
        ("output é", "Output([é])"),
    ],
)  # fmt: skip
def test_statements(text: str, shown: str) -> None:
    (statement,) = program(text)
    assert show(statement) == shown
    assert (statement.start, statement.end) == (0, len(text))


@pytest.mark.parametrize(
    "text",
    ["a=1\nb=2", "a=1;b=2", "\ufeffa=1\r\nb=2\r\n", "\n\n;a=1 # c\n\n# d\n ;; b=2;", "a=1\r\r\nb=2", "a=1;\nb=2"],
)
def test_what_separates_statements(text: str) -> None:
    assert [show(statement) for statement in program(text)] == ["Assignment([a], 1)", "Assignment([b], 2)"]


@pytest.mark.parametrize("text", ["", "\n", "# c", "\ufeff", ";;", "  \t"])
def test_empty_programs(text: str) -> None:
    assert program(text) == []


def test_places() -> None:
    text = "y = -(a + f(b,\n k=c)[0, 1:]) * [d].T"
    source = Source("test", text)
    found: dict[str, set[str]] = {}
    stack: list[Any] = list(parse(source).statements)
    while stack:
        node = stack.pop()
        if isinstance(node, syntax.Syntax):
            found.setdefault(type(node).__name__, set()).add(text[node.start : node.end])
            stack += [getattr(node, field) for field in type(node).__slots__]
        elif isinstance(node, list):
            stack += node
    assert found == {
        "Assignment": {text},
        "Name": {"y", "a", "f", "b", "k", "c", "d", "T"},
        "Number": {"0", "1"},
        "Unary": {"-(a + f(b,\n k=c)[0, 1:])"},
        "Binary": {text[4:], "(a + f(b,\n k=c)[0, 1:])"},
        "Call": {"f(b,\n k=c)"},
        "Argument": {"b", "k=c"},
        "Index": {"f(b,\n k=c)[0, 1:]"},
        "Slice": {"1:"},
        "Attribute": {"[d].T"},
        "List": {"[d]"},
    }
    (statement,) = parse(source).statements
    assert isinstance(statement, syntax.Assignment) and isinstance(statement.value, syntax.Binary)
    assert text[statement.value.at] == "*"


@pytest.mark.slow
@pytest.mark.parametrize("depth", some([20_000, 100_000], 2))
@pytest.mark.parametrize(
    ("opening", "closing"), [("(", ")"), ("[", "]"), ("-(", ")"), ("f(", ")"), ("a[", "]"), ("2^(", ")")]
)
def test_depth(opening: str, closing: str, depth: int) -> None:
    value = expression(opening * depth + "x" + closing * depth)
    assert value.start == 4 and value.end == 5 + depth * (len(opening) + len(closing))


@pytest.mark.slow
@pytest.mark.parametrize(("more", "where"), [("(", "the end of the text"), (")", "`)`")])
def test_unbalanced_depth(more: str, where: str) -> None:
    depth = 100_000
    text = "y = " + "(" * (depth + (more == "(")) + "x" + ")" * (depth + (more == ")"))
    with pytest.raises(GradcliError, match=where.replace(")", r"\)")):
        program(text)


@pytest.mark.slow
@pytest.mark.parametrize("link", ["-", "not ", "2^-", "a + ", "a ^ ", "a or "])
def test_long_chains(link: str) -> None:
    expression(link * 100_000 + "x")


def test_many_statements() -> None:
    number = 20_000
    text = "\n".join(f"v{i} = sin(v{i - 1})*1.5 + x3/(1.5+v{i}^2)" for i in range(number))
    assert len(program(text)) == number
    assert gc.isenabled()


def test_garbage_collection_is_left_as_found() -> None:
    gc.disable()
    try:
        program("a = 1")
        assert not gc.isenabled()
    finally:
        gc.enable()
    with pytest.raises(GradcliError):
        program("a = $")
    assert gc.isenabled()
