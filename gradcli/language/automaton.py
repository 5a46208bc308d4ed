"""The automaton of the LALR tables: a loop that follows them over tokens, building a value for each rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from gradcli.language import tables

if TYPE_CHECKING:
    from gradcli.language.lexer import Token

# From the values of a rule's symbols and the end of its last one to the rule's own value.
Build = Callable[[list[Any], int], Any]
# What to do on a symbol: enter another state, or reduce (how many symbols, to what, how).
Reduction = tuple[int, str, Build]
State = dict[str, Any]


def run(first: State, tokens: Iterator[Token]) -> Any:
    """Follow the tables to the end of the tokens; the value of the whole, or None at the first token that cannot follow."""
    state = first
    states = [first]
    values: list[Any] = []
    end = 0
    for kind, value, token_end in tokens:
        action = state.get(kind)
        while action.__class__ is tuple:
            size, head, build = action
            if size:
                parts = values[-size:]
                del values[-size:], states[-size:]
                values.append(build(parts, end))
            else:
                values.append(build([], end))
            state = states[-1][head]
            states.append(state)
            action = state.get(kind)
        if action is None:
            return None
        state = action
        states.append(state)
        values.append(value)
        end = token_end
    return values[0]


def link(data: tables.Tables, build: Callable[[tables.Rule, Mapping[str, str]], Build]) -> State:
    """The first state of an automaton in which states hold each other, and reductions their build functions."""
    spellings = data["spellings"]
    reductions: list[Reduction] = [
        (len(rule["symbols"]), rule["head"], splice(rule) if rule["name"] is None else build(rule, spellings))
        for rule in data["rules"]
    ]
    states: list[State] = [{} for _ in data["states"]]
    for state, actions in zip(states, data["states"], strict=True):
        for symbol, action in actions.items():
            state[symbol] = states[action] if action >= 0 else reductions[~action]
    return states[0]


def start_of(value: Any) -> int:
    """Where the value of a symbol starts: a place is its own start, a list starts with its first entry."""
    if value.__class__ is list:
        value = value[0]
    return value if value.__class__ is int else cast(int, value.start)


def splice(rule: tables.Rule) -> Build:
    """A repetition ``__x_star``: a list that grows in place and is spliced into the rule that uses it."""
    symbols, children = rule["symbols"], rule["children"]
    if symbols[0] != rule["head"]:
        return lambda parts, end: [parts[position] for position in children]
    assert len(children) <= 2
    if len(children) == 1:
        return lambda parts, end: parts[0]
    position = children[1]

    def grow(parts: list[Any], end: int) -> Any:
        items = parts[0]
        items.append(parts[position])
        return items

    return grow
