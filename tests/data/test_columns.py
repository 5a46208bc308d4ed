"""CSV files as they lie around: separators, decimal commas, comments, names of rows, gaps and columns of text."""

from __future__ import annotations

import numpy as np
import pytest

import gradcli as package
from gradcli.data.reading import place_in_file, read_array
from gradcli.diagnostics import GradcliError

STUDENTS = """\
"",prog,math,read,honors
"1",general,41,57,no
"2",vocation,53,68,yes
"3",academic,54,44,no
"4",general,47,63,yes
"""
WITH_GAPS = """\
Ozone,Solar.R,Wind,Month
41,190,7.4,May
NA,118,8,June
12,,12.6,May
18,313,,July
7,NA,1.5,
"""


def read(tmp_path, text, columns=None, **options):
    (tmp_path / "t.csv").write_text(text, encoding=options.pop("encoding", "utf-8"), newline="")
    return read_array(tmp_path / "t.csv", columns, **options).tolist()


@pytest.mark.parametrize(
    ("text", "columns", "values"),
    [
        ("a;b\n1;2\n", "b", [2]),
        ("a;b\n1,5;2,25\n-3,5e2;,5\n", None, [[1.5, 2.25], [-350, 0.5]]),
        ("1,5;2,25\n3,5;4,5\n", None, [[1.5, 2.25], [3.5, 4.5]]),
        ("a\tb\n1\t2\n3\t4,5\n", None, [[1, 2], [3, 4.5]]),
        ("a\tb\nx, y\t2\n", "b", [2]),
        ('a;b;c\n"x;y";2;3\n"say ""hi""";4,5;6\n', "b,c", [[2, 3], [4.5, 6]]),
        ("\ufeffa;b\r\n1;2\r\n", "a", [1]),
        ("# made by hand\na,b\n# more\n1,2\n#3,4\n5,6\n", None, [[1, 2], [5, 6]]),
        ("#a;b\n1;2\n", None, [[1, 2]]),
        ('a,b\n1,"2;3;4"\n2,"5;6"\n', "a", [1, 2]),
        (",a,b\nx,1,2\ny,3,4\n", None, [[1, 2], [3, 4]]),
        (",a,b\n0,1,2\n", None, [[0, 1, 2]]),
        ('"a","b"\n"Mazda RX4",1,2\n"Fiat",3,4\n', None, [[1, 2], [3, 4]]),
        ('"a","b"\n"Mazda RX4",1,2\n"Fiat",3,4\n', "b,a", [[2, 1], [4, 3]]),
        (STUDENTS, "math, read", [[41, 57], [53, 68], [54, 44], [47, 63]]),
        (STUDENTS, "honors=yes", [0, 1, 0, 1]),
        (STUDENTS, "math, honors=yes", [[41, 0], [53, 1], [54, 0], [47, 1]]),
        (STUDENTS, "prog[]", [[0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]),
        (STUDENTS, "prog[], math", [[0, 1, 0, 41], [0, 0, 1, 53], [1, 0, 0, 54], [0, 1, 0, 47]]),
        ("a=b,c[]\n1,2\n", "c[],a=b", [[2, 1]]),
        ("a;b\n1;2\n3;4\n", "a,", [[1], [3]]),
    ],
)
def test_what_is_read(tmp_path, text, columns, values):
    assert read(tmp_path, text, columns) == values


@pytest.mark.parametrize(
    ("columns", "missing", "values"),
    [
        ("Ozone,Wind", "drop", [[41, 7.4], [12, 12.6], [7, 1.5]]),
        ("Ozone,Wind", "nan", [[41, 7.4], [np.nan, 8], [12, 12.6], [18, np.nan], [7, 1.5]]),
        ("Ozone", "drop", [41, 12, 18, 7]),
        ("Solar.R,Month=May", "drop", [[190, 1], [118, 0], [313, 0]]),
        ("Month=May", "nan", [1, 0, 1, 0, np.nan]),
        ("Ozone,Month[]", "drop", [[41, 0, 0, 1], [12, 0, 0, 1], [18, 1, 0, 0]]),
    ],
)
def test_gaps(tmp_path, columns, missing, values):
    np.testing.assert_array_equal(read(tmp_path, WITH_GAPS, columns, missing=missing), values)
    np.testing.assert_array_equal(read(tmp_path, WITH_GAPS.replace(",", ";"), columns, missing=missing), values)


def test_where_all_columns_are_numbers_no_name_is_needed(tmp_path):
    text = "a,b\n1,2\n,3\n4,5\n"
    assert read(tmp_path, text, missing="drop") == [[1, 2], [4, 5]]


@pytest.mark.parametrize(
    ("text", "columns", "options", "words"),
    [
        (WITH_GAPS, "Ozone,Solar.R,Wind", {}, "t.csv, line 3, column 1 (Ozone): a field is empty or NA; gaps are in"
         " 1 (Ozone) on line 3; 2 (Solar.R) on lines 4, 6; 3 (Wind) on line 5"),
        (WITH_GAPS, "Month=May", {}, "gaps are in 4 (Month) on line 6"),
        (WITH_GAPS, "Ozone,Month", {}, "line 2, column 4 (Month): 'May' is not a number"),
        (WITH_GAPS, "Month=Mai", {"missing": "drop"}, "has July, June, May, but no 'Mai'"),
        (WITH_GAPS, "Mont=May", {}, "but no 'Mont'"),
        (WITH_GAPS, "Wint[]", {}, "but no 'Wint'"),
        ("a,b\nNA,NA\n", "a", {"missing": "drop"}, "has no rows of numbers without gaps"),
        ("a;b\n1;\"x\ny\"\n", "a", {}, "line 2: a quoted field ends on another line"),
        ("a,b\n1,2\n3\n", "a", {"missing": "nan"}, "line 3, column 2: the row has 1 field, but the header has 2"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(tmp_path, text, columns, options, words):
    with pytest.raises(GradcliError) as caught:
        read(tmp_path, text, columns, **options)
    assert words in caught.value.message


def test_zeros_keep_their_signs(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n-0.0,x\n0.0,y\n")
    for missing in (None, "nan"):
        found = read_array(tmp_path / "t.csv", "a", missing=missing)
        assert np.signbit(found).tolist() == [True, False]


def test_lines_are_counted_with_comments(tmp_path):
    (tmp_path / "t.csv").write_text("# one\na;b\n\n# two\n1;nan\n")
    assert np.isnan(read_array(tmp_path / "t.csv", "b")[0])
    assert place_in_file(str(tmp_path / "t.csv"), "b", (0,)) == "column `b` of t.csv, line 5"


def test_load_in_a_program(tmp_path):
    (tmp_path / "t.csv").write_text(WITH_GAPS)

    def loaded(call):
        return package.loads(f"constant X = {call}; y = X*1", folder=tmp_path).eval("y")["y"]

    np.testing.assert_array_equal(loaded('load("t.csv", "Ozone", missing="drop")'), [41, 12, 18, 7])
    np.testing.assert_array_equal(
        loaded('load("t.csv", "Wind, Month=May", missing="drop")'), [[7.4, 1], [8, 0], [12.6, 1]]
    )
    with pytest.raises(GradcliError, match=r"gaps are in 1 .Ozone. on line 3") as caught:
        loaded('load("t.csv", "Ozone")')
    assert 'missing="drop"' in caught.value.help
    with pytest.raises(GradcliError, match='missing is "drop" or "nan", not'):
        loaded('load("t.csv", "Ozone", missing="skip")')
    np.save(tmp_path / "a.npy", np.ones(2))
    with pytest.raises(GradcliError, match="only in those gaps are marked"):
        loaded('load("a.npy", missing="drop")')
