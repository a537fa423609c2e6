"""The rules of the house that a tool can check."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from deeplabstream import cli
from deeplabstream.engine.session import process_manager
from tests.fresh_python import ROOT, python

PROGRAMS = ("app.py", "DeepLabStream.py")
PACKAGES = tuple(
    sorted({file.parent.name for file in ROOT.glob("*/__init__.py")} - {"tests"})
)
UTILITIES = tuple(sorted(set(ROOT.glob("utils/*.py")) - {ROOT / "utils/__init__.py"}))
SHIM = """
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
"""
STUB = re.compile(
    r'''^"""[A-Z].*: `deeplabstream ([a-z-]+)`\."""

import sys
from pathlib import Path

sys\.path\.insert\(0, str\(Path\(__file__\)\.resolve\(\)\.parents\[1\]\)\)

from deeplabstream\.cli import main_of

main = main_of\("([\w.]+)"\)

if __name__ == "__main__":
    sys\.exit\(main\(\)\)
$'''
)
"""A file in utils/: its sub-command, and the module with its program."""
LAUNCH = ROOT / "utils/Launch.py"
"""Makes the environment, and so begins without it."""
HEAVY = (
    "cv2",
    "onnxruntime",
    "PyQt5",
    "pypylon",
    "pyrealsense2",
    "serial",
    "torch",
    "zmq",
)


@cache
def product_files() -> tuple[Path, ...]:
    packages = (file for name in PACKAGES for file in (ROOT / name).rglob("*.py"))
    return (*(ROOT / name for name in PROGRAMS), *packages)


@cache
def text_of(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@cache
def nodes_of(file: Path) -> tuple[ast.AST, ...]:
    """Return all nodes of a file's syntax tree; several tests look at them."""
    return tuple(ast.walk(ast.parse(text_of(file))))


@cache
def words_of(node: ast.AST) -> str:
    return ast.unparse(node)


def pyproject() -> dict[str, Any]:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(whole["tool"])


def test_imports_go_downwards_only() -> None:
    code = "import sys; from importlinter import cli; sys.exit(cli.lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout[done.stdout.find("Contracts") :]


def imported_modules(file: Path) -> set[str]:
    """Return all modules that a file imports: also in functions and for types only."""
    modules = set[str]()
    for node in nodes_of(file):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # The imported name can be a submodule.
            modules |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    return modules


def test_modules_of_the_window_import_each_other_in_one_direction() -> None:
    files = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): file
        for file in (ROOT / "deeplabstream/gui").rglob("*.py")
    }
    graph = {
        module: (imported_modules(file) & files.keys()) - {module}
        for module, file in files.items()
    }
    assert graph["deeplabstream.gui.menu"]
    TopologicalSorter(graph).prepare()  # CycleError names the modules of a cycle


def test_every_package_has_its_place() -> None:
    linter = pyproject()["importlinter"]
    layers = " | ".join(linter["contracts"][0]["layers"]).split(" | ")
    folders = (file.parent.name for file in ROOT.glob("deeplabstream/*/__init__.py"))
    assert sorted(layers) == sorted(
        [*(f"deeplabstream.{name}" for name in folders), "utils"]
    )
    assert sorted(linter["root_packages"]) == list(PACKAGES)
    assert set(PACKAGES) <= set(pyproject()["mypy"]["files"])
    assert set(PACKAGES) <= set(
        pyproject()["ruff"]["lint"]["isort"]["known-first-party"]
    )


def test_packages_are_this_checkouts() -> None:
    code = f"import {', '.join(PACKAGES)}\n" + "".join(
        f"print({name}.__file__)\n" for name in PACKAGES
    )
    expected = [str(ROOT / name / "__init__.py") for name in PACKAGES]
    assert python(code).splitlines() == expected


