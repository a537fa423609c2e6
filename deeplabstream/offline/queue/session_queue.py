"""A tree of sessions, worked through by any number of processes on any machines.

What is known of each session lies as small files in the tree's `queue/` folder: claims,
failures, done, set aside. `queue/status.csv` is the table of them.
"""

import csv
import json
import logging
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.ibl.alf import sessions_under
from deeplabstream.offline.ibl.camera_prediction import Networks
from deeplabstream.offline.ibl.pipeline import Pipeline, load_pipeline
from deeplabstream.offline.ibl.pipeline_networks import networks_of
from deeplabstream.offline.ibl.session_processing import CAMERAS, process, sessions_root
from deeplabstream.offline.queue.file_lock import (
    STALE_S,
    claim,
    facts_of,
    is_stale,
    latest,
)

Work: TypeAlias = Callable[[Path], object]
"""Processes a session; what it raises is the reason why it failed."""

RETRIES = 3
"""So often a session is tried before it is set aside."""
COLUMNS = ("session", "state", "machine", "attempts", "when", "reason")
_log = logging.getLogger("offline")


@dataclass(frozen=True)
class Queue:
    """The sessions of one tree and what became of them."""

    root: Path
    machine: str
    stale_s: float = STALE_S
    retries: int = RETRIES

    @property
    def folder(self) -> Path:
        """Where the state lies."""
        return self.root / "queue"

    def sessions(self) -> list[Path]:
        """Return all sessions of the tree, in order."""
        return list(sessions_under(self.root))

    def name(self, session: Path) -> str:
        """Return what a session's files are called."""
        return "__".join(session.relative_to(self.root).parts)

    def state(self, session: Path) -> str:
        """Return done, set aside, running, failed (to be tried again) or waiting."""
        name = self.name(session)
        if (self.folder / f"{name}.done").exists():
            return "done"
        if (self.folder / f"{name}.setaside").exists():
            return "set aside"
        number, held = latest(self.folder, name)
        failures = self._failures(name)
        if held is not None and number > failures and not is_stale(held, self.stale_s):
            return "running"
        return "failed" if failures else "waiting"

    def attempt(self, session: Path, work: Work) -> bool:
        """Claim a session and process it; False when somebody else has it, or had it.

        A session that failed is tried again, by anybody, until it is set aside.
        """
        name = self.name(session)
        if self.state(session) in ("done", "set aside", "running"):
            return False
        number, held = latest(self.folder, name)
        failed = number <= self._failures(name)
        if held is not None and not failed and not is_stale(held, self.stale_s):
            return False
        mine = claim(self.folder, name, number + 1, self.machine, self.stale_s)
        if mine is None or self.state_is_final(session):
            return False
        with mine:
            try:
                work(session)
            except Exception as error:  # any reason is a reason to go on with the next
                reason = str(error) or type(error).__name__
                _log.error("%s: %s", session, reason)
                if mine.holds():
                    self._fail(name, reason, mine.path)
                return True
            if mine.holds():
                self._tell(f"{name}.done", "", mine.path)
        return True

    def state_is_final(self, session: Path) -> bool:
        """Return whether nothing is left to be done for a session."""
        return self.state(session) in ("done", "set aside")

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield `COLUMNS` for each session."""
        for session in self.sessions():
            name, state = self.name(session), self.state(session)
            number, held = latest(self.folder, name)
            told = facts_of(held) if held is not None else {}
            for ending in ("setaside", "done", f"failed.{self._failures(name)}"):
                path = self.folder / f"{name}.{ending}"
                if path.exists():
                    told = facts_of(path)
                    break
            yield {
                "session": session.relative_to(self.root).as_posix(),
                "state": state,
                "machine": str(told.get("machine", "")),
                "attempts": str(number),
                "when": str(told.get("when", "")),
                "reason": str(told.get("reason", "")),
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
        found = self.folder.glob(f"{_literal(name)}.failed.*")
        return max((int(path.suffix[1:]) for path in found), default=0)

    def _fail(self, name: str, reason: str, claimed: Path) -> None:
        number = claimed.suffix[1:]
        self._tell(f"{name}.failed.{number}", reason, claimed)
        failed = len(list(self.folder.glob(f"{_literal(name)}.failed.*")))
        if failed >= self.retries:
            self._tell(f"{name}.setaside", reason, claimed)

    def _tell(self, file: str, reason: str, claimed: Path) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        facts = {"machine": self.machine, "when": now, "reason": reason}
        with atomic_file(self.folder / file) as making:
            making.write_text(json.dumps({**facts, "claim": claimed.name}), "utf-8")


def _literal(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def open_queue(
    folder: str | Path | None,
    machine: str | None = None,
    pipeline: str | Path = "ibl",
    stale_s: float = STALE_S,
    retries: int = RETRIES,
) -> Queue:
    """Return the queue of a tree; DeepLabStreamError when there is no such folder."""
    root = sessions_root(load_pipeline(pipeline), folder)
    queue = Queue(root, machine or socket.gethostname(), stale_s, retries)
    queue.folder.mkdir(exist_ok=True)
    return queue


def whole_session(queue: Queue, plan: Pipeline, networks: Networks) -> Work:
    """Return what processes a session; any camera's failure fails it."""

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
    stale_s: float = STALE_S,
    retries: int = RETRIES,
) -> int:
    """Work at up to `n_sessions` sessions of a tree; return at how many was worked.

    `folder` is the tree; else the pipeline's SESSIONS, or that of settings.ini. Several
    processes, on several machines that share the disk, may do so at once: each session
    is done by one of them.
    After a kill its session goes on where it was, in whoever comes next. What fails is
    tried `retries` times, then set aside with the reason.
    """
    queue = open_queue(folder, machine, pipeline, stale_s, retries)
    if work is None:
        plan = load_pipeline(pipeline)
        opened = networks or networks_of(plan, Path(ckpts_path) if ckpts_path else None)
        work = whole_session(queue, plan, opened)
    worked: set[Path] = set()
    again = True
    while again:
        again = False
        for session in queue.sessions():
            if len(worked) >= n_sessions and session not in worked:
                continue
            if queue.attempt(session, work):
                worked.add(session)
                again = True
                queue.write_status()
    queue.write_last_status()
    return len(worked)
