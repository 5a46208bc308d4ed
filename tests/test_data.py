"""Arrays and values from files: what is read, what is refused in which words, and that nothing is left half written."""

import gzip
import io
import json
import os
import re
import stat
import threading
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gradcli.data import arrays, first_not_finite, read_bytes, write_atomically, write_npz
from gradcli.data.memory import Memory
from gradcli.data.reading import place_in_file, read_array, read_values
from gradcli.diagnostics import GradcliError
from gradcli.report import as_json, plain
from gradcli.report.reply import Reply
from gradcli.results import Reason, Result


def fails(call, *words):
    with pytest.raises(GradcliError) as caught:
        call()
    assert caught.value.kind == "DataError"
    text = f"{caught.value.message} | {caught.value.help}"
    for word in words:
        assert word in text
    return caught.value


# --- arrays ---


@pytest.mark.parametrize(
    ("dtype", "becomes"),
    [
        ("bool", "bool"),
        ("int8", "int64"),
        ("uint32", "int64"),
        ("uint64", "int64"),
        ("int32", "int32"),
        (">i8", "int64"),
        ("float16", "float32"),
        ("float32", "float32"),
        (">f8", "float64"),
    ],
)
def test_dtypes_of_npy(tmp_path, dtype, becomes):
    np.save(tmp_path / "a.npy", np.array([[0, 1], [1, 0]], dtype=dtype, order="F"))
    array = read_array(tmp_path / "a.npy")
    assert array.dtype == becomes
    assert array.dtype.isnative
    assert array.tolist() == [[0, 1], [1, 0]]
    assert array.flags.c_contiguous


