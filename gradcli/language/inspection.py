"""What stands where in a program, with or without errors: for the editor, the prompt and help, which all ask here."""

from __future__ import annotations

import os
import re
from collections import ChainMap
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal

from gradcli.diagnostics import GradcliError, Label, Source, Span
from gradcli.graph.node import Node
from gradcli.graph.operation import Operation
from gradcli.graph.types import show_shape
from gradcli.language import syntax, tables
from gradcli.language.builtin import CONSTANTS, OPERATIONS
from gradcli.language.lexer import spell_name
from gradcli.language.pieces import Piece, keywords, pieces
from gradcli.language.recovery import read
from gradcli.language.values import Missing
from gradcli.language.walking import parts
from gradcli.tuples import NamedTuple

Place = tuple[int, int]
Kind = Literal["variable", "constant", "value", "function", "parameter"]
EVERYWHERE = (0, 1 << 62)
HEAD = re.compile(r"\s*(?:def|tangent)[ \t]+\w+[ \t]*\(([^()]*)\)")
PARAMETER = re.compile(r"([^\W\d]\w*)[^,]*,?")


class Definition:
    """A name where it is bound: its ``kind``, its ``place``, its ``statement``, and the text in which it is ``visible``.

    ``parent`` is the function that it belongs to, ``function`` the syntax of a function, and ``parameters`` are its own.
    """

    __slots__ = ("function", "kind", "name", "parameters", "parent", "place", "statement", "visible")

    def __init__(
        self, name: syntax.Name, kind: Kind, statement: syntax.Syntax, visible: Place, parent: Definition | None
    ) -> None:
        self.name = name.id
        self.kind = kind
        self.place = (name.start, name.end)
        self.statement = (statement.start, statement.end)
        self.visible = visible
        self.parent = parent
        self.function = statement if isinstance(statement, syntax.Function) else None
        self.parameters: dict[str, Definition] = {}
        if kind == "parameter" and parent is not None:
            parent.parameters[name.id] = self


class Signature(NamedTuple):
    """What a call takes: its text, the texts of its parameters, which of them is being written, and what it does."""

    text: str
    parameters: list[str]
    active: int
    doc: str


class Word(NamedTuple):
    """A piece of a text as editors colour it: ``sort`` is LSP's type of semantic token, with its modifiers."""

    sort: str
    start: int
    end: int
    modifiers: tuple[str, ...] = ()


