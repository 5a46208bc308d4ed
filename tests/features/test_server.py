"""``gradcli server`` asked by a real client (pytest-lsp's, which also looks whether answers are what the editor takes)."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from gradcli.diagnostics import Source
from gradcli.graph.node import Node
from gradcli.language.inspection import Inspection
from gradcli.program.loaded import from_text

pytest.importorskip("pytest_lsp")
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pytest_lsp import LanguageClient, client_capabilities

SAMPLES = Path(__file__).parents[2] / "samples"

PROGRAM = """\
# 🙂 units
variable w = [1.0, 2.0]  # 🙂
constant k = 3.0
def net(x, gain=2.0) = {
    h = x*w + k
    tanh(h)*gain
}
y = net([0.5, 0.25], gain=k)
loss = sum(y^2)
output loss
"""


class Editor:
    """A client with one document, which takes what an editor says that it takes."""

    def __init__(self, like: str = "visual_studio_code") -> None:
        self.like = like
        self.loop = asyncio.new_event_loop()
        self.client = LanguageClient()
        self.shown: list[types.PublishDiagnosticsParams] = []
        self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(lambda shown: self.shown.append(shown))
        self.version = 0
        self.uri = ""
        self.text = ""

    def ask(self, request: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(request, 60))

    def start(self) -> types.InitializeResult:
        self.ask(self.client.start_io(sys.executable, "-m", "gradcli", "server"))
        return self.ask(self.client.initialize_session(types.InitializeParams(client_capabilities(self.like))))

    def stop(self) -> None:
        assert self.client.error is None
        self.ask(self.client.shutdown_session())
        self.ask(self.client.stop())
        self.loop.close()

    def open(self, text: str, name: str = "p.expr") -> list[types.Diagnostic]:
        """What is shown of a text at first."""
        self.uri, self.text, self.version = (SAMPLES / name).as_uri(), text, self.version + 1
        item = types.TextDocumentItem(self.uri, "gradcli", self.version, text)
        self.shown.clear()
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return self.diagnostics()

    def change(self, text: str) -> list[types.Diagnostic]:
        self.text, self.version = text, self.version + 1
        self.shown.clear()
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(self.version, self.uri),
                [types.TextDocumentContentChangeWholeDocument(text)],
            )
        )
        return self.diagnostics()

    def diagnostics(self, count: int = 1) -> list[types.Diagnostic]:
        """The ``count``-th diagnostics of the last text: the first are errors, the second those and lint's."""

        async def come() -> None:
            while sum(one.version == self.version for one in self.shown) < count:
                await asyncio.sleep(0.002)

        self.ask(come())
        return list([one for one in self.shown if one.version == self.version][count - 1].diagnostics)

    def worked(self) -> float:
        """Seconds that processors have worked for the server, where that is told: a wait for others is not in it."""
        tasks = Path(f"/proc/{self.client._server.pid}/task").glob("*/schedstat")
        spent = sum(int(task.read_text().split()[0]) for task in tasks)
        return spent / 1e9 if spent else time.perf_counter()

    @property
    def document(self) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri)

    def place(self, before: str, after: str = "") -> types.Position:
        """The position behind a text, in units of UTF-16."""
        at = self.text.index(before + after) + len(before)
        line = self.text.count("\n", 0, at)
        start = self.text.rfind("\n", 0, at) + 1
        return types.Position(line, len(self.text[start:at].encode("utf-16-le")) // 2)

    def at(self, kind: Any, before: str, after: str = "", **more: Any) -> Any:
        return kind(text_document=self.document, position=self.place(before, after), **more)

    def of(self, range: types.Range) -> str:
        lines = self.text.split("\n")
        assert range.start.line == range.end.line
        line = lines[range.start.line].encode("utf-16-le")
        return line[2 * range.start.character : 2 * range.end.character].decode("utf-16-le")

    def applied(self, edit: types.WorkspaceEdit) -> str:
        (edits,) = edit.changes.values()
        starts = [0]
        for line in self.text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        text = self.text
        for one in sorted(edits, key=lambda e: (e.range.start.line, e.range.start.character), reverse=True):
            start, end = (starts[p.line] + p.character for p in (one.range.start, one.range.end))
            text = text[:start] + one.new_text + text[end:]
        return text


@pytest.fixture(scope="module")
def editor() -> Iterator[Editor]:
    editor = Editor()
    capabilities = editor.start().capabilities
    assert capabilities.text_document_sync.change == types.TextDocumentSyncKind.Full
    yield editor
    editor.stop()


def test_errors_come_at_once_and_findings_when_the_keys_rest(editor: Editor) -> None:
    assert editor.open(PROGRAM) == []
    editor.change(PROGRAM + "a = (1\nb = 🙂\nc = nope + a\nd = nope\n")
    found = editor.diagnostics(2)
    assert [(d.code, editor.of(d.range)) for d in found[1:]] == [
        ("SyntaxError", "🙂"), ("NameError", "nope"), ("NameError", "nope"),
    ]  # fmt: skip
    assert found[0].range.start.line == 11 and "help: close the bracket" in found[0].message
    editor.change("variable x = 2.0; variable u = 1.0; y = log(1 + exp(x)); output y")
    errors, warnings = editor.diagnostics(1), editor.diagnostics(2)
    assert errors == []
    assert [d.code for d in warnings] == ["unused-variable", "softplus"]
    assert all(d.severity == types.DiagnosticSeverity.Warning for d in warnings)
    expected = editor.text.replace("log(1 + exp(x))", "softplus(x)")
    for only in (None, [types.CodeActionKind.SourceFixAll]):
        context = types.CodeActionContext([], only=only)
        request = types.CodeActionParams(editor.document, warnings[1].range, context)
        (action,) = editor.ask(editor.client.text_document_code_action_async(request))
        assert editor.applied(action.edit) == expected
    (moved, stays) = editor.change("# more\n" + editor.text)
    assert [editor.of(d.range) for d in (moved, stays)] == ["u", "log(1 + exp(x))"]
    assert len(editor.change(editor.text.replace("exp(x)", "exp(2*x)"))) == 1  # what is written anew is looked at later


def test_a_shape_error_tells_both_operands(editor: Editor) -> None:
    editor.open("variable a = [1.0, 2.0]\nb = a + [1.0, 2.0, 3.0]\n")
    (found,) = editor.diagnostics(2)
    assert editor.of(found.range) == "a"
    (related,) = found.related_information
    assert editor.of(related.location.range) == "[1.0, 2.0, 3.0]" and related.message == "shape [3]"


def test_hover(editor: Editor) -> None:
    editor.open(PROGRAM)

    def hover(before: str, after: str = "") -> str:
        return editor.ask(
            editor.client.text_document_hover_async(editor.at(types.HoverParams, before, after))
        ).contents.value

    w = hover("x*", "w + k")
    assert "variable w: float64[2]" in w and "value: `[1.0, 2.0]`" in w and "gradient of `loss`: `[" in w
    assert "h: float64[2]" in hover("    h") and "last call of `net`" in hover("    h")
    assert "def net(x, gain=2.0)" in hover("y = n")
    assert "parameter gain of net" in hover("tanh(h)*", "gain")
    tanh = hover("    tan", "h(h)")
    assert "tanh(x)" in tanh and "derivative" in tanh and "d/dx" in tanh
    nothing = editor.at(types.HoverParams, "", "# 🙂")
    assert editor.ask(editor.client.text_document_hover_async(nothing)) is None


def test_completion_and_signatures_while_a_call_is_written(editor: Editor) -> None:
    editor.open(PROGRAM + "z = sum(y, ax\n")
    completion = editor.at(types.CompletionParams, "z = sum(y, ax")
    items = {i.label: i for i in editor.ask(editor.client.text_document_completion_async(completion))}
    assert {"axis=", "keepdims=", "w", "net", "loss", "reduce_sum", "pi", "variable", "tangent"} <= set(items)
    assert {"h", "gain", "z"}.isdisjoint(items) and items["w"].detail == "variable w: float64[2]"
    inside = editor.at(types.CompletionParams, "    tanh(", "h)")
    assert {"h", "x", "gain", "w", "x="} <= {
        i.label for i in editor.ask(editor.client.text_document_completion_async(inside))
    }

    def signature(before: str) -> tuple[str, str]:
        help = editor.ask(
            editor.client.text_document_signature_help_async(editor.at(types.SignatureHelpParams, before))
        )
        (one,) = help.signatures
        return one.label, one.parameters[help.active_parameter].label

    assert signature("z = sum(y, ") == ("sum(x, axis=None, keepdims=false, *, where=None)", "axis=None")
    assert signature("y = net(") == ("net(x, gain=2.0)", "x")
    assert signature("25], gain=") == ("net(x, gain=2.0)", "gain=2.0")


def test_definitions_references_and_renaming(editor: Editor) -> None:
    editor.open(PROGRAM)
    ask = editor.client
    place = editor.ask(ask.text_document_definition_async(editor.at(types.DefinitionParams, "25], ", "gain=k"))).range
    assert place.start == editor.place("net(x, ")
    context = types.ReferenceContext(include_declaration=True)
    found = editor.ask(
        ask.text_document_references_async(editor.at(types.ReferenceParams, "constant ", "k", context=context))
    )
    assert [editor.of(one.range) for one in found] == ["k"] * 3
    assert editor.ask(ask.text_document_prepare_rename_async(editor.at(types.PrepareRenameParams, "tan"))) is None

    def renamed(before: str, after: str, name: str) -> str:
        return editor.applied(
            editor.ask(ask.text_document_rename_async(editor.at(types.RenameParams, before, after, new_name=name)))
        )

    assert renamed("variable ", "w = ", "weights") == PROGRAM.replace("w = ", "weights = ").replace("x*w", "x*weights")
    assert renamed("net(x, ", "gain", "factor") == PROGRAM.replace("gain", "factor")
    for name in ("k", "x", "true", "2x", "sum"):
        with pytest.raises(JsonRpcException, match=r"cannot be a name|another thing"):
            renamed("variable ", "w = ", name)


def test_the_whole_text(editor: Editor) -> None:
    untidy = PROGRAM.replace("loss = sum", "loss=sum")
    editor.open(untidy)
    ask = editor.client
    options = types.FormattingOptions(tab_size=4, insert_spaces=True)
    (edit,) = editor.ask(ask.text_document_formatting_async(types.DocumentFormattingParams(editor.document, options)))
    assert edit.new_text == PROGRAM
    symbols = editor.ask(ask.text_document_document_symbol_async(types.DocumentSymbolParams(editor.document)))
    assert [(s.name, s.detail, [c.name for c in s.children]) for s in symbols] == [
        ("w", "float64[2]", []), ("k", "float64", []), ("net", None, ["h"]), ("y", "float64[2]", []), ("loss", "float64", []),
    ]  # fmt: skip
    everything = types.Range(types.Position(0, 0), types.Position(99, 0))
    hints = editor.ask(ask.text_document_inlay_hint_async(types.InlayHintParams(editor.document, everything)))
    assert [(h.position, h.label) for h in hints] == [
        (editor.place("variable w"), ": [2]"), (editor.place("\ny"), ": [2]"),
    ]  # fmt: skip
    data = editor.ask(ask.text_document_semantic_tokens_full_async(types.SemanticTokensParams(editor.document))).data
    legend = ["comment", "function", "keyword", "number", "operator", "parameter", "property", "string", "variable"]
    lines, line, at, words = editor.text.split("\n"), 0, 0, []
    for down, right, length, sort, modifiers in zip(*[iter(data)] * 5, strict=True):
        line, at = line + down, right if down else at + right
        text = lines[line].encode("utf-16-le")[2 * at : 2 * (at + length)].decode("utf-16-le")
        words.append((text, legend[sort], modifiers))
    assert words[:4] == [
        ("# 🙂 units", "comment", 0),
        ("variable", "keyword", 0),
        ("w", "variable", 1),
        ("=", "operator", 0),
    ]
    assert ("tanh", "function", 4) in words and ("gain", "parameter", 1) in words and ("k", "variable", 3) in words


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("x = 2.0\ny = sqr(x)", "x = 2.0\ny = x^2"),
        ("x = 2.0\ny = sni(x)", "x = 2.0\ny = sin(x)"),
        ("x = 2.0\ny = sin(x\nz = 1", "x = 2.0\ny = sin(x)\nz = 1"),
        ("x = 2.0\ny = 2 x\nz = y", "x = 2.0\ny = 2 * x\nz = y"),
        ("x = 2.0\ny = 2x", "x = 2.0\ny = 2*x"),
        ("x = 2.0\ny = x $ 3", None),
    ],
)
def test_helps_are_offered_where_they_do_help(editor: Editor, wrong: str, right: str | None) -> None:
    editor.open(wrong)
    first, *_ = editor.diagnostics(2)
    context = types.CodeActionContext([], only=[types.CodeActionKind.QuickFix])
    request = types.CodeActionParams(editor.document, first.range, context)
    actions = editor.ask(editor.client.text_document_code_action_async(request))
    assert [editor.applied(action.edit) for action in actions] == ([right] if right else [])


