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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deeplabstream.startup.qt_environment import has_screen, missing_packages

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = "requirements.txt"
UNIT = "requirements-unit.txt"
"""Requirements of unit tests and formatter."""
ALONE = "requirements-alone.txt"
"""Requirements that are installed without their dependencies."""
TO_RUN = (REQUIREMENTS,)
TO_UNIT = (UNIT,)
TO_TEST = (REQUIREMENTS, UNIT, "requirements-dev.txt", ALONE)
DOCS_REQUIREMENTS = ROOT / "requirements-docs.txt"
DOCS_ENVIRONMENT = ".venv-docs"
RELEASE = ROOT / "tools" / "release.py"
GPU_TABLE = ROOT / "benchmarks" / "gpu_table.py"
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


_MAKE_SHORTCUT = """
$desktop = [Environment]::GetFolderPath('Desktop')
$link = (New-Object -ComObject WScript.Shell).CreateShortcut("$desktop\\DeepLabStream.lnk")
$link.TargetPath = $env:DLS_TARGET
$link.WorkingDirectory = $env:DLS_FOLDER
$link.Save()
"""
"""PowerShell script; paths come in environment variables, so they need no quoting."""


class NotReadyError(Exception):
    """An unmet requirement, as a sentence for the user."""


def in_environment(environment: Path, program: str, windows: bool) -> Path:
    """Return the path of a program in an environment."""
    folder, suffix = ("Scripts", ".exe") if windows else ("bin", "")
    return environment / folder / f"{program}{suffix}"


def become(command: list[str]) -> int:
    """Replace this process by `command`, so that signals and the exit code are its own."""
    if os.name != "nt":
        os.execv(command[0], command)
    # Ctrl-C is handled by the child process.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    return subprocess.run(command).returncode


def missing_libraries() -> Sequence[str]:
    """Return the packages of the system libraries that Qt needs here and lacks."""
    unseen: Mapping[str, str] = {"QT_QPA_PLATFORM": "offscreen"}
    return missing_packages(os.environ if has_screen() else unseen)


def allows_long_paths() -> bool | None:
    """Return whether Windows allows paths of more than 260 letters; None: unknown."""
    from deeplabstream.doctor.windows import long_paths

    return long_paths()


def is_at_terminal() -> bool:
    """Return whether a user can answer questions."""
    return sys.stdin.isatty()