class Inspection:
    """A text as far as it can be understood: its ``errors``, its ``graph``, and where its names are bound and used."""

    def __init__(self, source: Source, folder: str | os.PathLike[str] = "") -> None:
        self.source = source
        self.folder = folder
        self.program, self.graph, self.errors = read(source, folder)
        self.definitions: list[Definition] = []
        self.uses: dict[Place, Definition | None] = {}
        """Each place of a name, with its definition; None for an operation, a constant such as pi, or an unknown name."""
        _Walk(self).statements(self.program.statements, ChainMap(), None, EVERYWHERE)

    @cached_property
    def pieces(self) -> list[Piece]:
        return list(pieces(self.source))

    def text(self, place: Place) -> str:
        return self.source.text[slice(*place)]

    # names

    def place_at(self, offset: int) -> Place | None:
        """The name that an offset touches."""
        places = [(p.start, p.end) for p in self.pieces if p.sort in ("name", "keyword") and p.start <= offset <= p.end]
        return next((place for place in places if place in self.uses), places[-1] if places else None)

    def definition_at(self, offset: int) -> Definition | None:
        place = self.place_at(offset)
        return self.uses.get(place) if place is not None else None

    def operation_at(self, offset: int) -> Operation | None:
        """The operation whose name an offset touches, where no definition has taken that."""
        place = self.place_at(offset)
        if place is None or self.uses.get(place) is not None:
            return None
        return OPERATIONS.get(self.text(place))

    def references(self, definition: Definition) -> list[Place]:
        """Every place of a name, its definition included."""
        return sorted([place for place, found in self.uses.items() if found is definition])

    def in_scope(self, offset: int) -> list[Definition]:
        """The names that can be used at an offset, those of the innermost function first."""
        seen: dict[str, Definition] = {}
        for d in reversed(self.definitions):
            inside = d.visible[0] <= offset <= d.visible[1]
            written = d.kind == "parameter" or d.statement[1] < offset
            if inside and written:
                seen.setdefault(d.name, d)
        return list(seen.values())

    def renamed(self, definition: Definition, name: str) -> list[Place]:
        """The places to write another name into. Raises GradcliError where that is not a name or would mean another thing."""
        span = Span(self.source, *definition.place)
        reserved = name in tables.load()["keywords"]
        if not name.isidentifier() or spell_name(name) != name or reserved:
            raise GradcliError("NameError", f"`{name}` cannot be a name", [Label(span)])
        places = self.references(definition)
        if any([error.kind == "SyntaxError" for error in self.errors]):
            raise GradcliError("SyntaxError", "the program has syntax errors: mend them first", [Label(span)])
        text, shift, moved = self.source.text, 0, dict[int, int]()
        for start, end in sorted({*self.uses, *places}):
            moved[start] = start + shift
            if (start, end) in places:
                text = text[: start + shift] + name + text[end + shift :]
                shift += len(name) - (end - start)
        other = Inspection(Source(self.source.name, text), self.folder)
        after = {start: found and found.place[0] for (start, _), found in other.uses.items()}
        same = all(
            [moved[p[0]] in after and after[moved[p[0]]] == (d and moved[d.place[0]]) for p, d in self.uses.items()]
        )
        if not same or len(other.errors) > len(self.errors):
            raise GradcliError("NameError", f"`{name}` would mean another thing in this program", [Label(span)])
        return places

    # what names stand for

    def node(self, definition: Definition) -> Node | Missing | None:
        """The node of a name; of a name in a function that of its last call, where its text made one."""
        if definition.parent is None:
            return self.graph.names.get(definition.name)
        return self._made.get(definition.statement)

    @cached_property
    def _made(self) -> dict[Place, Node]:
        """By the place of an assignment in a function, the last node that its value made."""
        by_place = {place: node for node, place in sorted(self.graph.places.items(), key=lambda item: item[0].serial)}
        by_place |= {frame.place: frame.result for frame in self.graph.calls if frame.result is not None}
        values = [(s, s.value) for f in self.functions() for s in _statements(f) if isinstance(s, syntax.Assignment)]
        return {(s.start, s.end): by_place[v.start, v.end] for s, v in values if (v.start, v.end) in by_place}

    def functions(self) -> Iterator[syntax.Function]:
        yield from [d.function for d in self.definitions if d.function is not None]

    def type_of(self, definition: Definition) -> str | None:
        """``float64[2, 3]``, ``float64`` for a scalar, ``None`` for a gradient that is None; None where it is not known."""
        node = self.node(definition)
        if isinstance(node, Missing):
            return "None"
        return shown_type(node) if node is not None else None

    def heading(self, definition: Definition) -> str:
        """A name as it would be declared: ``variable w: float64[2]``, ``def f(x, k=2)``, ``parameter x of f``."""
        if definition.function is not None:
            return f"def {_written(self.source, definition.function)}"
        if definition.kind == "parameter" and definition.parent is not None:
            return f"parameter {definition.name} of {definition.parent.name}"
        if definition.kind == "function":
            return f"def {definition.name}"
        kind = "" if definition.kind == "value" else f"{definition.kind} "
        type = self.type_of(definition)
        return f"{kind}{definition.name}" + (f": {type}" if type else "")

    # calls

    def signature(self, offset: int) -> Signature | None:
        """The signature of the innermost call around an offset, also of one that is being written."""
        depth, commas = 0, 0
        before = [p for p in self.pieces if p.end <= offset and p.sort != "comment"]
        for i in range(len(before) - 1, -1, -1):
            piece = before[i]
            text = self.text((piece.start, piece.end))
            if text in (")", "]", "}") and piece.sort == "bracket":
                depth += 1
            elif piece.sort == "bracket" and depth:
                depth -= 1
            elif piece.sort == "bracket":
                if text == "{" or i == 0:
                    return None
                name = before[i - 1]
                if text == "(" and self.text((name.start, name.end)).isidentifier():
                    after = self.source.text[piece.end : offset]
                    return self._signature(name, commas, after)
                commas = 0
            elif text == "," and not depth:
                commas += 1
            elif piece.sort == "end" and not depth and text == ";":
                return None
        return None

    def _signature(self, name: Piece, position: int, written: str) -> Signature | None:
        word = self.text((name.start, name.end))
        definition = next((d for d in self.in_scope(name.start) if d.name == word), None)
        if definition is not None:
            if definition.function is None:
                return None
            parameters = [_text(self.source, p) for p in definition.function.parameters]
            text, doc = _written(self.source, definition.function), ""
        elif word in OPERATIONS:
            operation = OPERATIONS[word]
            inside = operation.signature.partition("(")[2].removesuffix(")")
            parameters = [part for part in inside.split(", ") if part != "*"]
            text, doc = operation.signature, operation.doc
        else:
            return None
        keyword = written.rpartition(",")[2].partition("=")[0].strip()
        names = [parameter.partition("=")[0].lstrip("*") for parameter in parameters]
        active = names.index(keyword) if keyword in names else min(position, len(parameters) - 1)
        return Signature(text, parameters, active, doc)

    # the whole text

    def words(self) -> list[Word]:
        """The pieces of the text that editors colour."""
        after = [*self.pieces, None][1:]
        return [self._word(piece, following) for piece, following in zip(self.pieces, after, strict=True) if piece.sort not in ("end", "bracket")]  # fmt: skip

    def _word(self, piece: Piece, following: Piece | None) -> Word:
        place = (piece.start, piece.end)
        text = self.text(place)
        called = following is not None and self.text((following.start, following.end)) == "("
        definition = self.uses.get(place)
        if definition is not None:
            sort = {"function": "function", "parameter": "parameter"}.get(definition.kind, "variable")
            modifiers = ("declaration",) * (place == definition.place) + ("readonly",) * (definition.kind == "constant")
            return Word(sort, *place, modifiers)
        if piece.sort == "name" or piece.sort == "keyword" and called:
            if place not in self.uses and following is not None and self.text((following.start, following.end)) == "=":
                return Word("property", *place)
            if text in OPERATIONS and (called or text not in CONSTANTS):
                return Word("function", *place, ("defaultLibrary",))
            return Word("variable", *place, ("readonly", "defaultLibrary") if text in CONSTANTS else ())
        return Word("keyword" if piece.sort == "word" else piece.sort, *place)

    def outline(self, parent: Definition | None = None) -> list[Definition]:
        """The names that the program, or a function in it, defines, in order; parameters are left out."""
        return [d for d in self.definitions if d.parent is parent and d.kind != "parameter"]


