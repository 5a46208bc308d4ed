"""What ``gradcli explain`` found: a table and a tree of contributions and cuts, or JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.autodiff.connection import MANY
from gradcli.diagnostics import Label, Span, counted
from gradcli.report.as_json import leaf
from gradcli.report.columns import aligned
from gradcli.report.errors import ELISION, LINE_WIDTH, underlined
from gradcli.report.json_parts import json_place, json_text
from gradcli.report.numbers import json_pieces as number_pieces
from gradcli.report.numbers import literal, rounded

if TYPE_CHECKING:
    from gradcli.features.explain.explanation import Contribution, Explained, Explanation, Route, Step, Way
    from gradcli.features.explain.near import Near
    from gradcli.report.tables import Screen

HEADERS = ("name", "routes", "None since", "0 since", "gradient")

SHORT = 6
"""Steps of a route up to which its first line names them all."""

BRANCH = 3
"""Columns of a tree's branch."""

LONG = 6
"""Entries of a value above which it is not written out: on a terminal, and along a route."""


def rounded_to(explained: Explained, digits: int | None) -> Explained:
    """The same with every number rounded to that many significant digits; None leaves it as it is."""
    if digits is None:
        return explained

    def number(value: Any) -> Any:
        return None if value is None else rounded(value, digits)

    def route(r: Route) -> Route:
        steps = [s._replace(factor=number(s.factor), gradient=number(s.gradient)) for s in r.steps]
        return r._replace(value=number(r.value), steps=steps)

    def contribution(c: Contribution) -> Contribution:
        return c._replace(value=number(c.value), shown=list(map(route, c.shown)), rest=number(c.rest))

    explanations = [
        e._replace(value=number(e.value), contributions=list(map(contribution, e.contributions)))
        for e in explained.explanations
    ]
    return explained._replace(explanations=explanations)


def render(explained: Explained, screen: Screen | None) -> str:
    """An overview, then for each x what adds up or what is cut; without a screen nothing is drawn or elided."""
    rows = [_overview(e) for e in explained.explanations]
    title = _title(explained)
    if screen is None:
        head = f"{title}\n" + aligned([HEADERS, *rows])
    else:
        from gradcli.report import tables

        head = tables.render_rows(HEADERS, rows, screen, title)
    pen = _Pen(screen)
    blocks = ["\n" + "".join([line + "\n" for line in _lines(e, pen)]) for e in explained.explanations]
    return head + "".join(blocks)


def _title(explained: Explained) -> str:
    whole = " + ".join(explained.of)
    if explained.summed:
        whole = f"Σ{whole}" if len(explained.of) == 1 else f"Σ({whole})"
    return f"gradients of order {explained.order} of {whole}" if explained.order > 1 else f"gradients of {whole}"


def _overview(e: Explanation) -> list[str]:
    value = "None" if e.value is None else brief(e.value)
    routes = sum([c.routes for c in e.contributions])
    return [e.name, _count(routes), _or_dash(e.none_since), _or_dash(e.zero_since), value]


def _or_dash(order: int | None) -> str:
    return "-" if order is None else str(order)


def _count(number: int) -> str:
    return str(number) if number < MANY else "over 10^15"


def _counted(number: int, word: str) -> str:
    return counted(number, word) if number < MANY else f"over 10^15 {word}s"


class _Pen:
    """How lines are drawn: with the characters and the colour of a terminal, or plainly."""

    def __init__(self, screen: Screen | None) -> None:
        drawn = screen is not None and screen.unicode
        self.ellipsis = "…" if drawn else "..."
        self.sign = "±" if drawn else "+-"
        self.color = screen is not None and screen.color
        self.width = screen.width if screen is not None else None
        self.branch, self.last, self.bar = ("├─ ", "└─ ", "│  ") if drawn else ("|- ", "`- ", "|  ")

    def number(self, value: Any) -> str:
        """A value; of a long one on a terminal, its shape and its largest entry."""
        if self.width is None or value.size <= LONG:
            return literal(value)
        largest = abs(value).max()
        bound = "with NaN" if largest != largest else f"up to {self.sign}{literal(largest)}"
        return f"an array {list(value.shape)} {bound}"

    def wrapped(self, line: str, beside: int = BRANCH, indent: int = 2) -> list[str]:
        """A text as lines that fit beside that many columns of a terminal, the later ones indented."""
        if self.width is None:
            return [line]
        import textwrap

        width = max(self.width - beside, 20)
        return textwrap.wrap(line, width, subsequent_indent=" " * indent, break_on_hyphens=False) or [""]

    def source(self, span: Span) -> list[str]:
        """The underlined place, with as much of its line as a terminal shows."""
        if self.width is None:
            return underlined([Label(span)], self.color)
        beside = BRANCH + len(f"{span.line} | ") + 2 * len(ELISION)
        lines = underlined([Label(span)], self.color, min(max(self.width - beside, 20), LINE_WIDTH))
        if self.color:
            return lines
        room = self.width - BRANCH
        return [line if len(line) <= room else line[: room - len(self.ellipsis)] + self.ellipsis for line in lines]

    def tree(self, items: Sequence[Sequence[str]]) -> list[str]:
        """Each item's first line with a branch before it, its other lines below."""
        lines: list[str] = []
        for k, (first, *rest) in enumerate(items):
            end = k + 1 == len(items)
            lines.append((self.last if end else self.branch) + first)
            lines += [(("   " if end else self.bar) + line).rstrip() for line in rest]
        return lines


