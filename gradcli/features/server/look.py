"""The Language Server Protocol: what an editor asks, and the answers of :mod:`gradcli.features.server.answer` in its terms."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from gradcli import __version__
from gradcli.diagnostics import GradcliError
from gradcli.features.server.answer import Document, Problem
from gradcli.language.builtin import OPERATIONS
from gradcli.language.formatting import formatted
from gradcli.language.inspection import Definition, Inspection, words_of_language
from gradcli.language.mending import Edit

QUICK = 0.03
"""Seconds: a text that took longer is inspected when the keys rest; until then its syntax errors are shown."""

PAUSE = 0.25
"""Seconds without a key, after which lint looks at a text."""

SORTS = ["comment", "function", "keyword", "number", "operator", "parameter", "property", "string", "variable"]
MODIFIERS = ["declaration", "readonly", "defaultLibrary"]
KINDS = {
    "variable": "Variable",
    "constant": "Constant",
    "value": "Field",
    "function": "Function",
    "parameter": "Variable",
}
"""How LSP calls the kinds of definitions, in symbols and completions alike."""


class Opened(Document):
    """A text with the places that an editor counts in: lines, and units of its encoding in them."""

    def __init__(self, uri: str, text: str, units: Callable[[str], int]) -> None:
        path = to_fs_path(uri) or ""
        super().__init__(os.path.basename(path) or uri, text, os.path.dirname(path))
        self.uri = uri
        self.units = units
        self.starts = [0, *[match.end() for match in re.finditer(r"\r\n|\n|\r", text)]]

    def position(self, offset: int) -> types.Position:
        line = bisect_right(self.starts, offset) - 1
        return types.Position(line, self.units(self.source.text[self.starts[line] : offset]))

    def offset(self, position: types.Position) -> int:
        line: int = position.line
        left: int = position.character
        if line >= len(self.starts):
            return len(self.source.text)
        at = self.starts[line]
        while left > 0 and at < len(self.source.text) and self.source.text[at] not in "\r\n":
            left -= self.units(self.source.text[at])
            at += 1
        return at

    def range(self, start: int, end: int) -> types.Range:
        return types.Range(self.position(start), self.position(end))

    def edits(self, edits: list[Edit]) -> types.WorkspaceEdit:
        return types.WorkspaceEdit({self.uri: [types.TextEdit(self.range(e.start, e.end), e.text) for e in edits]})

    def whole(self, text: str) -> list[types.TextEdit]:
        return [types.TextEdit(self.range(0, len(self.source.text)), text)] if text != self.source.text else []

    def diagnostic(self, problem: Problem) -> types.Diagnostic:
        labels = [label for label in problem.labels if label.span.source == self.source]
        related = [
            types.DiagnosticRelatedInformation(
                types.Location(self.uri, self.range(label.span.start, label.span.end)), label.text
            )
            for label in labels[1:]
            if label.text
        ]
        first = labels[0].span if labels else None
        return types.Diagnostic(
            range=self.range(first.start, first.end) if first else self.range(0, 0),
            message=problem.message + (f"\nhelp: {problem.help}" if problem.help else ""),
            severity=types.DiagnosticSeverity.Error if problem.error else types.DiagnosticSeverity.Warning,
            code=problem.code,
            source="gradcli",
            tags=[types.DiagnosticTag.Unnecessary] if problem.code.startswith("unused-") else None,
            related_information=related or None,
        )


class Server(LanguageServer):
    """The texts that an editor has open, and an answer to each of its requests."""

    def __init__(self) -> None:
        super().__init__("gradcli", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)
        self.opened: dict[str, Opened] = {}
        legend = types.SemanticTokensLegend(SORTS, MODIFIERS)
        completing = types.CompletionOptions(trigger_characters=["(", ","])
        fixing = types.CodeActionOptions([types.CodeActionKind.QuickFix, types.CodeActionKind.SourceFixAll])
        features: dict[str, tuple[Callable[..., Any], Any]] = {
            types.INITIALIZED: (self.warm_up, None),
            types.TEXT_DOCUMENT_DID_OPEN: (self.changed, None),
            types.TEXT_DOCUMENT_DID_CHANGE: (self.changed, None),
            types.TEXT_DOCUMENT_DID_CLOSE: (self.closed, None),
            types.TEXT_DOCUMENT_HOVER: (self.hover, None),
            types.TEXT_DOCUMENT_COMPLETION: (self.completion, completing),
            types.TEXT_DOCUMENT_SIGNATURE_HELP: (self.signature, types.SignatureHelpOptions(["(", ","])),
            types.TEXT_DOCUMENT_DEFINITION: (self.definition, None),
            types.TEXT_DOCUMENT_REFERENCES: (self.references, None),
            types.TEXT_DOCUMENT_PREPARE_RENAME: (self.prepare_rename, None),
            types.TEXT_DOCUMENT_RENAME: (self.rename, types.RenameOptions(prepare_provider=True)),
            types.TEXT_DOCUMENT_DOCUMENT_SYMBOL: (self.symbols, None),
            types.TEXT_DOCUMENT_FORMATTING: (self.formatting, None),
            types.TEXT_DOCUMENT_CODE_ACTION: (self.actions, fixing),
            types.TEXT_DOCUMENT_INLAY_HINT: (self.hints, None),
            types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL: (self.tokens, legend),
        }
        for name, (answer, options) in features.items():
            self.feature(name, options)(partial(answer))  # pygls leaves notes on it, which a method does not take

    # texts

    def warm_up(self, params: types.InitializedParams) -> None:
        """Import what texts need before there is one."""
        Document("", "variable x = [1.0, 2.0]; y = sum(sin(x)); g = gradients(y, x)", "").findings  # noqa: B018

    def text_of(self, uri: str) -> Opened:
        """The text of a document as it is now."""
        text = self.workspace.get_text_document(uri).source
        known = self.opened.get(uri)
        if known is None or known.source.text != text:
            known = self.opened[uri] = Opened(uri, text, self.workspace.position_codec.client_num_units)
        return known

    async def changed(self, params: Any) -> None:
        """Show what is wrong: errors at once, findings when the keys rest; until then those of the text before stay."""
        uri = params.text_document.uri
        before = self.opened.get(uri)
        document = self.text_of(uri)
        slow = before is not None and before.seconds > QUICK
        document.known = document.kept(before) if before is not None else []
        stale = [problem for problem in document.known if slow or problem.error is None]
        self.show(document, [*(document.syntax_errors() if slow else document.errors()), *stale])
        document.seconds = document.seconds or (before.seconds if before is not None else 0.0)
        await asyncio.sleep(PAUSE)
        if self.opened.get(uri) is document:
            document.known = [*document.errors(), *document.findings]
            self.show(document, document.known)

    def show(self, document: Opened, problems: list[Problem]) -> None:
        version = self.workspace.get_text_document(document.uri).version
        diagnostics = [document.diagnostic(problem) for problem in problems]
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(document.uri, diagnostics, version))

    def closed(self, params: types.DidCloseTextDocumentParams) -> None:
        self.opened.pop(params.text_document.uri, None)
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(params.text_document.uri, []))

    def at(self, params: Any) -> tuple[Opened, Inspection, int]:
        document = self.text_of(params.text_document.uri)
        return document, document.inspection, document.offset(params.position)

    # names

    def hover(self, params: types.HoverParams) -> types.Hover | None:
        document, inspection, offset = self.at(params)
        text, place = document.hover(offset), inspection.place_at(offset)
        if text is None or place is None:
            return None
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), document.range(*place))

    def completion(self, params: types.CompletionParams) -> list[types.CompletionItem]:
        """Parameters of the call, names in scope, operations and keywords, in this order."""
        _, inspection, offset = self.at(params)
        if any([p.sort in ("comment", "string") and p.start < offset <= p.end for p in inspection.pieces]):
            return []
        signature = inspection.signature(offset)
        given = [
            (p.partition("=")[0], p) for p in (signature.parameters if signature is not None else ()) if p[0] != "*"
        ]
        found: dict[str, types.CompletionItem] = {}
        for order, kind, label, detail, doc in (
            *[(0, "Property", f"{name}=", parameter, None) for name, parameter in given],
            *[(1, KINDS[d.kind], d.name, inspection.heading(d), None) for d in inspection.in_scope(offset)],
            *[(2, "Function", name, op.signature, op.doc) for name, op in OPERATIONS.items()],
            *[(3, "Keyword", word, None, None) for word in words_of_language()],
        ):
            item = types.CompletionItem(
                label,
                kind=types.CompletionItemKind[kind],
                detail=detail,
                documentation=doc,
                sort_text=f"{order}{label}",
            )
            found.setdefault(label, item)
        return list(found.values())

    def signature(self, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
        _, inspection, offset = self.at(params)
        found = inspection.signature(offset)
        if found is None:
            return None
        parameters = [types.ParameterInformation(parameter) for parameter in found.parameters]
        return types.SignatureHelp(
            [types.SignatureInformation(found.text, found.doc or None, parameters)], 0, max(found.active, 0)
        )

    def definition(self, params: types.DefinitionParams) -> types.Location | None:
        document, inspection, offset = self.at(params)
        found = inspection.definition_at(offset)
        return types.Location(document.uri, document.range(*found.place)) if found is not None else None

    def references(self, params: types.ReferenceParams) -> list[types.Location]:
        document, inspection, offset = self.at(params)
        found = inspection.definition_at(offset)
        places = inspection.references(found) if found is not None else []
        kept = [p for p in places if params.context.include_declaration or found is None or p != found.place]
        return [types.Location(document.uri, document.range(*place)) for place in kept]

    def prepare_rename(self, params: types.PrepareRenameParams) -> types.Range | None:
        document, inspection, offset = self.at(params)
        place = inspection.place_at(offset)
        return document.range(*place) if place is not None and inspection.uses.get(place) is not None else None

    def rename(self, params: types.RenameParams) -> types.WorkspaceEdit | None:
        document, inspection, offset = self.at(params)
        found = inspection.definition_at(offset)
        if found is None:
            return None
        try:
            places = inspection.renamed(found, params.new_name)
        except GradcliError as error:
            raise JsonRpcException(error.message, -32803) from None  # RequestFailed
        return document.edits([Edit(*place, params.new_name) for place in places])

    # the whole text

    def symbols(self, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
        document = self.text_of(params.text_document.uri)
        inspection = document.inspection

        def symbol(d: Definition) -> types.DocumentSymbol:
            inner = [symbol(one) for one in inspection.outline(d)] if d.function is not None else []
            return types.DocumentSymbol(
                name=d.name, kind=types.SymbolKind[KINDS[d.kind]], range=document.range(*d.statement),
                selection_range=document.range(*d.place), detail=inspection.type_of(d), children=inner,
            )  # fmt: skip

        return [symbol(d) for d in inspection.outline()]

    def formatting(self, params: types.DocumentFormattingParams) -> list[types.TextEdit]:
        document = self.text_of(params.text_document.uri)
        try:
            return document.whole(formatted(document.source))
        except GradcliError:
            return []  # its error is shown as such

    def actions(self, params: types.CodeActionParams) -> list[types.CodeAction]:
        document = self.text_of(params.text_document.uri)
        start, end = document.offset(params.range.start), document.offset(params.range.end)
        only = params.context.only
        found: list[types.CodeAction] = []
        for problem in [*document.errors(), *document.findings]:
            span = problem.span
            if span is None or span.end < start or span.start > end or only and "quickfix" not in only:
                continue
            edit = document.mending(problem)
            if edit is not None:
                title = f"Write `{edit.text}`" if edit.start < edit.end else f"Insert `{edit.text}`"
                found.append(
                    types.CodeAction(
                        title, kind=types.CodeActionKind.QuickFix, diagnostics=[document.diagnostic(problem)],
                        edit=document.edits([edit]), is_preferred=True,
                    )
                )  # fmt: skip
        if only and any([kind.startswith("source") for kind in only]):
            better = document.mended()
            if better is not None:
                title = "Write all better spellings that leave the program as it is"
                change = document.edits([Edit(0, len(document.source.text), better)])
                found.append(types.CodeAction(title, kind=types.CodeActionKind.SourceFixAll, edit=change))
        return found

    def hints(self, params: types.InlayHintParams) -> list[types.InlayHint]:
        """The shapes of arrays, and the dtypes of what is not a float of the program's precision."""
        document = self.text_of(params.text_document.uri)
        inspection = document.inspection
        usual = inspection.graph.float_dtype
        found: list[types.InlayHint] = []
        for d in inspection.outline():
            shown = (inspection.type_of(d) or "").removeprefix(usual)
            if shown and not inspection.source.text[d.place[1] :].lstrip(" \t").startswith(":"):
                position = document.position(d.place[1])
                if params.range.start.line <= position.line <= params.range.end.line:
                    found.append(types.InlayHint(position, f": {shown}", types.InlayHintKind.Type))
        return found

    def tokens(self, params: types.SemanticTokensParams) -> types.SemanticTokens:
        document = self.text_of(params.text_document.uri)
        data: list[int] = []
        line = character = 0
        for word in document.inspection.words():
            at = document.position(word.start)
            bits = sum([1 << MODIFIERS.index(modifier) for modifier in word.modifiers])
            length = document.units(document.source.text[word.start : word.end])
            moved = at.character - (character if at.line == line else 0)
            data += [at.line - line, moved, length, SORTS.index(word.sort), bits]
            line, character = at.line, at.character
        return types.SemanticTokens(data)


def serve() -> None:
    """Answer on standard output what an editor asks on standard input, until it ends."""
    if os.environ.get("GRADCLI_DEBUG") != "1":
        logging.disable()  # an editor is told what fails
    # pygls closes its streams at the end; those of the process are for others to close.
    with os.fdopen(os.dup(sys.stdin.fileno()), "rb") as read, os.fdopen(os.dup(sys.stdout.fileno()), "wb") as write:
        Server().start_io(read, write)