@dataclass(frozen=True)
class Launcher:
    """Runs tasks in the environment of a checkout.

    The fields are what differs between computers, so that tests can give others.
    """

    root: Path = ROOT
    """Folder of the checkout."""
    run: Callable[..., subprocess.CompletedProcess[Any]] = subprocess.run
    """Starts a program and waits for its end."""
    become: Callable[[list[str]], int] = become
    """Continues as another program."""
    find: Callable[[str], str | None] = shutil.which
    """Finds a program of the system."""
    ask: Callable[[str], str] = input
    is_at_terminal: Callable[[], bool] = is_at_terminal
    missing_libraries: Callable[[], Sequence[str]] = missing_libraries
    allows_long_paths: Callable[[], bool | None] = allows_long_paths
    windows: bool = os.name == "nt"
    python: tuple[int, ...] = sys.version_info[:2]
    """Version of the Python that runs this program."""
    cores: int | None = os.cpu_count()
    checks: Sequence[Sequence[str]] = CHECKS
    compiles_later: bool = not sys.dont_write_bytecode
    """Whether Python compiles a module at its first import and keeps the result.

    Most modules of the packages are never imported: compiled at the installation, they
    took half of its CPU time and 0.4 GB.
    """

    def main(self, argv: Sequence[str]) -> int:
        """Run the task of the first argument with the others; return the exit code."""
        tasks = {
            "run": self._run_application,
            "check": self._check,
            "format": self._format,
            "test": self._test,
            "test-unit": self._test_unit,
            "test-fast": self._test_fast,
            "test-long": self._test_long,
            "test-gpu": self._test_gpu,
            "docs": self._docs,
            "release": self._release,
            "update": self._update,
            "shortcut": self._shortcut,
        }
        if not argv or argv[0] not in tasks:
            print(__doc__)
            return 0 if argv[:1] in (["-h"], ["--help"]) else 2
        try:
            return tasks[argv[0]](argv[1:])
        except NotReadyError as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130

    @property
    def environment(self) -> Path:
        """The environment of the checkout."""
        return self.root / ".venv"

    @property
    def stamp(self) -> Path:
        """Names of the installed requirement lists, each with the hash of its text."""
        return self.environment / "requirements.sha256"

    def program(self, name: str) -> str:
        """Return the path of a program of the environment."""
        return str(in_environment(self.environment, name, self.windows))

    def _run_application(self, extra: Sequence[str]) -> int:
        self._look_for_libraries()
        if self._install(TO_RUN) and self.windows and self.is_at_terminal():
            self._offer_shortcut()
        command = [self.program("python"), str(self.root / "app.py")]
        return self.become([*command, "--start", "experiment", *extra])

    def _check(self, extra: Sequence[str]) -> int:
        if extra:
            raise NotReadyError("`check` takes no arguments")
        self._install(TO_TEST)
        failed = self._failed_checks(self._start_checks())
        print(f"\nFAILED: {'; '.join(failed)}" if failed else "\nAll checks passed.")
        return int(bool(failed))

    def _format(self, extra: Sequence[str]) -> int:
        self._install(TO_UNIT)
        files = list(extra) or ["."]
        ruff = self.program("ruff")
        repaired = self.run([ruff, "check", "--fix", *files], cwd=self.root).returncode
        formatted = self.run([ruff, "format", *files], cwd=self.root).returncode
        return int(bool(repaired or formatted))

    def _test(self, extra: Sequence[str]) -> int:
        """Run the checks in parallel with the tests, except those that run in real time."""
        self._look_for_libraries()
        self._install(TO_TEST)
        workers = self._workers()
        parts = {
            f"pytest, {workers} at once": ["-n", str(workers), *IN_PARALLEL],
            "pytest, real-time tests": IN_SEQUENCE,
        }
        checks = self._start_checks(low_priority=True)

        failed = []
        for name, arguments in {"pytest": extra}.items() if extra else parts.items():
            print(f"\n--- {name}", flush=True)
            if self._pytest(arguments):
                failed.append(name)
            failed += self._failed_checks(checks)
            checks = {}
        if failed:
            print(f"\nFAILED: {'; '.join(failed)}; see the messages of each")
        return int(bool(failed))

    def _test_unit(self, extra: Sequence[str]) -> int:
        """Run the tests of UNIT_FOLDERS that are not marked slow."""
        self._install(TO_UNIT)
        workers = [] if extra else ["-n", str(self._workers()), "--dist", "loadfile"]
        return self._pytest(["-m", "not slow", *workers, *extra, *UNIT_FOLDERS])

    def _test_fast(self, extra: Sequence[str]) -> int:
        """Run the tests that are not marked slow: tests/slow_modules.txt lists those."""
        self._look_for_libraries()
        self._install(TO_TEST)
        workers = [] if extra else ["-n", str(self._workers()), "--dist", "loadfile"]
        return self._pytest(["-m", "not slow", *workers, *extra])

    def _test_long(self, extra: Sequence[str]) -> int:
        """Try new examples for each property, long tests, damaged runs, kills, damaged files.

        The marker `hypothesis` is set on all properties by the plug-in of that package.
        """
        self._look_for_libraries()
        self._install(TO_TEST)
        patient = ["-n", str(self._workers()), "--dist", "loadfile", "--timeout=7200"]
        patient += ["-o", "faulthandler_timeout=7500"]
        search = ["-m", "hypothesis or long", "--hypothesis-profile=search"]
        properties = self._pytest([*search, *patient])
        runs = self._pytest([str(DAMAGED_RUNS), *patient], DAMAGED_RUNS="1000")
        faults = [self.program("python"), str(FAULTS), *(extra or ["--long"])]
        failed = self.run(faults, cwd=self.root).returncode
        return int(bool(failed or properties or runs))

    def _test_gpu(self, extra: Sequence[str]) -> int:
        """Run the tests that are marked gpu, then measure; without a GPU say so and end."""
        self._look_for_libraries()
        self._install(TO_TEST)
        table = [self.program("python"), str(GPU_TABLE)]
        if self.run([*table, "--probe"], cwd=self.root).returncode:
            return 1
        tests = self._pytest(["-m", "gpu", *extra])
        figures = self.run(table, cwd=self.root).returncode
        return int(bool(tests or figures))

    def _workers(self) -> int:
        """Return how many processes run tests at once: the suite keeps each core busy."""
        return max(1, min(MOST_WORKERS, self.cores or 1))

    def _pytest(self, arguments: Sequence[str], **variables: str) -> int:
        # Test workers that each use a thread per core would slow each other down.
        one_thread = {"OMP_NUM_THREADS": "1", **os.environ, **variables}
        pytest = [self.program("python"), "-m", "pytest", *arguments]
        return self.run(pytest, cwd=self.root, env=one_thread).returncode

    def _start_checks(
        self, *, low_priority: bool = False
    ) -> dict[str, subprocess.Popen[bytes]]:
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
                [*lowered, self.program(program), *arguments],
                cwd=self.root,
                env=any_console,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                creationflags=flags,
            )
            for program, *arguments in self.checks
        }

    def _failed_checks(
        self, checks: Mapping[str, subprocess.Popen[bytes]]
    ) -> list[str]:
        """Wait for all checks, print their output, and return those that failed."""
        failed = []
        for name, check in checks.items():
            output, _ = check.communicate()
            print(
                f"\n--- {name}\n{output.decode('utf-8', 'replace')}", end="", flush=True
            )
            if check.returncode:
                failed.append(name)
        return failed

    def _docs(self, extra: Sequence[str]) -> int:
        """Build the site; a link to a page or heading that does not exist is an error."""
        environment = self.root / DOCS_ENVIRONMENT
        python, mkdocs = (
            str(in_environment(environment, name, self.windows))
            for name in ("python", "mkdocs")
        )

        required = DOCS_REQUIREMENTS.read_text(encoding="utf-8")
        stamp = environment / "installed.txt"
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != required:
            make = [self._fitting_python(), "-m", "venv", "--clear", str(environment)]
            install = [python, "-m", "pip", "install", "-q"]
            for command in (make, [*install, "-r", str(DOCS_REQUIREMENTS)]):
                if self.run(command).returncode:
                    raise NotReadyError(
                        f"{DOCS_ENVIRONMENT} could not be made; see the messages above."
                    )
            stamp.write_text(required, encoding="utf-8")

        quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        build = [mkdocs, "build", "--strict", *extra]
        code = self.run(build, cwd=self.root, env=quiet).returncode
        if not code and not extra:
            print(f"Open {self.root / 'site' / 'index.html'}")
        return code

    def _release(self, extra: Sequence[str]) -> int:
        self._install(TO_TEST)
        return self.run(
            [self.program("python"), str(RELEASE), *extra], cwd=self.root
        ).returncode

    def _update(self, extra: Sequence[str]) -> int:
        whole = "--all" in extra or set(self._installed()) > {REQUIREMENTS}
        arguments = [word for word in extra if word != "--all"]
        self._install(TO_TEST if whole else TO_RUN, anew=True, extra=arguments)
        return 0

    def _shortcut(self, extra: Sequence[str]) -> int:
        """Make a shortcut to run.bat on the desktop; Windows only."""
        if not self.windows or extra:
            raise NotReadyError("Shortcuts are made on Windows only: run.bat shortcut")
        target, folder = str(self.root / "run.bat"), str(self.root)
        paths = {"DLS_TARGET": target, "DLS_FOLDER": folder}
        shell = ["powershell", "-NoProfile", "-NonInteractive", "-Command"]
        try:
            code = self.run(
                [*shell, _MAKE_SHORTCUT], env={**os.environ, **paths}
            ).returncode
        except OSError:
            code = 1
        if code:
            raise NotReadyError(
                "The shortcut could not be made. In the Explorer, right-click run.bat and "
                "choose 'Send to', 'Desktop (create shortcut)'."
            )
        print("The desktop has a shortcut DeepLabStream now.")
        return 0

    def _offer_shortcut(self) -> None:
        """Ask once, after the first installation."""
        answer = self.ask("Make a shortcut on the desktop? [y/N] ")
        if answer.strip().lower() in ("y", "yes"):
            try:
                self._shortcut([])
            except NotReadyError as error:
                print(error)

    def _check_folder(self) -> None:
        """Windows: raise NotReadyError where paths in .venv would be too long."""
        if not self.windows:
            return
        from deeplabstream.doctor.diagnosis import LONG_FOLDER

        letters = len(str(self.root))
        if letters > LONG_FOLDER and not self.allows_long_paths():
            raise NotReadyError(
                f"The path of this folder has {letters} letters; at most {LONG_FOLDER} "
                "work on this computer. Move the folder, for example to C:\\DeepLabStream, "
                "and start run.bat there."
            )

    def _installed(self) -> dict[str, str]:
        """Return the lists that are installed by name, each with its hash."""
        if not (Path(self.program("python")).exists() and self.stamp.exists()):
            return {}
        text = self.stamp.read_text(encoding="utf-8")
        lines = [line.split() for line in text.splitlines()]
        return {line[1]: line[0] for line in lines if len(line) == 2}

    def _install(
        self, lists: Sequence[str], *, anew: bool = False, extra: Sequence[str] = ()
    ) -> bool:
        """Update .venv to the lists of packages; return whether it is new.

        Nothing is changed when it is in line already.
        """
        python = self.program("python")
        required = {
            name: hashlib.sha256((self.root / name).read_bytes()).hexdigest()
            for name in lists
        }
        installed = self._installed()
        if not anew and required.items() <= installed.items():
            return False
        self._check_folder()
        new = not Path(python).exists()
        if new:
            print(f"Making the environment {self.environment}", flush=True)
            make = [self._fitting_python(), "-m", "venv", "--clear"]
            if self.run([*make, str(self.environment)]).returncode:
                raise NotReadyError(
                    "Python's module venv is missing or broken; on Debian and Ubuntu "
                    "install it with: sudo apt-get install -y python3-venv"
                )
        names = " and ".join(required)
        print(f"Installing {names}, which takes some minutes", flush=True)
        pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
        if self.compiles_later:
            pip.append("--no-compile")
        upgrade = ["--upgrade"] if anew else []
        for name in lists:
            arguments = ["-r", str(self.root / name)]
            arguments += ["--no-deps"] if name == ALONE else []
            if self.run([*pip, *upgrade, *arguments, *extra]).returncode:
                raise NotReadyError(
                    f"{name} could not be installed; see the messages of pip above."
                )
        stamps = {**installed, **required}.items()
        text = "".join(f"{stamp} {name}\n" for name, stamp in stamps)
        self.stamp.write_text(text, encoding="utf-8")
        return new

    def _fitting_python(self) -> str:
        """Return a supported Python: this one, or another."""
        if OLDEST <= self.python < FIRST_TOO_NEW:
            return sys.executable
        for minor in range(FIRST_TOO_NEW[1] - 1, OLDEST[1] - 1, -1):
            name = f"python3.{minor}"
            arguments = ["py", f"-3.{minor}"] if self.windows else [name]
            if self.find(arguments[0]) is None:
                continue
            where = [*arguments, "-c", "import sys; print(ascii(sys.executable))"]
            found = self.run(where, capture_output=True, encoding="ascii")
            if found.returncode == 0:
                return str(ast.literal_eval(found.stdout))
        raise NotReadyError(
            "DeepLabStream needs Python 3.11, 3.12 or 3.13; "
            f"this is {self.python[0]}.{self.python[1]}."
        )

    def _look_for_libraries(self) -> None:
        if missing := self.missing_libraries():
            raise NotReadyError(
                "System libraries are missing; install them with: "
                f"sudo apt-get install -y {' '.join(missing)}"
            )


def main(argv: Sequence[str]) -> int:
    """Run the task of the first argument in this checkout; return the exit code."""
    return Launcher().main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
