"""Errors speak in words, point at the exact place and say what to type; and no text gets anything else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcli.diagnostics import GradcliError, Source
from gradcli.language.parser import parse

ANY_LINES = "an expression goes on over several lines only inside parentheses"


def error_of(text: str) -> GradcliError:
    with pytest.raises(GradcliError) as caught:
        parse(Source("test", text))
    assert caught.value.kind == "SyntaxError"
    return caught.value


# The place is marked with « »; the text is what remains without them.
ERRORS: list[tuple[str, str, str | None]] = [
    # what is missing
    ("y = a +«»", "expected an expression after `+`, found the end of the text", None),
    ("y = a +«»  # why\nz = 1", "expected an expression after `+`, found the end of the line", ANY_LINES),
    ("y = sin(x«»", "expected `,` or `)` to close `(`, found the end of the text", None),
    ("y = (a + b«]»", "expected `)` to close `(`, found `]`", None),
    ("y = [1, 2«)»", "expected `,` or `]` to close `[`, found `)`", None),
    ("y = (a\n«z» = 3", "expected `)` to close `(`, found `z`",
     "close the bracket with `)` before this line, or put a `,` between the two"),
    ("y = (1 +\n«variable» b", "expected an expression after `+`, found `variable`",
     "close the bracket with `)` before this line, or put a `,` between the two"),
    ("def f(x) = { y = 3«»", "expected `}` to close `{`, found the end of the text", None),
    ("y = a«)»", "`)` closes nothing: there is no `(` before it", "leave the `)` out"),
    ("variable «=» 3", "expected a name after `variable`, found `=`", "`variable` is a reserved word; choose another name"),
    ("variable«»", "expected a name after `variable`, found the end of the text", None),
    ("variable x: «=» 3", "expected a dtype or a shape such as `[3]` after `:`, found `=`", None),
    ("y = x.«»", "expected a name after `.`, found the end of the text", None),
    ("y = f(x,«,» y)", "expected an expression after `,`, found `,`", None),
    ("seed y«»", "expected `=` after `y`, found the end of the text", None),
    ("def f(a, «3») = 2", "expected a name after `,`, found `3`", None),
    ("y = x«[]»", "the index is empty", "write `x[0]`, `x[:]` or `x[...]`"),
    # between two operands
    ("y = 2 «x»", "expected an operator or the end of the line after `2`, found `x`", "write `2 * x`"),
    ("f(a «b»)", "expected `,` or `)` to close `(`, found `b`", "write `a * b`, or `,` between the two"),
    ("y = 1 + seed «b»", "expected an operator or the end of the line after `seed`, found `b`", "write `seed * b`"),
    ("f('a' «'b'»)", "expected `,` or `)` to close `(`, found a string", "write `,` between the two"),
    # names and reserved words
    ("variable «var» = 3", "`var` is a reserved word", "choose another name"),
    ("y = «const» + 1", "`const` is a reserved word", "choose another name"),
    ("y = a == «not» b", "expected an expression after `==`, found `not`", "put it in parentheses: `(not …)`"),
    ("y = x«²»", "`²` cannot stand in a name or number", "write `x^2`"),
    ("y = x«⁻¹» + 2", "`⁻¹` cannot stand in a name or number", "write `x^-1`"),
    ("y = 2x«²»", "`²` cannot stand in a name or number", "write `2*x^2`"),
    ("y = x«₁»", "`₁` cannot stand in a name or number", "write `x1`"),
    # numbers and strings
    ("y = «2x»", "`x` stands straight after a number", "write `2*x`"),
    ("y = «2.T»", "`T` stands straight after a number", "write `(2).T`"),
    ("y = «1.5.T»", "`T` stands straight after a number", "write `(1.5).T`"),
    ("y = «1__0»", "`_` in a number must stand between two digits", "write `10`"),
    ("y = «1_»", "`_` in a number must stand between two digits", "write `1`"),
    ("y = «1._0»", "`_` in a number must stand between two digits", "write `1.0`"),
    ("y = 7 «mod» 2", "expected an operator or the end of the line after `7`, found `mod`", "write `mod(7, 2)`"),
    ("y = A«\\»b", "`\\` is not an operator here", "write `solve(A, b)`"),
    ("y = 1«:»3", "expected the end of the line after `1`, found `:`", "write `arange(1, 3)`, which ends before 3"),
    ("y = [1 «2»; 3 4]", "expected `,` or `]` to close `[`, found `2`", "write `[[1, 2], [3, 4]]`"),
    ("y = [1 «2» -3]", "expected `,` or `]` to close `[`, found `2`", "write `[1, 2, -3]`"),
    ("y = x[1 «2»]", "expected `,` or `]` to close `[`, found `2`", "write `1 * 2`, or `,` between the two"),
    ("[g] «=» gradients(y, [x])", "what stands before `=` must be a name", "unpack into names without brackets: `g = …`"),
    ("y = «1.2.3»", "`1.2.3` is not a number: it has one `.` too many", None),
    ("y = «1e»", "`1e` has no digits in its exponent", "write `1e0`"),
    ("y = «0x1F»", "numbers are written in decimal", "write `31`"),
    ("y = «1.0f»", "`f` stands straight after a number", "write `1.0`; `dtype float32` sets the precision"),
    (f"y = «{'9' * 5000}»", "a whole number of 5000 digits is too long", "write it as `1e…`"),
    ("y = «'abc»\n", "string is not closed", "end it with `'` on the same line"),
    ("y = A«'»", "`'` is not an operator here",
     "the derivative of a value y is `gradients(y, x)`; the transpose of A is `A.T`"),
    ('y = "C:«\\d»ata"', "`\\d` means nothing in a string", "write `\\\\` for a backslash"),
    # operators of mathematics and of other languages
    ("y = a«×»b", "`×` is not part of the language", "write `*`"),
    ("y = a«·»b", "`·` is not part of the language", "write `*`"),
    ("y = 3«×»b", "`×` is not part of the language", "write `*`"),
    ("y = a «−» b", "`−` is not part of the language", "write `-`"),
    ("y = a «÷» b", "`÷` is not part of the language", "write `/`"),
    ("y = a «≤» b", "`≤` is not part of the language", "write `<=`"),
    ("y = a «≥» b", "`≥` is not part of the language", "write `>=`"),
    ("y = a «≠» b", "`≠` is not part of the language", "write `!=`"),
    ("y = f(«“»a”)", "`“` is not part of the language", 'write `"`'),
    ("y = f«（»a）", "`（` is not part of the language", "write `(`"),
    ("y = a «&&» b", "`&&` is not an operator here", "write `and`"),
    ("y = a «||» b", "`||` is not an operator here", "write `or`"),
    ("y = «!»a", "`!` is not an operator here", "write `not`"),
    ("y = a «===» b", "`===` is not an operator here", "write `==`"),
    ("y = a «//» b", "`//` is not an operator here", "write `floor(a / b)`"),
    ("y = a «%» b", "`%` is not an operator here", "write `mod(a, b)`"),
    ("y = a «=>» b", "`=>` is not an operator here", "write `>=`"),
    ("y «:=» 3", "`:=` is not an operator here", "write `=`"),
    ("y «+=» 1", "`+=` is not an operator here", "a name is bound once: give the new value a new name, `y2 = y + …`"),
    ("y = a «?» b : c", "`?` is not an operator here", "write `where(condition, a, b)`"),
    ("«//» comment", "a comment starts with `#`", "write `#`"),
    ("  «%» comment", "a comment starts with `#`", "write `#`"),
    ("y = a «\\»\n + b", "`\\` means nothing here", ANY_LINES),
    # comparisons
    ("y = a < b «<» c", "comparisons cannot be chained", "write `a < b and b < c`"),
    ("y = where(f(x) <= g(a, b) + 1 «<» c[2], 1, 2)", "comparisons cannot be chained",
     "write `f(x) <= g(a, b) + 1 and g(a, b) + 1 < c[2]`"),
    ("y = z and a == b «!=» $", "comparisons cannot be chained", "write `a < b and b < c`"),
    ("y = a != b «!=» c", "comparisons cannot be chained", "write `a != b and b != c`"),
    # `=`
    ("f(x) «=» x^2", "what stands before `=` must be a name", "to define a function, write `def f(x) = …`"),
    ("x[0] «=» 3", "what stands before `=` must be a name", "arrays are never changed; build a new one"),
    ("[a, b] «=» f(x)", "what stands before `=` must be a name", "unpack into names without brackets: `a, b = …`"),
    ("a = b «=» c", "expected the end of the line after `b`, found `=`",
     "bind one name a statement, or write `==` to compare"),
    ("where(a + 1 «=» b)", "expected `,` or `)` to close `(`, found `=`",
     "write `==` to compare; only a name can stand before the `=` of an argument"),
    ("output y «=» 3", "expected the end of the line after `y`, found `=`",
     "bind the name first: `y = …`, then `output y` on the next line"),
    # other shapes
    ("def f(x) «{» x }", "expected `=` after `)`, found `{`",
     "write `=` before the body: `def f(x) = …` or `def f(x) = { … }`"),
    ("def f(x)«:» x", "expected `=` after `)`, found `:`",
     "write `=` before the body: `def f(x) = …` or `def f(x) = { … }`"),
    ("y = «{»1, 2}", "expected an expression after `=`, found `{`",
     "`{ }` is only the body of a function, `def f(x) = { … }`; a list is `[…]`"),
    ("x«:» float32 = 3", "expected the end of the line after `x`, found `:`", "write `variable x: …`"),
    ("y = a«,» b", "expected the end of the line after `a`, found `,`",
     "there are no tuples: write `[a, b]`, or a statement for each"),
    ("y = (a«,» b)", "expected `)` to close `(`, found `,`",
     "there are no tuples: write `[a, b]`, or a statement for each"),
    ("y = [1, 2«;» 3]", "expected `,` or `]` to close `[`, found `;`", "rows are lists: `[[1, 2], [3, 4]]`"),
    ("import «numpy»", "expected an operator or the end of the line after `import`, found `numpy`",
     "leave it out: every operation is built in"),
    ("def f(x) = { return «x» }", "expected an operator or `}` or the end of the line after `return`, found `x`",
     "the last expression of a block is its value: leave `return` out"),
    ("let «x» = 3", "expected an operator or the end of the line after `let`, found `x`", "write `x = …`"),
    ("for «i» in x", "expected an operator or the end of the line after `for`, found `i`",
     "write `iterate(f, x0, n)`: f applied n times, or `scan(f, rows, x0)`"),
    ("y = lambda «x»: x^2", "expected an operator or the end of the line after `lambda`, found `x`",
     "write `def f(x) = …` on a line of its own"),
    ("y = a «if» b else c", "expected an operator or the end of the line after `a`, found `if`",
     "write `where(condition, a, b)`"),
    # characters
    ("a«\x00»b", "U+0000 is a control or invisible character that a program cannot contain", "remove it"),
    ("# a«\x07»", "U+0007 is a control or invisible character that a program cannot contain", "remove it"),
    ("y = 'a«\x00»b'", "U+0000 is a control or invisible character that a program cannot contain", "remove it"),
    ("a = 1«\r»b = 2", "U+000D is a control or invisible character that a program cannot contain", "remove it"),
    ("y = a«\u200b»b", "U+200B is a control or invisible character that a program cannot contain", "remove it"),
    ("y«\xa0»= 3", "U+00A0 is white space that a program cannot contain", "type an ordinary space"),
    ("y = «☃»", "`☃` (U+2603) cannot stand here", None),
    ("y = x «$»", "`$` is not part of the language", "leave it out: formulas stand as they are"),
    ("y = x «`»", "``` (U+0060) cannot stand here", None),
]  # fmt: skip


@pytest.mark.parametrize(("marked", "message", "help"), ERRORS)
def test_errors(marked: str, message: str, help: str | None) -> None:
    text = marked.replace("«", "").replace("»", "")
    error = error_of(text)
    span = error.span
    assert span is not None
    assert f"{text[: span.start]}«{span.text}»{text[span.end :]}" == marked
    assert error.message == message
    assert error.help == help


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("y = sin(x", [7]),
        ("y = [1, (2, 3]", [8]),
        ("y = [1, (2 3]", [8]),
        ("y = (a]", [4]),
        ("def f(x) = {\n a", [11]),
        ("def f(x) = {\n a b\n}", []),
        ("y = f(a b)", [5]),
        ("y = (1 +", [4]),
        ("y = 2 x", []),
    ],
)
def test_the_opening_bracket_is_shown(text: str, places: list[int]) -> None:
    error = error_of(text)
    assert [(label.span.start, label.text) for label in error.labels[1:]] == [(at, "opened here") for at in places]


def test_line_and_column() -> None:
    error = error_of("a = 1\r\nb = 2 c\r\n")
    assert (error.line, error.column, error.file) == (2, 7, "test")


RESERVED = "variable var constant const def and or not true false None newaxis"


@pytest.mark.parametrize("word", RESERVED.split())
def test_reserved_words_are_no_names(word: str) -> None:
    assert error_of(f"variable {word}").message == f"`{word}` is a reserved word"
    assert error_of(f"def f({word}) = 1").message == f"`{word}` is a reserved word"


def test_an_unclosed_string_is_reported_fast() -> None:
    assert error_of('y = "' + "a" * 1_000_000).message == "string is not closed"
    assert error_of('y = "' + '\\"' * 500_000).message == "string is not closed"


def check(text: str) -> None:
    try:
        parse(Source("test", text))
    except GradcliError as error:
        assert error.kind == "SyntaxError"
        assert error.message and error.labels
        for label in error.labels:
            assert 0 <= label.span.start <= label.span.end <= len(text)
        for terminal in ("LPAR", "RPAR", "LSQB", "RSQB", "LBRACE", "RBRACE", "__ANON", "_END", "$END", "STRING"):
            assert terminal in text or terminal not in error.message


@settings(max_examples=500, deadline=None)
@given(st.text())
def test_any_text_parses_or_has_a_syntax_error(text: str) -> None:
    check(text)


WORDS = (
    "variable var constant const def and or not true false None newaxis dtype output seed if lambda a π 1 2.5 .5 'q'"
)
SIGNS = "+ - * / @ ^ ** < <= > >= == != = , : . ... ( ) [ ] { } ; # ! & | % ~ ² · ⁻ × ' \" \\ _ e 0x 2x"
TOKENS = st.sampled_from([*WORDS.split(), *SIGNS.split(), "\n", "\r\n", "\t", "\x00", "\ufeff", "\u0387", "\u0301"])


@pytest.mark.slow
@settings(max_examples=700, deadline=None)
@given(st.lists(TOKENS, max_size=15), st.sampled_from(["", " "]))
def test_any_tokens_parse_or_have_a_syntax_error(tokens: list[str], between: str) -> None:
    check(between.join(tokens))
