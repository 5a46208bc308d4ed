"""What to type in place of a name, a call, a method or an attribute that does not exist here. Read when an error is shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from gradcli.diagnostics import did_you_mean
from gradcli.graph.operation import Operation
from gradcli.language import foreign, syntax
from gradcli.language.builtin import CONSTANTS, KEYWORDS, OPERATIONS
from gradcli.language.foreign import Argument
from gradcli.language.lexer import PYTHONIC

Known = Callable[[syntax.Name], bool]
"""Whether a name stands for anything where the error is."""

LIST = "`gradcli ops` lists the operations"
LONGEST = 80
"""Characters of a call up to which it is written out in a suggestion."""

_INVERSES = {"sin": "asin", "cos": "acos", "tan": "atan", "sinh": "asinh", "cosh": "acosh", "tanh": "atanh"}
_REDUCTIONS = {"sum", "mean", "prod", "max", "min", "var", "std", "norm", "any", "all", "logsumexp"}
_SHAPED = {"zeros", "ones", "random_normal", "random_uniform", "reshape", "tile", "broadcast_to"}


def for_dotted(text: str, call: syntax.Call, known: Known) -> tuple[bool, str]:
    """Whether a module is called, and what to type: ``np.sum(x, 1)`` and ``x.sum(1)`` are ``sum(x, axis=1)``."""
    function = call.function
    assert isinstance(function, syntax.Attribute)
    word = function.name.id
    module = _module(function, known)
    if any(a.name is not None and a.name.id == "requires_grad" for a in call.arguments):
        return module is not None, "declare it: `variable x = …`"
    written = _dotted(text, call, known)
    if written is not None and len(written) <= LONGEST:
        return module is not None, f"write `{written}`"
    if word in OPERATIONS:
        return module is not None, f"call it by its name; the signature is `{OPERATIONS[word].signature}`"
    return module is not None, _other(word, LIST)


def _module(function: syntax.Attribute, known: Known) -> syntax.Name | None:
    root: syntax.Expression = function
    while isinstance(root, syntax.Attribute):
        root = root.base
    return root if isinstance(root, syntax.Name) and not known(root) else None


def _dotted(text: str, call: syntax.Call, known: Known) -> str | None:
    """A call of a method or of a function in a module as it is written here, methods of methods included."""
    function = call.function
    assert isinstance(function, syntax.Attribute)
    module = _module(function, known)
    path = _path(function, module)
    arguments = _arguments(text, call, module)
    if module is None:
        base = function.base
        loose = isinstance(base, (syntax.Binary, syntax.Unary))
        inner: str | None = _plain(text[base.start : base.end], None)
        if isinstance(base, syntax.Call) and isinstance(base.function, syntax.Attribute):
            inner = _dotted(text, base, known)
        if inner is None:
            return None
        if loose and inner.startswith("(") and _closes_at_end(inner):
            inner = inner[1:-1]
        arguments = [Argument(inner, loose=loose), *arguments]
    written = foreign.written_here(path, arguments, dotted=True)
    word = path[-1]
    if written is None and word in OPERATIONS:
        return _operation(word, OPERATIONS[word], arguments)
    return written


def for_call(text: str, call: syntax.Call) -> str | None:
    """A call of an operation with more arguments than it has: ``log(x, 2)``, ``reshape(x, 2, 3)``."""
    assert isinstance(call.function, syntax.Name)
    word = call.function.id
    arguments = _arguments(text, call, None)
    written = foreign.written_here([word], arguments, dotted=False)
    if written is None and word in OPERATIONS and OPERATIONS[word].name in _SHAPED:
        written = _operation(word, OPERATIONS[word], arguments)
    return written if written is not None and len(written) <= LONGEST else None


def for_product(text: str, call: syntax.Call) -> str:
    """A call of what cannot be called: ``sin^2(x)``, ``2(x + 1)``, ``x(0)``."""
    before = re.search(r"\b([a-z]\w*)\s*(?:\^|\*\*)\s*(-?\s*[0-9]+)$", text[: _end_of(call)])
    inner = _inside(text, call)
    if before and before[1] in OPERATIONS:
        name, power = before[1], before[2].replace(" ", "")
        if power == "-1" and name in _INVERSES:
            return f"for the inverse function write `{_INVERSES[name]}({inner})`"
        return f"write `{name}({inner})^{power}`"
    help = "to multiply, write `*` between the two"
    indices = [a.value for a in call.arguments if a.name is None]
    if indices and all(isinstance(i, syntax.Number) and isinstance(i.value, int) for i in indices):
        shown = text[call.function.start : call.function.end]
        if len(shown) <= 20:
            help += f"; an entry is `{shown}[{inner}]`, counted from 0"
    return help


def _end_of(call: syntax.Call) -> int:
    return call.function.end


def _inside(text: str, call: syntax.Call) -> str:
    inner = text[call.function.end : call.end].strip()
    inner = inner[1:-1].strip() if inner.startswith("(") and inner.endswith(")") else "…"
    return inner if len(inner) <= 40 and "\n" not in inner else "…"


BIND = "bind it above"
"""How the help for a name begins that nothing is known of."""


def for_unknown(
    text: str, name: syntax.Name, call: syntax.Call | None, bound: Sequence[str], beside: bool, outside: bool
) -> tuple[bool, str]:
    """Whether an unknown name is an operation that other libraries have, and what to type instead.

    ``beside`` says that the text is a value given beside a program, ``outside`` that the program binds the name.
    """
    word = name.id
    raw = text[name.start : name.end]
    if raw.endswith(("ᵀ", "ᵗ")):
        return False, f"the transpose is `{raw[:-1]}.T`"
    if call is None and word in foreign.VALUES:
        return False, f"write `{foreign.VALUES[word]}`"
    if outside:
        return False, "a value given beside the program knows what is built in, none of the program's names"
    if call is not None:
        written = foreign.written_here([word], _arguments(text, call, None), dotted=False)
        if written is not None and len(written) <= LONGEST:
            return False, f"write `{written}`"
        if word in foreign.names():
            shown = foreign.written_here(
                [word], [Argument(p) for p in ("x", "y", "z")[: max(1, len(call.arguments))]], False
            )
            if shown:
                return False, f"write `{shown}`"
        if word in foreign.ADVICE:
            return False, foreign.ADVICE[word]
    operation = OPERATIONS.get(word.lower())
    if call is None and operation is not None and text[name.end : name.end + 1] == "[":
        return False, f"a call has round brackets: `{word.lower()}(…)`"
    if call is not None and word.lower() in foreign.MISSING:
        return True, f"{foreign.MISSING[word.lower()]}; {LIST}"
    similar = did_you_mean(word, [*bound, *CONSTANTS, *OPERATIONS])
    if similar:
        return False, f"did you mean `{similar}`?"
    if word in ("float32", "float64", "int32", "int64", "bool"):
        return False, f"a dtype is not a value; to convert: `cast(x, {word})`"
    if call is not None:
        return False, f"{LIST}; to define one: `def {word}(x) = …`"
    if beside:
        return False, "a value given beside the program knows what is built in, and no other names"
    if word == "T" and text[: name.start].rstrip()[-1:] in ("^", "*"):
        return False, "the transpose is `x.T`"
    return False, f"{BIND}: `{word} = …` or `variable {word}`"


def for_attribute(text: str, expression: syntax.Attribute, module: bool) -> str:
    """``np.pi``, ``x.shape``."""
    name, base = expression.name.id, expression.base
    shown = "…" if module or base.end - base.start > 40 else text[base.start : base.end]
    if name in CONSTANTS or module and name in foreign.VALUES:
        return f"write `{foreign.VALUES.get(name, name)}`"
    if module and name in ("float32", "float64", "int32", "int64"):
        return f"write `{name}`"
    if not module and name in foreign.ATTRIBUTES:
        loose = isinstance(base, (syntax.Binary, syntax.Unary))
        inner = shown[1:-1] if loose and shown.startswith("(") else shown
        return f"write `{foreign.filled(foreign.ATTRIBUTES[name], {'x': Argument(inner, loose=loose)})}`"
    if name in OPERATIONS:
        return f"call it: `{name}({shown})`"
    return _other(name, "the only attribute is `.T`, the transpose")


def _other(word: str, otherwise: str) -> str:
    if word in foreign.ADVICE:
        return foreign.ADVICE[word]
    if word in foreign.MISSING:
        return f"gradcli has no operation `{word}`: {foreign.MISSING[word]}"
    similar = did_you_mean(word, OPERATIONS)
    return f"did you mean `{similar}`?" if similar else otherwise


def _path(function: syntax.Attribute, module: syntax.Name | None) -> list[str]:
    """``["linalg", "inv"]`` of ``np.linalg.inv``, ``["inv"]`` of a method."""
    path = [function.name.id]
    base = function.base
    while module is not None and isinstance(base, syntax.Attribute):
        path.insert(0, base.name.id)
        base = base.base
    return path


def _arguments(text: str, call: syntax.Call, module: syntax.Name | None) -> list[Argument]:
    result: list[Argument] = []
    for argument in call.arguments:
        value = argument.value
        loose = isinstance(value, (syntax.Binary, syntax.Unary))
        shown = _plain(text[value.start : value.end], module)
        if loose and shown.startswith("(") and text[value.start] == "(" and _closes_at_end(shown):
            shown = shown[1:-1]
        result.append(Argument(shown, argument.name.id if argument.name is not None else None, loose))
    return result


def _closes_at_end(text: str) -> bool:
    depth = 0
    for i, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth:
            return i == len(text) - 1
    return False


def _plain(text: str, module: syntax.Name | None) -> str:
    """A text on one line, without the module and in the words of the language."""
    text = " ".join(text.split())
    if module is not None:
        text = re.sub(rf"\b{re.escape(module.id)}\.(?=\w)", "", text)
    return re.sub(rf"\b({'|'.join(PYTHONIC)})\b", lambda m: PYTHONIC[m[0]], text)


def _operation(word: str, op: Operation, arguments: Sequence[Argument]) -> str | None:
    """A call of an operation with the arguments that another library gives it; None where some have no place here."""
    positional = _positional(op, [a.text for a in arguments if a.name is None])
    named = [_named(op, a.name, a.text) for a in arguments if a.name is not None]
    if positional is None or None in named:
        return None
    shown = [*positional, *[text for text in named if text is not None]]
    return f"{word}({', '.join(shown)})"


def _positional(op: Operation, texts: list[str]) -> list[str] | None:
    """Arguments without names as the operation takes them; None where it has no place for some."""
    by_position = [p for p in op.parameters if not p.keyword_only]
    takes_more = any([p.kind == "operands" for p in op.parameters if not p.keyword_only])
    if op.name in _SHAPED and texts:
        place = next(i for i, p in enumerate(by_position) if p.name in ("shape", "multiples"))
        texts = [*texts[:place], *_in_brackets(texts[place:])]
    shown: list[str] = []
    for i, text in enumerate(texts):
        if op.name in _REDUCTIONS and i in (1, 2):
            if i == 2 and text not in ("true", "false"):
                return None
            shown.append(f"{'axis' if i == 1 else 'keepdims'}={text}")
        elif i < len(by_position) or takes_more:
            shown.append(text)
        else:
            return None
    return shown


def _in_brackets(sizes: list[str]) -> list[str]:
    """Sizes that are given one by one, ``2, 3``, as one shape, ``[2, 3]``."""
    is_shape = len(sizes) == 1 and sizes[0].startswith("[")
    is_listed = bool(sizes) and not is_shape and all([re.fullmatch(r"-?\w+", size) for size in sizes])
    return [f"[{', '.join(sizes)}]"] if is_listed else sizes


def _named(op: Operation, name: str, text: str) -> str | None:
    """An argument by the name that another library has for it; None where the operation takes none of such a name."""
    known = [p.name for p in op.parameters]
    key = name if name in known else foreign.PARAMETERS.get(name, KEYWORDS.get(name, name))
    return f"{key}={text}" if key in known else None
