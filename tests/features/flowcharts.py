"""Readers of drawings for tests: DOT by pydot, and the part of Mermaid's flowcharts that is written, strictly.

The Mermaid grammar follows https://mermaid.js.org/syntax/flowchart.html: words of the language are not identifiers, and a
quoted text holds no character that Mermaid or HTML would read as their own.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import pydot
from lark import Lark, Token, Tree

FLOWCHART = r"""
start: "flowchart TD" _NL statement*
?statement: comment | subgraph | node | edge | classdef | class_
comment: COMMENT _NL
COMMENT: /%%(?!\{)[^\n]*/
subgraph: "subgraph" " " ID "[" TEXT "]" _NL statement* "end" _NL
node: ID shape ":::" ID _NL
shape: "[" TEXT "]" -> box
    | "([" TEXT "])" -> stadium
    | "[[" TEXT "]]" -> subroutine
edge: ID " " ARROW " " ID _NL
ARROW: "-->" | "-.->"
classdef: "classDef" " " ID " " STYLE ("," STYLE)* _NL
STYLE: /[a-z-]+:[#\w]+/
class_: "class" " " ID ("," ID)* " " ID _NL
ID: /(?!(?:end|call|click|href|default|graph|subgraph|flowchart|style|linkStyle|classDef|class|interpolate|direction)\b)[A-Za-z]\w*/
TEXT: "\"" (/[^"<>&#;`\\{}|\n]/ | "<br/>" | /#\d+;/)+ "\""
_NL: /\n/
"""

PARSER = Lark(FLOWCHART, parser="lalr")


class Drawing(NamedTuple):
    """Labels by node, edges as (from, to, dashed), and titles of clusters."""

    nodes: dict[str, str]
    edges: set[tuple[str, str, bool]]
    clusters: list[str]


def read_mermaid(text: str) -> Drawing:
    """Raises lark's errors for what is no such flowchart."""
    tree = PARSER.parse("\n".join(line.strip() for line in text.splitlines()) + "\n")
    nodes: dict[str, str] = {}
    edges = set()
    clusters = []
    for found in tree.iter_subtrees_topdown():
        words = [str(child) for child in found.children if isinstance(child, Token)]
        if found.data == "node":
            shape = found.children[1]
            assert isinstance(shape, Tree)
            assert words[0] not in nodes
            nodes[words[0]] = _unquoted(str(shape.children[0]))
        elif found.data == "edge":
            edges.add((words[0], words[2], words[1] == "-.->"))
        elif found.data == "subgraph":
            clusters.append(_unquoted(words[1]))
    return Drawing(nodes, edges, clusters)


def _unquoted(text: str) -> str:
    return re.sub(r"#(\d+);", lambda match: chr(int(match[1])), text[1:-1].replace("<br/>", "\n"))


def read_dot(text: str) -> Drawing:
    """Fails for what pydot cannot read."""
    graphs = pydot.graph_from_dot_data(text)
    assert graphs is not None, text
    (graph,) = graphs
    nodes: dict[str, str] = {}
    edges = {(e.get_source(), e.get_destination(), e.get("style") == "dashed") for e in graph.get_edges()}
    clusters = []
    todo = [graph]
    while todo:
        part = todo.pop()
        if part is not graph:
            clusters.append(_unescaped(part.get("label")))
        for node in part.get_nodes():
            if node.get_name() not in ("node", "edge", "graph"):
                nodes[node.get_name()] = _unescaped(node.get("label"))
        todo += part.get_subgraphs()
    return Drawing(nodes, edges, clusters)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text[1:-1])