def test_a_scalar_stays_one(tmp_path):
    np.save(tmp_path / "a.npy", np.array(3.0))
    assert read_array(tmp_path / "a.npy").shape == ()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([1j]), "complex128"),
        (np.array(["a"]), "<U1"),
        (np.array([None]), "objects"),
        (np.array([2**63], dtype="uint64"), "int64"),
        (np.zeros(2, dtype=[("a", "f8")]), "dtype"),
    ],
)
def test_dtypes_that_are_refused(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    np.savez(tmp_path / "a.npz", a=array, allow_pickle=True)
    fails(lambda: read_array(tmp_path / "a.npy"), "a.npy", words)
    fails(lambda: read_array(tmp_path / "a.npz", "a"), "a.npz", words)


def test_npz_by_key(tmp_path):
    np.savez(tmp_path / "d.npz", X=np.eye(2), y=np.array(1))
    assert read_array(tmp_path / "d.npz", "y") == 1
    fails(lambda: read_array(tmp_path / "d.npz"), "X, y", "d.npz:X")
    fails(lambda: read_array(tmp_path / "d.npz", "Y"), "did you mean y?")
    np.savez(tmp_path / "one.npz", X=np.eye(2))
    assert read_array(tmp_path / "one.npz").shape == (2, 2)


@pytest.mark.parametrize("content", [b"garbage", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8',"])
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_damaged_files(tmp_path, content, ending):
    (tmp_path / f"a.{ending}").write_bytes(content)
    fails(lambda: read_array(tmp_path / f"a.{ending}"), f"a.{ending}")


def test_a_header_that_promises_too_much_allocates_nothing(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(8))
    data = (tmp_path / "a.npy").read_bytes().replace(b"(8,), }           ", b"(99999999999999,),}")
    (tmp_path / "a.npy").write_bytes(data)
    fails(lambda: read_array(tmp_path / "a.npy"), "cut short")


def test_a_damaged_member_of_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", b"not an array")
    fails(lambda: read_array(tmp_path / "a.npz"), "x of ", "a.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_with_any_damage(tmp_path, save):
    """It is read, with the numbers that were in it, or it is an error that names the file."""
    save(tmp_path / "a.npz", x=np.arange(3.0), y=np.ones((2, 2)))
    whole = (tmp_path / "a.npz").read_bytes()
    random = np.random.RandomState(0)
    places = [(0, len(whole))] * 300 + [(whole.rindex(b"PK\x01\x02"), len(whole))] * 300
    outcomes = set()
    for start, end in places:
        damaged = bytearray(whole)
        damaged[random.randint(start, end)] = random.randint(256)
        (tmp_path / "a.npz").write_bytes(damaged)
        try:
            read = read_array(tmp_path / "a.npz", "x").tolist() == [0, 1, 2]
        except GradcliError as error:
            read = None
            assert error.kind == "DataError"
            assert "a.npz" in error.message
        outcomes.add(read)
    assert outcomes == {True, None}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("a,b\n1,2\n", [[1, 2]]),
        ("\n1\n\n2\n\n", [[1], [2]]),
        ("\ufeffx\r\n 1.5 \r\n-2e3\r\n", [[1.5], [-2000]]),
        ('"a, b",c\n"1",2', [[1, 2]]),
        ("1,nan,inf", [[1, np.nan, np.inf]]),
        ("a,b\r1,2\r", [[1, 2]]),
        (",a,b\n0,1,2\n", [[0, 1, 2]]),  # as pandas writes an index
        ('"a\nb",c\n\n1,2\n', [[1, 2]]),
    ],
)
def test_csv(tmp_path, text, values):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    array = read_array(tmp_path / "a.csv")
    assert array.dtype == "float64"
    np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2\n3,x\n", ["line 2, column 2", "'x' is not a number"]),
        ("1,2\n\n3\n", ["line 3, column 2", "1 field,", "line 1 has 2"]),
        ("1,2\n3,4,5\n", ["line 2, column 3"]),
        ("1,\n", ["line 1, column 2", "empty"]),
        ("h\n1;2\n", ["line 2, column 1", "commas"]),
        ("a,b\n", ["no rows"]),
        ("1,1_000\n", ["line 1, column 2"]),
        ("1,0x10\n", ["line 1, column 2"]),
        ("age,size\n1,x\n", ["line 2, column 2 (size)", "'x' is not a number"]),
        ("a,b,\n1,2,\n", ["line 2, column 3: a field is empty"]),
        ('a,b\n1,"2\n3,4\n', ["line 2, column 2 (b)", r"'2\n3,4' is not a number"]),
        ('a,b\n"1",2\n"x\ny",2\n', ["line 3, column 1 (a)"]),
        ("a,b\n1," + "x" * 200_000, ["line 2", "field larger than"]),
        ("a\n" + "x" * 50, [f"column 1 (a): '{'x' * 40}' is not"]),
    ],
)
def test_csv_that_cannot_be_read(tmp_path, text, words):
    (tmp_path / "a.csv").write_text(text)
    fails(lambda: read_array(tmp_path / "a.csv"), "a.csv", *words)


TABLE = 'age,"full name",size\n1,"x, y",2\n3,z,4\n'


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("age,size", [[1, 2], [3, 4]]),
        ("size,age", [[2, 1], [4, 3]]),
        ("size", [2, 4]),
        ("size,", [[2], [4]]),
        (' age, "size" ', [[1, 2], [3, 4]]),
    ],
)
def test_columns_of_csv_by_name(tmp_path, columns, values):
    (tmp_path / "a.csv").write_text(TABLE)
    np.testing.assert_array_equal(read_array(tmp_path / "a.csv", columns), values)


