"""The rules of the house that a tool can check."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
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
BEGINNING = """
from deeplabstream.core.program import ending, prepare

prepare()
"""
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


def product_files() -> Iterator[Path]:
    yield from (ROOT / name for name in PROGRAMS)
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def pyproject() -> dict[str, Any]:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(whole["tool"])


def python(code: str) -> str:
    """Return what `code` prints in a fresh Python that starts in the checkout."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_imports_go_downwards_only() -> None:
    code = "import sys; from importlinter import cli; sys.exit(cli.lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout[done.stdout.find("Contracts") :]


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
def test_a_utility_has_a_main_and_runs_from_anywhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    module = ast.parse(text)
    mains = {
        node.name: node for node in module.body if isinstance(node, ast.FunctionDef)
    }
    main = mains["main"]
    assert [argument.arg for argument in main.args.args] == ["argv"]
    assert main.returns is not None
    assert ast.unparse(main.returns) == "int"
    assert ast.get_docstring(module)
    if file == LAUNCH:
        assert SHIM in text
        return
    assert [ast.unparse(each).split("(")[0] for each in main.decorator_list] == [
        "ending"
    ]
    after_docstring = text.splitlines(keepends=True)[module.body[0].end_lineno or 0 :]
    assert "".join(after_docstring).startswith(SHIM + BEGINNING)


OTHER_OPENINGS = {
    "cameras/webcam.py": "a device",
    "cameras/network.py": "a live stream",
    "deeplabstream/recording/video_repair.py": "packets that are copied, never decoded",
    "deeplabstream/pose/importers/scripts/package.py": "runs in another program's Python",
}
"""Files that open something to read like a video, and why that is no decoding of a file."""


def openings(file: Path) -> Iterator[str]:
    """Yield the calls that open a video to read it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            modes = [
                *node.args[1:2],
                *(k.value for k in node.keywords if k.arg == "mode"),
            ]
            writes = any(ast.unparse(mode) == "'w'" for mode in modes)
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
        if re.search(
            r"^\s*(from|import) utils\b", file.read_text("utf-8"), re.MULTILINE
        )
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
        "import deeplabstream.gui.bridge, deeplabstream.gui.window\n"
        "print(*(name for name in ('torch', 'pandas') if name in sys.modules))"
    )
    assert python(code) == ""


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
        ROOT / "deeplabstream/core/telemetry.py",
    }
    importing = []
    for file in [*product_files(), *ROOT.glob("benchmarks/*.py")]:
        module = ast.parse(file.read_text("utf-8"))
        checks = {
            inner
            for node in ast.walk(module)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(module):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
                names = [a.value for a in node.args if isinstance(a, ast.Constant)]
            if node not in checks and file not in allowed:
                importing += [
                    f"{file.relative_to(ROOT)} imports {name}"
                    for name in names
                    if str(name).partition(".")[0] in telling
                ]
    assert importing == []


def test_hdf5_of_others_is_opened_in_one_place() -> None:
    reading = []
    for file in product_files():
        if file == ROOT / "deeplabstream/core/hdf5.py":
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func).rpartition(".")[2]
            opens = ast.unparse(node.func) == "h5py.File" or called == "NWBHDF5IO"
            modes = [ast.unparse(each) for each in node.args[1:2]]
            modes += [ast.unparse(k.value) for k in node.keywords if k.arg == "mode"]
            writes = modes in (["'w'"], ["'x'"])
            if (opens and not writes) or called in ("read_hdf", "HDFStore"):
                reading.append(f"{file.relative_to(ROOT)}, line {node.lineno}")
    assert reading == []


def test_picture_files_are_decoded_where_their_size_was_checked() -> None:
    decoding = {
        str(file.relative_to(ROOT))
        for file in product_files()
        if re.search(r"\.(imdecode|imread|imreadmulti)\(", file.read_text("utf-8"))
    }
    assert decoding == {"cameras/zeromq.py", "deeplabstream/pose/pictures.py"}


def test_every_module_in_the_list_of_slow_modules_exists() -> None:
    lines = (ROOT / "tests/slow_modules.txt").read_text("utf-8").splitlines()
    modules = [line for line in lines if not line.startswith("#")]
    assert modules == sorted(set(modules))
    assert [name for name in modules if not (ROOT / "tests" / name).is_file()] == []
