"""From characters to tokens, with names and literals finished, and what to say of characters that begin no token."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError, Label, Source, Span
from gradcli.language.syntax import Name, Number, String
from gradcli.language.tables import END_OF_TEXT, Tables

if TYPE_CHECKING:
    from gradcli.language.repeated import Lines

# Kind, value, end. The value is a finished Name, Number or String, or the place where any other token starts.
Token = tuple[str, Any, int]
Tokens = Callable[..., Iterator[Token]]
"""A lexer: a function of a source and, if it is not to be read as a whole or token by token, of what says so."""

ESCAPES = {"n": "\n", "t": "\t"}
BYTE_ORDER_MARK = "\ufeff"
MIDDLE_DOTS = "\u00b7\u0387"  # they may stand inside an identifier, but who writes `a·b` means a product

PYTHONIC = {"True": "true", "False": "false"}
"""How Python writes words of the language, which are understood."""

OPENING = {"LPAR": True, "LSQB": True, "LBRACE": False}
"""The tokens that open brackets, and whether an expression goes on over lines between these."""

CLOSING = frozenset(("RPAR", "RSQB", "RBRACE"))

LINES = "an expression goes on over several lines only inside parentheses"


def error(source: Source, start: int, end: int, message: str, help: str | None = None, *more: Label) -> GradcliError:
    """A SyntaxError at a place of the text."""
    return GradcliError("SyntaxError", message, [Label(Span(source, start, end)), *more], help)


def quoted(text: str) -> str:
    """A piece of the text in a message, cut where it is long."""
    return f"`{text if len(text) <= 40 else text[:37] + '…'}`"


def spell_name(text: str) -> str | None:
    """The name that an identifier stands for (NFKC, as in Python), or None if the text is not an identifier."""
    if text.isascii():
        return text
    name = unicodedata.normalize("NFKC", text)
    return name if text.isidentifier() and name.isidentifier() and MIDDLE_DOTS[0] not in name else None


def make_lexer(tables: Tables) -> Tokens:
    """The lexer of some tables: a function from a source to its tokens, the last of which is ``$END``."""
    keywords = tables["keywords"]
    keywords = {**keywords, **{other: keywords[word] for other, word in PYTHONIC.items()}}
    ignored = "|".join(tables["ignored"])
    # Every match is one token with the white space before it; group 1 marks its start, an empty group at its end its
    # kind: alternatives that open with a character, not with a group, are passed over twice as fast.
    # The last two are the end and an error.
    alternatives = "|".join(f"(?:{regex})(?P<{name}>)" for name, regex in tables["terminals"])
    pattern = re.compile(rf"(?:{ignored})*()(?:{alternatives}|\Z(?P<END>)|[\s\S](?P<WRONG>))")

    def tokens(source: Source, lines: Lines | None = None, start: int = 0, stop: int | None = None) -> Iterator[Token]:
        """The tokens of a text from ``start`` to ``stop``, in which some ``lines`` may stand for their tokens."""
        text = source.text
        stop = len(text) if stop is None else stop
        spelled: dict[str, str | None] = dict.fromkeys(keywords)  # names seen so far; None for what needs a closer look
        inside = False  # ( ) or [ ] are the innermost brackets
        open_brackets: list[bool] = []
        place = start or int(text.startswith(BYTE_ORDER_MARK))
        while place >= 0:
            at, place = place, -1
            for match in pattern.finditer(text, at, stop):
                kind = match.lastgroup
                assert kind is not None
                start, end = match.start(1), match.end()
                if kind == "NAME":
                    word = text[start:end]
                    name = spelled.get(word)
                    if name is None:
                        name = _name(source, start, word)
                        if name in keywords:
                            yield keywords[name], start, end
                            continue
                        spelled[word] = name
                    yield kind, Name(start, end, name), end
                elif kind == "NUMBER":
                    yield kind, Number(start, end, _number(source, start, end)), end
                elif kind in OPENING:
                    open_brackets.append(inside)
                    inside = OPENING[kind]
                    yield kind, start, end
                elif kind in CLOSING:
                    inside = bool(open_brackets) and open_brackets.pop()
                    yield kind, start, end
                elif kind == "_END":
                    if not inside or text[start] == ";":
                        yield kind, start, end
                        if lines is not None and (line := lines.at(end)) is not None:
                            while line is not None:
                                place = line.end
                                yield "assignment", line, place
                                line = None
                                if text.startswith("\n", place):
                                    place += 1
                                    yield kind, place - 1, place
                                    line = lines.at(place)
                            break
                elif kind == "STRING":
                    yield kind, String(start, end, _string(text[start + 1 : end - 1])), end
                elif kind == "END":
                    yield END_OF_TEXT, start, end
                elif kind == "WRONG":
                    raise wrong_character(source, start)
                else:
                    yield kind, start, end

    return tokens


def number_of(text: str) -> int | float:
    """The value of a number's text; ValueError for more digits than Python converts."""
    return int(text) if text.isdigit() or text.replace("_", "").isdigit() else float(text)


