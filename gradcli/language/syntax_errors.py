"""What to say of a text that is not a program: in words, at the exact place, with what to type instead where that is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gradcli.diagnostics import GradcliError, Label, Source, Span, did_you_mean
from gradcli.language import symbols
from gradcli.language.automaton import State, link, start_of
from gradcli.language.foreign import DTYPES, OPERATORS, WORDS
from gradcli.language.lexer import LINES, Token, error, make_lexer, quoted
from gradcli.language.tables import END_OF_TEXT, Tables

KEYWORDS = ("variable", "constant", "var", "const", "def", "output", "seed", "dtype", "tangent")
SOFT = ("_DTYPE", "_OUTPUT", "_SEED", "_TANGENT")
"""The tokens of words that are keywords only before a name."""
COMPARISONS = {"<", "<=", ">", ">=", "==", "!="}
CLOSING = {"(": ")", "[": "]", "{": "}"}


class Item(NamedTuple):
    """A token as a place."""

    kind: str
    start: int
    end: int
    text: str


@dataclass
class Trouble:
    """The first token that cannot follow, and what led to it.

    ``before`` are the tokens of the statement so far, ``previous`` the last of them or the ``{`` before it, ``ahead`` the first few after ``found`` on its line, ``open`` the
    brackets not closed yet, ``expected`` the texts (for names and literals: the kinds) that could have followed.
    """

    source: Source
    before: list[Item]
    previous: Item | None
    found: Item
    ahead: list[Item]
    open: list[Item]
    expected: set[str]

    @property
    def wants_expression(self) -> bool:
        return "NUMBER" in self.expected

    @property
    def wants_operator(self) -> bool:
        return "+" in self.expected and not self.wants_expression

    @property
    def at_line_end(self) -> bool:
        return self.found.kind in ("_END", END_OF_TEXT) and self.found.text != ";"


@dataclass
class Advice:
    """A message, what to type instead, and the place if it is not the token found."""

    message: str | None = None
    help: str | None = None
    start: int = -1
    end: int = -1


# ---- where the tables stop


def follow(states: list[State], kind: str) -> tuple[int, list[State]] | None:
    """What a token does to the stack: how many states stay and which come on top; None if it cannot follow."""
    stay = len(states)
    above: list[State] = []
    action = states[-1].get(kind)
    while action.__class__ is tuple:
        size, head, _ = action
        stay -= max(0, size - len(above))
        del above[max(0, len(above) - size) :]
        above.append((above[-1] if above else states[stay - 1])[head])
        action = above[-1].get(kind)
    return None if action is None else (stay, [*above, action])


def explain(source: Source, tables: Tables) -> GradcliError:
    """The error to raise for a text that the parser has turned down."""
    trouble = find(source, tables)
    advice = next((advice for look in LOOKS if (advice := look(trouble))), Advice())
    found, previous = trouble.found, trouble.previous
    start, end = (found.start, found.end) if advice.start < 0 else (advice.start, advice.end)
    if advice.start < 0 and trouble.at_line_end:
        start = end = previous.end if previous else found.start
    after = f" after {quoted(previous.text)}" if previous else ""
    bracket = trouble.open[-1] if trouble.open else None
    closing = CLOSING[bracket.text] if bracket else ""
    wanted = describe(trouble, closing)
    labels: list[Label] = []
    wrong_closing = found.text in CLOSING.values() and found.text != closing
    if bracket and wanted.endswith(f"`{closing}`") and not trouble.wants_expression:
        wanted, after = f"{wanted} to close `{bracket.text}`", ""
    in_block = closing == "}" and found.kind != END_OF_TEXT and not wrong_closing
    if bracket and not in_block and (closing in trouble.expected or wrong_closing or trouble.at_line_end):
        labels.append(Label(Span(source, bracket.start, bracket.end), "opened here"))
    message = advice.message or f"expected {wanted}{after}, found {naming(found)}"
    return error(source, start, end, message, advice.help, *labels)


def find(source: Source, tables: Tables) -> Trouble:
    """Read the text again up to the first token that cannot follow."""
    spellings = tables["spellings"]
    kinds = [name for name, _ in tables["terminals"]] + list(tables["keywords"].values())
    states = [link(tables, lambda rule, spellings: lambda parts, end: None)]
    before: list[Item] = []
    previous: Item | None = None
    misread: Trouble | None = None
    brackets: list[Item] = []
    tokens = make_lexer(tables)(source)
    for token in tokens:
        item = place(source, token)
        step = follow(states, item.kind)
        if step is None:
            expected = {spellings.get(kind, kind) for kind in kinds if follow(states, kind)}
            soft = item.kind in SOFT and "NAME" in expected
            ahead = [] if soft else list(look_ahead(source, tokens))
            trouble = Trouble(source, before, previous, item, ahead, list(brackets), expected)
            if not soft:
                return trouble
            # `y = seed x`: only at the start of a statement is it a keyword, so what is wrong is the next token.
            misread = misread or trouble
            item = item._replace(kind="NAME")
            step = follow(states, "NAME")
            assert step is not None
        del states[step[0] :]
        states += step[1]
        if item.text in CLOSING:
            brackets.append(item)
        elif item.kind in ("RPAR", "RSQB", "RBRACE"):
            brackets.pop()
        previous = None if item.kind == "_END" else item
        if previous is None or item.text == "{":
            before = []
        else:
            before.append(item)
    assert misread is not None, "the text is a program"
    return misread


def place(source: Source, token: Token) -> Item:
    """A token with its place in the text."""
    kind, value, end = token
    start = start_of(value)
    return Item(kind, start, end, source.text[start:end])


def look_ahead(source: Source, tokens: Iterator[Token]) -> Iterator[Item]:
    """The tokens from here on, up to the first one that is wrong."""
    try:
        for _, token in zip(range(40), tokens, strict=False):
            if token[0] in ("_END", END_OF_TEXT):
                return
            yield place(source, token)
    except GradcliError:  # there is more wrong further on; that can wait
        return


def naming(item: Item) -> str:
    """A token in a sentence."""
    if item.kind == END_OF_TEXT:
        return "the end of the text"
    if item.kind == "_END" and item.text != ";":
        return "the end of the line"
    return "a string" if item.kind == "STRING" else quoted(item.text)


def describe(trouble: Trouble, closing: str) -> str:
    """What could have followed."""
    expected = trouble.expected
    operand = trouble.found.kind in ("NAME", "NUMBER", "STRING") or trouble.found.text in ("(", "[")
    if "variable" in expected:
        return "a statement or `}`" if closing == "}" else "a statement"
    if trouble.wants_expression:
        return "an expression"
    if "NAME" in expected:
        return "a dtype or a shape such as `[3]`" if "[" in expected else "a name"
    if closing in expected and (closing != "}" or trouble.found.kind == END_OF_TEXT):
        return f"`,` or `{closing}`" if "," in expected and closing != "}" else f"`{closing}`"
    if "_END" in expected:
        end = "`}` or the end of the line" if closing == "}" else "the end of the line"
        return f"an operator or {end}" if operand and "+" in expected else end
    return " or ".join(f"`{text}`" for text in sorted(expected))


# ---- frequent mistakes, the most telling first


def foreign_symbol(trouble: Trouble) -> Advice | None:
    """What only its place tells: ``|x|``, ``5!``, ``x'``."""
    for item in (trouble.found, trouble.previous):
        if item is not None and item.end > item.start:
            special = symbols.special(trouble.source, item.start)
            if special is not None:
                start, end, message, help = special
                return Advice(message, help, start, end)
    return None


def foreign_operator(trouble: Trouble) -> Advice | None:
    """Operators of other languages, such as ``&&``."""
    found, previous, text = trouble.found, trouble.previous, trouble.source.text
    if not trouble.before and text.startswith(("//", "/*"), found.start):
        return Advice("a comment starts with `#`", "write `#`", found.start, found.start + 2)
    for operator in sorted(OPERATORS, key=len, reverse=True):
        for start in (previous.start if previous else found.start, found.start):
            # `:=` begins with the token found and `+=` ends with it; `!` is only a part of `!=`.
            if found.end <= start + len(operator) and text.startswith(operator, start):
                name = trouble.before[0].text if trouble.before and trouble.before[0].kind == "NAME" else "x"
                help = OPERATORS[operator].format(name, operator[:-1])
                return Advice(f"`{operator}` is not an operator here", help, start, start + len(operator))
    return None


def chained_comparison(trouble: Trouble) -> Advice | None:
    """``a < b < c``."""
    if trouble.found.text not in COMPARISONS or "and" not in trouble.expected:
        return None
    middle, rest = operand_of(list(reversed(trouble.before)), closers=")]}")
    left, _ = operand_of(rest[1:], closers=")]}")
    right, _ = operand_of(trouble.ahead, closers="([{")
    help = "write `a < b and b < c`"
    text = trouble.source.text
    if left and middle and right and right[-1].end - left[-1].start < 100:
        first, second = rest[0].text, trouble.found.text
        a, c = text[left[-1].start : left[0].end], text[right[0].start : right[-1].end]
        b = text[middle[-1].start : middle[0].end]
        help = f"write `{a} {first} {b} and {b} {second} {c}`"
    return Advice("comparisons cannot be chained", help)


def operand_of(items: list[Item], closers: str) -> tuple[list[Item], list[Item]]:
    """Items up to a comparison or to the end of the comparison's own expression, and the rest."""
    depth = 0
    for index, item in enumerate(items):
        if item.text in ("(", "[", "{", ")", "]", "}"):
            depth += 1 if item.text in closers else -1
        ends = item.text in COMPARISONS or item.text in ("and", "or", "not", "=", ",", ":")
        if depth < 0 or (depth == 0 and ends):
            return items[:index], items[index:]
    return items, []


def never_closed(trouble: Trouble) -> Advice | None:
    """``y = sin(x`` and, a line later, the next statement."""
    found, previous = trouble.found, trouble.previous
    if previous and trouble.open and "\n" in trouble.source.text[previous.end : found.start]:
        closing = CLOSING[trouble.open[-1].text]
        if closing in trouble.expected or found.text in ("variable", "var", "constant", "const", "def"):
            return Advice(help=f"close the bracket with `{closing}` before this line, or put a `,` between the two")
    return None


def reserved_word(trouble: Trouble) -> Advice | None:
    """A word of the language where a name belongs."""
    found, previous = trouble.found, trouble.previous
    if previous and previous.text == "." and found.text == "constant":
        inner = symbols.in_brackets(trouble.source.text, found.end)
        return Advice("there are no modules", f"write the value itself: `{inner or '3.0'}`")
    if previous and previous.text == "." and found.text in ("newaxis", "and", "or", "not"):
        return Advice("there are no modules", f"write `{found.text}`")
    if found.text.isidentifier() and found.kind not in ("NAME", *SOFT):
        if found.text == "not" and trouble.wants_expression:
            return Advice(help="put it in parentheses: `(not …)`")
        operator = found.text in ("and", "or") and trouble.wants_expression
        if operator or not ("NAME" in trouble.expected or found.text == "def"):
            return None
        return Advice(f"`{found.text}` is a reserved word", "choose another name")
    keyword = previous and previous.text in ("variable", "var", "constant", "const", "def")
    if keyword and previous and found.text in ("=", ":", ",", "(", "["):
        return Advice(help=f"`{previous.text}` is a reserved word; choose another name")
    return None


def declaration(trouble: Trouble) -> Advice | None:
    """``variable x 3`` and ``variable x, y``."""
    before, found = trouble.before, trouble.found
    if len(before) == 2 and before[0].text in ("variable", "var", "constant", "const") and before[1].kind == "NAME":
        head = f"{before[0].text} {before[1].text}"
        if before[1].text in DTYPES and found.kind == "NAME":
            return Advice(
                help=f"the dtype stands behind the name: `{before[0].text} {found.text}: {DTYPES[before[1].text]}`"
            )
        if found.text == ",":
            return Advice(help=f"declare one name a statement: `{head} = …`")
        if found.kind == "NUMBER" or found.text == "[":
            return Advice(help=f"write `{head} = {found.text}{'…' if found.text == '[' else ''}`")
    return None


def words_of_other_languages(trouble: Trouble) -> Advice | None:
    """``if``, ``for``, ``return`` and the like."""
    if trouble.found.text in ("if", "else", "for"):
        return Advice(help=WORDS[trouble.found.text])
    for item in (trouble.previous, *trouble.before[:1]):
        if item and item.kind == "NAME" and item.text in WORDS:
            return Advice(help=WORDS[item.text])
    if len(trouble.before) == 1 and trouble.found.kind in ("NAME", "STRING") and trouble.before[0].kind == "NAME":
        keyword = did_you_mean(trouble.before[0].text, KEYWORDS)
        if keyword and not is_operation(trouble.before[0].text):
            return Advice(help=f"did you mean `{keyword} {trouble.found.text} …`?")
    return None


def equals_sign(trouble: Trouble) -> Advice | None:
    """``=`` for ``==``, and ``==`` for ``=``."""
    found, before = trouble.found, trouble.before
    if found.text != "=" or not before or trouble.wants_expression or "NAME" in trouble.expected:
        return None
    text = trouble.source.text[before[0].start : found.end]
    if trouble.open and trouble.open[-1].text != "{":
        return Advice(help="write `==` to compare; only a name can stand before the `=` of an argument")
    if any(item.text == "=" for item in before):
        return Advice(help="bind one name a statement, or write `==` to compare")
    if before[0].kind == "_OUTPUT":
        return Advice(help="bind the name first: `y = …`, then `output y` on the next line")
    if re.match(r"[\w]+\(.*\)\s*=$", text, re.DOTALL):
        head = text if len(text) < 60 and "\n" not in text else "f(x) ="
        return Advice("what stands before `=` must be a name", f"to define a function, write `def {head} …`")
    if before[0].text == "[" or before[0].text == "(":
        inner = [item.text for item in before if item.kind == "NAME"]
        names = ", ".join(inner) if inner and text[1:-1].count("[") == 0 else "a, b"
        return Advice("what stands before `=` must be a name", f"unpack into names without brackets: `{names} = …`")
    help = "arrays are never changed; build a new one" if before[-1].text == "]" else "write `==` to compare"
    return Advice("what stands before `=` must be a name", help)


def braces_and_colons(trouble: Trouble) -> Advice | None:
    """Blocks as other languages write them."""
    found, before = trouble.found, trouble.before
    is_function = bool(before) and before[0].text in ("def", "tangent")
    if found.text in (":", "{") and is_function and "=" in trouble.expected:
        return Advice(help="write `=` before the body: `def f(x) = …` or `def f(x) = { … }`")
    if found.text == "{":
        return Advice(help="`{ }` is only the body of a function, `def f(x) = { … }`; a list is `[…]`")
    if found.text == ":" and any(item.text == "=" for item in before) and trouble.wants_operator and not trouble.open:
        left, right = trouble.previous, trouble.ahead[0] if trouble.ahead else None
        if left and right and {left.kind, right.kind} <= {"NAME", "NUMBER"}:
            return Advice(help=f"write `arange({left.text}, {right.text})`, which ends before {right.text}")
        return Advice(help="write `arange(start, stop)`, which ends before stop")
    if found.text == ":" and len(before) == 1:
        what = before[0].text if before[0].text in ("dtype", "output", "seed") else f"variable {before[0].text}:"
        return Advice(help=f"write `{what} …`")
    if is_function and "=" in trouble.expected and "," not in trouble.expected:
        return Advice(help="write `=` before the body: `def f(x) = …`")
    return None


def brackets(trouble: Trouble) -> Advice | None:
    """A bracket that is missing, or of another sort."""
    found, previous = trouble.found, trouble.previous
    if found.text == "]" and previous and previous.text == "[" and ":" in trouble.expected:
        return Advice("the index is empty", "write `x[0]`, `x[:]` or `x[...]`", previous.start, found.end)
    if found.text in CLOSING.values() and not trouble.open:
        opening = next(opening for opening, closing in CLOSING.items() if closing == found.text)
        message = f"`{found.text}` closes nothing: there is no `{opening}` before it"
        return Advice(message, f"leave the `{found.text}` out")
    if found.text == "," and trouble.wants_operator and "," not in trouble.expected:
        decimal = re.compile(r"\d+").match(trouble.source.text, found.end)
        if (
            previous
            and previous.kind == "NUMBER"
            and previous.text.isdigit()
            and previous.end == found.start
            and decimal
        ):
            number = f"{previous.text}.{decimal[0]}"
            return Advice(help=f"a decimal point is `.`: write `{number}`; a list is `[{previous.text}, {decimal[0]}]`")
        return Advice(
            help=_without_parentheses(trouble) or "there are no tuples: write `[a, b]`, or a statement for each"
        )
    if found.text == ";" and trouble.open and trouble.open[-1].text != "{":
        if trouble.open[-1].text != "[":
            return None
        return Advice(help=f"rows are lists: `{list_of(trouble) or '[[1, 2], [3, 4]]'}`")
    return None


def _without_parentheses(trouble: Trouble) -> str | None:
    """``(a, b) = f(x)`` and ``def f(x) = (a, b)``."""
    before = trouble.before
    bracket = trouble.open[-1] if trouble.open else None
    if bracket is None or bracket.text != "(" or bracket not in before:
        return None
    place = before.index(bracket)
    if place == 0 and any(item.text == "=" for item in trouble.ahead):
        return "unpack into names without brackets: `a, b = …`"
    body = place == 0 and len(trouble.open) > 1 or before[0].text == "def" and before[place - 1].text == "="
    return "leave the parentheses out: a function gives several values as `a, b`" if body else None


def unfinished_line(trouble: Trouble) -> Advice | None:
    """A line that ends in the middle of an expression."""
    found, previous = trouble.found, trouble.previous
    if trouble.wants_expression and trouble.at_line_end and previous and previous.kind != "EQUAL":
        return Advice(help=LINES) if found.kind == "_END" else None
    if not trouble.before and found.text in ("+", "*", "/", "@", "^", "**", ".", "and", "or"):
        return Advice(help=LINES)
    return None


def missing_operator(trouble: Trouble) -> Advice | None:
    """Two operands next to each other, such as ``2x``."""
    found, previous = trouble.found, trouble.previous
    if not (trouble.wants_operator and previous and found.kind in ("NAME", "NUMBER", "STRING", "LPAR", "LSQB")):
        return None
    if "STRING" in (found.kind, previous.kind):
        return Advice(help="write `,` between the two") if "," in trouble.expected else None
    left, right = previous.text, found.text + ("…" if found.text in CLOSING else "")
    if previous.kind == "NAME" and found.kind in ("NAME", "NUMBER") and is_operation(left):
        whole = not trouble.ahead or trouble.ahead[0].text in (")", "]", "}", ",", "+", "-")
        return Advice(help=f"write `{left}({right if whole else '…'})`")
    if found.kind == "NAME" and is_operation(found.text):
        other = trouble.ahead[0] if trouble.ahead else None
        if other and {previous.kind, other.kind} <= {"NAME", "NUMBER"}:
            return Advice(help=f"write `{right}({left}, {other.text})`")
    written = list_of(trouble)
    if written:
        return Advice(help=f"write `{written}`")
    product = f"`{left if left not in (')', ']') else '…' + left} * {right}`"
    if "," in trouble.expected and (trouble.open or trouble.before[0].text == "def"):
        return Advice(help=f"write {product}, or `,` between the two")
    return Advice(help=f"write {product}")


def list_of(trouble: Trouble) -> str | None:
    """``[1 2; 3 4]``, a matrix of other languages, as lists; None for anything but numbers and signs in one bracket."""
    bracket = trouble.open[-1] if trouble.open else None
    if bracket is None or bracket.text != "[":
        return None
    left = next((item for item in reversed(trouble.before) if item.end <= bracket.start), None)
    if left and (left.kind == "NAME" or left.text in (")", "]")):  # an index
        return None
    match = re.match(r"\[([-+\w. ,;]{1,60})\]", trouble.source.text[bracket.start :])
    if match is None:
        return None
    rows = [re.split(r"[\s,]+", row.strip()) for row in match[1].split(";") if row.strip()]
    if not all(re.fullmatch(r"-?[\d.]+(e-?\d+)?", entry) for row in rows for entry in row):
        return None
    if len({len(row) for row in rows}) != 1:
        return None
    lists = [f"[{', '.join(row)}]" for row in rows]
    return lists[0] if len(lists) == 1 and ";" not in match[1] else f"[{', '.join(lists)}]"


def is_operation(name: str) -> bool:
    """Whether a name is that of an operation."""
    from gradcli.language.builtin import OPERATIONS  # known to errors only: parsing needs no table

    return name in OPERATIONS


LOOKS: list[Callable[[Trouble], Advice | None]] = [
    foreign_symbol, foreign_operator, chained_comparison, never_closed, reserved_word, declaration, words_of_other_languages, equals_sign,
    braces_and_colons, brackets, unfinished_line, missing_operator,
]  # fmt: skip
