"""Box session: a rig session that reports its state to the rack once a second."""

import os
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from deeplabstream.core.command import Mark
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Note, Step
from deeplabstream.engine.left_out_errors import LeftOutErrors
from deeplabstream.engine.session.headless import activity_of
from deeplabstream.engine.session.messages import CAMERA_BACK, CAMERA_LOST
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Alarm, Counts, Failed, News
from deeplabstream.files.atomic_replace import RewrittenFile
from deeplabstream.rack.alarms.alarm_log import AlarmLogReader
from deeplabstream.rack.analysis_rates import AnalysisRates
from deeplabstream.rack.box_restart import Interruption, Restart
from deeplabstream.rack.box_status import BoxAlarm, BoxStatus
from deeplabstream.rack.image_watch import ImageWatch
from deeplabstream.rack.shown_steps import ShownSteps
from deeplabstream.settings.sections import Settings

INTERVAL_NS = 1_000_000_000
"""Time between two reports."""
LATENCIES = 2000
"""Number of the last analysed frames whose latency is reported."""
_MOST_ALARMS = 50
_SAME_NS = 5_000_000_000
"""Time in which an alarm with the same text is one: it may be reported in two ways."""
_TRIAL = "trial "
"""Beginning of the mark with which an experiment starts a trial."""
_OVER = " over"
_FINISHED = "finished"
"""Beginning of the engine's note on the planned end of an experiment."""


