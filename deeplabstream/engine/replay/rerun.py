"""Re-run: recomputes the decisions of a recorded run and compares them with the record.

It needs the recorded poses only: no video, no network, no outputs.
"""

import csv
import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from deeplabstream.analysis.live_measures import measuring
from deeplabstream.core.clock import ManualClock
from deeplabstream.core.command import Command, Mark, Pulse, Set, Train
from deeplabstream.core.doses import Dose
from deeplabstream.core.errors import DeviceError, counted
from deeplabstream.core.frame import Frame, Image
from deeplabstream.core.journal_entries import ANALYSIS_STARTED, Note, Step
from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.engine.dose_accounts import doses_in_memory
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.output_bank import NOT_SWITCHED_ON, Watch, opened
from deeplabstream.engine.pose_filtering import FilteredPose, pose_filter_of
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.engine.space_tracking import space_tracker_of
from deeplabstream.recording.given_doses import DOSES, read_given
from deeplabstream.recording.light_facts import recorded_start
from deeplabstream.recording.moment_table import read_moments
from deeplabstream.recording.pose_corrections import poses_in_use
from deeplabstream.recording.recorded_frames import steps_in_use
from deeplabstream.recording.resumed_state import resumed_of
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.recording.run_opening import open_run_folder
from deeplabstream.recording.run_schema import IMPORTED
from deeplabstream.recording.table_reader import events_table, is_experiment_boundary
from deeplabstream.settings.loading import Settings
from deeplabstream.settings.ready_made import load_with
from deeplabstream.simulation.virtual_output import virtual_outputs
from deeplabstream.startup.progress import progress

_NO_FRAME: Image = np.zeros((1, 1), np.uint8)


@dataclass
class _RecordedPoses:
    """An estimator that returns the recorded pose."""

    skeleton: Skeleton
    threshold: float
    provider: str = "record"
    sha256: str = ""
    pose: Pose | None = None

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        return [self.pose] * len(images) if self.pose else []


@dataclass
class _RecordedBehaviours:
    """A classifier that returns the recorded behaviours."""

    unit: Literal["px", "mm"] = "px"
    behaviours: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, float] = field(default_factory=dict)

    def classify(self, pose: Pose, time_s: float) -> Mapping[str, float]:
        return self.behaviours

    def reset(self) -> None:
        """Do nothing, because there is no state."""