@pytest.mark.parametrize("file", UTILITIES, ids=lambda file: file.name)
def test_a_utility_starts_a_program_of_the_package(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if file == LAUNCH:
        assert SHIM in text
        return
    found = re.search(STUB, text)
    assert found, text
    command, module = found.groups()
    assert import_module(module).PROGRAM.name == file.stem
    assert cli.COMMANDS[command].module == f"utils.{file.stem}"


OTHER_OPENINGS = {
    "cameras/webcam.py": "a device",
    "cameras/network.py": "a live stream",
    "deeplabstream/recording/run_repair.py": "packets that are copied, never decoded",
    "deeplabstream/pose/importers/scripts/package.py": "runs in another program's Python",
}
"""Files that open something to read like a video, and why that is no decoding of a file."""


def openings(file: Path) -> Iterator[str]:
    """Yield the calls that open a video to read it."""
    if "VideoCapture" not in text_of(file) and "av.open" not in text_of(file):
        return
    for node in nodes_of(file):
        if isinstance(node, ast.Call):
            name = words_of(node.func)
            modes = [
                *node.args[1:2],
                *(k.value for k in node.keywords if k.arg == "mode"),
            ]
            writes = any(words_of(mode) == "'w'" for mode in modes)
            if name.endswith("VideoCapture") or (name == "av.open" and not writes):
                yield f"{file.relative_to(ROOT).as_posix()}:{node.lineno} {name}"


def test_only_the_video_reader_opens_videos() -> None:
    found = [
        opening
        for file in product_files()
        if file.parent.name != "video"
        and file.relative_to(ROOT).as_posix() not in OTHER_OPENINGS
        for opening in openings(file)
    ]
    assert found == []
    assert len(list(openings(ROOT / "deeplabstream/video/decoding.py"))) == 2
    assert all(any(openings(ROOT / name)) for name in OTHER_OPENINGS)


def test_nobody_imports_a_utility() -> None:
    importing = [
        str(file.relative_to(ROOT))
        for file in product_files()
        if re.search(r"^\s*(from|import) utils\b", text_of(file), re.MULTILINE)
    ]
    assert importing == []


@pytest.mark.parametrize(
    ("package", "contract"),
    [
        ("cameras", "deeplabstream.plugins.camera.Camera"),
        ("outputs", "deeplabstream.plugins.output.Output"),
        ("experiments", "deeplabstream.plugins.experiment.Experiment"),
        ("experiments", "deeplabstream.plugins.trigger.Trigger"),
    ],
)
def test_looking_into_a_folder_loads_no_driver(package: str, contract: str) -> None:
    module, _, name = contract.rpartition(".")
    code = (
        f"import sys, {package}\nfrom {module} import {name}\n"
        "from deeplabstream.plugins.discovery import discover\n"
        f"found = discover({package}, {name})\n"
        f"print(*found.problems, *(name for name in {HEAVY} if name in sys.modules))"
    )
    assert python(code) == ""


@pytest.mark.parametrize("program", ["app", "DeepLabStream"])
def test_starting_a_program_loads_no_torch(program: str) -> None:
    code = (
        f"import sys, {program}\n"
        "import deeplabstream.engine.processes.engine_process\n"
        "import deeplabstream.engine.processes.camera_process\n"
        "import deeplabstream.engine.session.session\n"
        "import deeplabstream.gui.bridge, deeplabstream.gui.main_window\n"
        "print(*(name for name in ('torch', 'pandas') if name in sys.modules))"
    )
    assert python(code) == ""


def test_no_module_of_the_window_loads_torch() -> None:
    """Its import takes seconds, in which neither STOP nor Esc would act."""
    code = (
        "import sys, pkgutil, deeplabstream.gui as gui\n"
        "for module in pkgutil.walk_packages(gui.__path__, 'deeplabstream.gui.'):\n"
        "    __import__(module.name)\n"
        "print(*(name for name in ('torch', 'lightning') if name in sys.modules))"
    )
    assert python(code) == ""


COMPUTING = (*HEAVY, "av", "openvino", "pandas", "scipy", "sklearn")
MAIN = (
    "import deeplabstream.engine.session.session, deeplabstream.engine.session.headless"
)
LIGHT = {
    "guard": "import deeplabstream.engine.processes.guard",
    "second guard": "import deeplabstream.engine.processes.second_guard",
    "main process, headless": f"{MAIN}; from pathlib import Path\n"
    "from deeplabstream.settings.loading import load; load(Path('settings.ini'))",
}


@pytest.mark.parametrize("process", LIGHT)
def test_a_process_that_computes_nothing_starts_without_heavy_packages(
    process: str,
) -> None:
    """As `spawn` starts it: the program's file first, then what the process runs."""
    code = (
        "import runpy, sys\n"
        "for program in ('app.py', 'DeepLabStream.py'):\n"
        "    runpy.run_path(program, run_name='__mp_main__')\n"
        f"assert 'numpy' not in sys.modules\n{LIGHT[process]}\n"
        "import outputs.screen.output, outputs.serial_line\n"
        f"print(*(name for name in {COMPUTING} if name in sys.modules))"
    )
    assert python(code) == ""


def test_every_process_runs_a_function_that_exists() -> None:
    bodies = [
        value
        for value in vars(process_manager).values()
        if isinstance(value, str)
        and ":" in value
        and value.startswith("deeplabstream.")
    ]
    assert len(bodies) == 6
    for body in bodies:
        module, _, function = body.partition(":")
        assert callable(getattr(import_module(module), function))


def test_no_file_names_a_place_of_one_machine() -> None:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    place = re.compile(rb"(?<![\w./-])/(?:work|home|root|Users)/|/tmp/[a-z]+dev\b")
    naming = [
        name.decode()
        for name in done.stdout.split(b"\0")
        if name
        and (ROOT / name.decode()).is_file()
        and place.search((ROOT / name.decode()).read_bytes())
    ]
    assert naming == []


def test_libraries_with_telemetry_are_imported_in_one_place() -> None:
    telling = ("onnxruntime", "openvino")
    allowed = {
        ROOT / "deeplabstream/pose/runtimes/compute_packages.py",
        ROOT / "deeplabstream/startup/telemetry.py",
    }
    importing = []
    for file in [*product_files(), *ROOT.glob("benchmarks/*.py")]:
        if not any(name in text_of(file) for name in telling):
            continue
        checks = {
            inner
            for node in nodes_of(file)
            if isinstance(node, ast.If) and words_of(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in nodes_of(file):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and "import" in words_of(node.func):
                names = [a.value for a in node.args if isinstance(a, ast.Constant)]
            if node not in checks and file not in allowed:
                importing += [
                    f"{file.relative_to(ROOT)} imports {name}"
                    for name in names
                    if str(name).partition(".")[0] in telling
                ]
    assert importing == []


HDF5 = ("h5py", "NWBHDF5IO", "read_hdf", "HDFStore")


def test_hdf5_of_others_is_opened_in_one_place() -> None:
    reading = []
    for file in product_files():
        if file == ROOT / "deeplabstream/files/hdf5.py":
            continue
        if not any(name in text_of(file) for name in HDF5):
            continue
        for node in nodes_of(file):
            if not isinstance(node, ast.Call):
                continue
            called = words_of(node.func).rpartition(".")[2]
            opens = words_of(node.func) == "h5py.File" or called == "NWBHDF5IO"
            modes = [words_of(each) for each in node.args[1:2]]
            modes += [words_of(k.value) for k in node.keywords if k.arg == "mode"]
            writes = modes in (["'w'"], ["'x'"])
            if (opens and not writes) or called in ("read_hdf", "HDFStore"):
                reading.append(f"{file.relative_to(ROOT)}, line {node.lineno}")
    assert reading == []


def test_picture_files_are_decoded_where_their_size_was_checked() -> None:
    decoding = {
        str(file.relative_to(ROOT))
        for file in product_files()
        if re.search(r"\.(imdecode|imread|imreadmulti)\(", text_of(file))
    }
    assert decoding == {"deeplabstream/pose/image_files.py"}


def test_a_temporary_file_that_stays_open_loses_no_result() -> None:
    """Windows deletes no file that a virus scanner or a library still has open."""
    scripts = ROOT / "deeplabstream/pose/importers/scripts"
    bare = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in product_files()
        if not file.is_relative_to(scripts)  # run by the Python of another program
        for node in nodes_of(file)
        if isinstance(node, ast.Call)
        and words_of(node.func).endswith("TemporaryDirectory")
        and "ignore_cleanup_errors" not in {each.arg for each in node.keywords}
    ]
    assert not bare


def test_no_wait_of_a_queue_is_endless_after_a_signal() -> None:
    """A signal as `SimpleQueue.get(timeout)` ends makes the wait of Python 3.11 endless."""
    using = [
        str(file.relative_to(ROOT))
        for file in product_files()
        if any(
            isinstance(node, ast.alias | ast.Attribute)
            and words_of(node).endswith("SimpleQueue")
            for node in nodes_of(file)
        )
    ]
    assert using == []


def test_every_module_in_the_lists_of_slow_and_real_time_modules_exists() -> None:
    listed = {}
    for name in ("slow_modules.txt", "realtime_modules.txt", "gpu_modules.txt"):
        lines = (ROOT / "tests" / name).read_text("utf-8").splitlines()
        modules = [line for line in lines if not line.startswith("#")]
        assert modules == sorted(set(modules))
        assert [each for each in modules if not (ROOT / "tests" / each).is_file()] == []
        listed[name] = set(modules)
    assert listed["realtime_modules.txt"] <= listed["slow_modules.txt"]


ASSERTING = ("raises", "warns", "fail", "waitSignal", "waitUntil")
"""Calls that end a test when something is not so, beside those that begin with `assert`."""


def called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def calls_of(function: ast.AST) -> tuple[bool, set[str]]:
    """Return whether a function asserts by itself, and the names that it calls."""
    asserts, calls = False, set[str]()
    for node in ast.walk(function):
        asserts = asserts or isinstance(node, ast.Assert)
        if isinstance(node, ast.Call):
            calls.add(called(node))
    own = any(name in ASSERTING or name.startswith("assert") for name in calls)
    return asserts or own, calls


def test_every_test_can_fail() -> None:
    """By an assertion of its own or of a function of the tests that it calls."""
    asserting, calling = set[str](), dict[str, set[str]]()
    tests = []
    for file in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(text_of(file))):
            if not isinstance(node, ast.FunctionDef):
                continue
            name = node.name
            asserts, calls = calls_of(node)
            if name.startswith("test_"):
                tests.append((f"{file.relative_to(ROOT)}: {name}", asserts, calls))
            else:
                calling.setdefault(name, set()).update(calls)
                asserting |= {name} if asserts else set()
    before = -1
    while len(asserting) > before:
        before = len(asserting)
        asserting |= {name for name, calls in calling.items() if calls & asserting}
    assert [
        name for name, asserts, calls in tests if not (asserts or calls & asserting)
    ] == []
    assert len(tests) > 1000


def public_classes() -> Iterator[tuple[str, str]]:
    """Yield name and file of each public class of the library."""
    for file in sorted(ROOT.glob("deeplabstream/**/*.py")):
        for node in nodes_of(file):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, file.relative_to(ROOT).as_posix()


def test_no_two_public_classes_have_the_same_name() -> None:
    files: dict[str, set[str]] = {}
    for name, file in public_classes():
        files.setdefault(name, set()).add(file)
    doubled = {name: places for name, places in files.items() if len(places) > 1}
    assert not doubled


def test_a_frame_passes_at_most_20_files_from_the_webcam_to_the_serial_line() -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    _, _, after = page.partition("To follow one frame from a webcam")
    rows = [row for row in after.split("\n\n")[1].splitlines() if "](" in row]
    files = re.findall(r"\]\(\.\./([\w/]+\.py)\)", "\n".join(rows))
    assert len(set(files)) == len(files) <= 20
    assert f"open these {len(files)} files" in after.splitlines()[0]
