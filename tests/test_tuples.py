"""The tuples that start quickly behave as typing's."""

from __future__ import annotations

import pickle
import typing

import pytest

from gradcli import tuples


class Theirs(typing.NamedTuple):
    """Documented."""

    a: int
    b: str = "x"
    c: float = 0.5

    @property
    def twice(self) -> int:
        return 2 * self.a


class Ours(tuples.NamedTuple):
    """Documented."""

    a: int
    b: str = "x"
    c: float = 0.5

    @property
    def twice(self) -> int:
        return 2 * self.a


CALLS = [((1,), {}), ((1, "y"), {}), ((1, "y", 2.5), {}), ((), {"a": 3}), ((1,), {"c": 2.0}), ((), {"c": 1.0, "a": 2})]


@pytest.mark.parametrize(("values", "named"), CALLS)
def test_values(values, named):
    ours, theirs = Ours(*values, **named), Theirs(*values, **named)
    assert (ours.a, ours.b, ours.c, ours.twice) == (theirs.a, theirs.b, theirs.c, theirs.twice)
    assert ours == tuple(theirs) == theirs
    assert hash(ours) == hash(theirs)
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert ours._asdict() == theirs._asdict()
    changed = ours._replace(b="z")
    assert type(changed) is Ours and changed == theirs._replace(b="z")
    assert pickle.loads(pickle.dumps(ours)) == ours
    assert type(pickle.loads(pickle.dumps(ours))) is Ours
    assert Ours._make([1, "y", 2.5]) == Theirs._make([1, "y", 2.5])


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3, 4), {}), ((1,), {"d": 1}), ((1,), {"a": 1})])
def test_what_is_wrong(values, named):
    for sort in (Ours, Theirs):
        with pytest.raises(TypeError, match=sort.__name__ if sort is Ours else "argument"):
            sort(*values, **named)


def test_what_a_class_says_of_itself():
    assert Ours._fields == Theirs._fields == Ours.__match_args__
    assert Ours._field_defaults == Theirs._field_defaults
    assert Ours.__doc__ == "Documented."
    assert not hasattr(Ours(1), "__dict__")
    with pytest.raises(AttributeError):
        Ours(1).a = 2
    match Ours(1, "y"):
        case Ours(a, b="y"):
            assert a == 1
        case _:
            pytest.fail("no match")
