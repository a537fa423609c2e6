"""Recorder process: writes journal entries and frames from shared memory to disk.

One semaphore wakes it: the engine releases it with each entry of the journal, the session
with each message. It waits for nothing else, so that the journal is drained even when the
disk fails. Video recordings poll the rings in their own threads.
"""

import signal
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from datetime import datetime
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import assert_never

import numpy as np

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.frame import Image
from deeplabstream.core.journal_entries import LAST_NOTE, Entry, Note, Pulsed, Step
from deeplabstream.engine.processes.child_process import (
    report_errors,
    send_message,
    set_up_child,
)
from deeplabstream.engine.processes.real_time import (
    leave_core_to_engine,
    raise_priority,
)
from deeplabstream.engine.session import messages
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.ipc.journal import Journal, JournalReader, JournalSpec
from deeplabstream.ipc.pipe import Connection, Messages, has_message, receive
from deeplabstream.ipc.ring import FrameRing, RingReader
from deeplabstream.recording import disk_reserve
from deeplabstream.recording.automatic_retention import (
    AutomaticRetention,
    RetentionReport,
)
from deeplabstream.recording.camera_recording import CameraRecordings
from deeplabstream.recording.camera_skew import recorded_skews
from deeplabstream.recording.disk_sync import SYNC_S, DiskSync
from deeplabstream.recording.exposure_pulses import (
    match_run,
    pulse_facts,
    write_matches,
)
from deeplabstream.recording.failed_run import FailedRun
from deeplabstream.recording.frame_accounts import FrameCounts
from deeplabstream.recording.frame_queue import QueueWriter
from deeplabstream.recording.frame_rows import FrameRows
from deeplabstream.recording.journal_recovery import append_event
from deeplabstream.recording.retention_rules import RetentionRules
from deeplabstream.recording.run_folder import RunFacts, RunFolder, accounting
from deeplabstream.recording.run_writer import RunWriter

BUSY_S = 0.1
"""Longest interval between two calls of `work` while a run is open."""
IDLE_S = 0.5
"""Longest interval between two calls of `work` while no run is open."""
ORPHAN_S = 20.0
"""Time to wait for the journal's last entry after the session has ended."""


def recorder_main(
    pipe: Connection, wake: Semaphore, journal: JournalSpec, zero_ns: int
) -> None:
    """Record until stopped, or until the session has ended; then complete the files.

    Without its session it continues until the journal's last entry.
    """
    latest = (messages.RecordingProgress, messages.SavingProgress)
    with report_errors(pipe, latest=latest) as session_pipe:
        recorder = StreamRecorder(session_pipe, wake.release, Journal(journal), zero_ns)

        def orphaned() -> None:
            recorder.orphaned = True
            wake.release()

        set_up_child(orphaned)
        # the session ends the recorder, after all others: it records how they ended
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # above other programs, below cameras and engine: a late recorder only fills the ring
        raise_priority(3)
        leave_core_to_engine()
        try:
            while not recorder.over:
                patience_s = BUSY_S if recorder.busy else IDLE_S
                if recorder.orphaned:
                    patience_s = ORPHAN_S
                # An orphan ends with the journal's last entry; if the engine was killed, there
                # is none, and it ends when no entry has come for `ORPHAN_S`.
                if not wake.acquire(timeout=patience_s) and recorder.orphaned:
                    break

                # one call of `work` handles all that has arrived
                while wake.acquire(block=False):
                    pass
                recorder.work()
        finally:
            recorder.close("the application ended unexpectedly")


_KEPT = 256
"""Limit of entries that are kept until the run folder is made, and of entries that stay in the
journal because one of them waits for a later one."""