def test_what_is_no_program_is_no_trouble(editor: Editor) -> None:
    for text in ("", "\r\n", "\u2028 \r x = 1", "}}}(((", "x = [", "def f(", "\0", "é = 'ü\ny = é.", "a, b"):
        editor.open(text)
        end = types.Position(99, 99)
        for kind, ask in (
            (types.HoverParams, editor.client.text_document_hover_async),
            (types.CompletionParams, editor.client.text_document_completion_async),
            (types.SignatureHelpParams, editor.client.text_document_signature_help_async),
            (types.DefinitionParams, editor.client.text_document_definition_async),
        ):
            for position in (types.Position(0, 0), types.Position(0, 2), end):
                editor.ask(ask(kind(text_document=editor.document, position=position)))
        for kind, ask in (
            (types.DocumentSymbolParams, editor.client.text_document_document_symbol_async),
            (types.SemanticTokensParams, editor.client.text_document_semantic_tokens_full_async),
        ):
            editor.ask(ask(text_document := kind(editor.document)))
            assert text_document


@pytest.mark.slow
@pytest.mark.parametrize("like", ["emacs", "neovim"])
def test_other_editors_take_the_answers(like: str) -> None:
    editor = Editor(like)
    editor.start()
    editor.open(PROGRAM + "z = sum(y, ax\n")
    assert [d.code for d in editor.diagnostics(2)] == ["SyntaxError"]
    for kind, ask, before in (
        (types.HoverParams, editor.client.text_document_hover_async, "    tan"),
        (types.CompletionParams, editor.client.text_document_completion_async, "z = sum(y, ax"),
        (types.SignatureHelpParams, editor.client.text_document_signature_help_async, "z = sum(y, "),
        (types.DefinitionParams, editor.client.text_document_definition_async, "y = n"),
    ):
        assert editor.ask(ask(editor.at(kind, before))) is not None
    editor.stop()


