"""What entries claim of their operations, derived from the kernels: over all operations of the table, hidden ones too.

A claim that an entry makes must hold; where a missing claim would be a fault, that is found too.
"""

from __future__ import annotations

import ast
import itertools
import math
import operator
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import gradcli
from gradcli.autodiff import cotangents, degree, jacobian, reverse, sparsity, views
from gradcli.execute import lower, plan, steps
from gradcli.features.derive import formulas
from gradcli.features.derive.answer import derive
from gradcli.features.trace import answer as traced
from gradcli.features.trace import hints
from gradcli.graph.flow import flow
from gradcli.graph.node import Derivation, Node
from gradcli.graph.operation import Contraction, Elementwise, Linear, NoDerivative, literal
from gradcli.graph.ops import table
from gradcli.graph.ops.creation import make_leaf
from gradcli.graph.ops.elementwise import absolute
from gradcli.graph.ops.kernels import IntegerOverflowError
from gradcli.graph.ops.shaping import broadcasted
from gradcli.graph.ops.words import english, language, latex, mpmath, numpy, python
from gradcli.graph.types import is_float
from gradcli.language import needed, printer, remedies, spellings
from gradcli.language.builtin import BINARY
from gradcli.program import kinks, query
from gradcli.rewrite import algebra, exact, forms, shapes, simplify, terms, written
from tests.graph.examples import Array, Example, evaluate, every, examples, on_arrays, on_leaves, value_of

SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 1e-300, -1e-300, 1e300, -1e300, math.inf, -math.inf, math.nan])


def names(found) -> list[str]:
    """The operations of some examples, each once, for a message."""
    return sorted({example.name for example in found})


def drawn(example: Example, draw) -> tuple[Array, ...]:
    """The inputs, those that can move replaced by what ``draw`` gives for a shape and dtype."""
    inputs = list(example.inputs)
    for i in example.floats:
        x = example.node.inputs[i]
        if x.op.name != "literal":
            inputs[i] = np.asarray(draw(x.shape), x.dtype)
    return tuple(inputs)


def attempt(example: Example, inputs: tuple[Array, ...]) -> Array | None:
    """The value, or None where the kernel refuses the inputs (a singular matrix)."""
    try:
        return example.value(*inputs)
    except (gradcli.GradcliError, np.linalg.LinAlgError, OverflowError, ValueError):
        return None


def test_there_are_examples_of_every_operation_with_a_kernel():
    kernels = {op.name for op in table.values() if op.kernel is not None} - {"literal"}
    assert kernels == examples().keys(), (
        "an operation wants a line in SPECS of test_operations.py, a hidden one here too"
    )


# entry by entry


def moved(x: Array, entry: tuple[int, ...]) -> Array:
    y = np.array(x)
    y[entry] = ~y[entry] if y.dtype == bool else y[entry] + (1 if y.dtype.kind == "i" else 0.37)
    return y


def is_entrywise(example: Example) -> bool:
    """Whether an entry of the value depends on no other entry of an input than those that broadcast to it."""
    before = example.value()
    for i, x in enumerate(example.inputs):
        for entry in itertools.islice(np.ndindex(x.shape), 4):
            here = np.zeros(x.shape, bool)
            here[entry] = True
            after = example.value(*example.with_input(i, moved(x, entry)))
            changed = (after != before) & ~(np.isnan(after) & np.isnan(before))
            if after.shape != before.shape or np.any(changed & ~np.broadcast_to(here, before.shape)):
                return False
    return True


def test_elementwise_operations_and_selections_work_entry_by_entry():
    """Read by axes of loops, batches of rows, and the search for what is not finite."""
    claimed = [e for e in every() if e.node.op.entrywise and e.node.inputs]
    assert len(names(claimed)) > 60
    assert names(e for e in claimed if not is_entrywise(e)) == []


# zeros