def test_a_mapped_file_that_was_searched_is_not_held_in_memory(tmp_path):
    shape = (arrays.MAPPED_BYTES // 8, 4)
    np.lib.format.open_memmap(tmp_path / "a.npy", "w+", "float64", shape).flush()
    array = read_array(tmp_path / "a.npy")
    before = mapped_memory()
    assert first_not_finite(array) is None
    assert mapped_memory() - before < array.nbytes / 2


def mapped_memory():
    """Bytes of files that are mapped into this process and held in memory."""
    return int(re.search(r"RssFile:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


@pytest.mark.parametrize(
    ("columns", "place", "words"),
    [
        (None, (0, 1), "column `b` of a.csv.gz, line 3"),
        (None, (2, 2), "column `c, d` of a.csv.gz, line 9"),
        ('"c, d",a', (1, 0), "column `c, d` of a.csv.gz, line 5"),
        ("b", (2,), "column `b` of a.csv.gz, line 9"),
        (None, (3, 0), None),
        (None, (0, 3), "column 4 of a.csv.gz, line 3"),
    ],
)
def test_where_an_entry_of_a_csv_file_stands(tmp_path, columns, place, words):
    rows = '\ufeffa,b,"c, d"\r\n\r\n1,2,3\r\n\r\n"4",5,"6\r\n"\r\n\r\n\r\n7,8,9\r\n'
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(rows.encode()))
    assert place_in_file(str(tmp_path / "a.csv.gz"), columns, place) == words


def test_a_place_without_a_header_or_without_a_file(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    assert place_in_file(str(tmp_path / "a.csv"), None, (1, 1)) == "column 2 of a.csv, line 2"
    assert place_in_file(str(tmp_path / "b.csv"), None, (1, 1)) is None
    assert place_in_file(str(tmp_path / "a.npy"), None, (1, 1)) is None


def test_lines_end_where_files_say_so_and_nowhere_else(tmp_path):
    (tmp_path / "a.csv").write_text('a,words\n1,"x\u2028y\n\nz"\n2,\x0c\n', encoding="utf-8")
    assert read_array(tmp_path / "a.csv", "a").tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "columns", "words"),
    [
        (TABLE, "ages", ["the columns age, full name, size, but no 'ages'", "did you mean age?"]),
        (TABLE, "full name", ["line 2, column 2 (full name): 'x, y' is not a number"]),
        (TABLE + "5,w\n", "age", ["line 4, column 3", "2 fields, but the header has 3"]),
        (TABLE + "5,w,6,7\n", "age", ["line 4, column 4", "4 fields, but the header has 3"]),
        (TABLE + ",w,6\n", "age", ["line 4, column 1 (age): a field is empty"]),
        ("a,a\n1,2\n", "a", ["2 columns called 'a'"]),
        ("1,2\n", "a", ["has no header"]),
        (TABLE, "age,,size", ["but no ''"]),
        ('"a, b",c\n1,2\n', "d", ["has the columns \"a, b\", c, but no 'd'"]),
        (",".join(f"c{n}" for n in range(30)) + "\n", "z", ["c0, c1", "c19, and 10 more, but no 'z'"]),
        ("a,b\n1," + "x" * 200_000, "a", ["line 2", "field larger than"]),
        ("a,b\n", "a", ["no rows"]),
    ],
)
def test_columns_that_cannot_be_read(tmp_path, text, columns, words):
    (tmp_path / "a.csv").write_text(text)
    fails(lambda: read_array(tmp_path / "a.csv", columns), "a.csv", *words)


def test_compressed_files(tmp_path):
    np.save(tmp_path / "a.npy", [[1.0, 2.0]])
    np.savez(tmp_path / "a.npz", x=[[1.0, 2.0]])
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.json").write_text("[[1.0, 2.0]]")
    for ending in ("npy", "npz", "csv", "json"):
        path = tmp_path / f"a.{ending}.gz"
        path.write_bytes(gzip.compress((tmp_path / f"a.{ending}").read_bytes()))
        np.testing.assert_array_equal(read_array(path), [[1.0, 2.0]])
        path.write_bytes(path.read_bytes()[:-9])
        fails(lambda path=path: read_array(path), f"a.{ending}.gz is not readable as gzip")
    (tmp_path / "b.csv.gz").write_text("1,2\n")
    fails(lambda: read_array(tmp_path / "b.csv.gz"), "b.csv.gz is not readable as gzip")
    fails(lambda: read_array(tmp_path / "b.gz"), "what sort of file")


@pytest.fixture
def small_files_are_mapped(monkeypatch):
    monkeypatch.setattr(arrays, "MAPPED_BYTES", 1)


def test_a_large_npy_is_read_where_it_is_used(tmp_path, small_files_are_mapped):
    values = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "a.npy", values)
    array = read_array(tmp_path / "a.npy")
    assert not array.flags.owndata
    assert not array.flags.writeable
    np.testing.assert_array_equal(array, values)
    with open(tmp_path / "a.npy", "r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(np.float64(7.0).tobytes())
    assert array[1, 2] == 7


def test_what_cannot_be_mapped_is_read(tmp_path, small_files_are_mapped):
    for name, values in {"half": np.ones(3, "float16"), "columns": np.asfortranarray(np.ones((2, 3)))}.items():
        np.save(tmp_path / f"{name}.npy", values)
        assert read_array(tmp_path / f"{name}.npy").flags.owndata
    np.save(tmp_path / "objects.npy", np.array([None, 1]), allow_pickle=True)
    fails(lambda: read_array(tmp_path / "objects.npy"), "Python objects")


def test_where_the_first_nan_is(monkeypatch):
    values = np.zeros((3, 1 << 20))
    assert first_not_finite(values) is None
    values[2, 5] = np.inf
    values[1, 7] = np.nan
    assert first_not_finite(values) == (1, 7)
    assert first_not_finite(np.array(np.nan)) == ()
    assert first_not_finite(np.zeros((0, 2))) is None
    assert first_not_finite(np.array([1])) is None


@pytest.mark.parametrize(
    ("text", "values", "dtype"),
    [
        ("3", 3, "int64"),
        ("[1, 2.5]", [1, 2.5], "float64"),
        ("[true, false]", [True, False], "bool"),
        ('["NaN", 1]', [np.nan, 1], "float64"),
        ('{"dtype": "float32", "shape": [0, 2], "value": []}', np.zeros((0, 2)), "float32"),
        ('{"x": [1, 2]}', [1, 2], "int64"),
    ],
)
def test_json_array(tmp_path, text, values, dtype):
    (tmp_path / "a.json").write_text(text)
    array = read_array(tmp_path / "a.json")
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[1, 2", "line 1"),
        ("[[1], [2, 3]]", "ragged"),
        ("[1, null]", "null"),
        ('["a"]', "'a'"),
        ("null", "null"),
        ("[99999999999999999999]", "int64"),
        ("[18446744073709551615]", "int64"),
        ("[" * 100_000, "deep"),
        ("[" * 500 + "]" * 500, "a.json"),
        ('{"x": {"y": 1}}', "object"),
        ('{"dtype": "int32", "shape": [1], "value": [1.5]}', "dtype"),
        ('{"dtype": "float32", "shape": [3], "value": [1.5]}', "shape"),
        ("1" * 5000, "a.json"),
    ],
)
def test_json_that_cannot_be_read(tmp_path, text, word):
    (tmp_path / "a.json").write_text(text)
    fails(lambda: read_array(tmp_path / "a.json"), "a.json", word)


