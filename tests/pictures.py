"""Compares pictures, SVG files of ``gradcli plot``: texts exactly, what is drawn by where it lies within the axes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
DRAWN = re.compile(r"(?:curve|contours|dots|errors|band)-\d+|gradient")
STEP = 0.002
"""Lines become points that are so close, as a part of the axes."""


def mismatch(actual: str, expected: str, tolerance: float) -> str | None:
    """The first thing that differs, or None.

    Points may be ``tolerance`` times the size of the axes away from the nearest one of the other picture; of a contour
    one in a hundred farther, for it may have an island where its level is just reached.
    """
    ours, theirs = ElementTree.fromstring(actual), ElementTree.fromstring(expected)
    if texts(ours) != texts(theirs):
        return f"texts:\n  expected {texts(theirs)}\n  got      {texts(ours)}"
    mine, known = drawn(ours), drawn(theirs)
    if mine.keys() != known.keys():
        return f"drawn: expected {sorted(known)}, got {sorted(mine)}"
    for name, points in known.items():
        for some, others in ((points, mine[name]), (mine[name], points)):
            part = 0.99 if name.startswith("contours") else 1.0
            away = float(np.quantile(cKDTree(others).query(some)[0], part))
            if away > tolerance:
                return f"{name} is {away:.3g} of the axes away"
    return None


def texts(picture: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in picture.iter(f"{SVG}text")]


def drawn(picture: ElementTree.Element) -> dict[str, np.ndarray]:
    """Points [n, 2] of the curves, contours, dots and arrows by name, from (0, 0) to (1, 1) within the axes."""
    frame = np.vstack(list(_lines(picture.find(f".//{SVG}g[@id='patch_2']"))))
    low, size = frame.min(axis=0), np.ptp(frame, axis=0)
    groups = [g for g in picture.iter(f"{SVG}g") if DRAWN.fullmatch(g.get("id", ""))]
    return {g.get("id", ""): np.vstack([_points((line - low) / size) for line in _lines(g)]) for g in groups}


def _lines(group: ElementTree.Element) -> Iterator[np.ndarray]:
    """Corners [n, 2] of each line, also of those that are used at a place."""
    named = {f"#{path.get('id')}": path for path in group.iter(f"{SVG}path") if path.get("id")}
    paths = [(path, (0.0, 0.0)) for path in group.iter(f"{SVG}path") if not path.get("id")]
    paths += [(named[use.get(LINK)], (float(use.get("x")), float(use.get("y")))) for use in group.iter(f"{SVG}use")]
    for path, place in paths:
        for piece in path.get("d").split("M")[1:]:
            yield np.array(re.findall(r"-?\d+(?:\.\d+)?", piece), float).reshape(-1, 2) + place


def _points(corners: np.ndarray) -> np.ndarray:
    """Points along a line; those outside of the axes are not seen."""
    pieces = [corners]
    for start, end in pairwise(corners):
        count = int(np.hypot(*(end - start)) / STEP)
        pieces.append(np.linspace(start, end, count + 1, endpoint=False))
    points = np.vstack(pieces)
    return points[np.all((points > -0.01) & (points < 1.01), axis=1)]
