"""``gradcli format``: files are written in their place, or what would change is shown."""

from __future__ import annotations

import subprocess


def test_files_are_written_where_they_change(gradcli, tmp_path):
    untidy, tidy, wrong = (tmp_path / name for name in ("untidy.expr", "tidy.expr", "wrong.expr"))
    untidy.write_bytes(b"\xef\xbb\xbfx=1")
    tidy.write_text("x = 1\n")
    wrong.write_text("x=(1\ny=2 3")
    before = tidy.stat().st_mtime_ns
    done = gradcli("format", str(untidy), str(wrong), str(tidy))
    assert (done.status, done.out) == (1, "") and done.err.count("error[") == 2
    assert (untidy.read_bytes(), wrong.read_text(), tidy.stat().st_mtime_ns) == (
        b"\xef\xbb\xbfx = 1\n", "x=(1\ny=2 3", before,
    )  # fmt: skip
    assert sorted(tmp_path.iterdir()) == sorted([untidy, tidy, wrong])
    assert gradcli("format", str(untidy), str(tidy), "--check").status == 0


def test_check_and_diff_write_nothing(gradcli, tmp_path):
    path = tmp_path / "p.expr"
    path.write_text("y = 1\nx=1")
    done = gradcli("format", "--check", str(path))
    assert (done.status, done.out, done.err) == (1, "", "1 file would change\n")
    done = gradcli("format", "--diff", str(path))
    assert done.status == 0 and "-x=1\n\\ No newline at end of file\n+x = 1\n" in done.out
    assert path.read_text() == "y = 1\nx=1"
    subprocess.run(["patch", "-s", str(path)], input=done.out.encode(), check=True)
    assert path.read_text() == "y = 1\nx = 1\n"


def test_standard_input_goes_to_standard_output(gradcli):
    assert gradcli("format", "-", stdin="y=1;z=2")[:2] == (0, "y = 1; z = 2\n")
    assert gradcli("format", "-", "-").status == 2
    assert gradcli("format").status == 2
    assert gradcli("format", "-", "--check", stdin="y=1").status == 1