def rerun_decisions(
    settings: Settings,
    folder: RunFolder,
    throughout: bool = False,
    thresholds: Thresholds | None = None,
    watch: Watch = lambda entry: None,
) -> Iterator[tuple[Step, Step]]:
    """Yield the recorded step of each analysed frame, and the step with `settings`.

    At each frame the clock is set to the recorded time at which the pose was estimated, so
    that frames that were too old are too old again. Analysis and experiment begin and end
    as recorded; with `throughout` the experiment begins with the first frame, even if none
    ran. Limits of outputs per hour and day begin with what was given before, as the record
    has it. `thresholds` replace the confidences below which triggers saw NaN. `watch` gets
    what the simulated outputs do.
    """
    thresholds = thresholds or folder.thresholds
    facts = folder.facts
    start_ns = int(facts["start_ns"])
    if facts["model"] is None:
        raise DeviceError(f"no poses in {folder.path}")
    if "TURNED_DEG" not in facts.get("space", {"TURNED_DEG": 0}):
        # a run of an earlier version, whose calibration was not monitored
        settings = replace(settings, space=replace(settings.space, turned_deg=0.0))
    # the phases are those of the recorded time, whenever and wherever the run is read
    settings = replace(
        settings,
        started=recorded_start(facts),
        resumed=None if throughout else resumed_of(facts),
    )
    network = _RecordedPoses(folder.skeleton, thresholds.usual)
    behaviours = _RecordedBehaviours()
    clock, deciding = ManualClock(), settings.deciding_camera
    outputs = virtual_outputs(settings.outputs)
    ignore = [].append  # type: ignore[var-annotated]
    doses = doses_in_memory(outputs, clock)
    with opened(outputs, clock, watch, doses) as bank:
        rules = settings.experiment
        loop = Loop(
            network,
            rules,
            deciding,
            clock,
            ignore,
            start_ns,
            pose_filter=pose_filter_of(
                settings,
                thresholds,
                {camera: [behaviours] for camera in settings.cameras},
            ),
            inputs=lambda: behaviours.inputs,
            measuring=measuring(settings, folder.skeleton, thresholds),
            arenas=settings.arenas,
            space=space_tracker_of(settings),
            light=settings.light_cycle,
            earlier_s=settings.earlier_s,
        )
        loop.set_triggers(settings.new_triggers())
        boundaries = _Boundaries([] if throughout else _notes(folder, start_ns))
        in_space = settings.decides_in_space
        for recorded in _in_order(settings, folder):
            runs = throughout or bool(recorded.status)
            decides = in_space or recorded.camera == deciding
            for what in boundaries.before(recorded, decides, runs):
                loop.end()
                if what == "analysis":
                    loop.set_triggers(settings.new_triggers())
                elif what == "experiment":
                    for name, (at_ns, given) in boundaries.given.items():
                        if name in doses:
                            doses[name].begin_with(given, at_ns)
                    loop.begin(
                        settings.new_experiments(),
                        settings.new_triggers(),
                        bank,
                        settings.arena_experiments,
                    )
            catch_up(bank, clock, recorded.posed_ns)
            network.pose = recorded.pose
            behaviours.inputs = recorded.inputs
            behaviours.behaviours = recorded.behaviours
            yield recorded, loop.step(_frame(recorded))
        loop.end()


def filtered_poses(
    settings: Settings, folder: RunFolder, camera: str
) -> Iterator[tuple[float, FilteredPose]]:
    """Yield the filtered poses that triggers of `settings` get in a recorded run; times in s."""
    start_ns = int(folder.facts["start_ns"])
    pose_filter = pose_filter_of(settings, folder.thresholds)
    for step in folder.steps(camera):
        time_s = (step.exposed_ns - start_ns) / 1e9
        age_s = (step.posed_ns - step.exposed_ns) / 1e9
        yield time_s, pose_filter.filter(camera, step.pose, time_s, age_s)


_BoundaryKind: TypeAlias = Literal["analysis", "experiment", "end"]
"""Start of analysis or experiment, or end of the experiment."""
_Given: TypeAlias = Mapping[str, tuple[int, Sequence[tuple[float, Dose]]]]
"""By output: a time, ns, and the doses before it, each with its time before it, s."""


@dataclass(frozen=True)
class _BoundaryNote:
    """A note of a start or an end."""

    time_ns: int
    what: _BoundaryKind
    given: _Given = field(default_factory=dict)
    """What outputs with limits had given before the start of an experiment."""


class _Boundaries:
    """Starts of analysis and experiment, and ends of experiments, in a recorded run.

    They are read from the notes of the run. If these have no start of an experiment, the
    status of the frames is used; it can't show two experiments without a frame between them.
    """

    def __init__(self, notes: Iterable[_BoundaryNote]) -> None:
        self._notes = deque(notes)
        self._noted = any(note.what == "experiment" for note in self._notes)
        self._running = False
        self.given: _Given = {}
        """What outputs had given before the start that was yielded last."""

    def before(self, step: Step, decides: bool, runs: bool) -> Iterator[_BoundaryKind]:
        """Yield the boundaries since the previous step; `runs`: an experiment ran on `step`.

        An end with the time of a frame comes after that frame: its plan was still stepped.
        An experiment whose start note was lost is found by the status of the frame.
        """
        while self._notes:
            note = self._notes[0]
            slack_ns = _ROUNDED_NS if note.what == "end" else -_ROUNDED_NS
            if note.time_ns + slack_ns > step.posed_ns:
                break
            self._notes.popleft()
            self._running, self.given = note.what == "experiment", note.given
            yield note.what
        if decides and runs is not self._running and (runs or not self._noted):
            self._running, self.given = runs, {}
            yield "experiment" if runs else "end"


