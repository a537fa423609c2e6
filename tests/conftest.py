"""What holds for all tests: nothing is left behind, and Qt finds its own plug-ins."""

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import cv2  # noqa: F401  (its import sets what the next lines take away)
import pytest
from hypothesis import settings

from deeplabstream.files import plugin_trust
from deeplabstream.files.rig_folder import VARIABLE
from deeplabstream.startup.qt_environment import free_qt_of_opencv, has_screen
from deeplabstream.startup.telemetry import turn_off_telemetry

TESTS = Path(__file__).resolve().parent


def _listed(name: str) -> frozenset[str]:
    lines = (TESTS / name).read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


SLOW, REALTIME = _listed("slow_modules.txt"), _listed("realtime_modules.txt")
GPU = _listed("gpu_modules.txt")
"""Modules whose tests are marked `slow`, `realtime`, `gpu`, by their paths below tests/."""
GRACE_S = 60.0
SHARED_MEMORY = Path("/dev/shm")

# A shell starts background jobs with these signals ignored; programs inherit that.
for _name, _handler in (
    ("SIGINT", signal.default_int_handler),
    ("SIGQUIT", signal.SIG_DFL),
):
    _number = getattr(signal, _name, None)
    if _number is not None and signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# Hundreds of processes would compile every module anew, for want of its bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

free_qt_of_opencv()
turn_off_telemetry()  # before tests that import ONNX Runtime themselves
# What a test finds out about this computer is not kept for its user.
_cache = tempfile.TemporaryDirectory(prefix="deeplabstream-tests-")
os.environ["XDG_CACHE_HOME"] = os.environ["LOCALAPPDATA"] = _cache.name
# The rigs of tests are written by the tests; tests/test_plugin_trust.py asks.
os.environ[plugin_trust.VARIABLE] = plugin_trust.ALL
if not has_screen() and shutil.which("Xvfb") is None:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

# The same examples on every computer. `--hypothesis-profile=search` looks for others.
settings.register_profile("suite", deadline=None, max_examples=50, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("suite")


def _is_in(modules: frozenset[str], path: Path) -> bool:
    return path.is_relative_to(TESTS) and path.relative_to(TESTS).as_posix() in modules


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave modules unimported none of whose tests is asked for."""
    asked = config.getoption("markexpr")
    left_out = (
        (asked == "not slow" and _is_in(SLOW, collection_path))
        or (asked.startswith("not realtime") and _is_in(REALTIME, collection_path))
        or (
            asked in ("realtime", "gpu")
            and collection_path.suffix == ".py"
            and not _is_in(GPU if asked == "gpu" else REALTIME, collection_path)
        )
    )
    return True if left_out else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _is_in(SLOW, item.path):
            item.add_marker(pytest.mark.slow)
        if _is_in(REALTIME, item.path):
            item.add_marker(pytest.mark.realtime)
        if _is_in(GPU, item.path):
            item.add_marker(pytest.mark.gpu)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute tests by files even after a worker has crashed."""
    from tests.file_scheduling import CrashTolerantFileScheduling

    if config.getoption("dist") != "loadfile":
        return None
    return CrashTolerantFileScheduling(config, log)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print each failure at once in CI: a run that is ended early prints no summary."""
    if report.failed and "CI" in os.environ and "PYTEST_XDIST_WORKER" not in os.environ:
        sys.stdout.write(f"\n{report.nodeid} failed:\n{report.longreprtext}\n")
        sys.stdout.flush()


@pytest.fixture(autouse=True)
def the_checkout_is_the_rig(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test choose the rig folder for the next one."""
    monkeypatch.setenv(VARIABLE, "")


@pytest.fixture(scope="session")
def shared_memory_made() -> Iterator[list[str]]:
    """Return the names of all shared memory that this process made so far."""
    names: list[str] = []
    original = SharedMemory.__init__

    def noted(
        self: SharedMemory,
        name: str | None = None,
        create: bool = False,
        *rest: Any,
        **more: Any,
    ) -> None:
        original(self, name, create, *rest, **more)
        if create:
            names.append(self.name)

    SharedMemory.__init__ = noted  # type: ignore[method-assign]
    yield names
    SharedMemory.__init__ = original  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def fork_server() -> Iterator[None]:
    """Let rigs start quickly; see tests/fork_server.py."""
    from tests.fork_server import (
        use_fork_server,
    )  # imports what test-fast has no use for

    with pytest.MonkeyPatch.context() as patch:
        use_fork_server(patch)
        yield


@pytest.fixture(autouse=True)
def nothing_is_left_behind(shared_memory_made: list[str]) -> Iterator[None]:
    """Fail a test that leaves a process, a thread or shared memory behind."""
    children = set(multiprocessing.active_children())
    threads = set(threading.enumerate())
    made = len(shared_memory_made)
    yield
    left = []
    for child in set(multiprocessing.active_children()) - children:
        child.join(GRACE_S)
        if child.is_alive():
            left.append(f"process {child.name}")
            child.kill()
    for thread in set(threading.enumerate()) - threads:
        if not thread.daemon:
            thread.join(GRACE_S)
            if thread.is_alive():
                left.append(f"thread {thread.name}")
    if sys.platform == "linux":
        for name in shared_memory_made[made:]:
            if (SHARED_MEMORY / name).exists():
                left.append(f"shared memory {name}")
                (SHARED_MEMORY / name).unlink()
    assert not left, f"left behind: {', '.join(left)}"