class _Walk:
    """Finds what each name of a syntax tree stands for, with the language's rules: names are bound above their uses."""

    def __init__(self, inspection: Inspection) -> None:
        self.text = inspection.source.text
        self.definitions = inspection.definitions
        self.uses = inspection.uses

    def bind(
        self, name: syntax.Name, kind: Kind, statement: syntax.Syntax, visible: Place, parent: Definition | None, scope: ChainMap[str, Definition],
    ) -> Definition:  # fmt: skip
        definition = Definition(name, kind, statement, visible, parent)
        scope[name.id] = self.uses[definition.place] = definition
        self.definitions.append(definition)
        return definition

    def use(self, name: syntax.Name, scope: ChainMap[str, Definition]) -> None:
        self.uses.setdefault((name.start, name.end), scope.get(name.id))

    def statements(
        self, statements: Sequence[syntax.Statement], scope: ChainMap[str, Definition], parent: Definition | None, visible: Place,
    ) -> None:  # fmt: skip
        for statement in statements:
            match statement:
                case syntax.Tangent():
                    self.use(statement.name, scope)
                    self.function(statement, scope, scope.get(statement.name.id), tangent=True)
                case syntax.Function():
                    own = self.bind(statement.name, "function", statement, visible, parent, ChainMap[str, Definition]())
                    self.function(statement, scope, own)
                    scope[own.name] = own
                case syntax.Declaration():
                    self.names([x for x in (*(statement.shape or []), statement.value) if x is not None], scope)
                    kind: Kind = "variable" if statement.kind == "variable" else "constant"
                    self.bind(statement.name, kind, statement, visible, parent, scope)
                case syntax.Assignment():
                    self.names([statement.value], scope)
                    for target in statement.targets:
                        self.bind(target, "value", statement, visible, parent, scope)
                case syntax.Broken(rest=syntax.Function() as rest):
                    self.statements([rest], scope, parent, visible)
                case syntax.Broken():
                    self.broken(statement, scope, visible)
                case syntax.Output():
                    self.names(statement.names, scope)
                case syntax.Seed():
                    self.names([statement.name, statement.value], scope)
                case syntax.Bare():
                    self.names([statement.value], scope)

    def broken(self, statement: syntax.Broken, scope: ChainMap[str, Definition], visible: Place) -> None:
        """The names that a text was to bind; in a function that is being written its parameters are known."""
        head = HEAD.match(self.text, statement.start, statement.end)
        own: Definition | None = None
        for target in statement.names:
            own = self.bind(target, "function" if head else "value", statement, visible, None, scope)
        for place in [m.span(1) for m in PARAMETER.finditer(self.text, *head.span(1))] if head else ():
            name = syntax.Name(*place, self.text[slice(*place)])
            self.bind(name, "parameter", name, (statement.start, statement.end), own, scope.new_child())

    def function(
        self, function: syntax.Function, scope: ChainMap[str, Definition], own: Definition | None, tangent: bool = False
    ) -> None:
        self.names([p.default for p in function.parameters if p.default is not None], scope)
        inner = scope.new_child()
        visible = (function.start, function.end)
        repeated = dict(own.parameters) if tangent and own is not None else {}
        for parameter in function.parameters:
            earlier = repeated.get(parameter.name.id)
            if earlier is not None:  # a rule repeats the parameters of its function: they are one name
                inner[earlier.name] = self.uses[parameter.name.start, parameter.name.end] = earlier
            else:
                self.bind(parameter.name, "parameter", parameter, visible, own, inner)
        if isinstance(function.body, syntax.Block):
            self.statements(function.body.statements, inner, own, visible)
        else:
            self.names([function.body], inner)

    def names(self, expressions: Sequence[syntax.Syntax], scope: ChainMap[str, Definition]) -> None:
        todo = list(expressions)
        while todo:
            expression = todo.pop()
            if isinstance(expression, syntax.Name):
                self.use(expression, scope)
                continue
            todo += parts(expression)
            if isinstance(expression, syntax.Call) and isinstance(expression.function, syntax.Name):
                function = scope.get(expression.function.id)
                if function is not None and function.function is not None:
                    for name in [a.name for a in expression.arguments if a.name is not None]:
                        if name.id in function.parameters:
                            self.uses[name.start, name.end] = function.parameters[name.id]


def shown_type(node: Node) -> str:
    """``float64[2, 3]``, and ``float64`` for a scalar."""
    return node.dtype + (show_shape(node.shape) if node.shape else "")


def words_of_language() -> list[str]:
    """The words that begin statements, the reserved values and the constants."""
    known = tables.load()
    return sorted({*keywords(known), *known["keywords"], *CONSTANTS})


def _statements(function: syntax.Function) -> Sequence[syntax.Statement]:
    return function.body.statements if isinstance(function.body, syntax.Block) else ()


def _text(source: Source, at: syntax.Syntax) -> str:
    return " ".join(source.text[at.start : at.end].split())


def _written(source: Source, function: syntax.Function) -> str:
    return f"{function.name.id}({', '.join([_text(source, p) for p in function.parameters])})"
