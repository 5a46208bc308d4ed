"""What a sum of squares compares: data with a model of them."""

from __future__ import annotations

from typing import Any

from gradcli.features.fit.choice import moving_nodes, squared_terms
from gradcli.features.fit.objective import Objective
from gradcli.graph.node import Node
from gradcli.graph.ops.elementwise import add, divide, subtract
from gradcli.graph.ops.shaping import broadcasted
from gradcli.tuples import NamedTuple

Array = Any


class Regression(NamedTuple):
    """``data`` less ``model``, or the other way round, divided by ``divisor``; ``weight`` is that of the squares.

    Both are None where there are none. ``only`` says that the loss has no other terms. What is fitted changes ``model`` only.
    """

    data: Node
    model: Node
    divisor: Node | None
    weight: Node | None
    only: bool

    def weights(self, program: Any) -> Array:
        """By what the squares of data less model are multiplied, in the shape of the data."""
        import numpy as np

        asked = [x for x in (self.data, self.weight, self.divisor) if x is not None]
        found = iter(program.evaluate(asked))
        w = np.ones(next(found).shape)
        if self.weight is not None:
            w = w * next(found)
        if self.divisor is not None:
            w = w / next(found).astype(np.float64) ** 2
        return w


def regression(objective: Objective) -> Regression | None:
    """The first term of a sum of squares that is data less a model; None where there is none."""
    terms = (
        [(objective.y, None)] if objective.is_squares else [(t.base, t.weight) for t in squared_terms(objective) or ()]
    )
    moving = moving_nodes(objective)
    for node, weight in terms:
        divisor = None
        if node.op is divide and node.inputs[1] not in moving:
            node, divisor = node.inputs
        whole, first = node, True
        while node.op is subtract and moving.issuperset(node.inputs):  # y - a - b*x
            node, first = node.inputs[0], False
        data = [x for x in node.inputs if x not in moving]
        if node.op is not subtract or len(data) != 1 or data[0].shape != whole.shape or whole not in moving:
            continue
        with objective.program.graph.derivation.active():
            if first:
                model = next(x for x in node.inputs if x in moving)
            else:
                model = subtract(data[0], whole) if data[0] is node.inputs[0] else add(data[0], whole)
            model = broadcasted(model, whole.shape)
        return Regression(data[0], model, divisor, weight, len(terms) == 1)
    return None
