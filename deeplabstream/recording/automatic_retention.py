"""Automatic retention: applies the retention rules of a rig while it records.

A process of its own deletes, at the lowest priority: reading the tables of many runs, comparing
checksums and deleting large files must delay neither the recorder nor the loop. It ends with the
recorder, at any moment: the account of a video is written before the video is deleted.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from deeplabstream.core.clock import Clock
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.paths import ROOT
from deeplabstream.recording.retention_rules import RetentionRules
from deeplabstream.recording.video_retention import (
    Pruned,
    free_bytes,
    prune,
)
from deeplabstream.startup.low_priority import lower_priority

PAUSE_NS = 60 * 10**9
"""Shortest time between two applications of the rules."""
_NOT_DELETED = "old videos are not deleted"


@dataclass(frozen=True)
class RetentionReport:
    """What the rules have done."""

    text: str
    problem: bool
    """Whether a user should know it: something can't be deleted that should be."""


class AutomaticRetention:
    """Applies rules to the runs in a folder, whenever that is requested.

    Nothing blocks. Without a rule, nothing is ever started.
    """

    def __init__(self, folder: Path, rules: RetentionRules, clock: Clock) -> None:
        self._folder, self._rules, self._clock = folder, rules, clock
        self._wanted = False
        self._process: subprocess.Popen[str] | None = None
        self._next_ns = 0
        self._lines: deque[str] = deque()
        self._reader: threading.Thread | None = None
        self._last_error = ""
        """Last line of the process that can't be read as a report."""
        self._problems: set[str] = set()

    def request(self) -> None:
        """Apply the rules soon, because a video has ended; from any thread."""
        self._wanted = True

    def work(self) -> list[RetentionReport]:
        """Start the process if it is time; return what it has done since the last call."""
        reports = []
        while self._lines:
            reports += self._report(self._lines.popleft())
        process, reader = self._process, self._reader
        if process is not None:
            if process.poll() is None or (reader is not None and reader.is_alive()):
                return reports
            self._process = None
            if process.returncode:
                reports += self._told(f"{_NOT_DELETED}: {self._last_error}", True)
        elif self._wanted and self._rules and self._clock.now_ns() >= self._next_ns:
            self._wanted = False
            self._next_ns = self._clock.now_ns() + PAUSE_NS
            try:
                self._start()
            except OSError as error:
                reports += self._told(f"{_NOT_DELETED}: {error}", True)
        return reports

    def close(self) -> list[RetentionReport]:
        """End the process; return what it had done."""
        process, self._process, self._wanted = self._process, None, False
        if process is not None:
            _kill(process)
            if self._reader is not None:
                self._reader.join()
        return [report for line in self._lines for report in self._report(line)]

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C is for the session
        )
        # its input stays open: it ends when that ends, and so with this process
        request = {"folder": str(self._folder), "rules": asdict(self._rules)}
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.write(f"{json.dumps(request)}\n")
                self._process.stdin.flush()
        self._reader = threading.Thread(
            target=self._read, args=(self._process,), name="retention", daemon=True
        )
        self._reader.start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        for line in process.stdout or ():
            self._lines.append(line)
        process.wait()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):  # the process has ended before it read its input
                if stream is not None:
                    stream.close()

    def _report(self, line: str) -> list[RetentionReport]:
        try:
            found = json.loads(line)
            path, size = Path(found["path"]), int(found["size"])
            problem = str(found["problem"])
        except (ValueError, TypeError, KeyError):
            self._last_error = line.strip() or self._last_error
            return []
        if problem:
            return self._told(f"{path}: {problem}", True)
        name = f"{path.parent.name}/{path.name}"
        return self._told(f"deleted {name} ({size / 1e6:.1f} MB): {self._rules}", False)

    def _told(self, text: str, problem: bool) -> list[RetentionReport]:
        """Return a report; a problem only once."""
        if problem and text in self._problems:
            return []
        if problem:
            self._problems.add(text)
        return [RetentionReport(text, problem)]


def _kill(process: "subprocess.Popen[str]") -> None:
    """Kill the process and, except on Windows, the rclone that it runs."""
    with suppress(OSError):  # it has ended
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def main() -> None:
    """Apply the rules that come as a line of input; print a line for each video."""
    lower_priority(os.getpid())
    if sys.platform == "linux":
        with suppress(OSError):  # below all others, also those of the lowest `nice`
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    request: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    folder, rules = Path(request["folder"]), RetentionRules(**request["rules"])
    try:
        for pruned in prune(folder, rules, datetime.now().astimezone()):
            _print(pruned)
    except (OSError, DeepLabStreamError) as error:
        _print(Pruned(folder, problem=f"{_NOT_DELETED}: {error}"))
    else:
        if free_bytes(folder) < rules.free_bytes:
            problem = (
                f"less than {rules.free_bytes / 1e9:g} GB are free, and the rules keep all "
                "other videos"
            )
            _print(Pruned(folder, problem=problem))


def _print(pruned: Pruned) -> None:
    line = {**asdict(pruned), "path": str(pruned.path)}
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
