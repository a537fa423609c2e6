"""The script behind `make run`, tried on a copy that needs no package."""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from utils import Launch

ROOT = Path(__file__).resolve().parents[2]
LISTS = tuple(f"requirements{part}.txt" for part in ("", "-unit", "-dev", "-alone"))
NICENESS = "import os; print('niceness', getattr(os, 'nice', lambda _: 15)(0))"
APP = "import sys\nprint('app.py got', *sys.argv[1:])\nsys.exit(7)\n"


class Runs:
    """Stands for `subprocess.run`: it keeps the words, and programs end as they are told."""

    def __init__(self, *codes: int) -> None:
        self.codes = codes
        self.words: list[list[str]] = []
        self.environments: list[dict[str, str]] = []

    def __call__(
        self, words: list[str], env: Mapping[str, str] = os.environ, **_: object
    ) -> subprocess.CompletedProcess[Any]:
        self.words.append([str(word) for word in words[1:]])
        self.environments.append(dict(env))
        place = min(len(self.words), len(self.codes)) - 1
        return subprocess.CompletedProcess(words, self.codes[place])


class Launcher(Launch.Launcher):
    """A launcher whose environment has this Python under each name."""

    def program(self, name: str) -> str:
        """Return the Python of the tests."""
        return sys.executable


def in_line(root: Path, **fields: Any) -> Launcher:
    """Return a launcher of a checkout whose environment has all that tests need."""
    for name in LISTS:
        (root / name).write_text(f"# {name}\n", "utf-8")
    (root / ".venv").mkdir()
    stamps = [hashlib.sha256((root / name).read_bytes()).hexdigest() for name in LISTS]
    lines = [f"{stamp} {name}\n" for stamp, name in zip(stamps, LISTS, strict=True)]
    (root / ".venv" / "requirements.sha256").write_text("".join(lines), "utf-8")
    return Launcher(root=root, missing_libraries=list, **fields)


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
    checkout: Path,
) -> None:
    pip, opened = Runs(0), list[list[str]]()
    (checkout / ".venv").mkdir()

    def become(command: list[str]) -> int:
        opened.append(command[1:])
        return 0

    launcher = Launcher(
        root=checkout, run=pip, missing_libraries=list, become=become, checks=()
    )

    def given() -> list[str]:
        lists = [words[words.index("-r") :] for words in pip.words if "-r" in words]
        return [" ".join([Path(words[1]).name, *words[2:]]) for words in lists]

    assert launcher.main(["update"]) == 0
    assert given() == ["requirements.txt"]
    assert launcher.main(["run"]) == 0
    assert opened == [[str(checkout / "app.py"), "--start", "experiment"]]
    assert len(given()) == 1
    assert launcher.main(["check"]) == 0
    assert given()[1:] == [*LISTS[:-1], f"{LISTS[-1]} --no-deps"]
    for task in ("check", "run", "format"):
        assert launcher.main([task]) == 0
    assert len(given()) == 1 + len(LISTS)
    assert launcher.main(["update"]) == 0, "what tests need stays in line too"
    assert len(given()) == 1 + 2 * len(LISTS)


@pytest.mark.parametrize("later", [True, False])
def test_packages_are_compiled_when_they_are_imported(
    checkout: Path, later: bool
) -> None:
    pip = Runs(0)
    (checkout / ".venv").mkdir()
    fields = {"missing_libraries": list, "compiles_later": later}
    assert Launcher(root=checkout, run=pip, **fields).main(["update"]) == 0
    (words,) = (words for words in pip.words if "-r" in words)
    assert ("--no-compile" in words) is later


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
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher = Launch.Launcher(
        root=checkout, python=(3, 10), find=lambda name: None, run=Runs(1)
    )
    assert launcher.main(["update"]) == 1
    told = capsys.readouterr().err
    assert "needs Python 3.11" in told
    assert "this is 3.10." in told


def test_types_are_checked_for_every_system() -> None:
    types = [words for words in Launch.CHECKS if words[0] == "mypy"]
    assert [words[2] for words in types] == ["linux", "win32", "darwin"]
    assert len({words[4] for words in types}) == len(types)  # no cache is shared


