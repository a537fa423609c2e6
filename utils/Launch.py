"""Create the environment, then run or test; called by `make` and the .bat files.

    python3 utils/Launch.py run         the application, with its experiment started
    python3 utils/Launch.py check       lint, format, import contracts and types; no tests
    python3 utils/Launch.py format      format the code and repair what ruff can repair
    python3 utils/Launch.py test        all checks and all tests
    python3 utils/Launch.py test-unit   unit tests that need few packages, no checks
    python3 utils/Launch.py test-fast   all tests that take little time, no checks
    python3 utils/Launch.py test-long   random search and 1,000 kills: hours, no checks
    python3 utils/Launch.py test-gpu    tests and figures of an NVIDIA GPU
    python3 utils/Launch.py docs        the documentation as a site, in the folder site/
    python3 utils/Launch.py release     wheel and source package, tried in bare environments
    python3 utils/Launch.py update      install requirements.txt again; --all: all lists
    python3 utils/Launch.py shortcut    Windows: make a shortcut to run.bat on the desktop

The environment is the folder .venv. It is created when it is missing, and updated when a list
changed: requirements.txt for `run`; requirements-unit.txt for `test-unit` and `format`; all
lists for `check` and the other tests. `docs` has an environment of its own, .venv-docs.
Arguments after `run` go to app.py, after `format` to ruff, after `docs` to mkdocs, after
`test-long` to benchmarks/faults.py, after `release` to tools/release.py, and after the other
tests to pytest. `test` runs the tests in several processes and the checks beside them, then the
tests that run in real time, one after the other; with arguments for pytest, it runs pytest once,
in one process.
The program needs only Python, and reports if Python is too old.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ast
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence

from deeplabstream.startup.qt_environment import has_screen, missing_packages

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements.txt"
UNIT = ROOT / "requirements-unit.txt"
"""Requirements of unit tests and formatter."""
ALONE = ROOT / "requirements-alone.txt"
"""Requirements that are installed without their dependencies."""
TO_RUN = (REQUIREMENTS,)
TO_UNIT = (UNIT,)
TO_TEST = (REQUIREMENTS, UNIT, ROOT / "requirements-dev.txt", ALONE)
DOCS_REQUIREMENTS = ROOT / "requirements-docs.txt"
DOCS_ENVIRONMENT = ROOT / ".venv-docs"
RELEASE = ROOT / "tools" / "release.py"
GPU_TABLE = ROOT / "benchmarks" / "gpu_table.py"
STAMP = ENVIRONMENT / "requirements.sha256"
"""Names of the installed requirement lists, each with the hash of its text."""
OLDEST, FIRST_TOO_NEW = (3, 11), (3, 14)

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    *(
        ("mypy", "--platform", system, "--cache-dir", f".mypy_cache/{system}")
        for system in ("linux", "win32", "darwin")
    ),
    ("lint-imports",),
)
"""Checks that run in parallel; types are checked for all three systems."""

IN_PARALLEL = ("--dist", "loadfile", "-m", "not realtime and not long")
IN_SEQUENCE = ("-m", "realtime")
"""Arguments of pytest: tests that can run in parallel, and those that can't."""
UNIT_FOLDERS = (
    *("tests/contracts", "tests/core", "tests/doctor", "tests/experiments"),
    *("tests/files", "tests/firmware", "tests/ipc", "tests/numerics", "tests/plugins"),
    *("tests/settings", "tests/simulation", "tests/startup", "tests/video"),
    *("deeplabstream/core", "deeplabstream/files", "deeplabstream/numerics"),
)
"""Folders whose tests need only the packages of requirements-unit.txt."""
FAULTS = ROOT / "benchmarks" / "faults.py"
DAMAGED_RUNS = ROOT / "tests" / "recording" / "test_damaged_runs.py"
MOST_WORKERS = 4
"""Most parallel test processes: each loads PyTorch, ONNX Runtime and Qt, about 1 GB of
memory."""


def main(argv: Sequence[str]) -> int:
    """Run the task of the first argument with the other arguments; return the exit code."""
    tasks = {
        "run": _run,
        "check": _check,
        "format": _format,
        "test": _test,
        "test-unit": _test_unit,
        "test-fast": _test_fast,
        "test-long": _test_long,
        "test-gpu": _test_gpu,
        "docs": _docs,
        "release": _release,
        "update": _update,
        "shortcut": _shortcut,
    }
    if not argv or argv[0] not in tasks:
        print(__doc__)
        return 0 if argv[:1] in (["-h"], ["--help"]) else 2
    try:
        return tasks[argv[0]](argv[1:])
    except _NotReadyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


