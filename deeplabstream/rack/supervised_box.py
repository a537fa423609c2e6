"""Supervised box: a box that is started, stopped, and restarted after an unexpected end.

A user, or its schedule, starts and stops it.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from deeplabstream.core.clock import Calendar, Clock, SystemCalendar
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.rack.animal_schedule import schedule_of
from deeplabstream.rack.box_process import BoxProcess
from deeplabstream.rack.box_restart import (
    Interruption,
    Restart,
    pause_s,
    read_restart,
    write_restart,
)
from deeplabstream.rack.box_status import (
    FINISHED,
    NOT_STARTED,
    SILENT,
    STOPPED,
    BoxAlarm,
    BoxStatus,
    animal_file,
    note_over,
    over_file,
    read_status,
    restart_file,
    status_file,
    waiting_file,
)
from deeplabstream.rack.last_guard import LastGuard
from deeplabstream.settings.rack_file import RackBox

LEFT_NS = 90_000_000_000
"""Time in which the other processes of a box that has ended end too: guards that switch its
outputs off, and the recorder; then they are killed."""


_MOST_REPORTS = 50


class _Phase(Enum):
    IDLE = NOT_STARTED
    SCHEDULED = "waits until its next start"
    RUNNING = "running"
    WAITING = "waiting"


def changed(file: Path) -> datetime:
    """Return when a file was last changed; the first day if there is none."""
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except OSError:
        return datetime.fromtimestamp(0, UTC)


class SupervisedBox:
    """A box of a rack, with at most one process at a time.

    ::

        idle ── start ──► running ── planned end, stop, no restart left ──► idle
          ▲                │   ▲
         stop   unexpected │   │ the pause is over, and none of its processes is left
          │            end ▼   │
          └───────────── waiting

    With a schedule, *scheduled* precedes the start, and follows the end of a daily run that
    no user has stopped.
    """

    def __init__(
        self,
        rack: Path,
        box: RackBox,
        command: Sequence[str],
        clock: Clock,
        calendar: Calendar | None = None,
    ) -> None:
        """Store the rack file, the box, and the command that runs it; start nothing."""
        self.name = box.name
        self.printed: Path | None = None
        """What its last process has printed."""
        self.failures = 0
        """How often it could not be started or has ended with an error."""
        self._rack, self._section, self._command = rack, box.box, command
        self._clock = clock
        self._last_guard = LastGuard(box, clock)
        self._switched_off: deque[BoxAlarm] = deque(maxlen=_MOST_REPORTS)
        self._schedule = schedule_of(box.box, clock, calendar or SystemCalendar())
        self._awaited = ""
        """The one of its ANIMALS that it waits for; empty: none."""
        self._stopped = False
        """Whether a user has stopped it."""
        self._again = False
        """Whether it is being stopped so that it starts again."""
        self._start_follows = False
        """Whether a user has started it while it was stopping."""
        self._told: str | None = None
        """Content of its waiting file; empty: there is none; None: not written yet."""
        self._process: BoxProcess | None = None
        self._phase = _Phase.IDLE
        self._due_ns = 0
        self._restart: Restart | None = None
        """The next or last restart; None: there was none since a user started the box."""

    @property
    def active(self) -> bool:
        """Whether it runs, or will be started or restarted."""
        return self._phase is not _Phase.IDLE or self._last_guard.active

    @property
    def switched_off(self) -> tuple[BoxAlarm, ...]:
        """The last reports on outputs that the rack has switched off, oldest first."""
        return tuple(self._switched_off)

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._phase is _Phase.RUNNING

    @property
    def stopping(self) -> bool:
        """Whether a user has stopped it, and its process still runs."""
        return self.running and self._stopped

    @property
    def scheduled(self) -> bool:
        """Whether it waits for the time of its next start."""
        return self._phase is _Phase.SCHEDULED

    @property
    def status(self) -> BoxStatus | None:
        """The last report of its process; None: there is none."""
        return self._process.status if self._process else None

    @property
    def state(self) -> str:
        """What it does, or how it has ended."""
        if self._phase is _Phase.SCHEDULED:
            return self._schedule.waiting()
        if self._process is None:
            return _Phase.IDLE.value
        if self._phase is _Phase.WAITING and self._restart is not None:
            return f"{self._process.state}; {self._restart.which} follows"
        return self._process.state

    @property
    def animal(self) -> str:
        """The one of its ANIMALS that is in the box, or the next one; empty: no ANIMALS."""
        return self._schedule.animal

    def choose(self, animal: str) -> None:
        """Make one of its ANIMALS the next one; DeepLabStreamError: that is not possible."""
        try:
            self._schedule.choose(animal)
        except DeepLabStreamError as error:
            raise DeepLabStreamError(f"[Box {self.name}] {error}") from error

    def start(self) -> Iterator[str]:
        """Start it on behalf of a user; yield why it can't be started now.

        One that a user has stopped, and that is still stopping, starts when it has ended.
        """
        if self.stopping:
            self._start_follows = True
            yield f"[Box {self.name}] starts when it has ended"
        if self.running:
            return
        self._stopped = False
        self._schedule.restart()
        yield from self._schedule_start()

    def resume(self) -> Iterator[str]:
        """Start it after a start of the computer, unless its last run must not be repeated.

        That is a run that a user has stopped, or that is over: then the next day's follows,
        if it is daily. Yield what a user has to know.
        """
        over, ended = self._over()
        self._schedule.recall(self._last_animal(), interrupted=not over)
        if over == STOPPED or (over and not self._schedule.repeats):
            yield f"[Box {self.name}] is not started again: {over}"
            return
        if over:
            self._schedule.count_run(ended)
        yield from self._schedule_start()

    def _over(self) -> tuple[str, datetime]:
        """Return why the last run must not be repeated, or nothing, and when it has ended."""
        file = over_file(self._rack, self.name)
        status = status_file(self._rack, self.name)
        try:
            # one that a power cut has emptied says only that there was a reason
            return file.read_text("utf-8") or STOPPED, changed(file)
        except (OSError, ValueError):
            last = read_status(status)
        # a computer that stops just then may leave the status only
        return (FINISHED if last and last.finished else ""), changed(status)

    def _last_animal(self) -> str:
        try:
            return animal_file(self._rack, self.name).read_text("utf-8")
        except (OSError, ValueError):
            return ""

    def _schedule_start(self) -> Iterator[str]:
        """Start it as soon as its schedule says so; yield until when it waits."""
        self._phase = _Phase.SCHEDULED
        yield from self._start_by_schedule()
        if self._phase is _Phase.SCHEDULED:
            yield f"[Box {self.name}] {self.state}"

    def _start_by_schedule(self) -> Iterator[str]:
        """Start it if that is due; yield why it can't be started now."""
        awaited, self._awaited = self._awaited, self.animal
        if awaited not in ("", self._awaited):
            yield (
                f"[Box {self.name}] {awaited} has no run: its time is over, and no user has "
                f"started the box; it {self.state}"
            )
        if not self._schedule.due():
            return
        self._schedule.begin()
        self._awaited = ""
        self._restart, self._due_ns = None, self._clock.now_ns()
        self._phase = _Phase.WAITING
        yield from self._start_when_due()
        if self._phase is _Phase.WAITING:
            yield f"[Box {self.name}] starts when its processes have ended: {self._left}"

    def prepare(self) -> None:
        """Read its settings ahead if they have changed, so that its next start is fast."""
        if not self.running:
            self._last_guard.prepare()

    def stop(self) -> None:
        """Ask it to switch its outputs off, close its record and end; start it no more."""
        self._stopped, self._again, self._awaited = True, False, ""
        self._start_follows = False
        if self.running and self._process is not None:
            self._process.stop()
        else:
            self._phase = _Phase.IDLE

    def restart(self) -> None:
        """Stop it; it then starts in a new run, and its experiment goes on where it was."""
        if self.running and self._process is not None:
            self._again = True
            self._process.stop()

    def note_stop(self) -> None:
        """Write that a user has stopped it: it is not started with the computer either."""
        self._write_over(STOPPED)

    def mark(self, text: str) -> None:
        """Add a text to its record; DeviceError: there is none, or it does not answer."""
        status = self.status if self.running else None
        if self._process is None or status is None or not status.run_folder:
            raise DeviceError(f"[Box {self.name}] has no record now: {self.state}")
        if self.state == SILENT:
            raise DeviceError(f"[Box {self.name}] {SILENT}")
        try:
            self._process.mark(text)
        except OSError as error:
            raise DeviceError(f"[Box {self.name}] is not reached: {error}") from error

    def watch(self) -> Iterator[str]:
        """Read its state, start and stop it when it is time; yield what a user has to know."""
        if self._process is not None:
            self._process.read()
            if self.running and self._process.exit_code is not None:
                yield from self._ended(self._process)
                if self._start_follows:
                    self._start_follows = False
                    yield from self.start()
        for report in self._last_guard.watch():
            self._switched_off.append(report)
            yield report.text
        if self._phase in (_Phase.RUNNING, _Phase.WAITING):
            yield from self._stop_by_schedule()
        if self._phase is _Phase.SCHEDULED:
            yield from self._start_by_schedule()
        if self._phase is _Phase.WAITING:
            yield from self._start_when_due()
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        """Write what it waits for into a file, or remove that, when it has changed."""
        waiting = self._phase in (_Phase.SCHEDULED, _Phase.WAITING)
        waits = self.state if waiting else ""
        if waits == self._told:
            return
        file = waiting_file(self._rack, self.name)
        with suppress(OSError):  # it is only shown; a full disk must not end the rack
            file.unlink(missing_ok=True)
            if waits:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(waits, encoding="utf-8")
            self._told = waits

    def _stop_by_schedule(self) -> Iterator[str]:
        """Stop it if its time is over, or restart it no more; yield that."""
        reason = self._schedule.over()
        if not reason:
            return
        if self._phase is _Phase.WAITING:
            self._end_block()
            self._write_over(f"{reason} is over")
            yield f"[Box {self.name}] is not restarted: {reason} is over"
        elif self._process is not None and not self._process.stopping:
            self._process.stop()
            self._write_over(f"{reason} is over")
            yield f"[Box {self.name}] is being stopped: {reason} is over"

    @property
    def _after_run(self) -> _Phase:
        again = self._schedule.repeats and not self._stopped
        return _Phase.SCHEDULED if again else _Phase.IDLE

    def _end_block(self) -> None:
        """Wait for the next start, if one follows."""
        self._phase = self._after_run
        if not self._stopped:
            self._schedule.end()

    @property
    def _left(self) -> str:
        return ", ".join(self._process.left) if self._process else ""

    def _ended(self, process: BoxProcess) -> Iterator[str]:
        """Decide whether it is restarted; yield how it has ended."""
        self.failures += process.failed
        self._last_guard.box_ended(process)
        self._phase = self._after_run
        if process.status is not None and process.status.finished and not self._stopped:
            self._write_over(FINISHED)
        yield f"[Box {self.name}] {process.state}; see {process.printed}"

        again, self._again = self._again, False
        limit, number = self._section.restarts, 0 if again else 1
        if self._restart is not None:
            number += self._restart.number
        if again:
            self._wait_to_restart(process, number, by_user=True)
            yield f"[Box {self.name}] is started again"
            return
        if not process.unexpected or number > limit:
            self._end_block()
            if process.unexpected and limit:
                yield f"[Box {self.name}] is not restarted: RESTARTS = {limit} is reached"
            if self.animal and self._phase is _Phase.SCHEDULED:
                yield f"[Box {self.name}] {self.state}"
            return

        restart = self._wait_to_restart(process, number)
        pause = pause_s(self._section.backoff_s, number)
        self._due_ns += round(pause * 1e9)
        goes_on = self._section.resume and restart.run_folder
        then = "goes on" if goes_on else "starts from the beginning"
        yield (
            f"[Box {self.name}] will be restarted in {pause:g} s (restart {number} of "
            f"{limit}); its outputs stay off until its experiment {then}"
        )

    def _wait_to_restart(
        self, process: BoxProcess, number: int, *, by_user: bool = False
    ) -> Restart:
        """Let it wait for a restart that is due now, and return that."""
        folder = process.status.run_folder if process.status else ""
        self._restart = restart = Restart(
            number=number,
            limit=self._section.restarts,
            cause=process.end,
            ended_ns=process.ended_ns,
            run_folder=folder or (self._restart.run_folder if self._restart else ""),
            by_user=by_user,
        )
        self._due_ns, self._phase = process.ended_ns, _Phase.WAITING
        return restart

    def _write_over(self, why: str) -> None:
        note_over(self._rack, self.name, why)

    def _interruption(self) -> Interruption | None:
        """Return the end of the last run if no rack saw it; None: it has ended in order."""
        file = status_file(self._rack, self.name)
        last = read_status(file) if self._process is None else None
        if last is None or last.ended or last.animal != (self.animal or last.animal):
            return None
        reported = changed(file)
        # one that was interrupted before it had a run folder was to continue the run before
        before = read_restart(restart_file(self._rack, self.name))
        return Interruption(
            last_report=f"{reported.astimezone():%Y-%m-%d %H:%M:%S}",
            run_folder=last.run_folder or (before.run_folder if before else ""),
            is_over=self._schedule.is_over(reported),
        )

    def _start_when_due(self) -> Iterator[str]:
        """Start its process if it is time; yield why that is not possible."""
        now_ns = self._clock.now_ns()
        # guards and recorder of the process before may still use its ports and folders
        if now_ns < self._due_ns or self._left or self._last_guard.active:
            if self._process and now_ns - self._process.ended_ns >= LEFT_NS:
                self._process.kill_left()
            return
        try:
            file = restart_file(self._rack, self.name)
            cause = self._restart or self._interruption()
            file.unlink(missing_ok=True)
            if cause is not None:
                write_restart(file, cause)
            over_file(self._rack, self.name).unlink(missing_ok=True)
            command = [*self._command]
            if animal := self.animal:
                with atomic_file(
                    animal_file(self._rack, self.name), through_power_cut=True
                ) as draft:
                    draft.write_text(animal, encoding="utf-8")
                command += ["--animal", animal]
            self._last_guard.box_starts()
            self._process = BoxProcess(self._rack, self.name, command, self._clock)
        except (OSError, DeviceError) as error:
            # an animal that is in the box must not get the run of the next one
            self._phase = _Phase.IDLE if self.animal else self._after_run
            self.failures += 1
            yield f"[Box {self.name}] can't be started: {error}"
        else:
            self._phase = _Phase.RUNNING
            self.printed = self._process.printed
            if self._restart is not None:
                gap_s = (self._clock.now_ns() - self._restart.ended_ns) / 1e9
                yield f"[Box {self.name}] is being restarted, {gap_s:.1f} s after its end"
            elif isinstance(cause, Interruption):
                yield f"[Box {self.name}] {cause.sentence(self._clock.now_ns())}"
