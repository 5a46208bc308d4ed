"""The parser's tables: made from ``grammar/expr.lark`` by Lark, saved as plain JSON, read back without importing Lark.

``python -m gradcli.language.tables`` writes the JSON anew. A JSON that does not belong to the grammar is never
used: the tables are then built in memory.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from lark import Lark
    from lark.grammar import Rule as LarkRule

START = "program"
END_OF_TEXT = "$END"
HERE = os.path.dirname(os.path.abspath(__file__))
SAVED = os.path.join(HERE, "tables.json")

Actions = dict[str, int]


class Rule(TypedDict):
    """One way to reduce: ``symbols`` become a ``head``.

    ``name`` says which build function makes the value (None: a list that is spliced into the rule that uses it) and
    ``children`` what it is given: positions in ``symbols``, or -1 for the None of an absent optional part.
    """

    name: str | None
    head: str
    symbols: list[str]
    children: list[int]


class Tables(TypedDict):
    """Everything the lexer and the parser need.

    ``states[i][symbol]`` is the state to enter, or, if negative, ``~n`` to reduce by ``rules[n]``; state 0 is the
    first. ``terminals`` are in the order in which they must be tried; ``keywords`` are found among the names;
    ``spellings`` give the text of terminals that have only one.
    """

    grammar: str
    ignored: list[str]
    terminals: list[list[str]]
    keywords: dict[str, str]
    spellings: dict[str, str]
    rules: list[Rule]
    states: list[Actions]


def grammar_text() -> str:
    """The grammar: of the installed package if it has one, else of the checkout."""
    package = os.path.dirname(HERE)
    for folder in (package, os.path.dirname(package)):
        path = os.path.join(folder, "grammar", "expr.lark")
        if os.path.isfile(path):
            return _read(path)
    raise FileNotFoundError("grammar/expr.lark is missing from this installation of gradcli")


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def key(grammar: str) -> str:
    """What tells whether saved tables are those of a grammar."""
    # A checksum is enough to notice an edit, and hashlib would take 10 ms of every start.
    return f"{len(grammar)}-{zlib.crc32(grammar.encode()):08x}"


def load() -> Tables:
    """The saved tables if they belong to the grammar, else new ones."""
    grammar = grammar_text()
    try:
        saved: Tables = json.loads(_read(SAVED))
        if saved["grammar"] == key(grammar):
            return saved
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return build(grammar)


def lark_parser(grammar: str, postlex: Any = None) -> Lark:
    """Lark's own parser of the grammar, from which the tables are taken and with which tests compare."""
    from lark import Lark

    return Lark(grammar, parser="lalr", lexer="basic", start=START, maybe_placeholders=True, postlex=postlex)


def build(grammar: str) -> Tables:
    """The tables of a grammar."""
    from lark.lexer import BasicLexer, UnlessCallback
    from lark.parsers.lalr_analysis import LALR_Analyzer

    lark = lark_parser(grammar)
    lexer = lark.parser.lexer
    assert isinstance(lexer, BasicLexer)
    analysis: Any = LALR_Analyzer(lark.parser.parser_conf)
    analysis.compute_lalr()
    scanner = lexer.scanner
    keywords: dict[str, str] = {}
    for callback in lexer.callback.values():
        assert isinstance(callback, UnlessCallback)
        keywords |= {terminal.pattern.value: terminal.name for terminal in callback.scanner.terminals}
    ignored = set(lark.ignore_tokens)
    spellings = {terminal.name: terminal.pattern.value for terminal in lark.terminals if terminal.pattern.type == "str"}
    rules, states = _compact(lark, analysis.parse_table)
    return Tables(
        grammar=key(grammar),
        ignored=[terminal.pattern.to_regexp() for terminal in scanner.terminals if terminal.name in ignored],
        terminals=[[t.name, t.pattern.to_regexp()] for t in scanner.terminals if t.name not in ignored],
        keywords=dict(sorted(keywords.items())),
        spellings=dict(sorted(spellings.items())),
        rules=rules,
        states=states,
    )


