"""Latency tests on a computer that holds programs up are skipped where they fail."""

import subprocess
import sys
from collections.abc import Generator

import pytest

from deeplabstream.core.errors import DeviceError

LATE_S = 0.1
"""A program that wakes up later than this shows that programs were held up."""
LATENESS = """
import select, sys, time
worst, pause = 0.0, 0.005
while True:
    began = time.perf_counter()
    if select.select([sys.stdin], [], [], pause)[0]:
        break
    worst = max(worst, time.perf_counter() - began - pause)
print(worst)
"""
"""A process of its own: in this one, imports may hold up the other threads."""
FAILURES = (
    AssertionError,
    DeviceError,
    subprocess.CalledProcessError,
    pytest.fail.Exception,
)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """Skip a test that failed while this computer was too busy for its emulated board.

    The emulated LED, camera and board keep real time. A test that fails without a delay
    of the computer fails.
    """
    command = [sys.executable, "-S", "-c", LATENESS]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            return (yield)
        except FAILURES as error:
            late_s = float(process.communicate()[0])
            if late_s > LATE_S:
                pytest.skip(
                    f"this computer held programs up for {late_s:.2f} s: {error}"
                )
            raise
        finally:
            process.kill()