def test_files_that_cannot_be_opened(tmp_path):
    (tmp_path / "weights.npy").mkdir()
    (tmp_path / "latin.csv").write_bytes(b"1\n\xe9\n")
    (tmp_path / "empty.json").write_bytes(b"")
    (tmp_path / "x.txt").write_text("1")
    fails(lambda: read_array(tmp_path / "wieghts.npy"), "no file", "did you mean", "weights.npy")
    fails(lambda: read_array(tmp_path / "nowhere" / "a.npy"), "no file")
    fails(lambda: read_array(tmp_path / "weights.npy"), "folder")
    fails(lambda: read_array(tmp_path / "latin.csv"), "UTF-8", "0xe9", "line 2")
    fails(lambda: read_array(tmp_path / "empty.json"), "empty")
    fails(lambda: read_array(tmp_path / "x.txt"), "read from .npy, .npz, .csv, .json")
    fails(lambda: read_array("a\0.npy"))


def test_no_permission(tmp_path, monkeypatch):
    """Root may read everything, so the system's refusal is made here."""

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    fails(lambda: read_array(tmp_path / "a.npy"), "permission")


# --- named values ---

RESULTS = [
    Result("a", np.array([[1.5, np.nan], [np.inf, -np.inf]], dtype="float32")),
    Result("b", np.array(7, dtype="int32")),
    Result("c", np.array([True, False])),
    Result("d", np.zeros((0, 3))),
    Result("e", None, Reason("y does not use e")),
]