def _plain(rule: LarkRule) -> Rule:
    """A rule with the children that Lark's tree would have."""
    head = str(rule.origin.name)
    children = []
    absent = [len(ones) for ones in "".join(str(int(one)) for one in rule.options.empty_indices).split("0")]
    for position, symbol in enumerate(rule.expansion):
        children += [-1] * (absent[position] if position < len(absent) else 0)
        if not (symbol.is_term and symbol.filter_out):  # type: ignore[attr-defined]
            children.append(position)
    if len(absent) > len(rule.expansion):
        children += [-1] * absent[len(rule.expansion)]
    name = None if head.startswith("_") else str(rule.alias or head)
    return Rule(name=name, head=head, symbols=[str(symbol.name) for symbol in rule.expansion], children=children)


def _changes_nothing(rule: LarkRule) -> bool:
    """Whether a reduction leaves its value alone: ``?sum: product``, and ``name: NAME``, which the lexer has built."""
    if len(rule.expansion) != 1:
        return False
    symbol = rule.expansion[0]
    passes_on = rule.options.expand1 and rule.alias is None
    return passes_on or (symbol.is_term and symbol.name == rule.origin.name.upper())


def _compact(lark: Lark, table: Any) -> tuple[list[Rule], list[Actions]]:
    """Rules and states without the reductions that change nothing.

    Wherever a state on top of another would only be renamed by such reductions, they are carried out here, for each
    next symbol: from ``(``, a name is followed at once by what may follow a sum, or a product, or a call's function.
    """
    from lark.parsers.lalr_analysis import Shift

    skipped = {rule for rule in lark.rules if _changes_nothing(rule)}
    kept = [rule for rule in lark.rules if rule not in skipped]
    number = {rule: ~index for index, rule in enumerate(kept)}
    nonterminals = {str(rule.origin.name) for rule in lark.rules}
    for rule in kept:
        assert not rule.options.expand1 or rule.alias, f"{rule} may or may not be a node of the tree"

    # A state of the compact automaton is a choice, for each symbol, of a reduction or an original state to enter.
    Choice = tuple[tuple[str, int], ...]
    found: dict[Choice, int] = {}
    queue: list[dict[str, int]] = []

    def add(choice: dict[str, int]) -> int:
        frozen = tuple(sorted(choice.items()))
        if frozen not in found:
            found[frozen] = len(queue)
            queue.append(choice)
        return found[frozen]

    def entered(below: dict[str, int], top: int) -> dict[str, int]:
        choice: dict[str, int] = {}
        for symbol in table.states[top]:
            if symbol in nonterminals:
                continue
            state = top
            visited = [top]
            while symbol in table.states[state]:  # else it may follow elsewhere, but not here
                action, argument = table.states[state][symbol]
                if action is Shift or argument not in skipped:
                    choice[str(symbol)] = argument if action is Shift else number[argument]
                    break
                state = below[argument.origin.name]
                visited.append(state)
            for state in visited:
                for name, (_, target) in table.states[state].items():
                    if name in nonterminals:
                        assert choice.setdefault(str(name), target) == target, f"two ways to go on with {name}"
        return choice

    first = table.start_states[START]
    add(entered({}, first))
    states: list[Actions] = []
    last = table.end_states[START]
    while len(states) < len(queue):
        below = queue[len(states)]
        row: Actions = {}
        for symbol, target in sorted(below.items()):
            if target == last:
                row[symbol] = add({END_OF_TEXT: last})
            else:
                row[symbol] = target if target < 0 else add(entered(below, target))
        states.append(row)
    return [_plain(rule) for rule in kept], states


def save(tables: Tables, path: str = SAVED) -> None:
    """Write tables as JSON, a line for each rule and state."""
    lines = []
    for name, value in tables.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row) for row in value)
            lines.append(f"{json.dumps(name)}: [\n{rows}\n]")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(value)}")
    with open(path, "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    save(build(grammar_text()))
