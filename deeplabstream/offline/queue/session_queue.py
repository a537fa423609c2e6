"""Session queue: a tree of sessions, processed by any number of processes of one computer.

The state of each session is in small files of the tree's `queue/` folder: claims,
failures, done, set aside. `queue/status.csv` is the table of them. For several computers
see `cluster_queue`.

Each session is processed by one process of this computer, which holds its claim: a file
that only one process can create. A claim counts until the session has failed, is done, or
its process has ended. Then the next process creates the claim of the following number; no
claim is deleted or renamed, so two processes never hold the same one.
"""

import csv
import json
import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import psutil

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.foreign_files import read_json
from deeplabstream.offline.ibl.alf import sessions_under
from deeplabstream.offline.ibl.camera_prediction import Networks
from deeplabstream.offline.ibl.pipeline import Pipeline, load_pipeline
from deeplabstream.offline.ibl.pipeline_networks import networks_of
from deeplabstream.offline.ibl.session_processing import CAMERAS, process, sessions_root

Work: TypeAlias = Callable[[Path], object]
"""Processes a session; the text of its exception is the reason of the failure."""

RETRIES = 3
"""Number of failures after which a session is set aside."""
COLUMNS = ("session", "state", "machine", "attempts", "when", "reason")
_CLOCK_TOLERANCE_S = 60.0
"""The start of a process is computed from the system clock, which may be corrected."""
_log = logging.getLogger("offline")