_ROUNDED_NS = 1000
"""Times of notes are rounded to 1 µs."""


def _notes(folder: RunFolder, start_ns: int) -> Iterator[_BoundaryNote]:
    """Yield the boundaries that the run's events contain."""
    table = events_table(folder.events_path)
    given: dict[str, tuple[int, Sequence[tuple[float, Dose]]]] = {}
    for time_s, *event in table.select("time_s", "kind", "name", "text"):
        time_ns = start_ns + round(float(time_s) * 1e9)
        if is_experiment_boundary(*event):
            what: _BoundaryKind = "experiment" if event[-1] == "started" else "end"
            yield _BoundaryNote(time_ns, what, given)
            given = {}
        elif event == ["note", *ANALYSIS_STARTED]:
            yield _BoundaryNote(time_ns, "analysis")
        elif event[:2] == ["note", DOSES] and (found := read_given(event[-1])):
            given[found[0]] = time_ns, found[1]


def _in_order(settings: Settings, folder: RunFolder) -> Iterator[Step]:
    """Yield the steps of all cameras in the order in which the engine processed them."""
    cameras = [
        name
        for name in settings.triggers_by_camera()
        if folder.table_path(name).exists()
    ]
    steps = (steps_in_use(folder, name) for name in cameras)
    in_order = heapq.merge(*steps, key=lambda step: step.posed_ns)
    if settings.space.calibration is None:
        yield from in_order
        return
    moments = read_moments(folder.moments_path, folder.skeleton.bodyparts)
    ended = {(moment.camera, moment.frame): moment.triggers for moment in moments}
    for step in in_order:
        yield replace(step, space_triggers=ended.get((step.camera, step.index), {}))


def _frame(step: Step) -> Frame:
    return Frame(step.camera, step.index, step.exposed_ns, step.arrived_ns, _NO_FRAME)


_MOST_TIMES = 12
DIFFERENCE_COLUMNS = ("time_s", "camera", "frame", "recorded", "now")


@dataclass(frozen=True, slots=True)
class DecisionDifference:
    """A frame on which the commands differ."""

    camera: str
    index: int
    time_s: float
    recorded: tuple[Command, ...]
    now: tuple[Command, ...]

    def __str__(self) -> str:
        place = f"frame {self.index} of {self.camera} ({self.time_s:.3f} s)"
        return f"{place}: recorded {commands_text(self.recorded)}; now {commands_text(self.now)}"


@dataclass
class _Course:
    """Summary of the answers of one trigger."""

    camera: str
    frames: int = 0
    held: int = 0
    onsets: list[float] = field(default_factory=list)
    last: bool | None = None

    def add(self, answer: bool | None, time_s: float) -> None:
        self.frames += 1
        self.held += answer is True
        if answer is True and self.last is not True:
            self.onsets.append(time_s)
        self.last = answer

    @property
    def share(self) -> float:
        return self.held / self.frames if self.frames else 0.0