def patterned(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """A pattern of a shape and values that are 0 only where it is."""
    pattern = rng.random(shape) < 0.5
    return pattern, np.where(pattern, rng.uniform(0.3, 2.0, shape) * rng.choice([-1.0, 1.0], shape), 0.0)


def wrong_zeros(example: Example, unknown: set[int], rng: np.random.Generator) -> bool:
    """Whether the pattern of an operation misses an entry that is not 0."""
    node = on_arrays(example)
    given = {x: patterned(rng, x.shape) for i, x in enumerate(node.inputs) if i in unknown}
    found = {x: on_arrays_pattern(pattern) for x, (pattern, _) in given.items()}
    known = {x: x not in found for x in node.inputs}
    pattern = evaluate(sparsity._pattern(node, known, lambda x: sparsity._of(x, found)))
    assert set(np.unique(pattern)) <= {0.0, 1.0}, example.name
    inputs = tuple([given[x][1] if x in given else v for x, v in zip(node.inputs, example.inputs, strict=True)])
    value = attempt(example, tuple([np.asarray(v, x.dtype) for v, x in zip(inputs, node.inputs, strict=True)]))
    if value is None or value.dtype == bool:
        return False
    return bool(np.any((value != 0) & ~np.isnan(value) & (pattern == 0)))


def on_arrays_pattern(pattern: Array) -> Node:
    from gradcli.program.loaded import array_node

    return array_node(np.asarray(pattern, sparsity.DTYPE))


def test_patterns_of_zeros_miss_nothing():
    rng = np.random.default_rng(1)
    wrong = []
    with Derivation().active():
        for example in every(15):
            free = [i for i in example.floats if example.node.inputs[i].op.name != "literal"]
            choices = [free, *([i] for i in free if len(free) > 1)]
            wrong += [example for chosen in choices if chosen if wrong_zeros(example, set(chosen), rng)]
    assert names(wrong) == []


def gives_zero(example: Example, inputs: tuple[int, ...]) -> bool:
    """Whether the value is 0 or NaN where some inputs are 0 and the others anything."""
    rng = np.random.default_rng(5)
    for _ in range(8):
        given = [rng.choice(SPECIAL, x.shape) if x.dtype.kind == "f" else x for x in example.inputs]
        given = [rng.choice([0.0, -0.0], x.shape) if i in inputs else x for i, x in enumerate(given)]
        value = attempt(example, tuple([np.asarray(x, v.dtype) for x, v in zip(given, example.inputs, strict=True)]))
        if value is not None and np.any((value != 0) & ~np.isnan(value)):
            return False
    return True


def test_what_is_0_where_inputs_are_is():
    wrong, seen = [], set()
    for example in every(8):
        claimed = example.node.op.zero_where
        if claimed is not None and example.name not in OF_RESULTS:
            seen.add(example.name)
            wrong += [] if gives_zero(example, claimed) else [example]
    assert names(wrong) == []
    assert len(seen) > 40


def test_no_function_that_is_0_at_0_lacks_the_fact():
    missing = []
    for example in every(4):
        op = example.node.op
        simple = (
            op.entrywise
            and example.inputs
            and example.inputs[0].size
            and example.node.dtype != "bool"
            and not any(example.node.attrs.values())
        )
        if simple and len(example.inputs) == 1 and op.zero_where is None:
            missing += [example] if np.all(example.value(np.zeros_like(example.inputs[0])) == 0) else []
    assert names(missing) == [], "the entries of these want `zero_where=(0,)`"


def parity_of(example: Example) -> str | None:
    """What a function does with the other sign, as far as values tell; None where they don't."""
    (x,) = example.inputs
    x = np.where(x == 0, 0.3, x)
    y, other = example.value(x), example.value(-x)
    some = np.isfinite(y) & np.isfinite(other) & (y != 0)
    if not np.any(some):
        return None
    return "odd" if np.allclose(other[some], -y[some]) else "even" if np.allclose(other[some], y[some]) else ""


def test_odd_and_even_functions_have_the_fact():
    """Those of one real number without more parameters; operations that only derivatives use may go without."""
    wrong, seen = [], set()
    for example in every(8):
        op = example.node.op
        if len(example.inputs) != 1 or len(op.parameters) != 1 or not op.entrywise or not example.floats:
            continue
        if op.parity or (op.family == "elementwise" and op.degree == "" and not op.hidden and op.rule is not None):
            seen.add(op.parity)
            wrong += [example] if parity_of(example) not in (op.parity, None) else []
    assert names(wrong) == [], "the entries of these want another `parity`"
    assert seen == {"odd", "even", ""}


CONSTANT = [name for name, op in table.items() if op.bounds[0] == op.bounds[1] and op.accepts != "bool"]


@pytest.mark.parametrize("name", CONSTANT)
def test_what_has_equal_bounds_is_one_number_whatever_the_input(name):
    """Rewriting leaves ``link`` and ``zero`` out of sums, patterns have no entry for them."""
    example = examples()[name][0]
    value = value_of(example.node, (SPECIAL,) if example.inputs else ())
    assert np.unique(value).tolist() == [table[name].bounds[0]]
    assert not np.signbit(value).any()


def test_what_only_connects_is_0_and_passes_a_gradient():
    connecting = {name for name, op in table.items() if op.connects}
    assert connecting == {name for name in CONSTANT if not isinstance(table[name].rule, NoDerivative)}
    assert connecting == {"link", "zero"}


def filled(example: Example, number: float) -> Node:
    """The node with each float input filled with a number, in a way that shows."""
    inputs = [
        broadcasted(literal(number, x.dtype), x.shape) if i in example.floats and x.op.name != "literal" else x
        for i, x in enumerate(on_arrays(example).inputs)
    ]
    return example.node.with_inputs(tuple(inputs))


def test_what_is_seen_to_be_filled_with_one_number():
    wrong = []
    for example in every():
        for number in (0.0, 1.0, 2.5):
            node = filled(example, number)
            uniform, filling = views.uniform(node), terms.filling(node)
            seen = [float(x) for x in (uniform, filling) if x is not None]
            if seen and any(np.any(evaluate(node) != x) for x in seen):
                wrong.append(example)
    assert names(wrong) == []


# signs and ranges


def variants(example: Example) -> Iterator[tuple[Node, set[Node], list[tuple[Array, ...]]]]:
    """The node on inputs of any sign and on inputs that are not negative, on one input twice, with values for each."""
    rng = np.random.default_rng(2)
    any_sign = [drawn(example, lambda shape: rng.choice(SPECIAL, shape)) for _ in range(6)]
    any_sign.append(tuple([-np.abs(x) if x.dtype.kind == "f" else x for x in example.inputs]))
    any_sign = [values if not literal_inputs(example) else keep_literals(example, values) for values in any_sign]
    leaves = on_leaves(example)
    yield leaves, set(), any_sign
    positive = [tuple([np.abs(x) if x.dtype.kind == "f" else x for x in values]) for values in any_sign]
    inputs = tuple([absolute(x) if x.op.name == "leaf" else x for x in leaves.inputs])
    positive = [keep_literals(example, values) for values in positive]
    yield example.node.with_inputs(inputs), {x for x in inputs if x.op.name == "abs"}, positive
    if len(inputs) == 2 and inputs[0].shape == inputs[1].shape and inputs[1].op.name == "leaf" == inputs[0].op.name:
        yield example.node.with_inputs((leaves.inputs[0],) * 2), set(), [(values[0],) * 2 for values in any_sign]


OF_RESULTS = {name for name, op in table.items() if op.hidden and op.spec.startswith("y, ")}
"""Slopes of which an input is the result y of a function of another: free values of both mean nothing."""


def literal_inputs(example: Example) -> bool:
    return any(x.op.name == "literal" for x in example.node.inputs)


def keep_literals(example: Example, values: tuple[Array, ...]) -> tuple[Array, ...]:
    """Values in which literals have their own."""
    pairs = zip(example.node.inputs, example.inputs, values, strict=True)
    return tuple([own if x.op.name == "literal" else value for x, own, value in pairs])


def function_of(name: str) -> str | None:
    """The function that an operation on a result and its input is a slope of."""
    return next((f for f in table if name.startswith(f + "_") and table[f].spec == "x"), None)


def claims(example: Example) -> Iterator[tuple[Node, set[Node], Array]]:
    """Variants of the node with a value for each of their inputs."""
    for node, known, inputs in variants(example):
        for values in inputs:
            if example.name in OF_RESULTS:
                function = function_of(example.name)
                if function is None or known:
                    continue
                values = (value_of(examples()[function][0].node, values[1:2]), *values[1:])
            value = attempt(example, values)
            if value is not None:
                yield node, known, value


def test_values_are_within_their_bounds():
    """-0 is below a bound of 0: there 1/|x| becomes 1/x, which differs for it."""
    wrong, seen = [], set()
    for example in every(15):
        low, high = example.node.op.bounds
        if (low, high) == (-math.inf, math.inf) or not is_float(example.node.dtype):
            continue
        for _, _, value in claims(example):
            seen.add(example.name)
            below = (value < low) | ((value == 0) & np.signbit(value) & (low == 0) & (math.copysign(1, low) > 0))
            if np.any(below | (value > high)):
                wrong.append(example)
    assert names(wrong) == []
    bounded = {name for name, op in table.items() if op.bounds != (-math.inf, math.inf)}
    assert seen >= bounded - {"zeros", "ones", "eye"}


@pytest.mark.slow
def test_what_is_seen_not_to_be_negative_is_not():
    """In the products of Jacobians, where square roots of such factors are taken."""
    wrong, seen = [], set()
    for example in every(15):
        for node, _, value in claims(example):
            if views.nonnegative(node):
                seen.add(example.name)
                if np.any(value < 0):
                    wrong.append(example)
    assert names(wrong) == []
    assert {name for name, op in table.items() if op.nonnegative or op.closed} - WITHOUT_FLOATS <= seen


WITHOUT_FLOATS = {"zeros", "ones", "eye", "zeros_like"}


@pytest.mark.slow
def test_what_is_seen_to_be_positive_is_no_negative_zero_either():
    """There 1/|x| becomes 1/x, which differs for negative numbers and for -0."""
    wrong, seen = [], set()
    for example in every(15):
        for node, known, value in claims(example):
            if written._positive(node, known):
                seen.add(example.name)
                if np.any(np.signbit(value) & ~np.isnan(value)):
                    wrong.append(example)
    assert names(wrong) == []
    assert {name for name, op in table.items() if op.positive or op.closed} - WITHOUT_FLOATS <= seen


# entries that are moved


def distinct(example: Example) -> tuple[Array, ...]:
    """The inputs, with float entries that are all different, positive, and in no order."""
    rng = np.random.default_rng(6)
    count = sum(x.size for x in example.inputs)
    numbers = iter(rng.permutation(np.arange(1.0, count + 1)))
    return tuple(
        [np.reshape([next(numbers) for _ in range(x.size)], x.shape).astype(x.dtype) if x.dtype.kind == "f" else x
         for x in example.inputs]
    )  # fmt: skip


def test_entries_are_what_is_said_of_them():
    wrong, seen = [], set()
    for example in every():
        op = example.node.op
        if not op.entries or not example.floats or not is_float(example.node.dtype):
            continue
        if op.entrywise and len(op.parameters) > 1 and len({x.shape for x in example.inputs}) > 1:
            continue  # broadcasting takes entries several times
        inputs = distinct(example)
        value = example.value(*inputs).reshape(-1)
        own = np.concatenate([x.reshape(-1) for x in inputs if x.dtype.kind == "f"])
        seen.add(example.name)
        if op.entries == "negated":
            value = -value
        taken = value[value != 0] if op.entries == "placed" else value
        if op.entries == "added":
            right = all(columns_are_units(example, i) for i in example.floats)
        else:
            right = set(taken) <= set(own) and (op.entries == "repeated" or len(set(taken)) == len(taken))
        wrong += [] if right else [example]
    assert names(wrong) == []
    assert {name for name, op in table.items() if op.entries and op.kernel is not None} <= seen


def columns_are_units(example: Example, i: int) -> bool:
    """Whether each entry of an input goes into one entry of the result at most, with the factor 1 or -1."""
    matrix = np.abs(columns(example, i))
    return set(np.unique(matrix)) <= {0.0, 1.0} and bool(np.all(matrix.sum(axis=0) <= 1))


def test_what_is_triangular_is_and_nothing_else():
    """Linear operations show it themselves, since patterns of zeros pass through them, and so does what is always 0."""
    lower: dict[str, bool] = {}
    for example in every():
        op, shape = example.node.op, example.node.shape
        told = isinstance(op.rule, Linear) or op.zero_where == ()
        if len(shape) > 1 and min(shape[-2:]) > 1 and example.floats and not told:
            value = example.value()
            lower[op.name] = lower.get(op.name, True) and np.array_equal(value, np.tril(value))
    assert {name for name, yes in lower.items() if yes} == {name for name, op in table.items() if op.triangular}


# degrees


def along(example: Example, chosen: set[int], step: float, count: int) -> Array | None:
    """Values on a line through the inputs: [count, entries]."""
    rng = np.random.default_rng(3)
    way = {i: rng.uniform(0.2, 1.0, example.inputs[i].shape) * rng.choice([-1.0, 1.0]) for i in chosen}
    rows = []
    for t in np.arange(count) * step:
        values = [x + t * way[i] if i in chosen else x for i, x in enumerate(example.inputs)]
        found = attempt(example, tuple(values))
        if found is None:
            return None
        rows.append(found.astype(float).reshape(-1))
    return np.array(rows)


def is_of_degree(rows: Array, n: int) -> bool:
    """Whether values at equal distances are those of a polynomial of degree n."""
    difference = np.diff(rows, n=n + 1, axis=0)
    scale = np.maximum(np.abs(rows).max(initial=1.0), 1.0)
    return bool(np.all(np.abs(difference) <= 1e-12 * 2**n * scale))


def moving(example: Example) -> list[set[int]]:
    """Which inputs move: all that have a derivative, and each alone."""
    free = [
        i for i in example.floats
        if i in example.node.op.differentiable_inputs(example.node) and example.node.inputs[i].op.name != "literal"
    ]  # fmt: skip
    return [set(chosen) for chosen in ([free] if len(free) == 1 else [free, *[[i] for i in free]]) if chosen]


MOST_DEGREES = 6


def bound_of(node: Node, chosen: set[int]) -> float:
    """The degree in some inputs that the entry gives."""
    return degree.bound(
        node, [degree.ITSELF if i in chosen else degree.CONSTANT for i in range(len(node.inputs))]
    ).power


def test_degrees_bound_the_values_between_kinks():
    wrong, checked = [], set()
    for example in every(12):
        node = on_arrays(example)
        for chosen in moving(example):
            bound = bound_of(node, chosen)
            if not bound <= MOST_DEGREES or example.node.dtype == "bool" or example.name in OF_RESULTS:
                continue
            rows = along(example, chosen, 0.02, int(bound) + 4)
            if rows is not None and rows.size:
                checked.add(example.name)
                if not is_of_degree(rows, int(bound)):
                    wrong.append(example)
    assert names(wrong) == []
    assert {"abs", "leaky_relu", "relu", "square", "divide", "solve", "xlogy", "prod", "pow", "sign"} <= checked


def test_what_is_called_piecewise_is_and_nothing_else():
    """An operation of a degree, seen from far: one polynomial, or several that meet at kinks or jumps."""
    piecewise, whole = set(), set()
    for example in every(12):
        node = on_arrays(example)
        for chosen in moving(example):
            bound = bound_of(node, chosen)
            if isinstance(node.op.rule, NoDerivative) or not bound <= MOST_DEGREES or example.name in OF_RESULTS:
                continue
            rows = along(example, chosen, 0.7, 20)
            if rows is not None and rows.size:
                (whole if is_of_degree(rows, int(bound)) else piecewise).add(example.name)
    # where jumps by its condition, which has no derivative
    assert piecewise | {"where"} == {name for name, op in table.items() if op.piecewise}


def orders_of(example: Example, i: int, most: int) -> tuple[float, int]:
    """The last order that the table promises for an input, and the one after which the gradient is None."""
    node = on_leaves(example)
    x = node.inputs[i]
    with Derivation().active():
        promised = degree.last_order([node], x)
        ys: list[Node] = [node]
        for order in range(most):
            (g,) = reverse.gradients(ys, [x])
            if g is None:
                return promised, order
            ys = [g]
    return promised, most


@pytest.mark.slow
def test_the_last_order_is_that_of_repeated_differentiation():
    wrong = []
    for name, some in examples().items():
        for example in some[:6] if name != "cofactor" else ():  # one input of which is the determinant of the other
            for i in example.floats:
                if example.node.inputs[i].op.name != "literal" and example.node.dtype != "bool":
                    promised, found = orders_of(example, i, 4)
                    wrong += [example] if min(promised, 4) != found else []
    assert names(wrong) == []


def test_what_ends_in_none_is_known_to_the_rewriting_of_powers():
    """A polynomial must not become a power, whose derivatives never end."""
    wrong = []
    for some in examples().values():
        for example in some[:6]:
            node = on_leaves(example)
            for i in example.floats:
                x = node.inputs[i]
                ends = x.op.name == "leaf" and 0 < degree.last_order([node], x) < math.inf
                known = node.inputs[written.POLYNOMIAL_IN.get(node.op.degree, slice(0))]
                if ends and node.op.degree != "sign" and x not in known:
                    wrong.append(example)
    assert names(wrong) == []


# derivatives that are finite


def test_what_is_not_singular_has_finite_values_and_slopes():
    """Only at an overflow of plain arithmetic: the strong zero guards the others."""
    ordinary = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1e-200, -1e-200, 40.0, -40.0, 900.0, -900.0])
    rng = np.random.default_rng(4)
    wrong = []
    for some in examples().values():
        for example in some[:4]:
            node = on_leaves(example)
            singular = node.op.singular
            free = [(i, x) for i, x in enumerate(node.inputs) if x.op.name == "leaf"]
            if not free or (singular if isinstance(singular, bool) else singular(node.inputs)):
                continue
            with Derivation().active():
                slopes = [g for g in reverse.gradients([node], [x for _, x in free]) if g is not None]
                seconds = [g for s in slopes for g in reverse.gradients([s], [x for _, x in free]) if g is not None]
            for _ in range(4):
                given = {x: np.asarray(rng.choice(ordinary, x.shape)) for _, x in free}
                with np.errstate(all="ignore"):
                    try:
                        found = [evaluate(n, given) for n in (node, *slopes, *seconds)]
                    except gradcli.GradcliError:  # such as a standard deviation below 0
                        continue
                if not all(np.isfinite(value).all() for value in found if value.dtype.kind == "f"):
                    wrong.append(example)
    assert names(wrong) == []