class BoxSession(RigSession):
    """A session that writes a `BoxStatus` to a file while it is polled."""

    def __init__(
        self,
        settings: Settings,
        file: Path,
        restart: Restart | Interruption | None = None,
        alarm_events: AlarmLogReader | None = None,
    ) -> None:
        """Store the file of the status, and the restart that the record has to name.

        `alarm_events`: what becomes of alarms, also for the record.
        """
        super().__init__(settings)
        self._file, self._rewritten = file, RewrittenFile(file)
        self._alarm_events = alarm_events
        self._restart = restart
        self._finished = False
        self._number = self._trials = 0
        self._analysed: Counter[str] = Counter()
        self._analysis_rates, self._image_watch = AnalysisRates(), ImageWatch()
        self._latencies_ns: deque[int] = deque(maxlen=LATENCIES)
        self._left_out = LeftOutErrors()
        self._counts: Mapping[str, Counts] = {}
        self._alarm = ""
        self._alarms: deque[BoxAlarm] = deque(maxlen=_MOST_ALARMS)
        self._warned_ns = self._alarm_count = 0
        self._warned: set[str] = set()
        self._written_ns = self._clock.now_ns()
        self._reported: set[int] = set()
        """Numbers of the processes in the last report."""
        self._reported_run = ""
        self._shown = ShownSteps()

    def close(self, how: str = "stopped") -> None:
        """End all processes, and remove what is shown of the poses."""
        super().close(how)
        self._shown.close()

    def poll(self) -> Sequence[News]:
        """Poll the session; report its state if a second has passed."""
        news = super().poll()
        newest: dict[str, Step] = {}
        for entry in news:
            self._count(entry)
            if isinstance(entry, Step):
                newest[entry.camera] = entry
        for camera, step in newest.items():
            threshold = self.state.thresholds.of(camera)
            self._shown.write(step, threshold, self.state.levels)
        self._write_restart()
        # counts are empty after the stream has ended: keep the last ones
        self._counts = self.state.counts or self._counts
        now_ns = self._clock.now_ns()
        if now_ns - self._written_ns < INTERVAL_NS:
            self._report_start(now_ns)
        else:
            self._check_rates(now_ns)
            self._check_images(now_ns)
            self._add_warnings()
            self._record_alarm_events()
            self.report(now_ns)
        return news

    def _report_start(self, now_ns: int) -> None:
        """Report new processes and a new run folder at once: the rack guards them from then on."""
        numbers = {process.pid for process in self.processes() if process.pid}
        run = str(self.state.run_folder or "")
        if not numbers <= self._reported or run not in ("", self._reported_run):
            self.report(now_ns)

    @property
    def _nominal(self) -> dict[str, float]:
        """Nominal frame rate (1/s) of each analysed camera; a camera may not know it."""
        formats = self.state.formats
        rates = {
            name: formats[name].rate
            for name, camera in self.settings.cameras.items()
            if camera.analyse and name in formats
        }
        return {name: rate for name, rate in rates.items() if rate}

    def _check_rates(self, now_ns: int) -> None:
        """Raise an alarm for each camera with too few analysed frames."""
        rings = self._processes.rings if self._processes is not None else {}
        nominal = {
            name: rate
            for name, rate in self._nominal.items()
            if self.state.analysing and name in rings and not rings[name].awaits_trigger
        }
        for text in self._analysis_rates.check(nominal, now_ns):
            self._raise_alarm(text, now_ns)

    def _check_images(self, now_ns: int) -> None:
        """Raise an alarm for each camera whose images are black, or all the same."""
        for camera in self.rings():
            frame = self.newest(camera)
            if frame is not None:
                for text in self._image_watch.check(frame, now_ns):
                    self._raise_alarm(text, now_ns)

    def _raise_alarm(self, text: str, now_ns: int) -> None:
        """Report an alarm that the box itself has found, also in the record."""
        self._add_alarm(text, urgent=True)
        self.note("analysis", text)
        self._set_state(self.state.with_alarm(Alarm(text, now_ns)))

    def _add_alarm(self, text: str, urgent: bool) -> None:
        """Add an alarm to those of the report."""
        now_ns = self._clock.now_ns()
        recent = [old for old in self._alarms if now_ns - old.time_ns < _SAME_NS]
        if any(old.text == text and (old.urgent or not urgent) for old in recent):
            return
        if self._alarms:
            now_ns = max(now_ns, self._alarms[-1].time_ns + 1)
        self._alarm_count += 1
        self._alarms.append(BoxAlarm(text, urgent, now_ns))

    def _add_warnings(self) -> None:
        """Add new warnings on the analysis and the computer."""
        for alarm in self.state.alarms:
            if alarm.time_ns > self._warned_ns:
                self._warned_ns = alarm.time_ns
                self._add_alarm(alarm.text, urgent=False)
        warnings = self.state.system.warnings if self.state.system else {}
        for keyword in warnings.keys() - self._warned:
            self._add_alarm(warnings[keyword], urgent=False)
        self._warned = {*warnings}

    def _record_alarm_events(self) -> None:
        """Write into the record what has become of alarms of this box."""
        if self._alarm_events is None:
            return
        box = self._file.parent.name
        for event in self._alarm_events.read():
            if event.box == box and event.event != "raised":
                self.note("alarm", event.sentence)

    def _write_restart(self) -> None:
        """Write the restart into the record, as soon as there is one."""
        if self._restart is not None and self.state.run_folder is not None:
            self.note("rack", self._restart.sentence(self._clock.now_ns()))
            self._restart = None

    def report(self, now_ns: int, ended: bool = False) -> None:
        """Write the status; a file that can't be written does not end the box.

        `ended`: it is the last one.
        """
        status = self.status(now_ns, ended)
        self._written_ns = now_ns
        self._reported = {*status.processes.values()}
        self._reported_run = status.run_folder
        self._analysed.clear()
        try:
            status.write(self._rewritten)
        except DeviceError as error:
            self._alarm = str(error)

    def status(self, now_ns: int, ended: bool = False) -> BoxStatus:
        """Return the status; rates are those since the last report."""
        self._number += 1
        seconds = max(now_ns - self._written_ns, 1) / 1e9
        counts = self._counts.values()
        losses = [count.lost for count in counts if count.lost is not None]
        latency = None
        if self._latencies_ns:
            p50, p99 = np.percentile(np.array(self._latencies_ns), (50, 99)) / 1e6
            latency = float(p50), float(p99)
        alarms, system = self.state.alarms, self.state.system
        return BoxStatus(
            number=self._number,
            state=activity_of(self.state),
            rates={
                name: self._analysed[name] / seconds
                for name, camera in self.settings.cameras.items()
                if camera.analyse
            },
            nominal_rates=self._nominal,
            left_out_px=self._left_out.medians_px if self.state.analysing else {},
            trials=self._trials,
            latency_ms=latency,
            lost=sum(losses) if len(losses) == len(counts) else None,
            lost_to_video=sum(count.recording_losses for count in counts),
            skipped=sum(count.skipped for count in counts),
            disk_free_gb=system.disk_free_gb if system else None,
            alarm=alarms[-1].text if alarms else self._alarm,
            alarms=tuple(self._alarms),
            alarm_count=self._alarm_count,
            run_folder=str(self.state.run_folder or ""),
            animal=self.settings.subject.animal,
            finished=self._finished,
            processes={
                "session": os.getpid(),
                **{p.name: p.pid for p in self.processes() if p.pid},
            },
            rings=self.rings(),
            steps=self._shown.rings,
            light=self.state.light_at(now_ns),
            ended=ended,
        )

    def _count(self, entry: News) -> None:
        if isinstance(entry, Step):
            self._analysed[entry.camera] += 1
            self._left_out.add([entry])
            self._analysis_rates.add(entry.camera)
            done_ns = max(entry.decided_ns, entry.written_ns)
            self._latencies_ns.append(done_ns - entry.exposed_ns)
            self._trials += sum(
                _starts_trial(command.text)
                for command in entry.commands
                if isinstance(command, Mark)
            )
        elif isinstance(entry, Failed):
            self._alarm = entry.text
            self._add_alarm(entry.text, urgent=entry.grave)
        elif isinstance(entry, Note) and entry.kind == "camera":
            if (
                lost := f"] {CAMERA_LOST}" in entry.text
            ) or f"] {CAMERA_BACK}" in entry.text:
                self._alarm = entry.text
                self._add_alarm(entry.text, urgent=lost)
        elif isinstance(entry, Note) and entry.kind == "experiment":
            self._finished = entry.text.startswith(_FINISHED)


def _starts_trial(mark: str) -> bool:
    """Return whether a mark starts a trial: `trial 3: tone`, `each: trial 2`."""
    text = mark.rpartition(": ")[2] if f": {_TRIAL}" in mark else mark
    return text.startswith(_TRIAL) and not text.endswith(_OVER)