@dataclass
class Comparison:
    """Comparison of the recorded decisions with the re-run ones; times are those of the run."""

    poses: str = ""
    """Which poses were used, where the run has corrections."""
    frames: int = 0
    experiment_frames: int = 0
    commands: int = 0
    """Number of commands in the recorded run."""
    differences: list[DecisionDifference] = field(default_factory=list)
    other_answers: Counter[str] = field(default_factory=Counter)
    """By trigger: number of frames with a different answer."""
    refused: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By output: how often its limits began to refuse commands, then and now."""
    _then: dict[str, _Course] = field(default_factory=dict)
    _now: dict[str, _Course] = field(default_factory=dict)
    _begun_then: Counter[str] = field(default_factory=Counter)
    _begun_now: Counter[str] = field(default_factory=Counter)

    @property
    def same(self) -> bool:
        """Whether the commands are the same, on the same frames."""
        return not self.differences

    def add(self, then: Step, now: Step, time_s: float) -> None:
        """Add one frame."""
        self.frames += 1
        self.experiment_frames += bool(then.status)
        self.commands += len(then.commands)
        if then.commands != now.commands:
            self.differences.append(
                DecisionDifference(
                    then.camera, then.index, time_s, then.commands, now.commands
                )
            )
        for courses, step in ((self._then, then), (self._now, now)):
            for name, answer in step.answers.items():
                course = courses.setdefault(name, _Course(step.camera))
                course.add(answer, time_s)
        before, after = then.answers, now.answers
        for name in before.keys() & after.keys():
            self.other_answers[name] += before[name] is not after[name]
        self._begun_then.update(begun(then.commands))
        self._begun_now.update(begun(now.commands))

    def lines(self, most: int = 50) -> Iterator[str]:
        """Yield the comparison as lines of text, with `most` differences at most."""
        yield (
            f"{self.frames} frames re-run, an experiment ran on "
            f"{self.experiment_frames} of them"
        )
        if self.poses:
            yield f"decided on {self.poses}"
        for difference in self.differences[:most]:
            yield str(difference)
        if len(self.differences) > most:
            yield f"… and {len(self.differences) - most} more"
        for name, course in self._now.items():
            yield from self._of_trigger(name, course)
        for name in sorted(self._begun_then | self._begun_now):
            then, now = self._begun_then[name], self._begun_now[name]
            if then != now:
                yield (
                    f"[Output {name}] was switched on {then} times, "
                    f"would be switched on {now} times"
                )
        for name, (then, now) in sorted(self.refused.items()):
            if then != now:
                yield (
                    f"[Output {name}]: limits per hour or day began to refuse commands "
                    f"{then} times, would begin {now} times"
                )
        if self.same:
            yield f"the same {counted(self.commands, 'command')}, on the same frames"
        else:
            count = len(self.differences)
            yield f"{counted(count, 'frame')} with different commands"

    def write(self, path: Path) -> None:
        """Write all differences as a table."""
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(DIFFERENCE_COLUMNS)
            for time_s, *cells in self.rows():
                table.writerow([f"{time_s:.6f}", *cells])

    def rows(self) -> Iterator[tuple[float, str, int, str, str]]:
        """Yield `DIFFERENCE_COLUMNS` of each difference; the time in seconds."""
        for it in self.differences:
            texts = commands_text(it.recorded), commands_text(it.now)
            yield it.time_s, it.camera, it.index, *texts

    def _of_trigger(self, name: str, now: _Course) -> Iterator[str]:
        then = self._then.get(name)
        if then is None:
            yield f"[Trigger {name}] is new: it would have held {now.share:.1%} of the time"
        elif other := self.other_answers[name]:
            yield (
                f"[Trigger {name}] differs on {other} frames: it held "
                f"{then.share:.1%} of the time, and would have held {now.share:.1%}"
            )
        else:
            return
        times = [f"{time_s:.3f}" for time_s in now.onsets[:_MOST_TIMES]]
        more = len(now.onsets) - len(times)
        yield (
            f"    onsets with these settings: {len(now.onsets)}"
            + (f", at {', '.join(times)}" if times else "")
            + (f" and {more} more times" if more > 0 else "")
            + (" s" if times and more <= 0 else "")
        )


def compare(
    settings: Settings, folder: RunFolder, throughout: bool = False
) -> Comparison:
    """Re-run a run with `settings`, and compare; DeviceError: it can't be re-run.

    With `throughout` the experiment begins with the first frame.
    """
    result = Comparison(poses=poses_in_use(folder.path, folder.corrected))
    start_ns = int(folder.facts["start_ns"])
    refused = Counter[str]()

    def watch(entry: object) -> None:
        if isinstance(entry, Note):
            refused.update(_refused(entry.kind, entry.text))

    whole = rerun_decisions(settings, folder, throughout, watch=watch)
    for then, now in progress(whole, "evaluating", _analysed(folder)):
        result.add(then, now, (then.exposed_ns - start_ns) / 1e9)
    recorded_refused = Counter(
        name
        for kind, about, text in events_table(folder.events_path).select(
            "kind", "name", "text"
        )
        if kind == "note"
        for name in _refused(about, text)
    )
    result.refused = {
        name: (recorded_refused[name], refused[name])
        for name in recorded_refused | refused
    }
    if not result.frames:
        recorded = ", ".join(folder.facts["cameras"]) or "none"
        analysed = ", ".join(settings.triggers_by_camera())
        raise DeviceError(
            f"{folder.path} has no analysed frames of the cameras in these settings "
            f"({analysed}); its cameras: {recorded}"
        )
    return result


def _refused(kind: str, text: str) -> list[str]:
    """Return the output of a note that a limit per hour or day has refused a command."""
    title, refused, _ = text.partition(NOT_SWITCHED_ON)
    is_refusal = kind == "output" and refused and title.startswith("[Output ")
    return [title.removeprefix("[Output ").removesuffix("]")] if is_refusal else []


def _analysed(folder: RunFolder) -> int:
    """Return the number of analysed frames according to the run's accounts."""
    accounts = validate_facts(folder.facts)[0]["accounting"]
    return sum(span["analysed"] or 0 for span in accounts)