class _NotReadyError(Exception):
    """An unmet requirement, as a sentence for the user."""


def _run(extra: Sequence[str]) -> int:
    _look_for_libraries()
    if _install(TO_RUN) and os.name == "nt" and sys.stdin.isatty():
        _offer_shortcut()
    command = [_program("python"), str(ROOT / "app.py")]
    return _become([*command, "--start", "experiment", *extra])


def _check(extra: Sequence[str]) -> int:
    if extra:
        raise _NotReadyError("`check` takes no arguments")
    _install(TO_TEST)
    failed = _failed_checks(_start_checks())
    print(f"\nFAILED: {'; '.join(failed)}" if failed else "\nAll checks passed.")
    return int(bool(failed))


def _format(extra: Sequence[str]) -> int:
    _install(TO_UNIT)
    files = list(extra) or ["."]
    ruff = _program("ruff")
    repaired = subprocess.run([ruff, "check", "--fix", *files], cwd=ROOT).returncode
    formatted = subprocess.run([ruff, "format", *files], cwd=ROOT).returncode
    return int(bool(repaired or formatted))


def _test(extra: Sequence[str]) -> int:
    """Run the checks in parallel with the tests, except those that run in real time."""
    _look_for_libraries()
    _install(TO_TEST)
    workers = _workers()
    parts = {
        f"pytest, {workers} at once": ["-n", str(workers), *IN_PARALLEL],
        "pytest, real-time tests": IN_SEQUENCE,
    }
    checks = _start_checks(low_priority=True)

    failed = []
    for name, arguments in {"pytest": extra}.items() if extra else parts.items():
        print(f"\n--- {name}", flush=True)
        if _pytest(arguments):
            failed.append(name)
        failed += _failed_checks(checks)
        checks = {}
    if failed:
        print(f"\nFAILED: {'; '.join(failed)}; see the messages of each")
    return int(bool(failed))


def _test_unit(extra: Sequence[str]) -> int:
    """Run the tests of UNIT_FOLDERS that are not marked slow."""
    _install(TO_UNIT)
    workers = [] if extra else ["-n", str(_workers()), "--dist", "loadfile"]
    return _pytest(["-m", "not slow", *workers, *extra, *UNIT_FOLDERS])


def _test_fast(extra: Sequence[str]) -> int:
    """Run the tests that are not marked slow: tests/slow_modules.txt lists those."""
    _look_for_libraries()
    _install(TO_TEST)
    workers = [] if extra else ["-n", str(_workers()), "--dist", "loadfile"]
    return _pytest(["-m", "not slow", *workers, *extra])


def _test_long(extra: Sequence[str]) -> int:
    """Try new examples for each property, long tests, damaged runs, kills, damaged files.

    The marker `hypothesis` is set on all properties by the plug-in of that package.
    """
    _look_for_libraries()
    _install(TO_TEST)
    patient = ["-n", str(_workers()), "--dist", "loadfile", "--timeout=7200"]
    patient += ["-o", "faulthandler_timeout=7500"]
    search = ["-m", "hypothesis or long", "--hypothesis-profile=search"]
    properties = _pytest([*search, *patient])
    os.environ["DAMAGED_RUNS"] = "1000"
    runs = _pytest([str(DAMAGED_RUNS), *patient])
    faults = [_program("python"), str(FAULTS), *(extra or ["--long"])]
    failed = subprocess.run(faults, cwd=ROOT).returncode
    return int(bool(failed or properties or runs))


def _test_gpu(extra: Sequence[str]) -> int:
    """Run the tests that are marked gpu, then measure; without a GPU say so and end."""
    _look_for_libraries()
    _install(TO_TEST)
    table = [_program("python"), str(GPU_TABLE)]
    if subprocess.run([*table, "--probe"], cwd=ROOT).returncode:
        return 1
    tests = _pytest(["-m", "gpu", *extra])
    figures = subprocess.run(table, cwd=ROOT).returncode
    return int(bool(tests or figures))


def _workers() -> int:
    """Return how many processes run tests at once: the suite keeps each core busy."""
    return max(1, min(MOST_WORKERS, os.cpu_count() or 1))


