"""The script behind `make run`, tried on a copy that needs no package."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from deeplabstream.doctor import windows as doctor_of_windows
from utils import Launch

ROOT = Path(__file__).resolve().parents[2]
LISTS = tuple(f"requirements{part}.txt" for part in ("", "-unit", "-dev", "-alone"))
NICENESS = "import os; print('niceness', getattr(os, 'nice', lambda _: 15)(0))"
APP = "import sys\nprint('app.py got', *sys.argv[1:])\nsys.exit(7)\n"


def launch(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "utils" / "Launch.py"), *words]
    offline = {"QT_QPA_PLATFORM": "offscreen", "PIP_NO_INDEX": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | offline
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in (
        "utils/Launch.py",
        "deeplabstream/startup/qt_environment.py",
        "deeplabstream/startup/__init__.py",
        "deeplabstream/__init__.py",
        "deeplabstream/__init__.pyi",
        "deeplabstream/core/__init__.py",
        "deeplabstream/files/paths.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    for name in LISTS:
        (tmp_path / name).write_text("# none\n", encoding="utf-8")
    return tmp_path


def test_run_makes_the_environment_once_and_passes_on_words_and_exit_code(
    checkout: Path,
) -> None:
    """What can't be installed is a sentence, and tried again."""
    first = launch(checkout, "run", "--seconds", "3")
    assert "Making the environment" in first.stdout
    assert "app.py got --start experiment --seconds 3" in first.stdout
    assert first.returncode == 7

    second = launch(checkout, "run")
    assert second.stdout == "app.py got --start experiment\n"

    (checkout / "requirements.txt").write_text("# still none\n", encoding="utf-8")
    third = launch(checkout, "run")
    assert "Installing requirements.txt" in third.stdout
    assert "Making the environment" not in third.stdout

    (checkout / "requirements.txt").write_text("no-such-package==1\n", encoding="utf-8")
    for _ in range(2):
        failed = launch(checkout, "update")
        assert failed.returncode == 1
        assert failed.stderr.endswith("see the messages of pip above.\n")