def test_reductions_of_nothing_are_singular_where_they_are_not_finite():
    for op in table.values():
        if op.family != "reductions" or op.kernel is None or op.accepts == "bool":
            continue
        try:
            node = op(make_leaf("x", "variable", (2, 0), "float64", False), axis=1)
        except gradcli.GradcliError:
            continue
        value = value_of(node, (np.zeros((2, 0)),))
        assert np.isfinite(value).all() or node.risky, op.name


def test_calls_that_are_numbered_in_the_order_of_the_program_are_those_that_differ():
    calls = {name: f"{name}([4])" for name, op in table.items() if op.family == "creation" and "shape" in op.spec}
    differ = set()
    for name, call in calls.items():
        if op_takes_a_shape(name):
            a, b = gradcli.loads(f"a = {call}; b = {call}").eval().values()
            differ |= {name} if not np.array_equal(a, b) else set()
    assert differ == needed.COUNTED


def test_what_is_never_merged_is_what_has_values_of_its_own():
    """Placeholders, whose values come from elsewhere, and draws of random numbers: however alike, two of them are two."""
    sources = {"tensor", "tensors", "operands", "indices", "condition"}
    without = {
        name for name, op in table.items() if op.kernel is None and op.expand is None and op.family != "language"
    }
    placeholders = {name for name in without if not any(p.kind in sources for p in table[name].parameters)}
    assert {name for name, op in table.items() if not op.shareable} == placeholders | needed.COUNTED