def _name(source: Source, start: int, word: str) -> str:
    name = spell_name(word)
    if name is None:
        raise wrong_character(source, start)
    return name


def _number(source: Source, start: int, end: int) -> int | float:
    try:
        return number_of(source.text[start:end])
    except ValueError:  # Python converts no more than 4300 digits
        raise wrong_character(source, start) from None


def _string(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[1]), text) if "\\" in text else text


# ---- where not even a token can be read


def wrong_character(source: Source, start: int) -> GradcliError:
    """The error for the character at ``start``, with which no token begins, or an impossible number or name."""
    text = source.text
    character = text[start]
    if character.isascii() and (character.isdigit() or text[start + 1 : start + 2].isdigit() and character == "."):
        return wrong_number(source, start)
    if character in "\"'":
        return wrong_string(source, start)
    if character.isidentifier():
        prefix = start + 1
        while prefix < len(text) and ("x" + text[prefix]).isidentifier() and text[prefix] not in MIDDLE_DOTS:
            prefix += 1
        return strange_character(source, min(prefix, len(text) - 1), text[start:prefix])
    if not character.isascii():
        return strange_character(source, start, "")
    from gradcli.language.foreign import OPERATORS

    operator = next((one for one in sorted(OPERATORS, key=len, reverse=True) if text.startswith(one, start)), None)
    if operator == "%" and not text[text.rfind("\n", 0, start) + 1 : start].strip():
        return error(source, start, start + 1, "a comment starts with `#`", "write `#`")
    from gradcli.language import symbols

    if (found := symbols.special(source, start)) is not None:
        return error(source, *found)
    if operator:
        end = start + len(operator)
        return error(source, start, end, f"`{operator}` is not an operator here", OPERATORS[operator])
    if character == "\\":
        if not text[start + 1 :].partition("\n")[0].strip():
            return error(source, start, start + 1, "`\\` means nothing here", LINES)
        left, right = re.search(r"(\w+)\s*$", text[:start]), re.match(r"\s*(\w+)", text[start + 1 :])
        solution = f"solve({left[1]}, {right[1]})" if left and right else "solve(A, b)"
        return error(source, start, start + 1, "`\\` is not an operator here", f"write `{solution}`")
    return unknown(source, start)


def unknown(source: Source, start: int) -> GradcliError:
    """The error for a character that begins no token."""
    character = source.text[start]
    code = f"U+{ord(character):04X}"
    if not character.isprintable():
        sort = "white space" if character.isspace() and not character.isascii() else "a control or invisible character"
        help = "type an ordinary space" if sort == "white space" else "remove it"
        return error(source, start, start + 1, f"{code} is {sort} that a program cannot contain", help)
    return error(source, start, start + 1, f"`{character}` ({code}) cannot stand here")


def strange_character(source: Source, start: int, name: str) -> GradcliError:
    """A character beyond ASCII after ``name`` (a name or number, perhaps empty)."""
    character = source.text[start]
    from gradcli.language import symbols
    from gradcli.language.foreign import CHARACTERS

    if (found := symbols.special(source, start)) is not None:
        return error(source, *found)
    run = start
    while run < len(source.text) and unicodedata.decomposition(source.text[run]).startswith(("<super>", "<sub>")):
        run += 1
    if run > start:
        plain = unicodedata.normalize("NFKC", source.text[start:run]).replace("\u2212", "-")
        power = "^" if unicodedata.decomposition(character).startswith("<super>") else ""
        message = f"`{source.text[start:run]}` cannot stand in a name or number"
        product = re.sub(r"^([0-9.]+)(?=[^0-9.])", r"\1*", name or "x")
        return error(source, start, run, message, f"write `{product}{power}{plain}`")
    folded = unicodedata.normalize("NFKC", character)
    ascii_spelling = (
        CHARACTERS.get(character)
        or CHARACTERS.get(folded)
        or (folded if folded.isascii() and folded.isprintable() else "")
    )
    if ascii_spelling.strip():
        message = f"`{character}` is not part of the language"
        return error(source, start, start + 1, message, f"write `{ascii_spelling}`")
    return unknown(source, start)