def test_without_pygls_one_line_says_what_is_missing() -> None:
    code = "import sys; sys.modules['pygls'] = None; from gradcli.commands.main import run; sys.exit(run(['server']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "") and "pip install 'gradcli[editor]'" in done.stderr


def long_text(path: Path, lines: int = 200) -> str:
    """A sample and copies of it with other names, until it has so many lines."""
    text = path.read_text()
    uses = sorted(Inspection(Source("t", text), path.parent).uses.items())
    copies = [text]
    while sum(one.count("\n") for one in copies) < lines:
        pieces, end = [], 0
        for (_, stop), definition in uses:
            if definition is not None:
                pieces += [text[end:stop], f"_{len(copies)}"]
                end = stop
        copies.append("".join([*pieces, text[end:]]))
    precision = re.search(r"(?m)^dtype .*\n", text)
    whole = "".join(copies)
    return precision[0] + re.sub(r"(?m)^dtype .*\n", "", whole) if precision else whole


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(SAMPLES.glob("**/*.expr")), ids=lambda path: path.stem)
def test_samples(editor: Editor, path: Path) -> None:
    """Hover, completion and renaming are right everywhere, and in 200 lines errors come within 50 ms after a key."""
    text = path.read_text()
    editor.open(text, str(path.relative_to(SAMPLES)))
    assert [d for d in editor.diagnostics(2) if d.severity == types.DiagnosticSeverity.Error] == []
    program = from_text(text, "t", path.parent)
    for place, definition in Inspection(Source("t", text), path.parent).uses.items():
        if definition is None or definition.parent is not None or definition.function is not None:
            continue
        at = types.Position(text.count("\n", 0, place[0]), place[0] - text.rfind("\n", 0, place[0]) - 1)
        request = {"text_document": editor.document, "position": at}
        hover = editor.ask(editor.client.text_document_hover_async(types.HoverParams(**request)))
        node = program.graph.names[definition.name]
        shape = (node.dtype + str(list(node.shape)) * bool(node.shape)) if isinstance(node, Node) else "None"
        assert f"{definition.name}: {shape}\n" in hover.contents.value
        if place == definition.place:
            rename = types.RenameParams(**request, new_name="fresh")
            renamed = editor.applied(editor.ask(editor.client.text_document_rename_async(rename)))
            names = list(from_text(renamed, "t", path.parent).names)
            assert names == ["fresh" if name == definition.name else name for name in program.names]
    end = types.CompletionParams(editor.document, types.Position(text.count("\n"), 0))
    items = {item.label for item in editor.ask(editor.client.text_document_completion_async(end))}
    assert {*program.names, "sin", "variable"} <= items
    many = long_text(path)
    editor.open(many, str(path.relative_to(SAMPLES)))
    editor.diagnostics(2)
    times = []
    for typed in ("z", "z_", "z_ ", "z_ =", "z_ = ", "z_ = 1", "z_ = 1\n"):
        start = time.perf_counter(), editor.worked()
        editor.change(many + typed)
        times.append(min(time.perf_counter() - start[0], editor.worked() - start[1]))
    print(f"{path.stem}: {many.count(chr(10))} lines, {1000 * median(times):.0f} ms, at most {1000 * max(times):.0f}")
    assert median(times) < 0.05
