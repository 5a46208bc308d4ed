"""The command ``lint``: what it prints, what it writes, and its exit status."""

import json
import stat

import pytest

CLEAN = "variable x = 1.0\ny = x^2\n"
FIXABLE = "variable x = [1.0, 2.0]\ny = sum(log(1 + exp(x)))  # loss\n"
FIXED = "variable x = [1.0, 2.0]\ny = sum(softplus(x))  # loss\n"
UNUSED = "variable x = 1.0; variable w = 2.0\ny = x\n"


def test_findings_are_shown_like_errors(gradcli):
    done = gradcli("lint", "-e", "variable x = 1.0; variable v = 2.0; e = exp(x); y = log(1 + e)*stop_gradient(v)")
    assert (done.status, done.err) == (1, "")
    assert (
        done.out
        == """\
warning[no-influence]: no gradient leads from `v` to `y`: cut by stop_gradient(v) on line 1
 --> <-e>:1:28
  |
1 | variable x = 1.0; variable v = 2.0; e = exp(x); y = log(1 + e)*stop_gradient(v)
  |                            ^                                   ---------------- here
  |
  = help: if that is meant, declare it `constant v`

warning[softplus]: `log(1 + e)` has a better spelling: exp overflows for large x
 --> <-e>:1:53
  |
1 | variable x = 1.0; variable v = 2.0; e = exp(x); y = log(1 + e)*stop_gradient(v)
  |                                         ------      ^^^^^^^^^^
  |                                         |
  |                                         with this
  |
  = help: write `softplus(x)`

2 findings
"""
    )


def test_a_clean_program(gradcli):
    assert gradcli("lint", "-e", CLEAN) == (0, "", "")
    assert gradcli("lint", "-", stdin=CLEAN) == (0, "", "")
    assert json.loads(gradcli("lint", "-e", CLEAN, "--format", "json").out) == {
        "command": "lint", "findings": [], "fixed": [],
    }  # fmt: skip


def test_files(gradcli, tmp_path):
    (tmp_path / "a.expr").write_text(CLEAN)
    (tmp_path / "b.expr").write_text(FIXABLE)
    (tmp_path / "c.expr").write_text(UNUSED)
    done = gradcli("lint", "a.expr", "b.expr", "c.expr")
    assert done.status == 1
    assert "b.expr:2:9" in done.out
    assert "c.expr:1:28" in done.out
    assert done.out.endswith("\n2 findings; --fix can mend 1\n")
    assert (tmp_path / "b.expr").read_text() == FIXABLE


def test_fix(gradcli, tmp_path):
    file = tmp_path / "b.expr"
    file.write_text(FIXABLE)
    file.chmod(0o640)
    done = gradcli("lint", "b.expr", "--fix")
    assert done.status == 0
    assert done.out == "b.expr:2:9: log(1 + exp(x)) -> softplus(x)  [softplus]\n1 change, 0 findings left\n"
    assert file.read_text() == FIXED
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [file]
    assert gradcli("lint", "b.expr", "--fix") == (0, "", "")


def test_fix_leaves_what_it_cannot_mend(gradcli, tmp_path):
    (tmp_path / "c.expr").write_text(UNUSED)
    done = gradcli("lint", "c.expr", "--fix")
    assert done.status == 1
    assert "unused-variable" in done.out
    assert (tmp_path / "c.expr").read_text() == UNUSED


def test_a_file_without_changes_is_not_written(gradcli, tmp_path):
    file = tmp_path / "a.expr"
    file.write_text(CLEAN)
    before = file.stat()
    gradcli("lint", "a.expr", "--fix")
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_bytes_around_the_change_stay(gradcli, tmp_path):
    file = tmp_path / "a.expr"
    content = "\ufeff# ünïcode\r\nvariable x = 1.0\r\ny = exp(x) - 1\r\n".encode()
    file.write_bytes(content)
    assert gradcli("lint", "a.expr", "--fix").status == 0
    assert file.read_bytes() == content.replace(b"exp(x) - 1", b"expm1(x)")