def _pytest(arguments: Sequence[str]) -> int:
    # Test workers that each use a thread per core would slow each other down.
    one_thread = {"OMP_NUM_THREADS": "1", **os.environ}
    pytest = [_program("python"), "-m", "pytest", *arguments]
    return subprocess.run(pytest, cwd=ROOT, env=one_thread).returncode


def _start_checks(*, low_priority: bool = False) -> dict[str, subprocess.Popen[bytes]]:
    """Start all checks; return them by their commands.

    `low_priority`: they use the time in which tests wait, and make no test late.
    """
    any_console = os.environ | {"PYTHONUTF8": "1"}
    flags, lowered = 0, list[str]()
    if sys.platform == "win32":
        flags = subprocess.BELOW_NORMAL_PRIORITY_CLASS if low_priority else 0
    elif low_priority:
        lowered = ["nice", "-n", "15"]
    return {
        " ".join((program, *arguments)): subprocess.Popen(
            [*lowered, _program(program), *arguments],
            cwd=ROOT,
            env=any_console,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            creationflags=flags,
        )
        for program, *arguments in CHECKS
    }


def _failed_checks(checks: Mapping[str, subprocess.Popen[bytes]]) -> list[str]:
    """Wait for all checks, print their output, and return those that failed."""
    failed = []
    for name, check in checks.items():
        output, _ = check.communicate()
        print(f"\n--- {name}\n{output.decode('utf-8', 'replace')}", end="", flush=True)
        if check.returncode:
            failed.append(name)
    return failed


def _docs(extra: Sequence[str]) -> int:
    """Build the site; a link to a page or heading that does not exist is an error."""
    required = DOCS_REQUIREMENTS.read_text(encoding="utf-8")
    stamp = DOCS_ENVIRONMENT / "installed.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != required:
        make = [_fitting_python(), "-m", "venv", "--clear", str(DOCS_ENVIRONMENT)]
        install = [str(_in_docs("python")), "-m", "pip", "install", "-q"]
        for command in (make, [*install, "-r", str(DOCS_REQUIREMENTS)]):
            if subprocess.run(command).returncode:
                raise _NotReadyError(
                    f"{DOCS_ENVIRONMENT.name} could not be made; see the messages above."
                )
        stamp.write_text(required, encoding="utf-8")
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    build = [str(_in_docs("mkdocs")), "build", "--strict", *extra]
    code = subprocess.run(build, cwd=ROOT, env=quiet).returncode
    if not code and not extra:
        print(f"Open {ROOT / 'site' / 'index.html'}")
    return code


def _release(extra: Sequence[str]) -> int:
    _install(TO_TEST)
    return subprocess.run(
        [_program("python"), str(RELEASE), *extra], cwd=ROOT
    ).returncode


def _in_docs(program: str) -> Path:
    """Return the path of a program in the documentation environment."""
    folder, suffix = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
    return DOCS_ENVIRONMENT / folder / f"{program}{suffix}"


def _update(extra: Sequence[str]) -> int:
    whole = "--all" in extra or set(_installed()) > {REQUIREMENTS.name}
    arguments = [word for word in extra if word != "--all"]
    _install(TO_TEST if whole else TO_RUN, anew=True, extra=arguments)
    return 0


_MAKE_SHORTCUT = """
$desktop = [Environment]::GetFolderPath('Desktop')
$link = (New-Object -ComObject WScript.Shell).CreateShortcut("$desktop\\DeepLabStream.lnk")
$link.TargetPath = $env:DLS_TARGET
$link.WorkingDirectory = $env:DLS_FOLDER
$link.Save()
"""
"""PowerShell script; paths come in environment variables, so they need no quoting."""


def _shortcut(extra: Sequence[str]) -> int:
    """Make a shortcut to run.bat on the desktop; Windows only."""
    if os.name != "nt" or extra:
        raise _NotReadyError("Shortcuts are made on Windows only: run.bat shortcut")
    paths = {"DLS_TARGET": str(ROOT / "run.bat"), "DLS_FOLDER": str(ROOT)}
    shell = ["powershell", "-NoProfile", "-NonInteractive", "-Command", _MAKE_SHORTCUT]
    try:
        code = subprocess.run(shell, env={**os.environ, **paths}).returncode
    except OSError:
        code = 1
    if code:
        raise _NotReadyError(
            "The shortcut could not be made. In the Explorer, right-click run.bat and "
            "choose 'Send to', 'Desktop (create shortcut)'."
        )
    print("The desktop has a shortcut DeepLabStream now.")
    return 0