@pytest.mark.parametrize("command", ["eval", "grad"])
@pytest.mark.parametrize("pieces", [as_json.pieces, as_json.line_pieces])
def test_own_json_keeps_values_and_dtypes(command, pieces):
    reply = Reply(command, "f.expr", [(1, RESULTS)], of=["y"])
    values = read_values("".join(pieces(reply)).encode(), "<stdin>")
    assert values.reply
    assert list(values.entries) == ["a", "b", "c", "d"]
    for result in RESULTS[:4]:
        got = values.entries[result.name]
        assert got.dtype == result.value.dtype
        assert got.shape == result.value.shape
        np.testing.assert_array_equal(got, result.value)


def test_own_plain_text():
    values = read_values("".join(plain.pieces(Reply("eval", "f.expr", [(0, RESULTS)]))).encode(), "<stdin>")
    assert list(values.entries) == ["a", "b", "c", "d"]
    for result in RESULTS[:4]:
        np.testing.assert_array_equal(values.entries[result.name], result.value)


def test_own_npz(tmp_path):
    with open(tmp_path / "v.npz", "wb") as file:
        write_npz(file, [("file", np.eye(2)), ("naïve", np.array(1))])
    values = read_values((tmp_path / "v.npz").read_bytes(), "v.npz")
    assert list(values.entries) == ["file", "naïve"]
    with np.load(tmp_path / "v.npz") as archive:
        assert archive["file"].shape == (2, 2)


def test_plain_mapping():
    values = read_values(b'{"x": [1, 2], "y": null, "z": "NaN"}', "v.json")
    assert not values.reply
    assert list(values.entries) == ["x", "z"]


def test_a_plain_mapping_may_have_a_key_called_command():
    assert list(read_values(b'{"command": 1, "values": [2]}', "v.json").entries) == ["command", "values"]


def test_lines_written_by_hand():
    values = read_values("# start\nx = [1., 2.]\n\ny=2*pi\nä = -3\n".encode(), "v.txt")
    assert values.entries["x"] == "[1., 2.]"
    assert values.entries["y"] == "2*pi"
    assert values.entries["ä"] == -3


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"[1, 2]", "JSON object"),
        (b"x 1\n", "line 1"),
        (b"x = 1\nx = 2\n", "twice"),
        (b"\xff\xfe", "UTF-8"),
        (b"PK broken", "npz"),
        (b'{"x": [1', "not JSON"),
        (b'{"command": "grad", "file": "f", "of": [], "orders": []}', "--every-order"),
        (b'{"command": "jacobian", "file": "f", "jacobians": {}}', "jacobian"),
    ],
)
def test_values_that_cannot_be_read(content, word):
    fails(lambda: read_values(content, "<stdin>"), "<stdin>", word)


# --- writing ---


def test_writing_replaces_the_whole_file(tmp_path):
    target = tmp_path / "out.json"
    target.write_text("old and longer")
    target.chmod(0o640)
    write_atomically(target, b"new")
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["out.json"]