def op_takes_a_shape(name: str) -> bool:
    required = [p for p in table[name].parameters if p.default is None]
    return [p.kind for p in required] == ["shape"] and not table[name].hidden


def test_what_makes_no_number_out_of_nothing():
    """Operations without inputs are finite, but for those that hold values."""
    starts = {e.name for e in every() if not e.node.inputs}
    given = {name for name, op in table.items() if op.given}
    assert {*starts, "leaf", "literal"} >= given
    holding = {e.name for e in every() if not e.node.inputs and {"values", "seed"} & e.node.attrs.keys()}
    assert holding | {"leaf", "literal"} == given
    for name in starts - given:
        assert all(np.isfinite(e.value()).all() for e in examples()[name]), name


def far(name: str, x: float, dtype: str) -> Array:
    node = Node(table[name], (make_leaf("x", "variable", (), dtype, False),), {}, (), dtype, False)
    return value_of(node, (np.asarray(x, dtype),))


def test_the_limits_that_hints_name():
    overflowing = {name: op.overflows for name, op in table.items() if op.overflows is not None}
    assert len(overflowing) > 4
    for name, limits in overflowing.items():
        for dtype, limit in zip(("float32", "float64"), limits, strict=True):
            assert np.isfinite(far(name, limit, dtype)), (name, dtype)
            assert np.isinf(far(name, limit + 2, dtype)), (name, dtype)
    for name in hints._LOGARITHMS:
        assert far(name, 0.0, "float64") == -math.inf
        assert np.isnan(far(name, -1.0, "float64"))
        assert far(name, 1.0, "float64") == 0.0
    assert {*hints._DOMAINS, *hints._SLOPES} <= table.keys()