def _offer_shortcut() -> None:
    """Ask once, after the first installation."""
    if input("Make a shortcut on the desktop? [y/N] ").strip().lower() in ("y", "yes"):
        try:
            _shortcut([])
        except _NotReadyError as error:
            print(error)


def _check_folder() -> None:
    """Windows: raise _NotReadyError where paths in .venv would be too long."""
    if os.name != "nt":
        return
    from deeplabstream.doctor.diagnosis import LONG_FOLDER
    from deeplabstream.doctor.windows import long_paths

    if len(str(ROOT)) > LONG_FOLDER and not long_paths():
        raise _NotReadyError(
            f"The path of this folder has {len(str(ROOT))} letters; at most {LONG_FOLDER} "
            "work on this computer. Move the folder, for example to C:\\DeepLabStream, "
            "and start run.bat there."
        )


def _look_for_libraries() -> None:
    unseen: Mapping[str, str] = {"QT_QPA_PLATFORM": "offscreen"}
    if missing := missing_packages(os.environ if has_screen() else unseen):
        raise _NotReadyError(
            "System libraries are missing; install them with: "
            f"sudo apt-get install -y {' '.join(missing)}"
        )


def _installed() -> dict[str, str]:
    """Return the lists that are installed by name, each with its hash."""
    if not (Path(_program("python")).exists() and STAMP.exists()):
        return {}
    lines = [line.split() for line in STAMP.read_text(encoding="utf-8").splitlines()]
    return {line[1]: line[0] for line in lines if len(line) == 2}


def _install(
    lists: Sequence[Path], *, anew: bool = False, extra: Sequence[str] = ()
) -> bool:
    """Update .venv to the lists of packages; return whether it is new.

    Nothing is changed when it is in line already.
    """
    python = _program("python")
    required = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in lists
    }
    installed = _installed()
    if not anew and required.items() <= installed.items():
        return False
    _check_folder()
    new = not Path(python).exists()
    if new:
        print(f"Making the environment {ENVIRONMENT}", flush=True)
        make = [_fitting_python(), "-m", "venv", "--clear", str(ENVIRONMENT)]
        if subprocess.run(make).returncode:
            raise _NotReadyError(
                "Python's module venv is missing or broken; on Debian and Ubuntu "
                "install it with: sudo apt-get install -y python3-venv"
            )
    names = " and ".join(required)
    print(f"Installing {names}, which takes some minutes", flush=True)
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    upgrade = ["--upgrade"] if anew else []
    for path in lists:
        arguments = ["-r", str(path), *(["--no-deps"] if path == ALONE else [])]
        if subprocess.run([*pip, *upgrade, *arguments, *extra]).returncode:
            raise _NotReadyError(
                f"{path.name} could not be installed; see the messages of pip above."
            )
    stamps = {**installed, **required}.items()
    text = "".join(f"{stamp} {name}\n" for name, stamp in stamps)
    STAMP.write_text(text, encoding="utf-8")
    return new


def _fitting_python() -> str:
    """Return a supported Python: this one, or another."""
    if OLDEST <= sys.version_info[:2] < FIRST_TOO_NEW:
        return sys.executable
    for minor in range(FIRST_TOO_NEW[1] - 1, OLDEST[1] - 1, -1):
        name = f"python3.{minor}"
        arguments = ["py", f"-3.{minor}"] if os.name == "nt" else [name]
        if shutil.which(arguments[0]) is None:
            continue
        where = [*arguments, "-c", "import sys; print(ascii(sys.executable))"]
        found = subprocess.run(where, capture_output=True, encoding="ascii")
        if found.returncode == 0:
            return str(ast.literal_eval(found.stdout))
    raise _NotReadyError(
        "DeepLabStream needs Python 3.11, 3.12 or 3.13; "
        f"this is {sys.version_info[0]}.{sys.version_info[1]}."
    )


def _program(name: str) -> str:
    if os.name == "nt":
        return str(ENVIRONMENT / "Scripts" / f"{name}.exe")
    return str(ENVIRONMENT / "bin" / name)


def _become(command: list[str]) -> int:
    """Replace this process by `command`, so that signals and the exit code are its own."""
    if os.name != "nt":
        os.execv(command[0], command)
    signal.signal(
        signal.SIGINT, lambda _number, _frame: None
    )  # Ctrl-C is handled by the child process
    return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