def test_run_installs_what_a_rig_needs_and_test_what_tests_need(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []

    def pip(words: list[str], **_: object) -> SimpleNamespace:
        given.append(" ".join(words[words.index("-r") :]))
        return SimpleNamespace(returncode=0)

    python = checkout / "python"
    python.touch()
    monkeypatch.setattr(Launch, "_program", lambda _: str(python))
    monkeypatch.setattr(Launch, "STAMP", checkout / "stamp")
    monkeypatch.setattr(subprocess, "run", pip)
    assert Launch.main(["update"]) == 0
    assert [Path(words[3:]).name for words in given] == ["requirements.txt"]
    Launch._install(Launch.TO_RUN)
    assert len(given) == 1
    Launch._install(Launch.TO_TEST)
    assert [Path(words.split()[1]).name for words in given[1:]] == list(LISTS)
    assert given[-1].endswith("--no-deps")
    Launch._install(Launch.TO_TEST)
    Launch._install(Launch.TO_RUN)
    Launch._install(Launch.TO_UNIT)
    assert len(given) == 1 + len(LISTS)
    assert Launch.main(["update"]) == 0, "what tests need stays in line too"
    assert len(given) == 1 + 2 * len(LISTS)


def test_a_rig_does_without_what_tests_need() -> None:
    rig, unit, dev, _ = ((ROOT / name).read_text(encoding="utf-8") for name in LISTS)
    names = {line.partition("==")[0] for line in rig.splitlines() if "==" in line}
    asked = {
        *("PyQt5", "opencv-python", "pypylon", "pyrealsense2", "torch"),
        *("onnxruntime-gpu", "numpy", "pandas", "pyserial", "configparser"),
    }
    assert asked <= names
    assert not names & {"pytest", "ruff", "mypy", "dask", "distributed", "submitit"}
    assert {"-r requirements.txt", "-r requirements-unit.txt"} <= set(dev.splitlines())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = project["project"]
    extras = parts[
        "optional-dependencies"
    ].items()  # those of GPUs have pins themselves
    rest = [each for name, each in extras if not name.startswith("gpu-")]
    groups = [parts["dependencies"], *rest]
    named = [each for group in groups for each in group]
    packages = {re.split(r"[\[;\s]", each)[0] for each in named}
    listed = {line.partition("==")[0].partition("[")[0] for line in (rig + dev).split()}
    assert packages <= listed, "pip install -c requirements-dev.txt pins each of them"
    of_nidaqmx = {
        *("grpcio", "ni-grpcdevice-v1-proto", "ni-protobuf-types", "nitlsconfig"),
        "protobuf",
    }
    assert names - packages == {"PyQt5-Qt5", "configparser"} | of_nidaqmx
    to_run = unit.partition("# to run")[2].partition("# to test")[0].split()[3:]
    assert "numpy" in to_run
    assert set(to_run) <= packages, "requirements.txt holds the version of each"


def test_pip_accepts_the_install_command_of_the_readme(tmp_path: Path) -> None:
    """Every part of it exists, and requirements.txt can limit versions.

    pip only plans here; `make release` runs the command in bare environments.
    """
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = re.search(
        r'^pip install "\.\[([\w,]+)\]" -c (\S+)$', readme, re.MULTILINE
    )
    assert command is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(command[1].split(",")) <= set(
        project["project"]["optional-dependencies"]
    )
    package = tmp_path / "package"
    package.mkdir()
    text = '[project]\nname = "planned"\nversion = "1"\n'
    (package / "pyproject.toml").write_text(text, encoding="utf-8")
    plan = ["--dry-run", "--no-index", "--no-build-isolation", "--no-deps"]
    pip = [sys.executable, "-m", "pip", "install", *plan, str(package)]
    planned = subprocess.run(
        [*pip, "-c", str(ROOT / command[2])], capture_output=True, text=True
    )
    assert planned.returncode == 0, planned.stderr
    assert "Would install planned-1" in planned.stdout


def test_unit_tests_need_only_the_packages_of_their_list(tmp_path: Path) -> None:
    """The modules of UNIT_FOLDERS import while the larger packages are missing."""
    missing = (
        *("PyQt5", "torch", "onnx", "onnxruntime", "zmq", "tables", "matplotlib"),
        *("pypylon", "pyrealsense2", "genicam", "nidaqmx", "gpiozero", "sklearn"),
    )
    plugin = tmp_path / "without_packages.py"
    plugin.write_text(
        f"import sys\nsys.modules.update(dict.fromkeys({missing!r}))\n", "utf-8"
    )
    words = ["-q", "--collect-only", "-m", "not slow", "-p", "without_packages"]
    command = [sys.executable, "-m", "pytest", *words, *Launch.UNIT_FOLDERS]
    collected = subprocess.run(
        [*command, "-p", "no:pytest-qt", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert collected.returncode == 0, collected.stdout[-3000:]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
def test_a_missing_system_library_is_told_before_anything_is_installed(
    checkout: Path,
) -> None:
    file = checkout / "deeplabstream" / "startup" / "qt_environment.py"
    code = file.read_text(encoding="utf-8")
    file.write_text(code.replace("libGL.so.1", "libNone.so.9"), encoding="utf-8")
    told = launch(checkout, "run")
    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert told.stderr.endswith("sudo apt-get install -y libgl1\n")
    assert not (checkout / ".venv").exists()


def test_unknown_words_get_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert Launch.main(["fly"]) == 2
    assert "Launch.py run" in capsys.readouterr().out


def test_an_unfit_python_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(Launch, "OLDEST", (99, 0))
    monkeypatch.setattr(Launch, "FIRST_TOO_NEW", (99, 1))
    monkeypatch.setattr(Launch, "ENVIRONMENT", tmp_path / ".venv")
    monkeypatch.setattr(Launch, "STAMP", tmp_path / "stamp")
    assert Launch.main(["update"]) == 1
    assert "needs Python 3.11" in capsys.readouterr().err


def test_types_are_checked_for_every_system() -> None:
    types = [words for words in Launch.CHECKS if words[0] == "mypy"]
    assert [words[2] for words in types] == ["linux", "win32", "darwin"]
    assert len({words[4] for words in types}) == len(types)  # no cache is shared


def test_all_checks_are_told_in_order_and_those_that_failed_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = (("one", "-c", "exit('§ broken')"), ("two", "-c", "print('fine')"))
    monkeypatch.setattr(Launch, "CHECKS", checks)
    monkeypatch.setattr(Launch, "_program", lambda _: sys.executable)
    assert Launch._failed_checks(Launch._start_checks()) == ["one -c exit('§ broken')"]
    told = capsys.readouterr().out
    assert told.index("§ broken\n") < told.index("--- two") < told.index("fine")


def test_on_windows_the_launcher_py_finds_a_python_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(words: list[str], **_: object) -> SimpleNamespace:
        python = r"C:\Users\Łukasz\python.exe" if words[:2] == ["py", "-3.98"] else ""
        return SimpleNamespace(returncode=int(not python), stdout=ascii(python))

    windows = SimpleNamespace(name="nt")
    monkeypatch.setattr(Launch, "os", windows)
    monkeypatch.setattr(Launch, "OLDEST", (3, 97))
    monkeypatch.setattr(Launch, "FIRST_TOO_NEW", (3, 100))
    monkeypatch.setattr(shutil, "which", lambda name: name if name == "py" else None)
    monkeypatch.setattr(subprocess, "run", run)
    assert Launch._fitting_python() == r"C:\Users\Łukasz\python.exe"


@pytest.mark.parametrize(
    ("codes", "check", "code", "told"),
    [
        ((0, 0), NICENESS, 0, "niceness"),
        ((1, 0), NICENESS, 1, "FAILED: pytest, 2 at once;"),
        ((0, 1), NICENESS, 1, "FAILED: pytest, real-time tests;"),
        ((0, 0), "exit(1)", 1, "FAILED: one -c exit(1);"),
    ],
)
def test_test_runs_all_tests_in_two_parts_and_names_what_failed(
    codes: tuple[int, int],
    check: str,
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The checks run beside the first part, with low priority."""
    ran: list[list[str]] = []

    def run(words: list[str], **_: object) -> SimpleNamespace:
        ran.append(words[1:])
        return SimpleNamespace(returncode=codes[len(ran) - 1])

    monkeypatch.setattr(Launch, "_look_for_libraries", lambda: None)
    monkeypatch.setattr(Launch, "_install", lambda lists: None)
    monkeypatch.setattr(Launch, "CHECKS", (("one", "-c", check),))
    monkeypatch.setattr(Launch, "_program", lambda _: sys.executable)
    monkeypatch.setattr(Launch.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(subprocess, "run", run)
    assert Launch.main(["test"]) == code
    parallel = ["-n", "2", "--dist", "loadfile", "-m", "not realtime and not long"]
    assert ran == [
        ["-m", "pytest", *parallel],
        ["-m", "pytest", "-m", "realtime"],
    ]
    printed = capsys.readouterr().out
    assert told in printed
    assert all(int(n) >= 15 for n in re.findall(r"^niceness (\d+)", printed, re.M))


def test_words_after_test_go_to_one_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(words: list[str], **_: object) -> SimpleNamespace:
        ran.append(words[1:])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(Launch, "_look_for_libraries", lambda: None)
    monkeypatch.setattr(Launch, "_install", lambda lists: None)
    monkeypatch.setattr(Launch, "CHECKS", (("one", "-c", "exit(1)"),))
    monkeypatch.setattr(Launch, "_program", lambda _: sys.executable)
    monkeypatch.setattr(subprocess, "run", run)
    assert Launch.main(["test", "-k", "ring"]) == 1
    assert ran == [["-m", "pytest", "-k", "ring"]]


def test_format_repairs_first_and_formats_then(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(words: list[str], **_: object) -> SimpleNamespace:
        ran.append(words[1:])
        return SimpleNamespace(returncode=len(ran) % 2)

    monkeypatch.setattr(Launch, "_install", lambda lists: None)
    monkeypatch.setattr(subprocess, "run", run)
    assert Launch.main(["format"]) == 1, "what ruff cannot repair is an error"
    assert ran == [["check", "--fix", "."], ["format", "."]]


@pytest.mark.parametrize(("failed", "code"), [([], 0), (["ruff check ."], 1)])
def test_check_runs_no_test(
    failed: list[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Launch, "_install", lambda lists: None)
    monkeypatch.setattr(Launch, "_start_checks", dict)
    monkeypatch.setattr(Launch, "_failed_checks", lambda checks: failed)
    monkeypatch.setattr(Launch, "_pytest", lambda words: pytest.fail("a test ran"))
    assert Launch.main(["check"]) == code
    assert ("All checks passed." in capsys.readouterr().out) == (not failed)
    assert Launch.main(["check", "tests"]) == 1


def test_test_long_searches_examples_and_injects_faults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[list[str]] = []

    def run(words: list[str], **_: object) -> SimpleNamespace:
        ran.append(words[1:])
        return SimpleNamespace(returncode=int(len(ran) == 1))

    monkeypatch.setattr(Launch, "_look_for_libraries", lambda: None)
    monkeypatch.setattr(Launch, "_install", lambda lists: None)
    monkeypatch.setattr(Launch.os, "cpu_count", lambda: 2)
    monkeypatch.setenv("DAMAGED_RUNS", "20")
    monkeypatch.setattr(subprocess, "run", run)
    assert Launch.main(["test-long"]) == 1, "the failure of the first part counts"
    search, runs, faults = ran
    assert search[2:5] == ["-m", "hypothesis or long", "--hypothesis-profile=search"]
    assert runs[2] == str(Launch.DAMAGED_RUNS)
    assert int(os.environ["DAMAGED_RUNS"]) == 1000
    assert "DAMAGED_RUNS" in Launch.DAMAGED_RUNS.read_text(encoding="utf-8")
    assert faults == [str(Launch.FAULTS), "--long"]
    assert Launch.FAULTS.is_file()


def test_docs_installs_its_list_once_and_builds_strictly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran: list[list[str]] = []

    def run(words: list[str], **_: object) -> SimpleNamespace:
        ran.append([Path(words[0]).stem, *words[1:]])
        Launch.DOCS_ENVIRONMENT.mkdir(exist_ok=True)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(Launch, "DOCS_ENVIRONMENT", tmp_path / "environment")
    monkeypatch.setattr(subprocess, "run", run)
    assert Launch.main(["docs"]) == 0
    assert [words[1:3] for words in ran[:2]] == [["-m", "venv"], ["-m", "pip"]]
    assert ran[1][-1] == str(Launch.DOCS_REQUIREMENTS)
    assert ran[2:] == [["mkdocs", "build", "--strict"]]
    assert Launch.main(["docs"]) == 0
    assert ran[3:] == [["mkdocs", "build", "--strict"]]


def test_test_unit_runs_folders_that_exist_and_no_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[list[str]] = []

    def run(words: list[str], **_: object) -> SimpleNamespace:
        ran.append(words[1:])
        return SimpleNamespace(returncode=3)

    installed: list[object] = []
    monkeypatch.setattr(Launch, "_install", installed.append)
    monkeypatch.setattr(subprocess, "run", run)
    assert Launch.main(["test-unit", "-x"]) == 3
    assert ran == [["-m", "pytest", "-m", "not slow", "-x", *Launch.UNIT_FOLDERS]]
    assert installed == [Launch.TO_UNIT]
    assert all((ROOT / folder).is_dir() for folder in Launch.UNIT_FOLDERS)


def test_test_fast_leaves_slow_tests_out_and_runs_no_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[list[str]] = []

    def run(words: list[str], **_: object) -> SimpleNamespace:
        ran.append(words)
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(Launch, "_look_for_libraries", lambda: None)
    monkeypatch.setattr(Launch, "_install", lambda lists: None)
    monkeypatch.setattr(subprocess, "run", run)
    assert Launch.main(["test-fast", "-x"]) == 3
    (words,) = ran
    assert words[1:] == ["-m", "pytest", "-m", "not slow", "-x"]


@pytest.mark.parametrize(("codes", "code"), [((0, 0, 0), 0), ((0, 1, 0), 1), ((2,), 1)])
def test_test_gpu_runs_gpu_tests_then_figures_where_there_is_a_gpu(
    monkeypatch: pytest.MonkeyPatch, codes: tuple[int, ...], code: int
) -> None:
    ran: list[list[str]] = []

    def run(words: list[str], **_: object) -> SimpleNamespace:
        ran.append([Path(words[1]).name, *words[2:]])
        return SimpleNamespace(returncode=codes[len(ran) - 1])

    monkeypatch.setattr(Launch, "_look_for_libraries", lambda: None)
    monkeypatch.setattr(Launch, "_install", lambda lists: None)
    monkeypatch.setattr(subprocess, "run", run)
    assert Launch.main(["test-gpu", "-x"]) == code
    table = ["gpu_table.py"]
    tests = ["-m", "pytest", "-m", "gpu", "-x"]
    assert ran == [[*table, "--probe"], tests, table][: len(codes)]
    assert Launch.GPU_TABLE.is_file()


def windows(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    system = SimpleNamespace(name="nt", environ={"PATH": "x"})
    monkeypatch.setattr(Launch, "os", system)
    monkeypatch.setattr(Launch, "ROOT", Path(folder))


@pytest.mark.parametrize(
    ("folder", "allowed", "refused"),
    [
        ("/" + "a" * 64, False, False),
        ("/" + "a" * 65, False, True),
        ("/" + "a" * 65, True, False),
    ],
)
def test_on_windows_a_long_folder_is_refused_before_anything_is_installed(
    folder: str,
    allowed: bool,
    refused: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    windows(monkeypatch, folder)
    monkeypatch.setattr(Launch, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(Launch, "_program", lambda _: str(tmp_path / "python"))
    monkeypatch.setattr(doctor_of_windows, "long_paths", lambda: allowed)
    monkeypatch.setattr(Launch, "_fitting_python", lambda: sys.executable)
    ran: list[list[str]] = []

    def run(words: list[str], **_: object) -> SimpleNamespace:
        ran.append(words)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    if refused:
        with pytest.raises(Launch._NotReadyError, match="66 letters; at most 65"):
            Launch._install(Launch.TO_RUN)
    else:
        assert Launch._install(Launch.TO_RUN)
    assert bool(ran) != refused


@pytest.mark.parametrize(("answer", "made"), [("y", 1), ("", 0), ("n", 0)])
def test_on_windows_the_first_start_offers_a_shortcut_on_the_desktop(
    answer: str,
    made: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    windows(monkeypatch, "/DeepLabStream")
    installed = iter((True, False))
    given: list[dict[str, str]] = []

    def run(words: list[str], env: dict[str, str]) -> SimpleNamespace:
        assert words[0] == "powershell"
        given.append(env)
        return SimpleNamespace(returncode=len(given) - 1)

    monkeypatch.setattr(Launch, "_look_for_libraries", lambda: None)
    monkeypatch.setattr(Launch, "_install", lambda lists: next(installed))
    monkeypatch.setattr(Launch, "_become", lambda command: 5)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    assert Launch.main(["run"]) == 5
    assert Launch.main(["run"]) == 5, "it is offered once"
    assert len(given) == made
    if made:
        assert given[0]["DLS_TARGET"].endswith("run.bat")
        assert "shortcut DeepLabStream" in capsys.readouterr().out
        assert Launch.main(["shortcut"]) == 1
        assert "Send to" in capsys.readouterr().err


def test_shortcuts_are_for_windows_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert Launch.main(["shortcut"]) == 1
    assert "on Windows only" in capsys.readouterr().err