# smoothness

POINTS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 3.0)


def is_rough(f, at: float) -> bool:
    """Whether a function that is finite on both sides of a point jumps or bends there."""
    h = 1e-6
    with np.errstate(all="ignore"):
        before, here, after = (float(f(at + t)) for t in (-h, 0.0, h))
    if not np.isfinite([before, here, after]).all():
        return False
    left, right = (here - before) / h, (after - here) / h
    return abs(left - right) > 1e-3 * (1 + abs(left) + abs(right))


@pytest.mark.slow
def test_no_kink_of_an_operation_is_missing():
    """Functions of one or two numbers, along each of them."""
    missing = []
    for example in every():
        node = example.node
        if example.name in OF_RESULTS:
            continue
        if not node.op.entrywise or node.shape or not example.floats or node.dtype == "bool":
            continue
        free = [i for i in example.floats if node.inputs[i].op.name != "literal"]
        for point in itertools.product(POINTS, repeat=len(free)):
            inputs = list(example.inputs)
            for i, x in zip(free, point, strict=True):
                inputs[i] = np.asarray(x)
            for i in free:

                def f(x, i=i, inputs=inputs, example=example):
                    found = attempt(example, (*inputs[:i], np.asarray(x), *inputs[i + 1 :]))
                    return math.nan if found is None else found

                if is_rough(f, float(inputs[i])):
                    corner = kinks.corner_of(node)
                    if corner is None or not np.all(corner.test(np, node, inputs, example.value(*inputs))):
                        missing.append((example.name, point))
    assert missing == []


def is_unsmooth(example: Example, inputs: Sequence[Array], i: int) -> bool:
    """Whether a value, a slope or a second one jumps or is infinite where an entry of an input moves."""
    x = np.asarray(inputs[i])
    node = on_leaves(example)
    leaf = node.inputs[i]
    with Derivation().active():
        found, ys = [node], [node]
        while len(found) < 3 and leaf.op.name == "leaf":
            (g,) = reverse.gradients(ys, [leaf])
            if g is None:
                break
            found, ys = [*found, g], [g]

    def at(t: float) -> Array | None:
        moved = np.array(x)
        moved[(0,) * x.ndim] += t
        values = {n: moved if k == i else v for k, (n, v) in enumerate(zip(node.inputs, inputs, strict=True))}
        with np.errstate(all="ignore"):
            return np.concatenate([np.ravel(evaluate(n, values)).astype(float) for n in found])

    h = 1e-7
    before, here, after = at(-h), at(0.0), at(h)
    if not np.isfinite([before, here, after]).all():
        return True
    jumps = np.abs(here - before) + np.abs(after - here) > 1e-3 * (1 + np.abs(here))
    bends = np.abs(after - 2 * here + before)[: node_size(node)] > 1e-3 * h
    return bool(jumps.any() or bends.any())


def node_size(node: Node) -> int:
    return math.prod(node.shape)


def test_corners_are_where_something_jumps():
    """Functions of numbers at most of the points that they name, others where all entries are 0 or 1.

    trunc does not jump at 0, nor 0^p for p = 0, x*log(y) for y = 1, and 0/b.
    """
    rough: dict[str, list[bool]] = {}
    for example in every(40):
        node = example.node
        corner = kinks.corner_of(node)
        if corner is None or not example.floats:
            continue
        free = [i for i in example.floats if node.inputs[i].op.name != "literal"]
        points = itertools.product(POINTS if node.op.entrywise and not node.shape else (0.0, 1.0), repeat=len(free))
        for point in points:
            inputs = list(example.inputs)
            for i, x in zip(free, point, strict=True):
                inputs[i] = np.full_like(inputs[i], x)
            with np.errstate(all="ignore"):
                there = bool(np.any(corner.test(np, node, inputs, example.value(*inputs))))
            if there:
                rough.setdefault(example.name, []).append(any(is_unsmooth(example, inputs, i) for i in free))
    assert {name: found for name, found in rough.items() if 2 * sum(found) < len(found)} == {}
    assert rough.keys() == {name for name, op in table.items() if op.corner is not None}


def test_comparisons_are_those_of_the_table():
    python = {"less": operator.lt, "less_equal": operator.le, "greater": operator.gt, "greater_equal": operator.ge,
              "equal": operator.eq, "not_equal": operator.ne}  # fmt: skip
    assert python.keys() == {name for name, op in table.items() if op.compares}
    for name, function in python.items():
        kernel = table[name].kernel
        for a, b in itertools.product(SPECIAL, repeat=2):
            assert kernel(np, a, b) == function(float(a), float(b)), (name, a, b)


def test_remedies_are_for_what_cuts_a_gradient():
    for name in remedies._SMOOTH:
        nodes = [on_leaves(e) for e in examples().get(name, ())]
        assert nodes, name
        assert any(len(node.op.differentiable_inputs(node)) < len(node.inputs) for node in nodes), name


# linear operations


def columns(example: Example, i: int) -> Array:
    """The matrix of an operation that is linear in an input: what each unit of it gives."""
    x = example.inputs[i]
    units = np.eye(x.size).reshape(x.size, *x.shape)
    nothing = [
        0 * v if k in example.node.op.differentiable_inputs(example.node) else v for k, v in enumerate(example.inputs)
    ]
    zeros = example._replace(inputs=tuple(nothing))
    found = [zeros.value(*zeros.with_input(i, unit)).astype(float) for unit in units]
    return np.array(found).reshape(x.size, -1).T


def linear() -> Iterator[tuple[Example, int]]:
    for example in every():
        if isinstance(example.node.op.rule, Linear) and is_float(example.node.dtype):
            for i in example.node.op.differentiable_inputs(example.node):
                if i in example.floats and example.node.shape.count(0) == 0:
                    yield example, i