def test_a_new_file_has_ordinary_permissions(tmp_path):
    write_atomically(tmp_path / "a", b"")
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "out.json"
    target.write_text("old")

    def write(file):
        file.write(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_atomically(target, write)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.json"]


def test_targets_that_cannot_be_written(tmp_path):
    fails(lambda: write_atomically(tmp_path / "no" / "a.json", b""), "a.json", "no folder")
    fails(lambda: write_atomically(tmp_path, b""), "it is a folder")
    assert os.listdir(tmp_path) == []


def test_a_read_only_file_is_not_replaced(tmp_path, monkeypatch):
    target = tmp_path / "mine.expr"
    target.write_text("y = 1")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as for any user but root
    fails(lambda: write_atomically(target, b"y = 2"), "mine.expr", "read-only")
    assert target.read_text() == "y = 1"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.expr"]


def test_a_link_to_nothing_is_called_so(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    fails(lambda: read_bytes(tmp_path / "link"), "a link to nowhere, which is missing")


def test_a_link_keeps_pointing_at_its_file(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomically(tmp_path / "link", json.dumps(1).encode())
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "1"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_pipes_are_never_replaced_and_read_only_where_one_may_stand(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "link.json").symlink_to(tmp_path / "pipe.json")
    for name in ("pipe.json", "link.json"):
        fails(lambda name=name: write_atomically(tmp_path / name, b"1"), name, "a device or a pipe")
        fails(lambda name=name: read_array(tmp_path / name, pipes=False), name, "is a pipe")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe.json").st_mode)
    writer = threading.Thread(target=lambda: (tmp_path / "pipe.json").write_text("[1, 2]"))
    writer.start()
    assert read_array(tmp_path / "pipe.json").tolist() == [1, 2]
    writer.join()


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="needs devices")
def test_devices_are_not_read():
    fails(lambda: read_bytes("/dev/null"), "/dev/null is a device")
    fails(lambda: read_bytes("/dev/zero"), "/dev/zero is a device")


@pytest.mark.parametrize(
    ("old", "new"), [(b"'descr'", b"'dexcr'"), (b"{", b"("), (b"<f8", b"<q9"), (b"(3,)", b"(a,)"), (b"NUMPY", b"MUNPY")]
)
def test_a_damaged_header_is_said_to_be_one(tmp_path, old, new):
    np.save(tmp_path / "a.npy", np.ones(3))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes().replace(old, new))
    error = fails(lambda: read_array(tmp_path / "a.npy"), "not a readable .npy array: its header is damaged")
    assert "ast" not in error.message


@pytest.mark.parametrize("text", ["name  shape  dtype  value\nx  []  float64  1.0\n",
                                  "gradients of y\nname  shape  dtype  value\n", "╭──────╮\n│ name │\n"])  # fmt: skip
def test_formats_for_people_hold_no_values_by_name(text):
    fails(lambda: read_values(text.encode(), "v"), "from which values by name are not read", "--format json or plain")


def test_a_reply_of_jvp_has_values():
    reply = "".join(as_json.pieces(Reply("jvp", "f", [(0, [Result("y", np.array([1.0, 2.0]))])], ["x"])))
    values = read_values(reply.encode(), "v")
    assert values.reply
    assert values.entries["y"].tolist() == [1, 2]


def test_how_one_of_several_arrays_is_chosen(tmp_path):
    np.savez(tmp_path / "d.npz", X=np.ones(1), Y=np.ones(1))
    fails(lambda: read_array(tmp_path / "d.npz"), "d.npz:X")
    fails(lambda: read_array(tmp_path / "d.npz", choose=lambda key: f'load("d.npz", "{key}")'), 'load("d.npz", "X")')


def test_what_was_written_to_a_mapped_array_stays(tmp_path):
    np.arange(300_000.0).tofile(tmp_path / "x")
    x = np.memmap(tmp_path / "x", dtype=np.float64, mode="c")
    x[:] = 7
    assert first_not_finite(x) is None
    assert (x == 7).all()


# --- what is larger than it looks

ALLOWED = 8 << 20
"""Bytes that reading may take in these tests; what is read would take eight times that."""


def header(shape, dtype="<f8", version=1):
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(2 if version == 1 else 4, "little") + text


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


BOMBS = {
    "zeros.npy.gz": header((8 << 20,)) + bytes(64 << 20),
    "promise.npy.gz": header((1 << 40,)),
    "singles.npy.gz": header((1 << 21,), "<f2") + bytes(4 << 20),
    "zeros.npz": zipped(x=header((8 << 20,)) + bytes(64 << 20)),
    "zeros.npz.gz": zipped(x=header((8 << 20,)) + bytes(64 << 20)),
    "rows.csv.gz": b"0,0\n" * (2 << 20),
    "rows.csv": b"0,0\n" * (2 << 20),
    "one_row.csv.gz": b"0," * (2 << 20) + b"0",
    "one_field.csv.gz": b"a,b\n1," + b"0" * (8 << 20),
    "one_quote.csv.gz": b'a,b\n1,"' + b"x\n" * (4 << 20),
    "no_rows.csv.gz": b"\n" * (8 << 20),
    "list.json.gz": b"[" + b"0," * (1 << 19) + b"0]",
    "list.json": b"[" + b"0," * (1 << 19) + b"0]",
    "brackets.json.gz": b"[" * (4 << 20),
    "blanks.json.gz": b" " * (16 << 20),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_takes_more_memory_than_is_allowed_is_refused(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(gzip.compress(BOMBS[name], 1) if name.endswith(".gz") else BOMBS[name])
    tracemalloc.start()
    try:
        with pytest.raises(GradcliError, match=name.removesuffix(".gz")) as caught:
            read_array(path, memory=Memory(ALLOWED))
        assert tracemalloc.get_traced_memory()[1] < ALLOWED + (4 << 20)
    finally:
        tracemalloc.stop()
    assert caught.value.kind == "LimitError"
    assert "8 MiB" in caught.value.message
    assert "--max-memory" in caught.value.help


def test_a_long_header_is_not_read(tmp_path):
    path = tmp_path / "a.npy.gz"
    path.write_bytes(gzip.compress(b"\x93NUMPY\x02\x00" + (1 << 31).to_bytes(4, "little") + b" " * (1 << 20), 1))
    fails(lambda: read_array(path), "header is damaged")


def test_several_files_take_together_what_each_takes(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(1 << 19))
    memory = Memory(ALLOWED)
    for _ in range(2):
        read_array(tmp_path / "a.npy", memory=memory)
    with pytest.raises(GradcliError, match="beside 8 MiB of other files"):
        read_array(tmp_path / "a.npy", memory=memory)


def test_of_many_arrays_the_one_is_read_that_is_asked_for(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(zipped(x=header((2,)) + bytes(16), y=header((8 << 20,)) + bytes(64 << 20)))
    np.testing.assert_array_equal(read_array(path, "x", memory=Memory(ALLOWED)), [0.0, 0.0])
    fails(lambda: read_array(path, memory=Memory(ALLOWED)), "several arrays")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_csv_file_is_read_in_parts(end, tmp_path, monkeypatch):
    monkeypatch.setattr("gradcli.data.files.CHUNK", 10)
    monkeypatch.setattr("gradcli.data.commas.LONG_ROW", 8)
    path = tmp_path / "a.csv"
    numbers = np.random.RandomState(0).standard_normal((50, 3))
    rows = [",".join(map(repr, row)) for row in numbers.tolist()]
    path.write_text(end.join(["a,b,c", "", *rows]), newline="")
    np.testing.assert_array_equal(read_array(path), numbers)
    np.testing.assert_array_equal(read_array(path, "c,a"), numbers[:, [2, 0]])
    path.write_text("\ufeffa,t" + end + end.join(f'{k},"x{end}""y{end * 3}z"' for k in range(30)), newline="")
    np.testing.assert_array_equal(read_array(path, "a"), np.arange(30.0))
    path.write_text(end.join([*rows, "1,2", *rows]), newline="")
    fails(lambda: read_array(path), "line 51, column 3: the row has 2 fields, but line 1 has 3")
    path.write_bytes(f"1,2{end}3,4{end}5,\u00e9{end}".encode("latin-1"))
    if end != "\r":
        fails(lambda: read_array(path), "is not UTF-8 text: byte 0xe9 on line 3")


def test_json_is_read_alike_where_it_is_long(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_text("[[1, 2.5], [-3e5, NaN]]")
    before = read_array(path)
    monkeypatch.setattr("gradcli.data.documents.LONG", 0)
    np.testing.assert_array_equal(read_array(path), before)
