"""The side of the conversation that runs in the other environment: requests and answers are lines of JSON.

``{"do": "prepare", "task": …, "case": …, "order": …, "data": file.npz, "answer": file.npy}`` builds a job, runs it once
and saves its result; ``{"do": "run", "calls": n}`` runs it again. Answers hold seconds.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

Job = Callable[[], Any]
Data = Mapping[str, np.ndarray]
Prepare = Callable[[dict[str, Any], Data], Job]
"""Makes the job of a request; the first call of the job may still compile."""


class NotPossibleError(Exception):
    """This library cannot do what is asked; the message says why."""


def flat(results: list[Any]) -> np.ndarray:
    """The entries of several results, one after the other."""
    return np.concatenate([np.ravel(np.asarray(result)) for result in results])


def loaded(arguments: Sequence[str]) -> tuple[str, Data]:
    """What a script is asked for, and its arrays: ``case variable,variable,… folder``, which holds an .npy file for each."""
    _, case, variables, folder = arguments
    request = json.dumps({"case": case, "variables": variables.split(",")})
    return request, {path.stem: np.load(path) for path in Path(folder).glob("*.npy")}


def serve(version: str, prepare: Prepare, warm_up: Callable[[], object]) -> None:
    """Answers requests until the input ends. What libraries print goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def reply(**values: Any) -> None:
        replies.write(json.dumps(values) + "\n")
        replies.flush()

    warm_up()
    reply(version=version)
    job: Job | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "run":
            assert job is not None
            found: list[float] = []
            for _ in range(request["calls"]):
                start = perf_counter()
                job()
                found.append(perf_counter() - start)
            reply(times=found)
            continue
        with np.load(request["data"]) as archive:
            data = {name: archive[name] for name in archive.files}
        job = None
        start = perf_counter()
        try:
            job = prepare(request, data)
            result = job()
        except NotPossibleError as reason:
            reply(problem=str(reason))
            continue
        except Exception as error:  # noqa: BLE001 - whatever a library raises becomes a cell of the table
            reply(problem=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:80])
            continue
        first = perf_counter() - start
        np.save(request["answer"], flat(result) if isinstance(result, list) else np.asarray(result))
        reply(first=first)