@pytest.mark.slow
@pytest.mark.parametrize("deltas", [False, True])
def test_a_jacobian_through_a_linear_operation_is_its_matrix(deltas):
    """The sweep moves deltas and constant axes through the operations that it knows by name, and axes of attributes."""
    wrong = []
    for example, i in linear():
        node = on_leaves(example)
        x = node.inputs[i]
        if x.op.name != "leaf":
            continue
        with Derivation().active():
            y = node * node if deltas else node
            (found,) = jacobian.jacobian(y, [x])
        given = {leaf: v for leaf, v in zip(node.inputs, example.inputs, strict=True) if leaf.op.name == "leaf"}
        matrix = columns(example, i)
        if deltas:
            matrix = 2 * np.diag(example.value().reshape(-1)) @ matrix
        value = evaluate(found, given).reshape(matrix.shape)
        if not np.allclose(value, matrix, rtol=1e-12, atol=1e-12):
            wrong.append(example)
    assert names(wrong) == []


# axes that go along


def tile(example: Example, label: int, k: int | None, start: int, stop: int) -> tuple[steps.Place, list]:
    """The place of an operation in a loop, and the registers for one tile."""
    rows, _ = flow(example.node)
    cut = tuple([own.index(label) if label in own else None for own in rows])
    shape = list(example.node.shape)
    if k is not None:
        shape[k] = stop - start
    inputs = [
        x if at is None else x[(slice(None),) * at + (slice(start, stop),)]
        for x, at in zip(example.inputs, cut, strict=True)
    ]
    place = steps.Place(example.node, range(steps.FIRST, steps.FIRST + len(inputs)), steps.FIRST + len(inputs),
                        plan_piece(k, cut))  # fmt: skip
    return place, [None, stop - start, *inputs, np.full(shape, 7, example.node.dtype)]


def plan_piece(k, cut):
    from gradcli.execute.cuts import Piece

    return Piece(k, cut)


def in_tiles(example: Example, label: int, k: int, size: int) -> Array:
    """The value, computed in tiles along an axis."""
    pieces = []
    for start, stop in ((0, 1), (1, size)):
        place, registers = tile(example, label, k, start, stop)
        with np.errstate(all="ignore"):
            steps.step(np, place).run(registers)
        pieces.append(np.array(registers[place.out]))
    return np.concatenate(pieces, axis=k)


def added_up(example: Example, label: int, size: int) -> Array:
    """The value, accumulated over tiles of an axis that is summed over."""
    total = None
    for start, stop in ((0, 1), (1, size)):
        place, registers = tile(example, label, None, start, stop)
        with np.errstate(all="ignore"):
            how = steps.accumulator(np, place)
            part = how.part(registers)
        total = part if total is None else how.combine(total, part)
    return how.finish(total) if how.finish else total


@pytest.mark.slow
def test_axes_that_go_along_can_be_cut():
    wrong, cut, summed = [], set(), set()
    for example in every():
        if not example.node.inputs:
            continue
        rows, out = flow(example.node)
        assert [len(own) for own in rows] == [x.rank for x in example.node.inputs], example.name
        assert len(out) == example.node.rank, example.name
        sizes = {
            label: n
            for own, x in zip(rows, example.node.inputs, strict=True)
            for label, n in zip(own, x.shape, strict=True)
        }
        for label, size in sizes.items():
            if label is None or size < 2:
                continue
            if label in out:
                k = out.index(label)
                assert example.node.shape[k] == size, example.name
                found = in_tiles(example, label, k, size)
                cut.add(example.name)
            elif example.node.op.flow == "accumulated" or isinstance(example.node.op.rule, Contraction):
                found = np.asarray(added_up(example, label, size))
                summed.add(example.name)
            else:
                continue
            if not np.allclose(found, example.value(), rtol=1e-12, atol=1e-12, equal_nan=True):
                wrong.append(example)
    assert names(wrong) == []
    assert summed >= {name for name, op in table.items() if op.flow == "accumulated"}
    assert cut >= {name for name, op in table.items() if op.flow and not op.entrywise and op.kernel is not None}


def test_views_are_views_and_nothing_else_is():
    """A plan counts no memory for them, and copies a result that shares its own with something else."""
    shared, own = set(), set()
    for example in every():
        if not example.node.shape or not example.node.inputs or 0 in example.node.shape:
            continue
        with np.errstate(all="ignore"):
            value = example.node.op.kernel(np, *example.inputs, **example.node.attrs)
        (shared if any(np.shares_memory(value, x) for x in example.inputs) else own).add(example.name)
    always, sometimes = ({name for name, op in table.items() if op.shares == how} for how in ("always", "sometimes"))
    assert shared >= always
    assert shared <= always | sometimes
    assert own & always == {"reshape"}, "of what lies in memory in another order it is a copy"


@pytest.mark.slow
def test_kernels_that_work_entry_by_entry_take_no_more_memory_than_announced():
    """Other kernels are measured in whole runs, by the tests of plans."""
    size, buffers = 200_000, 1 << 18
    wrong = []
    for name, some in examples().items():
        example = next((e for e in some if e.node.inputs), some[0])
        if not example.node.op.entrywise or not example.node.inputs:
            continue
        inputs = [np.resize(x, size) for x in example.inputs]
        leaves = [make_leaf("x", "variable", (size,), str(x.dtype), False) for x in inputs]
        node = Node(example.node.op, tuple(leaves), example.node.attrs, (size,), example.node.dtype, False)
        value_of(node, tuple(inputs))  # modules that a kernel imports are not arrays
        tracemalloc.start()
        try:
            value = value_of(node, tuple(inputs))
            taken = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        if taken > plan.working_space(node) + value.nbytes + buffers:
            wrong.append((name, taken / value.nbytes))
    assert wrong == []


# the same arithmetic in other words


def both(function, kernel, count: int, dtype: str) -> bool:
    """Whether a function of numbers gives what a kernel gives, to the bit and with the sign of 0."""
    with np.errstate(all="ignore"):
        special = SPECIAL.astype(dtype) if dtype != "bool" else np.array([False, True])
    for values in itertools.product(special, repeat=count):
        with np.errstate(all="ignore"):
            a, b = np.asarray(function(*values), float), np.asarray(kernel(np, *values), float)
        if not (np.array_equal(a, b, equal_nan=True) and (np.isnan(a) or np.signbit(a) == np.signbit(b))):
            return False
    return True