def rerun(
    path: Path,
    settings: Path | None = None,
    experiment: str | None = None,
    report: Callable[[str], object] = lambda text: None,
    corrected: bool = False,
) -> Comparison:
    """Re-run the decisions of the run in the folder `path`, and compare.

    `settings` is a settings file, by default the run's own. An `experiment`, as
    `load_with` takes it, begins with the first frame. `report` gets a sentence for each
    repair of the run folder. The poses are the recorded ones; with `corrected`, they have
    the corrections of the run.
    DeviceError or SettingsError: the run or the settings can't be used.
    """
    folder = open_run_folder(path, report)
    folder.corrected = corrected
    if settings is None and folder.facts.get(IMPORTED):
        raise DeviceError(
            f"{path} was imported and has no decisions to compare; give settings to see "
            "what they would decide on its poses"
        )
    used = load_with(settings or path / "settings.ini", experiment)
    try:
        return compare(used, folder, throughout=experiment is not None)
    except (OSError, ValueError, KeyError) as error:
        raise DeviceError(f"{path} can't be re-run: {error}") from error


def commands_text(commands: Sequence[Command]) -> str:
    """Return commands as readable text: `light on, 'trial 1'`."""
    return ", ".join(map(_command_text, commands)) or "nothing"


def begun(commands: Sequence[Command]) -> Iterator[str]:
    """Yield the outputs that commands switch on."""
    for command in commands:
        if isinstance(command, Mark) or (
            isinstance(command, Set) and not command.level
        ):
            continue
        yield command.output


def _command_text(command: Command) -> str:
    match command:
        case Mark(text):
            return repr(text)
        case Set(output, level):
            return f"{output} {_level(level)}"
        case Pulse(output, seconds, level):
            return f"{output} {_level(level)} for {seconds:g} s"
        case Train(output, frequency, width_s, count, level):
            pulses = f"{counted(count, 'pulse')} of {1000 * width_s:g} ms, {frequency:g} a second"
            return f"{output} {_level(level)} for {pulses}"
    return str(command)


def _level(level: float) -> str:
    return {0.0: "off", 1.0: "on"}.get(level, f"at {level:.0%}")