def brief(value: Any) -> str:
    """A value, or the shape of a long one."""
    return literal(value) if value.size <= LONG else f"an array {list(value.shape)}"


def _lines(e: Explanation, pen: _Pen) -> list[str]:
    if e.value is None:
        reason = f": {e.reason.with_line()}" if e.reason else ""
        return [*pen.wrapped(f"{e.name} = None{reason}", 0), *pen.tree([*_ways(e.ways, pen), *_near(e.near, pen)])]
    sums = " + ".join([f"{pen.number(c.value)} from {_names(c.of)}" for c in e.contributions])
    first = f"{e.name} = {pen.number(e.value)}" + (f" = {sums}" if len(e.contributions) > 1 else "")
    routes = sorted([(c, r) for c in e.contributions for r in c.shown], key=lambda pair: -_size(pair[1].value))
    items = [_route(route, c, pen) for c, route in routes]
    items += [pen.wrapped(_rest(c, pen)) for c in e.contributions if c.rest is not None]
    lines = [*pen.wrapped(first, 0), *pen.tree(items)]
    for way in e.ways:
        if way.cuts:
            said = f"{_counted(way.ways, 'other way')} carr{'ies' if way.ways == 1 else 'y'} no gradient: "
            lines += pen.wrapped(said + way.cuts[0].reason.with_line(), 0)
        else:
            lines.append(f"{_counted(way.ways, 'other way')} more carry no gradient")
    return [*lines, *pen.wrapped(e.note, 0)] if e.note else lines


def _names(of: Sequence[str]) -> str:
    return of[0] if len(of) == 1 else f"{len(of)} others"


def _size(value: Any) -> float:
    """The largest entry, NaN before all."""
    size = abs(value).max(initial=0)
    return float(size) if size == size else math.inf


def _rest(c: Contribution, pen: _Pen) -> str:
    more = "more " if c.shown else ""
    hidden = _counted(c.routes - len(c.shown) if c.routes < MANY else MANY, f"{more}route")
    return f"{pen.number(c.rest)} from {_names(c.of)} by {hidden}"


def _route(route: Route, c: Contribution, pen: _Pen) -> list[str]:
    start = f"{pen.number(route.value)} from {_names(c.of)}"
    if not route.steps:
        return pen.wrapped(f"{start}, which is this node: its head gradient")
    middle = len(route.steps) // 2
    rows = [_step(step) for step in route.steps[:middle] if not _is_unit(step)]
    if route.omitted:
        rows.append(["", f"… {_counted(route.omitted, 'more step')} …", "", ""])
    rows += [_step(step) for step in route.steps[middle:] if not _is_unit(step)]
    heading = start + _path(route, len(start), pen) + ("" if rows else ": every factor is 1")
    first = pen.wrapped(heading, indent=6)
    return [*first, *[f"  {line}".rstrip() for line in _steps(rows, pen)]]


def _path(route: Route, beside: int, pen: _Pen) -> str:
    """The way of a short route, else the points where it leaves the other routes that are shown."""
    path = list(dict.fromkeys([step.to for step in route.steps]))
    whole = " <- ".join(["", *path])
    if len(path) <= SHORT and (pen.width is None or BRANCH + beside + len(whole) <= pen.width):
        return whole
    through = route.through
    if not through:
        return f" <- {pen.ellipsis} <- {path[-1]}"
    return f" through {' <- '.join(through)}" + (f" <- {path[-1]}" if through[-1] != path[-1] else "")


def _is_unit(step: Step) -> bool:
    return step.formula == "1" and not step.linear


def _steps(rows: list[list[str]], pen: _Pen) -> list[str]:
    """A line for each step; where they do not fit on a terminal, its text and what it does below each other."""
    lines = aligned(rows).splitlines() if rows else []
    if pen.width is None or all([len(line) + BRANCH + 2 <= pen.width for line in lines]):
        return lines
    gutter = max([len(place) for place, *_ in rows]) + 2
    lines = []
    for place, text, *does in rows:
        first, *more = pen.wrapped(text, BRANCH + 2 + gutter)
        lines += [place.ljust(gutter) + first, *[" " * gutter + line for line in more]]
        for said in filter(None, does):
            lines += [" " * (gutter + 2) + line for line in pen.wrapped(said, BRANCH + 4 + gutter)]
    return lines