def test_all_checks_are_told_in_order_and_those_that_failed_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = (("one", "-c", "exit('§ broken')"), ("two", "-c", "print('fine')"))
    assert in_line(tmp_path, checks=checks).main(["check"]) == 1
    told = capsys.readouterr().out
    assert told.index("§ broken\n") < told.index("--- two") < told.index("fine")
    assert told.endswith("FAILED: one -c exit('§ broken')\n")


def test_on_windows_the_launcher_py_finds_a_python_that_fits(checkout: Path) -> None:
    """The environment is made with it."""
    python, made = r"C:\Users\Łukasz\python.exe", list[list[str]]()

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if words[0] != "py":
            made.append(words)
            return subprocess.CompletedProcess(words, 3)
        fits = words[1] == "-3.12"
        return subprocess.CompletedProcess(words, int(not fits), stdout=ascii(python))

    launcher = Launch.Launcher(
        root=checkout,
        run=run,
        find=lambda name: name if name == "py" else None,
        windows=True,
        allows_long_paths=lambda: True,
        python=(3, 10),
    )
    assert launcher.main(["update"]) == 1, "the environment could not be made"
    assert made == [[python, "-m", "venv", "--clear", str(checkout / ".venv")]]


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
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The checks run beside the first part, with low priority."""
    run = Runs(*codes)
    launcher = in_line(tmp_path, run=run, checks=(("one", "-c", check),), cores=2)
    assert launcher.main(["test"]) == code
    parallel = ["-n", "2", "--dist", "loadfile", "-m", "not realtime and not long"]
    assert run.words == [
        ["-m", "pytest", *parallel],
        ["-m", "pytest", "-m", "realtime"],
    ]
    printed = capsys.readouterr().out
    assert told in printed
    assert all(int(n) >= 15 for n in re.findall(r"^niceness (\d+)", printed, re.M))


def test_words_after_test_go_to_one_pytest(tmp_path: Path) -> None:
    run = Runs(0)
    launcher = in_line(tmp_path, run=run, checks=(("one", "-c", "exit(1)"),))
    assert launcher.main(["test", "-k", "ring"]) == 1
    assert run.words == [["-m", "pytest", "-k", "ring"]]


def test_format_repairs_first_and_formats_then(tmp_path: Path) -> None:
    run = Runs(1, 0)
    launcher = in_line(tmp_path, run=run)
    assert launcher.main(["format"]) == 1, "what ruff cannot repair is an error"
    assert run.words == [["check", "--fix", "."], ["format", "."]]


@pytest.mark.parametrize(("end", "code"), [("exit(0)", 0), ("exit(1)", 1)])
def test_check_runs_no_test(
    end: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Runs(0)
    launcher = in_line(tmp_path, run=run, checks=(("one", "-c", end),))
    assert launcher.main(["check"]) == code
    assert ("All checks passed." in capsys.readouterr().out) == (not code)
    assert launcher.main(["check", "tests"]) == 1
    assert run.words == []


def test_test_long_searches_examples_and_injects_faults(tmp_path: Path) -> None:
    run = Runs(1, 0)
    launcher = in_line(tmp_path, run=run, cores=2)
    assert launcher.main(["test-long"]) == 1, "the failure of the first part counts"
    search, runs, faults = run.words
    assert search[2:5] == ["-m", "hypothesis or long", "--hypothesis-profile=search"]
    assert runs[2] == str(Launch.DAMAGED_RUNS)
    assert run.environments[1]["DAMAGED_RUNS"] == "1000"
    assert "DAMAGED_RUNS" in Launch.DAMAGED_RUNS.read_text(encoding="utf-8")
    assert faults == [str(Launch.FAULTS), "--long"]
    assert Launch.FAULTS.is_file()


def test_docs_installs_its_list_once_and_builds_strictly(tmp_path: Path) -> None:
    (tmp_path / ".venv-docs").mkdir()
    run = Runs(0)
    launcher = in_line(tmp_path, run=run)
    assert launcher.main(["docs"]) == 0
    assert [words[:2] for words in run.words[:2]] == [["-m", "venv"], ["-m", "pip"]]
    assert run.words[1][-1] == str(Launch.DOCS_REQUIREMENTS)
    assert run.words[2:] == [["build", "--strict"]]
    assert launcher.main(["docs"]) == 0
    assert run.words[3:] == [["build", "--strict"]]


def test_test_unit_runs_folders_that_exist_and_no_check(checkout: Path) -> None:
    run = Runs(0, 3)
    (checkout / ".venv").mkdir()
    launcher = Launcher(root=checkout, run=run, checks=(("one", "-c", "exit(1)"),))
    assert launcher.main(["test-unit", "-x"]) == 3
    installed, tests = run.words
    assert Path(installed[-1]).name == "requirements-unit.txt"
    assert tests == ["-m", "pytest", "-m", "not slow", "-x", *Launch.UNIT_FOLDERS]
    assert all((ROOT / folder).is_dir() for folder in Launch.UNIT_FOLDERS)


def test_test_fast_leaves_slow_tests_out_and_runs_no_check(tmp_path: Path) -> None:
    run = Runs(3)
    launcher = in_line(tmp_path, run=run, checks=(("one", "-c", "exit(1)"),))
    assert launcher.main(["test-fast", "-x"]) == 3
    assert run.words == [["-m", "pytest", "-m", "not slow", "-x"]]


@pytest.mark.parametrize(("codes", "code"), [((0, 0, 0), 0), ((0, 1, 0), 1), ((2,), 1)])
def test_test_gpu_runs_gpu_tests_then_figures_where_there_is_a_gpu(
    tmp_path: Path, codes: tuple[int, ...], code: int
) -> None:
    run = Runs(*codes)
    assert in_line(tmp_path, run=run).main(["test-gpu", "-x"]) == code
    table = [str(Launch.GPU_TABLE)]
    tests = ["-m", "pytest", "-m", "gpu", "-x"]
    assert run.words == [[*table, "--probe"], tests, table][: len(codes)]
    assert Launch.GPU_TABLE.is_file()


@pytest.mark.parametrize(
    ("letters", "allowed", "refused"),
    [(65, False, False), (66, False, True), (66, True, False)],
)
def test_on_windows_a_long_folder_is_refused_before_anything_is_installed(
    letters: int,
    allowed: bool,
    refused: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, run = Path("x" * letters), Runs(0)
    launcher = Launcher(
        root=folder, run=run, windows=True, allows_long_paths=lambda: allowed
    )
    with contextlib.chdir(tmp_path):
        (folder / ".venv").mkdir(parents=True)
        (folder / "requirements.txt").touch()
        assert launcher.main(["update"]) == int(refused)
    told = capsys.readouterr().err
    assert ("66 letters; at most 65" in told) == refused
    assert bool(run.words) != refused


@pytest.mark.parametrize(("answer", "made"), [("y", 1), ("", 0), ("n", 0)])
def test_on_windows_the_first_start_offers_a_shortcut_on_the_desktop(
    answer: str,
    made: int,
    checkout: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given: list[dict[str, str]] = []

    def run(
        words: list[str], env: Mapping[str, str] = os.environ
    ) -> subprocess.CompletedProcess[Any]:
        if words[0] != "powershell":
            python = checkout / ".venv" / "Scripts" / "python.exe"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()
            return subprocess.CompletedProcess(words, 0)
        given.append(dict(env))
        return subprocess.CompletedProcess(words, len(given) - 1)

    launcher = Launch.Launcher(
        root=checkout,
        run=run,
        windows=True,
        ask=lambda question: answer,
        is_at_terminal=lambda: True,
        missing_libraries=list,
        allows_long_paths=lambda: True,
        become=lambda command: 5,
    )
    assert launcher.main(["run"]) == 5
    assert launcher.main(["run"]) == 5, "it is offered once"
    assert len(given) == made
    if made:
        assert given[0]["DLS_TARGET"].endswith("run.bat")
        assert "shortcut DeepLabStream" in capsys.readouterr().out
        assert launcher.main(["shortcut"]) == 1
        assert "Send to" in capsys.readouterr().err


def test_shortcuts_are_for_windows_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert Launch.main(["shortcut"]) == 1
    assert "on Windows only" in capsys.readouterr().err
