"""Programs begin with any Python, and end with sentences."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.startup import program
from deeplabstream.startup.program import ending, prepare

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(
    [ROOT / "app.py", ROOT / "DeepLabStream.py"]
    + [
        f
        for f in ROOT.glob("utils/*.py")
        if f.stem not in ("__init__", "Doctor", "Launch", "NewRig")
    ]
)
"""All but those that need nothing but the standard library."""


def test_every_program_names_the_package_that_its_python_lacks(tmp_path: Path) -> None:
    def started(file: Path) -> subprocess.Popen[str]:
        bare = [sys.executable, "-S", str(file)]  # -S: nothing but the standard library
        end = subprocess.PIPE
        return subprocess.Popen(bare, cwd=tmp_path, stdout=end, stderr=end, text=True)

    for file, process in [(file, started(file)) for file in PROGRAMS]:
        out, told = process.communicate()
        assert (process.returncode, out) == (1, ""), file
        assert told.startswith(f"{file.name} needs the package '"), told
        assert "Traceback" not in told


def test_an_old_python_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(program, "ROOT", tmp_path)  # as if this Python were not ours
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    with pytest.raises(SystemExit) as ended:
        prepare()
    assert str(ended.value).startswith(
        "DeepLabStream needs Python 3.11 or newer, not 3.9"
    )
    assert sys.executable in str(ended.value)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (DeviceError("[Output laser] is gone"), 2, "[Output laser] is gone"),
        (
            OSError(errno.ENOSPC, "No space left", "x.csv"),
            2,
            "x.csv can't be used: No space left",
        ),
        (OSError("the port is closed"), 2, "the port is closed"),
        (KeyboardInterrupt(), 130, "stopped; --resume goes on"),
    ],
)
def test_what_the_user_can_mend_is_a_sentence(
    error: BaseException,
    code: int,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @ending("stopped; --resume goes on")
    def main() -> int:
        raise error

    assert main() == code
    assert capsys.readouterr().err == f"{sentence}\n"


def test_mistakes_of_ours_stay_tracebacks(capsys: pytest.CaptureFixture[str]) -> None:
    @ending()
    def main() -> int:
        return {}["no such thing"]

    with pytest.raises(KeyError):
        main()
    for error in (
        ValueError("x"),
        ModuleNotFoundError("no deeplabstream.x", name="deeplabstream.x"),
    ):
        program._report_exception(type(error), error, None)
        assert type(error).__name__ in capsys.readouterr().err


def test_a_system_library_that_is_missing_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "libGL.so.1: cannot open shared object file: No such file or directory"
    program._report_exception(ImportError, ImportError(text), None)
    assert "system library libGL.so.1 is missing" in capsys.readouterr().err


def test_ctrl_c_while_a_program_loads_is_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    program._report_exception(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == "stopped\n"


def test_a_program_without_a_console_ends_quietly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @ending()
    def main() -> int:
        raise DeviceError("[Output laser] is gone")

    monkeypatch.setattr(sys, "stderr", None)  # as pythonw has it
    assert main() == 2