def test_fix_in_a_pipe(gradcli):
    for arguments in (["lint", "--fix"], ["lint", "-", "--fix"]):
        done = gradcli(*arguments, stdin=FIXABLE)
        assert (done.status, done.out) == (0, FIXED)
        assert done.err == "<stdin>:2:9: log(1 + exp(x)) -> softplus(x)  [softplus]\n1 change, 0 findings left\n"
    assert gradcli("lint", "--fix", stdin=CLEAN) == (0, CLEAN, "")
    done = gradcli("lint", "-e", UNUSED, "--fix")
    assert (done.status, done.out) == (1, UNUSED)
    assert "unused-variable" in done.err


def test_json(gradcli, tmp_path):
    (tmp_path / "b.expr").write_text(FIXABLE)
    record = json.loads(gradcli("lint", "b.expr", "--format", "json").out)
    assert record["findings"] == [
        {
            "file": "b.expr", "line": 2, "column": 9, "end_line": 2, "end_column": 24, "code": "softplus",
            "message": "`log(1 + exp(x))` has a better spelling: exp overflows for large x",
            "help": "write `softplus(x)`", "replacement": "softplus(x)",
        }
    ]  # fmt: skip
    record = json.loads(gradcli("lint", "b.expr", "--format", "json", "--fix").out)
    assert (record["findings"], [entry["code"] for entry in record["fixed"]]) == ([], ["softplus"])
    done = gradcli("lint", "--fix", "--format", "json", stdin=FIXABLE)
    assert done.out == FIXED
    assert json.loads(done.err)["fixed"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.expr"], ["error[DataError]", "there is no file missing.expr"]),
        (["-e", "y = 2 +"], ["error[SyntaxError]", "<-e>:1:", "^"]),
        (["-e", "y = sinn(2.0)"], ["error[NameError]", "did you mean `sin`?", "^"]),
        (["-e", "y = [1.0, 2.0] + [1.0, 2.0, 3.0]", "--fix"], ["error[ShapeError]", "shape [3]"]),
    ],
)
def test_wrong_input(gradcli, arguments, words):
    done = gradcli("lint", *arguments)
    assert (done.status, done.out) == (1, "")
    assert all(word in done.err for word in words)
    done = gradcli("lint", *arguments, "--format", "json")
    assert (done.status, done.out) == (1, "")
    assert json.loads(done.err)["error"]["kind"]


def test_a_folder_has_programs(gradcli, tmp_path):
    (tmp_path / "my models").mkdir()
    done = gradcli("lint", "my models/")
    assert (done.status, done.out) == (1, "")
    assert "error[DataError]: my models/ is a folder, not a file" in done.err
    assert "has no program in it" in done.err


def test_no_file_is_required(gradcli):
    assert gradcli("lint", "--help").out.startswith("Usage: gradcli lint [OPTIONS] [FILE|FOLDER]...\n")


def test_one_bad_file_does_not_hide_the_others(gradcli, tmp_path):
    (tmp_path / "bad.expr").write_text("y = (")
    (tmp_path / "b.expr").write_text(FIXABLE)
    done = gradcli("lint", "bad.expr", "b.expr", "--fix")
    assert done.status == 1
    assert "bad.expr:1:" in done.err
    assert "1 change, 0 findings left" in done.out
    assert (tmp_path / "b.expr").read_text() == FIXED
    assert (tmp_path / "bad.expr").read_text() == "y = ("


def test_usage(gradcli):
    for arguments in (["lint"], ["lint", "-", "-"], ["lint", "a.expr", "-e", CLEAN]):
        assert gradcli(*arguments).status == 2


def test_on_a_terminal(terminal):
    assert "\x1b[1;33mwarning[unused-variable]\x1b[0m" in terminal("lint", "-e", UNUSED)
