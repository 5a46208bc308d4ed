"""What a fit says: its values in the usual formats or written into the program, and how far it is."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.diagnostics import GradcliError, Label, Source, Span, counted
from gradcli.features.fit.optimizers import RULES
from gradcli.graph.types import size_of
from gradcli.report.json_parts import json_number, json_text
from gradcli.report.numbers import literal, rounded, tokens
from gradcli.report.reply import Reply
from gradcli.results import Result
from gradcli.tuples import NamedTuple

if TYPE_CHECKING:
    from gradcli.data.journal import Journal
    from gradcli.features.fit.errors import Estimate, Estimated
    from gradcli.features.fit.subject import Multiplier
    from gradcli.features.fit.training import Moment, Outcome
    from gradcli.language.syntax import Expression
    from gradcli.report.estimates import Estimates
    from gradcli.report.tables import Screen

Array = Any


class Ending(NamedTuple):
    """How a run ended; see :class:`gradcli.features.fit.training.Outcome`."""

    converged: bool
    reason: str
    method: str
    steps: int
    loss: float
    gradient_norm: float
    gradient_left: float

    def record(self) -> str:
        """It as an object of JSON."""
        fields = {key: json_number(v) if isinstance(v, float) else v for key, v in self._asdict().items()}
        return json_text(fields)

    def remark(self) -> str:
        """What a text ends with: nothing, or a comment that says that this is not a minimum, as far as is known.

        The built-in rules end with their steps, and know of none.
        """
        reason = " ".join(self.reason.split())
        return "" if self.converged or self.method in RULES else f"# not converged: {reason}\n"


class Fitted(NamedTuple):
    """The answer of ``fit``: a reply, and the source, into which the format ``expr`` writes the values.

    ``as_written`` names those that the source has already, and ``given`` are values of others that options gave;
    ``dtype`` is the program's precision, which an option may have given, too. ``ending`` is how the run ended, ``estimates``
    the reply with errors.
    """

    reply: Reply
    source: Source
    as_written: Collection[str] = ()
    given: Sequence[Result] = ()
    dtype: str = "float64"
    ending: Ending | None = None
    estimates: Estimates | None = None

    def rounded(self, digits: int | None) -> Fitted:
        """See :class:`gradcli.report.reply.Answer`."""
        errors = self.estimates.rounded(digits) if self.estimates is not None else None
        return self._replace(reply=self.reply.rounded(digits), estimates=errors)

    def pieces(self, format: str, screen: Screen | None) -> Iterator[str]:
        """See :class:`gradcli.report.reply.Answer`; there is one format more, ``expr``."""
        if format == "expr":
            results = [result for result in self.reply.orders[0][1] if result.name not in self.as_written]
            digits = self.reply.precision
            if digits is not None:
                results = [r._replace(value=rounded(r.value, digits)) if r.connected else r for r in results]
            return iter([with_values(self.source, [*results, *self.given], self.dtype)])
        pieces = (self.estimates or self.reply).pieces(format, screen)
        return pieces if self.ending is None or screen is not None else _flagged(pieces, format, self.ending)

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """See :class:`gradcli.report.reply.Answer`."""
        import numpy as np

        yield from (self.estimates or self.reply).arrays()
        if self.ending is not None:
            yield "fit/converged", np.array(self.ending.converged)


def _flagged(pieces: Iterator[str], format: str, ending: Ending) -> Iterator[str]:
    """The text of a format with how the run ended: an object in JSON, a field of each line, a remark in what people read."""
    flag = "true" if ending.converged else "false"
    if format == "json":
        *first, last = pieces
        yield from first
        yield last.removesuffix("}\n") + f', "fit": {ending.record()}}}\n'
    elif format == "ndjson":
        for piece in pieces:
            yield piece.removesuffix("}\n") + f', "converged": {flag}}}\n' if piece.endswith("}\n") else piece
    elif format == "csv":
        yield next(pieces).removesuffix("\n") + ",converged\n"
        for piece in pieces:
            yield piece.replace("\n", f",{flag}\n")
    else:
        yield from pieces
        if format != "value":
            yield ending.remark()


LABELS = {
    "dof": "degrees of freedom", "chi2": "χ²", "reduced_chi2": "reduced χ²", "r2": "R²", "aic": "AIC", "bic": "BIC",
    "loglik": "log-likelihood",
}  # fmt: skip
"""What people call the statistics of a fit."""


def estimates(fitted: Fitted, found: Estimated, of: Sequence[Result]) -> Fitted:
    """The answer with errors, and with the values of names ``of``."""
    from gradcli.report.estimates import Estimates, Sheet, correlations

    results = [*fitted.reply.orders[0][1], *of]
    todo = iter([*found.estimates, *found.derived])
    errors: dict[str, dict[str, Array]] = {}
    shapes = {result.name: result.value.shape for result in results if result.connected}
    for name in [*dict.fromkeys(e.of for e in found.estimates), *[result.name for result in of]]:
        import numpy as np

        rows = [next(todo) for _ in range(size_of(shapes[name]))]
        errors[name] = {
            kind: np.array([getattr(row, kind) for row in rows]).reshape(shapes[name])
            for kind in ("error", "low", "high")
        }
    covariance = found.covariance.tolist() if found.covariance is not None else None
    more = {
        "covariance": {"names": found.names, "matrix": covariance, "basis": found.basis},
        "statistics": found.statistics,
        "notes": {e.name: e.note for e in [*found.estimates, *found.derived] if e.note},
    }
    headers = ["name", "value", "error", "error in %", "95 % from", "to"]
    headers += ["note"] if more["notes"] else []
    sheets = [Sheet("fitted", headers, [_row(e)[: len(headers)] for e in found.estimates])]
    if found.derived:
        sheets.append(Sheet("derived", headers, [_row(e)[: len(headers)] for e in found.derived]))
    if found.covariance is not None:
        sheets += filter(None, [correlations(found.names, found.correlation)])
    facts = ", ".join([f"{LABELS.get(key, key)} = {value:.6g}" for key, value in found.statistics.items()])
    reply = fitted.reply._replace(orders=[(0, results)])
    return fitted._replace(
        reply=reply, estimates=Estimates(reply, errors, sheets, [f"covariance: {found.basis}", facts], more)
    )


def _row(e: Estimate) -> list[str | float]:
    part = 100 * e.error / abs(e.value) if e.value else math.nan
    return [e.name, e.value, e.error, "" if math.isnan(part) else f"{part:.3g}", e.low, e.high, e.note]


def with_values(source: Source, results: Sequence[Result], dtype: str) -> str:
    """The program with these values in its declarations, of this precision, and every other character as it is.

    Raises GradcliError (ValueError) for numbers of float64 in a program of float32, which has no literal for them.
    """
    from gradcli.language.mending import Edit, edited
    from gradcli.language.parser import parse
    from gradcli.language.syntax import Declaration, Dtype

    statements = parse(source).statements
    values = {result.name: result.value for result in results if result.connected}
    written = next((s.name for s in statements if isinstance(s, Dtype)), None)
    edits: list[Edit] = []
    if written is not None:
        edits.append(Edit(written.start, written.end, dtype))
    elif dtype != "float64":
        edits.append(Edit(0, 0, f"dtype {dtype}\n"))
    for d in statements:
        if not isinstance(d, Declaration) or d.name.id not in values:
            continue
        value = values[d.name.id]
        if dtype == "float32" and d.dtype is not None and d.dtype.id == "float64" and not _is_single(value):
            raise GradcliError(
                "ValueError", f"`{d.name.id}` is float64, and this program's literals are float32",
                [Label(Span(source, d.start, d.end))], help="`--format json` keeps its digits",
            )  # fmt: skip
        if d.value is None:
            edits.append(Edit(d.end, d.end, f" = {literal(value)}"))
            continue
        entries = _entries(d.value, value)
        if entries is None:
            edits.append(Edit(d.value.start, d.value.end, literal(value)))
        else:  # one by one, for there may be comments and ends of lines between them
            edits += [Edit(e.start, e.end, text) for e, text in zip(entries, tokens(value), strict=True)]
    text = edited(source.text, edits)
    return text if text.endswith("\n") else text + "\n"


def _is_single(value: Array) -> bool:
    """Whether each number is one of float32 too, or NaN."""
    import numpy as np

    with np.errstate(over="ignore"):
        return bool(np.array_equal(value, value.astype(np.float32), equal_nan=True))


def _entries(written: Expression, value: Array) -> list[Expression] | None:
    """The entries of a bracket literal in C order; None for what is written otherwise, such as ``zeros([2])``."""
    from gradcli.language.syntax import List

    entries = [written]
    for _ in value.shape:
        lists = [item for item in entries if isinstance(item, List)]
        if len(lists) < len(entries):
            return None
        entries = [item for row in lists for item in row.items]
    return entries if len(entries) == value.size else None


def history_line(moment: Moment) -> str:
    """A step as an object of JSON: ``step loss gnorm`` (the norm of the gradient) ``lr seconds``."""
    fields: dict[str, Any] = {"step": moment.state.step, "loss": moment.loss, "gnorm": moment.gnorm}
    if moment.rate is not None:
        fields["lr"] = moment.rate
    fields["seconds"] = round(moment.seconds, 6)
    return json_text({key: json_number(value) for key, value in fields.items()}) + "\n"


def journal_of(path: str, resumed: int | None) -> Journal:
    """The history of a run: new, or where a run was resumed with the lines before that step, for later ones are done again."""
    from gradcli.data.journal import Journal

    def is_before(line: str) -> bool:
        try:
            return resumed is not None and line.endswith("\n") and bool(json.loads(line)["step"] < resumed)
        except (ValueError, KeyError, TypeError):
            return False

    return Journal(path, is_before if resumed is not None else None)


def progress_line(moment: Moment, steps: int, rate: float) -> str:
    """``step 1200 of 5000: loss 0.0123, gradient norm 0.5, 830 steps/s, 5 s left``."""
    left = f", {(steps - moment.state.step) / rate:.0f} s left" if rate > 0 else ""
    return (
        f"step {moment.state.step} of {steps}: loss {moment.loss:.6g}, gradient norm {moment.gnorm:.3g}, "
        f"{rate:.3g} steps/s{left}"
    )


def progress_text(moment: Moment, steps: int, rate: float) -> str:
    """The same for a terminal, beside a bar that says what is left."""
    return f"{moment.state.step}/{steps}  loss {moment.loss:.4g}  |gradient| {moment.gnorm:.2g}  {rate:.3g} steps/s"


FALLING = 1e-6
"""A loss that falls by this part in the last step still falls, and a line says so."""


SEVERAL = 10
"""From this many steps on that line is printed: whoever asks for fewer steps wants just these."""


def afterthought(outcome: Outcome, first: float | None) -> str | None:
    """What else to know of an end: the loss has grown, or was falling when the steps were over."""
    if first is not None and outcome.loss > first:
        return f"that is more than {first:.6g} at the start: a smaller --lr, or another --method, may do"
    before = outcome.state.loss
    if (
        outcome.reason == "all steps done"
        and outcome.state.step >= SEVERAL
        and before is not None
        and before - outcome.loss > FALLING * abs(before)
    ):
        return (
            f"it still fell, by {before - outcome.loss:.2g} in the last step: more --steps, or another --method, may do"
        )
    return None


def multiplier_text(found: Multiplier) -> str:
    """``active, multiplier 0.35``, or how far off a constraint is that is not."""
    values = [f"{number:.6g}" for number in found.multiplier.reshape(-1).tolist()]
    if any(found.multiplier.reshape(-1).tolist()):
        return f"multiplier {values[0] if found.multiplier.ndim == 0 else '[' + ', '.join(values) + ']'}"
    smallest = float(abs(found.difference).min(initial=math.inf))
    return f"not active, {smallest:.3g} away"


def summary(name: str, outcome: Outcome) -> str:
    """``loss = 0.0123 after 5000 steps, gradient norm 0.001, not converged: all steps done``."""
    steps = counted(outcome.state.step, "step")
    flag = "converged" if outcome.converged else "not converged"
    return f"{name} = {outcome.loss:.6g} after {steps}, gradient norm {outcome.gnorm:.3g}, {flag}: {outcome.reason}"
