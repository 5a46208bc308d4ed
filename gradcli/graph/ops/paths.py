"""In which order the operands of a contraction meet: the cheapest, found once for each combination of shapes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import prod

Labels = tuple[int, ...]
Pair = tuple[int, int]

EXHAUSTIVE = 5
"""Operands up to which all orders are tried; more are taken greedily, the cheapest pair first."""


@lru_cache(maxsize=4096)
def contraction_path(labels: tuple[Labels, ...], shapes: tuple[tuple[int, ...], ...], out: Labels) -> tuple[Pair, ...]:
    """Pairs of positions to contract, one after the other; each result goes to the front of what is left.

    The cost of a pair is its multiplications, then the size of its result.
    """
    sizes = {k: n for own, shape in zip(labels, shapes, strict=True) for k, n in zip(own, shape, strict=True)}
    terms = tuple(frozenset(own) for own in labels)
    wanted = frozenset(out)
    if len(terms) <= EXHAUSTIVE:
        return _best(terms, wanted, sizes)[1]
    path: list[Pair] = []
    while len(terms) > 1:
        pair = min(combinations(range(len(terms)), 2), key=lambda p: _cost(terms, p, wanted, sizes))
        path.append(pair)
        terms = _joined(terms, pair, wanted)
    return tuple(path)


def _joined(terms: Sequence[frozenset[int]], pair: Pair, wanted: frozenset[int]) -> tuple[frozenset[int], ...]:
    rest = [t for n, t in enumerate(terms) if n not in pair]
    needed = wanted.union(*rest)
    return ((terms[pair[0]] | terms[pair[1]]) & needed, *rest)


def _cost(
    terms: Sequence[frozenset[int]], pair: Pair, wanted: frozenset[int], sizes: dict[int, int]
) -> tuple[int, int]:
    joint = terms[pair[0]] | terms[pair[1]]
    return prod(sizes[k] for k in joint), prod(sizes[k] for k in _joined(terms, pair, wanted)[0])


def _best(
    terms: tuple[frozenset[int], ...], wanted: frozenset[int], sizes: dict[int, int]
) -> tuple[tuple[int, int], tuple[Pair, ...]]:
    if len(terms) == 1:
        return (0, 0), ()
    choices = []
    for pair in combinations(range(len(terms)), 2):
        flops, size = _cost(terms, pair, wanted, sizes)
        (more_flops, more_size), path = _best(_joined(terms, pair, wanted), wanted, sizes)
        choices.append(((flops + more_flops, size + more_size), (pair, *path)))
    return min(choices)