def wrong_number(source: Source, start: int) -> GradcliError:
    """The error for what begins like a number and is none."""
    text = source.text
    match = re.compile(r"(?:[\w.]|[^\x00-\x7f])+").match(text, start)
    assert match is not None
    whole, end = match[0], match.end()
    number = re.match(r"(?:[0-9]+(?:_[0-9]+)*)?(?:\.(?:[0-9]+(?:_[0-9]+)*)?)?(?:[eE][+-]?[0-9]+)?", whole)
    assert number is not None
    digits, rest = number[0], whole[number.end() :]
    help: str | None
    if not rest and not digits.endswith("."):
        return error(source, start, end, f"a whole number of {len(digits)} digits is too long", "write it as `1e…`")
    if rest and not rest.isascii():
        prefix = start + len(digits)
        while text[prefix].isascii() or ("x" + text[prefix]).isidentifier():
            prefix += 1
            if prefix == end:
                break
        else:
            return strange_character(source, prefix, text[start:prefix])
    from gradcli.language.foreign import VALUES

    exponent = re.compile(r"[0-9.]+[eE][+-]?[0-9]+(?=[fFLld]\b)").match(text, start)
    if exponent:
        message = f"`{text[exponent.end()]}` stands straight after a number"
        help = f"write `{exponent[0]}`; `dtype float32` sets the precision"
        return error(source, start, exponent.end() + 1, message, help)
    attribute = re.fullmatch(r"(.*?)\.?\.([A-Za-z_]\w*)", whole)
    if re.match(r"0[xXbBoO][0-9a-fA-F_]+$", whole):
        message, help = "numbers are written in decimal", None
        try:
            help = f"write `{int(whole, 0)}`"
        except ValueError:
            pass
    elif attribute and re.fullmatch(r"[0-9]+(\.[0-9]+)?", attribute[1]) and attribute[2].strip("_0123456789"):
        message, help = f"`{attribute[2]}` stands straight after a number", f"write `({attribute[1]}).{attribute[2]}`"
    elif rest.startswith("_") and not rest.strip("_.0123456789"):
        message, help = "`_` in a number must stand between two digits", f"write `{re.sub('_+', '', whole)}`"
    elif rest.startswith(".") or not rest:
        message, help = f"{quoted(whole)} is not a number: it has one `.` too many", None
    elif rest in ("e", "E"):
        message, help = f"{quoted(whole)} has no digits in its exponent", f"write `{digits}e0`"
    elif rest in ("f", "F", "L", "l", "d"):
        message = f"`{rest}` stands straight after a number"
        help = f"write `{digits}`; `dtype float32` sets the precision"
    else:
        message = f"`{rest}` stands straight after a number"
        help = f"write `{digits}*{VALUES.get(rest, rest)}`" if rest.isidentifier() else None
    return error(source, start, end, message, help)


def wrong_string(source: Source, start: int) -> GradcliError:
    """The error for a string that does not end, or holds what it cannot."""
    text, quote = source.text, source.text[start]
    closed = re.compile(rf"{quote}(?:[^{quote}\\\n]|\\.)*{quote}").match(text, start)
    if closed:
        for match in re.finditer(r"\\.|[\x00-\x08\x0b-\x1f\x7f]", closed[0]):
            at = start + match.start()
            if match[0][0] != "\\":
                return unknown(source, at)
            if match[0][1] not in "\\\"'nt":
                message = f"`{match[0]}` means nothing in a string"
                return error(source, at, at + 2, message, "write `\\\\` for a backslash")
    line_end = re.compile(r"[^\r\n]*").match(text, start)
    assert line_end is not None
    if quote == "'" and start and (text[start - 1].isalnum() or text[start - 1] in ")]"):
        from gradcli.language import symbols

        return error(source, *symbols.prime(source, start))
    return error(source, start, line_end.end(), "string is not closed", f"end it with `{quote}` on the same line")