def arity(name: str) -> int:
    return len(examples()[name][0].inputs)


@pytest.mark.parametrize("name", python.NUMBERS)
def test_python_written_for_numbers_gives_what_the_kernel_gives(name):
    op = table[name]
    arguments = ["a", "b", "c"][: arity(name)]
    text = python.NUMBERS[name].format(*arguments, kernel=f"kernel({', '.join(arguments)})", zero="0.0")
    number, dtype = (bool, "bool") if op.accepts == "bool" else (float, "float64")
    function = eval(f"lambda {', '.join(arguments)}: {text}", {"kernel": lambda *x: op.kernel(np, *map(np.float64, x))})
    assert both(lambda *x: function(*map(number, x)), op.kernel, arity(name), dtype), text


@pytest.mark.parametrize(("before", "after"), python.CASTS)
def test_python_written_for_casts_gives_what_the_kernel_gives(before, after):
    function = eval(f"lambda a: {python.CASTS[before, after].format('a')}")
    number = bool if before == "bool" else float
    kernel = table["cast"].kernel
    assert both(lambda x: function(number(x)), lambda np, x: kernel(np, x, dtype=after), 1, before)


@pytest.mark.parametrize("name", [*python.OPERATORS, "identity", "stop_gradient"])
def test_python_written_for_arrays_gives_what_the_kernel_gives(name):
    arguments = ["a", "b"][: arity(name)]
    text = python.OPERATORS.get(name, "{0}").format(*arguments)
    function = eval(f"lambda {', '.join(arguments)}: {text}")
    for dtype in ("float64", "float32"):
        assert both(function, table[name].kernel, arity(name), dtype), text


@pytest.mark.parametrize("name", python.FUNCTIONS)
def test_operators_of_sweeps_give_what_the_kernel_gives(name):
    assert both(python.FUNCTIONS[name], table[name].kernel, arity(name), "float64")


def test_what_lint_takes_in_either_order():
    for name in spellings.COMMUTATIVE:
        kernel = table[name].kernel
        assert both(lambda a, b, kernel=kernel: kernel(np, b, a), kernel, 2, "float64")
    for name in kernels_of_two():
        if name in spellings.COMMUTATIVE:
            assert table[name].symbol


def kernels_of_two() -> list[str]:
    return [name for name in examples() if arity(name) == 2]


def test_what_is_0_by_what_it_is():
    """Of an indicator, entries that are 0 are not selected (:func:`gradcli.autodiff.cotangents.is_indicator`)."""
    indicators = [name for name, op in table.items() if op.indicator]
    assert len(indicators) > 1
    for example in (e for name in indicators for e in examples()[name]):
        assert set(np.unique(example.value())) <= {0, 1}, example.name
        assert not example.floats, example.name
    for example in every():
        if example.node.op.entries in cotangents.KEPT and not any(is_float(x.dtype) for x in example.node.inputs[1:]):
            marks = tuple(np.zeros_like(x) if x.dtype.kind == "f" else x for x in example.inputs)
            value = attempt(example, marks)
            assert value is None or not example.floats or not np.any(value), example.name


def test_the_slope_of_a_quotient_is_a_product_whose_factors_are_multiplied_one_by_one():
    factored = [name for name, op in table.items() if isinstance(op.rule, Elementwise) and op.rule.factors]
    assert len(factored) > 3
    for name in factored:
        node = on_leaves(next(e for e in examples()[name] if not e.node.shape))
        rule = node.op.rule
        assert isinstance(rule, Elementwise)
        slope = rule.partials[-1](node, *node.inputs)
        assert slope.op.name == "multiply", name


def test_indices_and_conditions_take_no_part_in_bringing_dtypes_together():
    apart = {name: tuple(i for i, p in enumerate(op.parameters) if p.kind == "indices") for name, op in table.items()}
    apart["where"] = (0,)
    for name, inputs in apart.items():
        for example in examples().get(name, ()):
            assert all(not is_float(example.node.inputs[i].dtype) for i in inputs), name
    for example in every():
        mixed = {i for i, x in enumerate(example.node.inputs) if not is_float(x.dtype)}
        if mixed and is_float(example.node.dtype) and len(mixed) < len(example.inputs):
            assert mixed <= set(apart.get(example.name, ())), example.name


def test_what_is_worked_out_at_once_where_both_operands_are_numbers():
    for symbol, name in BINARY.items():
        operands = ("true", "false") if symbol in ("and", "or") else ("2.5", "1.5")
        if symbol == "@":
            continue
        node = query.target(gradcli.loads(f"y = {operands[0]} {symbol} {operands[1]}"), "y")
        assert (node.op.name == "literal") == printer.is_arithmetic(table[name]), name


# what wrong facts did


@pytest.mark.parametrize(
    ("text", "gradient"),
    [
        ("variable x = 3.0; variable b = [0.0, 2.0]; y = sum(where(b != 0, x*floor_divide(5.0, b), x))", 3.0),
        ("variable x = 3.0; variable e: [2, 0] = zeros([2, 0]); y = where(false, x*sum(mean(e, axis=1)), x)", 1.0),
    ],
)
def test_what_is_not_selected_contributes_nothing_whatever_made_it(text, gradient):
    assert gradcli.loads(text).grad("y", "x") == {"x": gradient}


def test_a_jacobian_keeps_the_whole_part_of_a_number_that_was_cast():
    p = gradcli.loads("variable x = [1.0, 2.0]; y = x*cast(cast(2.7, int64), float64)")
    assert p.jacobian()["y"]["x"].tolist() == [[2.0, 0.0], [0.0, 2.0]]


def test_a_power_of_a_function_that_is_linear_in_x_ends_in_none():
    program = gradcli.loads("variable x = 2.0; y = xlogy(x, 3.0); z = y*y*y")
    written = formulas.render(derive(program, ["z"], order=0))
    assert "y * y * y" in written
    assert gradcli.loads(written).grad("z", order=4) == program.grad("z", order=4) == {"x": None}


# no list without a test