class StreamRecorder:
    """Recorder of one stream: at most one run, with any number of analyses and recordings."""

    def __init__(
        self,
        pipe: Messages,
        wake: Callable[[], None],
        journal: Journal,
        zero_ns: int,
    ) -> None:
        self.over = False
        """Whether the recorder may end."""
        self.orphaned = False
        """Whether the main process has ended."""
        self._complete = False
        self._pipe, self._wake = pipe, wake
        self._journal = JournalReader(journal, recorder=True)
        self._attached = messages.AttachStream((), None, zero_ns, {})
        self._rings: dict[str, FrameRing] = {}
        self._rows: dict[str, FrameRows] = {}
        self._takes = CameraRecordings(self._troubled, self._file_began)
        self._early: deque[Entry] = deque(maxlen=_KEPT)
        self._early_pulses: deque[Entry] = deque(maxlen=_KEPT)
        self._run: RunWriter | None = None
        self._lock = ExitStack()
        """Lock of run.json, by which other programs detect that the run is being written."""
        self._accounts: list[FrameCounts] = []
        self._problems: deque[tuple[str, bool]] = deque()
        self._notes: deque[Note] = deque()
        """Notes of the threads of the videos."""
        self._clock = SystemClock()
        self._progress_ns = 0
        self._number = 0
        """Number of the last requested recording."""
        self._begun = 0
        """Number of cameras with a frame in their video, as last reported."""
        self._late: set[str] = set()
        self._lost = 0
        self._held = 0
        """Number of entries that stay in the journal because one waits for a later one."""
        self._done = self._saved = self._saved_ns = 0
        self._not_saved: list[str] = []
        """Data that could not be written, as sentences for `run.json`."""
        self._syncing: DiskSync | None = None
        self._failed: FailedRun | None = None
        """The last run, if the disk has ended it."""
        self._retention = AutomaticRetention(Path(), RetentionRules(), self._clock)

    @property
    def busy(self) -> bool:
        """Whether a run is open, so that frames must be listed at intervals."""
        return self._run is not None

    def work(self) -> None:
        """Handle messages, entries and problems; never wait for more."""
        # Messages first: they open the tables that the entries are written to.
        self._handle_messages()
        self._guarded(self._drain)

        self._guarded(self._write_notes)
        self._guarded(self._report_retention, self._retention.work())

        # after the entries, so that a note of a problem comes behind those before it
        while self._problems:
            text, whole = self._problems.popleft()
            self._fail(text) if whole else self._guarded(self._end_takes, text)

        if self._failed is not None:
            self._failed.write(self._clock.now_ns())
        self._report_progress()
        self.over = self.over or (self.orphaned and self._complete)

    def close(self, how: str) -> None:
        """Complete all files."""
        self._guarded(self._drain)
        self._guarded(self._close_run, how)
        self._leave_failed()

    # --- messages

    def _handle_messages(self) -> None:
        """Handle all messages; report an unknown one as a bug and continue."""
        while not (self.over or self.orphaned) and has_message(self._pipe):
            message = receive(self._pipe)
            if message is None:
                self.orphaned = True
            elif isinstance(message, messages.ToRecorder):
                self._guarded(self._handle, message)
            else:
                send_message(self._pipe, messages.UnknownMessage.received(message))

    def _handle(self, message: messages.ToRecorder) -> None:
        match message:
            case messages.AttachStream():
                self._attach(message)
            case messages.OpenRun():
                self._open_run(message)
            case messages.ChangeRun(text, facts):
                self._change_run(text, facts)
            case messages.StartAnalysis():
                self._start_analysis(message)
            case messages.StopAnalysis():
                self._drain()
                self._stop_analysis()
            case messages.StartRecording():
                self._start_recording(message)
            case messages.StopRecording():
                self._stop_recording()
            case messages.WriteNote(note):
                self._drain()
                self._write(note)
            case messages.CloseRun(how, facts):
                self._drain()
                self._close_run(how, **facts)
            case messages.Stop():
                self.over = True
            case _:
                assert_never(message)

    def _attach(self, attached: messages.AttachStream) -> None:
        """Map the rings; close those that are no longer used."""
        self._attached = attached
        for spec in attached.rings:
            old = self._rings.get(spec.camera)
            if old is not None and old.spec != spec:
                old.close()
        self._rings = {spec.camera: FrameRing(spec) for spec in attached.rings}
        self._rows = {
            name: FrameRows(ring, attached.knows_losses.get(name, False))
            for name, ring in self._rings.items()
        }

    def _open_run(self, request: messages.OpenRun) -> None:
        if self._run is not None:
            return
        self._leave_failed()

        formats = {name: ring.spec.format for name, ring in self._rings.items()}
        facts = RunFacts(
            start_ns=self._attached.start_ns,
            cameras=formats,
            skeleton=self._attached.skeleton,
            more={**request.facts, "started_ns": self._clock.now_ns()},
        )

        now = datetime.now().astimezone()
        root, text = Path(request.root), request.settings_text
        self._retention = AutomaticRetention(root, request.retention, self._clock)
        folder = RunFolder.create(root, now, text, facts, request.name)
        # without the lock, changing files still show that the run is in use
        with suppress(DeviceError):
            self._lock.enter_context(exclusive(folder.path / "run.json"))

        self._run = run = RunWriter(folder, self._attached.start_ns)
        disk_reserve.reserve(folder.path)
        self._syncing = DiskSync(
            lambda: [run, self._takes],
            lambda error: self._troubled(_sentence(error), whole=True),
        )
        self._accounts, self._not_saved = [], []

        # what happened since Start Stream, such as the opening of the outputs
        for early in (self._early, self._early_pulses):
            while early:
                self._write(early.popleft())

        send_message(self._pipe, messages.RunOpened(folder.path))

    def _change_run(self, settings_text: str, facts: Mapping[str, object]) -> None:
        if self._run is not None:  # a failed run keeps what it has
            self._run.folder.replace_settings(settings_text)
            self._run.folder.update(**facts)

    def _start_analysis(self, request: messages.StartAnalysis) -> None:
        run = self._opened()
        if run.queue is None and request.queue_per_hour:
            run.queue = QueueWriter(
                run.folder,
                self._attached.start_ns,
                request.queue_per_hour,
                request.thresholds,
                self._image_of,
            )
        for name in request.cameras:
            triggers = request.triggers.get(name, ())
            rows = self._rows[name]
            if not rows.active:
                rows.start(run, triggers)

    def _image_of(self, step: Step) -> Image | None:
        """Return the image of a frame; None: it is recorded; empty: it was overwritten."""
        # a recorded frame is read from the video later: the queue stores only its number
        if step.camera in self._takes.recorded():
            return None
        frame = RingReader(self._rings[step.camera]).of(step.index)
        return np.empty(0, np.uint8) if frame is None else frame.image

    def _stop_analysis(self) -> None:
        active = [rows for rows in self._rows.values() if rows.active]
        self._account(tuple(rows.end() for rows in active))

    def _start_recording(self, request: messages.StartRecording) -> None:
        run = self._opened()
        rings = [self._rings[name] for name in request.cameras]
        # a new recording: its losses and its first frames are reported again
        self._late.clear()
        self._number, self._begun = request.number, 0
        remarks = self._takes.start(
            run.folder, rings, request.recording_options, self._attached.knows_losses
        )
        for remark in remarks:
            self._write(Note("recording", remark, self._clock.now_ns()))

    def _stop_recording(self) -> None:
        self._account(self._takes.stop(self._saving))
        self._write_notes()

    def _close_run(self, how: str, **facts: object) -> None:
        if any(rows.active for rows in self._rows.values()):
            self._stop_analysis()
        if self._takes:
            self._stop_recording()
        run = self._released()
        if run is None:
            return

        # The lock is released before facts are computed from the files: that takes long, and
        # other programs may open the run, which is complete.
        with self._lock:
            run.folder.update(entries_missed=self._journal.lost, **facts)
            self._closed()
            run.folder.update(not_saved=self._not_saved)
            self._closed()
            run.folder.finish(datetime.now().astimezone(), how, self._accounts)
        self._closed()
        self._add_facts(run.folder)
        send_message(self._pipe, messages.RunClosed(tuple(self._accounts)))

    def _add_facts(self, folder: RunFolder) -> None:
        """Add the facts that are computed from the files of a run.

        The run is complete without them: an error is reported and changes nothing else.
        """
        try:
            folder.update(skew=recorded_skews(folder, self._accounts))
        except Exception as error:
            self._not_added(folder, "The skew of the cameras was not computed", error)
        self._closed()
        try:
            self._match_pulses(folder)
        except Exception as error:
            what = "The exposure pulses were not matched"
            self._not_added(folder, what, error, "; utils/MatchPulses.py does it later")

    def _match_pulses(self, folder: RunFolder) -> None:
        """Match frames to numbered pulses, if exposures are counted or triggered."""
        if matched := match_run(folder, done=self._closed):
            write_matches(folder, matched, self._closed)
            folder.update(pulses=pulse_facts(folder, matched))

    def _not_added(
        self, folder: RunFolder, what: str, error: Exception, then: str = ""
    ) -> None:
        """Report to run.json, to the events and to the session which facts were not computed."""
        why, trace = str(error), ""
        # any other error is a fault of the program: its traceback is needed to correct it
        if not isinstance(error, DeepLabStreamError | OSError):
            why = f"{type(error).__name__}: {error}".removesuffix(": ")
            trace = "".join(["\n", *traceback.format_exception(error)])
        text = f"{what} ({folder.path}): {why}{then}"

        self._not_saved.append(text)
        with suppress(Exception):  # run.json may be damaged
            folder.update(not_saved=self._not_saved)
        with suppress(Exception):
            append_event(folder, Note("recording", text + trace, self._clock.now_ns()))
        send_message(self._pipe, messages.ProblemReport(text, grave=False))

    # --- entries

    def _drain(self) -> None:
        entries = self._journal.read()
        # After the journal: of a frame that has a step, the stamp in the ring is read in the
        # same call of `work`.
        for rows in self._rows.values():
            if rows.active:
                rows.poll()

        # one transaction: a write of each table for all entries
        with self._run.together() if self._run is not None else nullcontext():
            for entry in entries:
                self._write(entry)
                if isinstance(entry, Note) and entry.kind == LAST_NOTE:
                    self._complete = True
        self._done += len(entries)
        self._saving()

        if (lost := self._journal.lost) > self._lost:
            text = (
                f"{lost - self._lost} entries of the record were lost: disk too slow?"
            )
            self._lost = lost
            self._not_saved.append(text)
            self._write(Note("recording", text, self._clock.now_ns()))

        # An acknowledgement that waits for the step of its frame is not on the disk yet. It
        # stays in the journal, from which the record is completed after a crash. At most
        # `_KEPT` entries stay for it, because a full journal ends the experiment.
        waiting = self._run is not None and self._run.waiting
        self._held = self._held + len(entries) if self._held else int(waiting)
        if not waiting or self._held > _KEPT:
            self._held = 0
            self._journal.recorded()

    def _write(self, entry: Entry) -> None:
        if isinstance(entry, Step):
            if (rows := self._rows.get(entry.camera)) is not None:
                rows.step(entry)
        elif self._run is None and isinstance(entry, Pulsed):
            # kept separately: there are so many of them that notes would be dropped
            self._early_pulses.append(entry)
        elif self._run is None:
            self._early.append(entry)
            if self._failed is not None:
                self._failed.take([entry])
        else:
            self._run.entry(entry)

    def _account(self, accounts: tuple[FrameCounts, ...]) -> None:
        self._accounts.extend(accounts)
        if self._run is not None:
            self._run.folder.update(accounting=accounting(self._accounts))

    def _opened(self) -> RunWriter:
        if self._run is None:
            raise DeepLabStreamError("There is no run folder, so nothing is recorded")
        return self._run

    def _released(self) -> RunWriter | None:
        """Close the tables and return them; None when no run is open."""
        with suppress(OSError):  # the disk may have failed
            self._report_retention(self._retention.close())
        # first, so that an error while closing can't use the tables again
        run, self._run = self._run, None
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            syncing.stop()
        if run is not None:
            # so that a full disk has room for the end of the tables and for `run.json`
            disk_reserve.release(run.folder.path)
            run.close(self._closed)
            for error in run.errors[:1]:
                why = error.strerror or error
                text = f"The last rows of the tables may not be saved: {why}"
                self._not_saved.append(text)
                send_message(self._pipe, messages.ProblemReport(text, grave=False))
        return run

    def _closed(self) -> None:
        self._done += 1
        self._saving()

    def _saving(self) -> None:
        """Report that more was written to the disk: the session then waits longer."""
        takes = self._takes
        done = self._done + sum(takes.recorded().values()) if takes else self._done
        now_ns = self._clock.now_ns()
        if done != self._saved and now_ns - self._saved_ns >= SYNC_S * 1e9:
            self._saved, self._saved_ns = done, now_ns
            waiting = sum(takes.waiting().values())
            send_message(self._pipe, messages.SavingProgress(waiting))

    # --- problems

    def _guarded(self, action: Callable[..., None], *arguments: object) -> None:
        try:
            action(*arguments)
        except DeepLabStreamError as error:
            self._problems.append((str(error), False))
        except OSError as error:
            self._fail(_sentence(error))

    def _troubled(self, text: str, whole: bool = False) -> None:
        """Queue a problem of a video, or of the whole run; called from other threads."""
        self._problems.append((text, whole))
        self._wake()

    def _file_began(self, path: Path, begin: datetime) -> None:
        """Queue a note with the date and time of a video's begin; called from other threads."""
        text = f"{path.name} begins at {begin.isoformat(timespec='milliseconds')}"
        self._notes.append(Note("video", text, self._clock.now_ns()))
        # the first file too: with the start of a recording, earlier runs are looked through
        self._retention.request()

    def _write_notes(self) -> None:
        while self._notes:
            self._write(self._notes.popleft())

    def _report_retention(self, reports: Sequence[RetentionReport]) -> None:
        for report in reports:
            self._write(Note("retention", report.text, self._clock.now_ns()))
            if report.problem:
                problem = messages.ProblemReport(report.text, grave=False)
                send_message(self._pipe, problem)

    def _end_takes(self, text: str) -> None:
        """Stop recording videos and report why; the tables continue."""
        send_message(self._pipe, messages.RecorderFailed(text))
        self._not_saved.append(text)
        if self._takes:
            self._stop_recording()
        if self._run is not None:
            self._write(Note("recording", text, self._clock.now_ns()))

    def _fail(self, text: str) -> None:
        """End the run: keep the written files, report why, continue draining the journal.

        Events that follow are written when the disk takes them.
        """
        # The disk has failed, so any step may fail; the next one is tried anyway.
        if self._takes:
            with suppress(OSError):
                self._stop_recording()
        self._not_saved.append(text)
        run = self._released()
        for rows in self._rows.values():
            if rows.active:
                self._accounts.append(rows.end())
        if run is not None:
            self._failed = self._failed_run(run.folder, f"failed: {text}")
            self._failed.write_now()
        self._lock.close()
        # what other threads have reported meanwhile has the same cause
        self._problems.clear()
        send_message(self._pipe, messages.RecorderFailed(text, whole=True))

    def _failed_run(self, folder: RunFolder, how: str) -> FailedRun:
        """Return the run that the disk has ended, and keep the events that follow."""
        now, accounts = datetime.now().astimezone(), [*self._accounts]
        not_saved = self._not_saved

        def end() -> None:
            folder.update(not_saved=not_saved)
            folder.finish(now, how, accounts)

        failed = FailedRun(folder, self._attached.start_ns, end)
        # those after the one whose row the disk has refused
        failed.take(self._journal.unrecorded())
        self._journal.recorded()
        return failed

    def _leave_failed(self) -> None:
        """Try a last time to write what the run lacks that the disk has ended; report the rest."""
        failed, self._failed = self._failed, None
        if failed is None:
            return
        failed.write_now()
        if missing := failed.missing:
            self._not_saved.append(missing)
            with suppress(OSError):
                failed.folder.update(not_saved=self._not_saved)
            text = f"{failed.folder.path.name}: {missing}"
            send_message(self._pipe, messages.ProblemReport(text, grave=False))

    def _report_progress(self) -> None:
        takes, now_ns = self._takes, self._clock.now_ns()
        if not takes:
            return
        recorded = takes.recorded()
        # at once when a camera has its first frame: the experiment waits for that
        begun = sum(frames > 0 for frames in recorded.values())
        if begun != self._begun or now_ns - self._progress_ns >= SYNC_S * 1e9:
            self._progress_ns, self._begun = now_ns, begun
            progress = messages.RecordingProgress(
                recorded, takes.losses(), takes.waiting(), self._number
            )
            send_message(self._pipe, progress)
            self._warn(progress.losses)

    def _warn(self, losses: Mapping[str, int]) -> None:
        """Report once per recording that disk or encoder is too slow for a camera."""
        for camera, lost in losses.items():
            if lost and camera not in self._late:
                self._late.add(camera)
                self._not_saved.append(f"[Camera {camera}] frames, see the accounting")
                text = (
                    f"[Camera {camera}] frames are lost to the video: disk or encoder do "
                    f"not keep up ({lost} so far)"
                )
                send_message(self._pipe, messages.ProblemReport(text, grave=False))
                if self._run is not None:
                    self._write(Note("recording", text, self._clock.now_ns()))


def _sentence(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"Recording has ended, the disk failed: {error.strerror or error}{where}"