@dataclass(frozen=True)
class Queue:
    """The sessions of one tree and their states."""

    root: Path
    machine: str
    retries: int = RETRIES
    scheduled: bool = False
    """Whether a scheduler assigns the sessions, so that every earlier claim has ended."""

    @property
    def folder(self) -> Path:
        """Folder of the state."""
        return self.root / "queue"

    def sessions(self) -> list[Path]:
        """Return all sessions of the tree, in order."""
        return list(sessions_under(self.root))

    def name(self, session: Path) -> str:
        """Return the name of a session's files."""
        return "__".join(session.relative_to(self.root).parts)

    def state(self, session: Path) -> str:
        """Return done, set aside, running, failed (to be tried again) or waiting."""
        name = self.name(session)
        if (self.folder / f"{name}.done").exists():
            return "done"
        if (self.folder / f"{name}.setaside").exists():
            return "set aside"
        number, claim = latest_claim(self.folder, name)
        failures = self._failures(name)
        if claim is not None and number > failures and self._holds(claim):
            return "running"
        return "failed" if failures else "waiting"

    def _holds(self, claim: Path) -> bool:
        return not self.scheduled and holder_is_alive(claim)

    def attempt(self, session: Path, work: Work) -> bool:
        """Claim a session and process it; False when another process has or had it.

        A session that failed is tried again, by any process, until it is set aside.
        """
        name = self.name(session)
        # Before the state: a claim that another process creates after the state was read
        # has the number that this process takes, so one of the two is refused.
        number, _ = latest_claim(self.folder, name)
        if self.state(session) in ("done", "set aside", "running"):
            return False
        claim = create_claim(self.folder, name, number + 1, self.machine)

        # Another process may have finished the session between the two checks.
        if claim is None or self.state_is_final(session):
            return False

        try:
            work(session)
        except Exception as error:  # an error must not stop the remaining sessions
            reason = str(error) or type(error).__name__
            _log.error("%s: %s", session, reason)
            self._record_failure(name, reason, claim)
        else:
            self._write_entry(f"{name}.done", "", claim)
        return True

    def state_is_final(self, session: Path) -> bool:
        """Return whether nothing is left to be done for a session."""
        return self.state(session) in ("done", "set aside")

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield `COLUMNS` for each session."""
        for session in self.sessions():
            name, state = self.name(session), self.state(session)
            number, claim = latest_claim(self.folder, name)
            entry = read_entry(claim) if claim is not None else {}
            for ending in ("setaside", "done", f"failed.{self._failures(name)}"):
                path = self.folder / f"{name}.{ending}"
                if path.exists():
                    entry = read_entry(path)
                    break
            yield {
                "session": session.relative_to(self.root).as_posix(),
                "state": state,
                "machine": str(entry.get("machine", "")),
                "attempts": str(number),
                "when": str(entry.get("when", "")),
                "reason": str(entry.get("reason", "")),
            }

    def write_status(self) -> Path:
        """Write the table of all sessions."""
        return self._write(self.rows())

    def write_last_status(self) -> Path:
        """Write the table of all sessions; again where one has changed meanwhile.

        Another worker's table, which was newer, may have been replaced.
        """
        rows = list(self.rows())
        while True:
            path, written = self._write(rows), rows
            if (rows := list(self.rows())) == written:
                return path

    def _write(self, rows: Iterable[dict[str, str]]) -> Path:
        path = self.folder / "status.csv"
        with (
            atomic_file(path) as making,
            making.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        return path

    def _failures(self, name: str) -> int:
        """Return the number of the last claim that failed."""
        failures = self.folder.glob(f"{_literal(name)}.failed.*")
        return max((int(path.suffix[1:]) for path in failures), default=0)

    def _record_failure(self, name: str, reason: str, claim: Path) -> None:
        self._write_entry(f"{name}.failed.{claim.suffix[1:]}", reason, claim)
        failures = len(list(self.folder.glob(f"{_literal(name)}.failed.*")))
        if failures >= self.retries:
            self._write_entry(f"{name}.setaside", reason, claim)

    def _write_entry(self, file: str, reason: str, claim: Path) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"machine": self.machine, "when": now, "reason": reason}
        with atomic_file(self.folder / file) as draft:
            draft.write_text(json.dumps({**entry, "claim": claim.name}), "utf-8")


def _literal(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def open_queue(
    folder: str | Path | None,
    machine: str | None = None,
    pipeline: str | Path = "ibl",
    retries: int = RETRIES,
    *,
    scheduled: bool = False,
) -> Queue:
    """Return the queue of a tree; DeepLabStreamError when there is no such folder."""
    root = sessions_root(load_pipeline(pipeline), folder)
    queue = Queue(root, machine or socket.gethostname(), retries, scheduled)
    queue.folder.mkdir(exist_ok=True)
    return queue


def whole_session(queue: Queue, plan: Pipeline, networks: Networks) -> Work:
    """Return a function that processes a session, and fails if any camera fails."""

    def work(session: Path) -> None:
        report = process(session, plan, CAMERAS, None, networks, machine=queue.machine)
        if report.failures:
            raise DeepLabStreamError("; ".join(report.failures.values()))

    return work


def run_queue(
    folder: str | Path | None = None,
    n_sessions: int = 10,
    machine: str | None = None,
    *,
    pipeline: str | Path = "ibl",
    ckpts_path: str | Path | None = None,
    networks: Networks | None = None,
    work: Work | None = None,
    retries: int = RETRIES,
) -> int:
    """Process up to `n_sessions` sessions of a tree; return how many were processed.

    `folder` is the tree; else the pipeline's SESSIONS, or that of settings.ini. Several
    processes of this computer may do so at once: each session is processed by one of
    them. After a process was killed, another one continues its session. A session that
    fails is tried `retries` times, then set aside with the reason.
    """
    queue = open_queue(folder, machine, pipeline, retries)
    if work is None:
        plan = load_pipeline(pipeline)
        opened = networks or networks_of(plan, Path(ckpts_path) if ckpts_path else None)
        work = whole_session(queue, plan, opened)
    processed: set[Path] = set()
    again = True
    while again:
        again = False
        for session in queue.sessions():
            if len(processed) >= n_sessions and session not in processed:
                continue
            if queue.attempt(session, work):
                processed.add(session)
                again = True
                queue.write_status()
    queue.write_last_status()
    return len(processed)


def create_claim(folder: Path, name: str, number: int, machine: str) -> Path | None:
    """Create the claim of that number; None when another process was faster.

    The claim before it must have ended.
    """
    path = folder / f"{name}.claim.{number}"
    holder = {
        "machine": machine,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
    }
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(json.dumps(holder))
    return path


def latest_claim(folder: Path, name: str) -> tuple[int, Path | None]:
    """Return number and file of the last claim; 0 and None when there is none."""
    number = 0
    while (folder / f"{name}.claim.{number + 1}").exists():
        number += 1
    return number, folder / f"{name}.claim.{number}" if number else None


def read_entry(path: Path) -> Mapping[str, object]:
    """Return what a file of the queue contains; nothing while it is being written."""
    try:
        entry = read_json(path)
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


def holder_is_alive(claim: Path) -> bool:
    """Return whether the process that created a claim still runs.

    Whether a process of another computer runs is not known: True.
    """
    holder = read_entry(claim)
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int):
        return True
    try:
        started_s = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # the process exists, but this account may not read it
        return True

    # A process that started later has only reused the process number of the holder.
    claimed = holder.get("started")
    return not isinstance(claimed, float) or started_s < claimed + _CLOCK_TOLERANCE_S