MAY_NAME = {
    "graph.fold": "functions of NumPy that compare numbers, for those of Python",
    "graph.node": "the operators of nodes",
    "graph.operation": "the words for degrees, and the conversions that every operation makes",
    "autodiff.degree": "the words for degrees",
    "rewrite.algebra": "rules",
    "rewrite.contractions": "rules",
    "rewrite.exact": "rules",
    "rewrite.forms": "rules",
    "rewrite.pieces": "rules",
    "rewrite.simplify": "rules",
    "rewrite.shapes": "rules",
    "rewrite.written": "rules, and the words for degrees",
    "execute.lower": "what is done by another call than the kernel's",
    "language.builtin": "names of parameters in other libraries",
    "language.calls": "hints",
    "language.foreign": "spellings of other languages",
    "language.formulas": "formulas with a better spelling",
    "language.expressions": "a sign of the language",
    "language.functions": "hints",
    "language.looping": "the words that it carries out",
    "language.tangents": "the words for degrees",
    "language.naming": "formulas for people",
    "language.printer": "what the language works out at once",
    "language.reasons": "sentences about what cuts a gradient",
    "language.remedies": "hints",
    "language.spellings": "formulas with a better spelling",
    "language.statics": "what is known before anything is evaluated",
    "language.suggestions": "hints",
    "language.symbols": "spellings of mathematics",
    "features.trace.hints": "hints",
    "features.lint.answer": "hints",
    "features.graph.answer": "formulas for people",
    "features.check.point": "a hint about stops",
    "features.derive.latex": "formulas for people: quotients, signs and powers",
    "features.derive.latex_words": "formulas for people: products, signs and powers",
}
"""The modules outside of the table that may spell names of operations, and what for."""

OTHER_WORDS = {
    "shape", "index", "size", "rank", "load", "min", "max", "sum", "dot", "any", "all", "trace", "zero", "direction",
    "others", "var", "abs", "log", "gradients", "jacobian", "hessian", "jvp", "hvp", "taylor", "iterate", "identity", "map",
    "minimize", "root", "reshape", "leaf", "literal", "array", "tangent", "clip",
}  # fmt: skip
"""Names of operations that are words of NumPy, of commands or of JSON, too, and the sorts of nodes that hold values."""


def names_in(path: Path) -> list[str]:
    """The string literals of a module that name operations, alone or in a row, docstrings apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in prose]
    rows = [text.split() for text in texts if isinstance(text, str)]
    return [name for row in rows if row and set(row) <= table.keys() for name in row if name not in OTHER_WORDS]


@pytest.mark.slow
def test_only_these_modules_name_operations():
    """Any other module asks the entry for what it needs to know, so that a new operation is one entry of the table."""
    root = Path(gradcli.__file__).parent
    paths = [path for path in root.rglob("*.py") if root / "graph" / "ops" not in path.parents]
    found = {".".join(path.relative_to(root).with_suffix("").parts): names_in(path) for path in paths}
    named = {module: some for module, some in found.items() if some and module not in MAY_NAME}
    assert named == {}
    assert {module for module in MAY_NAME if not found.get(module)} == set(), "modules that name none any more"


@pytest.mark.parametrize(
    "rules",
    [algebra.RULES, algebra.CAREFUL, forms.FORMS, forms.NOTHING, shapes.RULES, exact.RULES, simplify.RULES, simplify.HALF_ANGLES,
     lower.MAKERS, lower.ORDERED, traced._SOURCES, english.WORDS, language.WORDS, python.NUMBERS, latex.WORDS, numpy.WORDS, mpmath.WORDS],
)  # fmt: skip
def test_rules_are_for_operations_that_exist(rules):
    of_plans = {"half_tangent", "sine", "cosine"}  # made by plans only, and in no table
    assert set(rules) - table.keys() <= of_plans


# integers

EXTREMES = [-(2**31), 2**31 - 1, -(2**31) + 1, 46341, 1, -1, 0, 2, 65536]
"""Numbers of int32, with squares on either side of its largest."""


def as_integers(example: Example, first: int) -> list[tuple[Array, Array]] | None:
    """The inputs as extremes of int32, and the same as Python's integers; None where the operation takes no integers."""
    op, node = example.node.op, example.node
    if op.accepts in ("float", "bool") or any([x.op.name == "literal" for x in node.inputs]) or not node.inputs:
        return None
    numbers = itertools.islice(itertools.cycle(EXTREMES), first, None)
    given: list[tuple[Array, Array]] = []
    for i, (x, value) in enumerate(zip(node.inputs, example.inputs, strict=True)):
        if is_float(x.dtype) and i not in op.apart:
            drawn = [next(numbers) for _ in range(value.size)]
            if op.name == "pow" and i:
                drawn = [n % 6 for n in drawn]
            given.append(tuple(np.array(drawn, dtype).reshape(value.shape) for dtype in (np.int32, object)))
        else:
            given.append((value, value))
    return given if any([x.dtype == np.int32 for x, _ in given]) else None


def computed(node: Node, inputs: list[Array], checked: bool) -> Array:
    kernel = getattr(node.op.kernel, "compute", node.op.kernel) if not checked else node.op.kernel
    return np.asarray(kernel(np, *[x if x.dtype == object else x[()] for x in inputs], **node.attrs))


def test_operations_whose_integers_would_wrap_around_are_the_ones_that_look_for_it():
    """Over the whole table: int32 against Python's integers, which have no end."""
    compared, wrapping = set(), set()
    for example, first in itertools.product(every(8), range(len(EXTREMES))):
        op, inputs = example.node.op, as_integers(example, first)
        if inputs is None:
            continue
        try:
            with np.errstate(all="ignore"):
                found = computed(example.node, [x for x, _ in inputs], checked=False)
                exact = computed(example.node, [x for _, x in inputs], checked=False)
        except (gradcli.GradcliError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError, MemoryError):
            continue
        if found.dtype != np.int32:
            continue
        compared.add(op.name)
        fits = bool(np.all(found.astype(object) == exact))
        if not fits:
            wrapping.add(op.name)
        if op.wraps:
            try:
                with np.errstate(all="ignore"):
                    assert computed(example.node, [x for x, _ in inputs], checked=True).tolist() == exact.tolist()
                assert fits
            except IntegerOverflowError:
                assert not fits, (op.name, inputs)
    assert len(compared) > 25
    assert {"add", "multiply", "pow", "sum", "cumprod", "matmul", "contraction", "scatter_add", "abs"} <= wrapping
    assert [name for name in wrapping if not table[name].wraps] == []