def _step(step: Step) -> list[str]:
    lines = [label.span.line for label in step.labels]
    place = f"line {lines[0]}" if lines else ""
    if lines and lines[-1] != lines[0]:
        place += f" via {lines[-1]}"
    factor = f"{'map' if step.linear else 'factor'} {step.formula}"
    if step.factor is not None and step.factor.size <= LONG and not _is_number(step.formula):
        factor += f" = {literal(step.factor)}"
    gives = f"gives {literal(g)}" if (g := step.gradient) is not None and g.size <= LONG else ""
    return [place, step.text, factor, gives]


def _is_number(formula: str) -> bool:
    try:
        float(formula)
    except ValueError:
        return False
    return True


def _ways(ways: Sequence[Way], pen: _Pen) -> list[list[str]]:
    items: list[list[str]] = []
    for way in ways:
        if not way.cuts:
            items.append([f"{_counted(way.ways, 'more way')}"])
            continue
        lines: list[str] = []
        for k, cut in enumerate(way.cuts):
            start = f"{_counted(way.ways, 'way')}: " if k == 0 else "and below that: "
            lines += pen.wrapped(start + cut.reason.with_line())
            if cut.reason.span is not None:
                lines += pen.source(cut.reason.span)
            lines += pen.wrapped(f"help: {cut.help}")
        if way.more:
            lines.append("and there are further cuts below that")
        items.append(lines)
    return items


def _near(near: Sequence[Near], pen: _Pen) -> list[list[str]]:
    return [
        [*pen.wrapped(n.text), *(pen.source(n.span) if n.span is not None else []), *pen.wrapped(f"help: {n.help}")]
        for n in near
    ]


def json_pieces(found: Sequence[Explained]) -> Iterator[str]:
    """One object, with one line for each x, in pieces; places have ``file``, ``line``, ``column`` and what stands there.

    That of several orders lists them as ``orders``.
    """
    head = {"command": "explain", "file": found[0].file, "of": found[0].of}
    if len(found) == 1:
        yield from _explanations(head, found[0])
        yield "\n"
        return
    yield f'{json_text(head)[:-1]}, "orders": '
    yield from _listed([_explanations({}, explained) for explained in found])
    yield "}\n"


def _explanations(head: dict[str, Any], explained: Explained) -> Iterator[str]:
    yield f'{json_text({**head, "order": explained.order})[:-1]}, "explanations": {{'
    after = ""
    for e in explained.explanations:
        yield f"{after}\n {json_text(e.name)}: {{"
        yield from _explanation(e)
        after = ","
    yield "}}"


def _explanation(e: Explanation) -> Iterator[str]:
    if e.value is None:
        yield f'"connected": false, "value": null, "reason": {json_text(e.reason.with_place() if e.reason else None)}'
    else:
        yield '"connected": true, '
        yield from leaf(e.value)
        yield ', "contributions": '
        yield from _listed(map(_contribution_json, e.contributions))
    since = {"none_since": e.none_since, "zero_since": e.zero_since, "note": e.note}
    ways = [
        {
            "routes": way.ways if way.ways < MANY else None,
            "cuts": [
                {"reason": c.reason.text + c.reason.tail, **_place(c.reason.span), "help": c.help} for c in way.cuts
            ],
            "more": way.more,
        }
        for way in e.ways
    ]
    near = [{"text": n.text, **_place(n.span), "help": n.help} for n in e.near]
    rest = json_text({**since, "ways": ways, "near": near})
    yield f", {rest[1:]}"


def _listed(items: Iterable[Iterator[str]]) -> Iterator[str]:
    yield "["
    for number, item in enumerate(items):
        yield ", " if number else ""
        yield from item
    yield "]"


def _contribution_json(c: Contribution) -> Iterator[str]:
    yield f'{{"of": {json_text(c.of)}, '
    yield from leaf(c.value)
    yield f', "routes": {c.routes if c.routes < MANY else "null"}, "shown": '
    yield from _listed(map(_route_json, c.shown))
    yield ', "rest": {' if c.rest is not None else ', "rest": null'
    if c.rest is not None:
        yield from leaf(c.rest)
        yield "}"
    yield "}"


def _route_json(route: Route) -> Iterator[str]:
    yield "{"
    yield from leaf(route.value)
    yield f', "through": {json_text(route.through)}, "steps": '
    yield from _listed(map(_step_json, route.steps))
    yield f', "omitted": {route.omitted}}}'


def _step_json(step: Step) -> Iterator[str]:
    fields = {
        "operation": step.operation,
        "text": step.text,
        "to": step.to,
        **_place(step.labels[0].span if step.labels else None),
        **({"call": _place(step.labels[1].span)["place"]} if len(step.labels) > 1 else {}),
        "formula": step.formula,
    }
    yield json_text(fields)[:-1]
    for key, value in (("factor", step.factor), ("gradient", step.gradient)):
        yield f', "{key}": '
        yield from number_pieces(value) if value is not None else ["null"]
    yield "}"


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"place": None}
    return {"place": {**json_place(span), "source": span.text}}
