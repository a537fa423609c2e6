"""Earlier run: what a run that continues one takes over from its record.

The counts of triggers and what the experiment has reached come from the recorded frames and
commands. Where the record may lack its end, the larger amount counts.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from deeplabstream.core.command import Command, Mark
from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.engine.session.recorded_onsets import (
    ExperimentSpan,
    RecordedOnsets,
    check_whole,
    refuse,
)
from deeplabstream.files.exclusive_writing import is_locked
from deeplabstream.plugins.experiment import Reached
from deeplabstream.plugins.experiment_record import ExperimentRecord
from deeplabstream.plugins.onset_counter import OnsetCounts
from deeplabstream.plugins.random_seed import DRAWN
from deeplabstream.recording.cell_formats import is_command, parse_command
from deeplabstream.recording.resumed_state import ResumedState, resumed_of
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_json import stream_start, validate_facts
from deeplabstream.recording.run_schema import check_schema
from deeplabstream.recording.table_reader import (
    events_table,
    experiment_boundaries,
    is_experiment_boundary,
)
from deeplabstream.settings.arena_instances import arena_of
from deeplabstream.settings.ini_editing import set_value
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings

UNRECORDED_S = 2.0
"""Time that may be missing at the end of a run that was killed: its files are synchronised with
the disk twice a second."""
_LAST_RUNS = 10
_CONTINUABLE = re.compile(
    r"stopped|failed: (\[(Output|Input|Camera)|its recording|the recorder)"
)
"""Beginning of the end of an experiment that can go on: neither over nor ended by its plan."""


class NothingToResumeError(DeepLabStreamError):
    """A run is readable, but this one can't continue it."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """Request to continue a run."""

    run: Path
    required: bool = True
    """Whether a run that can't be continued refuses the start; else the experiment starts from
    its beginning."""


class EarlierRun:
    """A run that may be continued.

    DeviceError: it can't be read, or is still being written. SettingsError: its settings can't
    be used.
    """

    def __init__(self, path: Path) -> None:
        if not (path / "run.json").is_file():
            raise DeviceError(f"{path} can't be continued: it has no run.json")
        self.path = path
        self._folder = folder = RunFolder(path)
        try:
            facts = folder.facts
        except (OSError, ValueError, TypeError) as error:
            raise DeviceError(
                f"{path} can't be continued: run.json is damaged. Repair it by "
                "utils/RepairRun.py, or start without continuing it"
            ) from error
        check_schema(path, facts)
        self.facts, bad = validate_facts(facts)
        if bad:
            raise DeviceError(
                f"{path} can't be continued: run.json has no valid {', '.join(bad)}"
            )
        if is_locked(path / "run.json"):
            raise DeviceError(
                f"{path} can't be continued: it is still being written; end that run first"
            )
        self.settings = parse(folder.settings_text, path)
        self.settings = replace(self.settings, resumed=resumed_of(self.facts))

    @property
    def _is_whole(self) -> bool:
        """Whether the run was closed, so that nothing is missing at its end."""
        return self.facts["ended"] is not None and self.facts["how"] != "killed"

    def was_interrupted(self, settings: Settings) -> bool:
        """Return whether its experiment ran when it ended without the record of an end.

        NothingToResumeError: it is of another animal or other settings; DeviceError: its record
        can't be read.
        """
        if self._is_whole:
            return False
        self._check_same(self.with_seeds(settings))
        # the window asks: of the events of days, only these lines are parsed
        span = self._span(experiment_boundaries(self._folder.events_path))
        if span is None:  # it was interrupted before it continued another run
            return self.settings.resumed is not None
        return span.ended_ns is None

    def with_seeds(self, settings: Settings) -> Settings:
        """Return settings in which each `SEED = new` has the number of this run."""
        own, text = read_sections(self.settings.text).texts, settings.text
        for title, texts in read_sections(text).texts.items():
            seed = own.get(title, {}).get("SEED")
            if texts.get("SEED", "").casefold() == DRAWN and seed:
                text = set_value(text, title, "SEED", seed)
        if text == settings.text:
            return settings
        return replace(parse(text, settings.folder), started=settings.started)

    def resumed(self, settings: Settings, start_ns: int, started: datetime) -> Settings:
        """Return the settings of a stream that continues this run.

        `start_ns`, `started`: its start, by the monotonic clock and by the date.
        NothingToResumeError: it is of another animal or other settings, or has ended.
        """
        self._check_same(settings)
        boundaries = [
            (float(row["time_s"]), row["text"])
            for row in self._events
            if is_experiment_boundary(row["kind"], row["name"], row["text"])
        ]
        span = self._span(boundaries)
        if span is None and self.settings.resumed is None:
            raise NothingToResumeError(
                f"the experiment of {self.path.name} had not begun"
            )
        try:
            state = self._state(span, self._elapsed_s(start_ns, started))
        except (OSError, ValueError, KeyError) as error:
            raise DeviceError(f"{self.path} can't be continued: {error}") from error
        return replace(settings, resumed=state)

    def _check_same(self, settings: Settings) -> None:
        """Raise NothingToResumeError unless animals, experiment and triggers are the same."""
        before, name = self.settings, settings.experiment.exp_name
        about = f"the run {self.path.name} is not continued"
        if before.subject.animal != settings.subject.animal or (
            before.subjects != settings.subjects
        ):
            raise NothingToResumeError(f"{about}: it is of another animal")
        if before.experiment.exp_name != name or name not in settings.experiments:
            raise NothingToResumeError(f"{about}: EXP_NAME is another one")
        if before.arena_experiments != settings.arena_experiments:
            raise NothingToResumeError(f"{about}: EXPERIMENTS of [Arenas] has changed")
        used = {f"Experiment {it}" for it in settings.experiments_in_use}
        kept = {key.upper() for key in settings.experiments[name].kind.progress}
        own, texts = (read_sections(it.text).texts for it in (before, settings))
        for title in dict.fromkeys([*own, *texts]):
            is_used = title in used or title.startswith("Trigger ")
            first, second = own.get(title, {}), texts.get(title, {})
            differing = [
                key
                for key in dict.fromkeys([*first, *second])
                if first.get(key) != second.get(key)
            ]
            if title == f"Experiment {name}":
                differing = [key for key in differing if key not in kept]
            if is_used and differing:
                raise NothingToResumeError(
                    f"{about}: [{title}] {', '.join(differing)} has changed since"
                )

    def _elapsed_s(self, start_ns: int, started: datetime) -> float:
        """Return the time from its Start Stream to another one; of two clocks the shorter.

        After a restart of the computer, the monotonic clock is a new one.
        """
        by_date = (started - stream_start(self.facts)).total_seconds()
        by_clock = (start_ns - int(self.facts["start_ns"])) / 1e9
        return max(min(by_date, by_clock) if by_clock > 0 else by_date, 0.0)

    def _span(self, boundaries: Iterable[tuple[float, str]]) -> ExperimentSpan | None:
        """Return the part with the last experiment; None: none began.

        `boundaries`: times, s, and texts of the starts and ends: see `experiment_boundaries`.

        DeviceError: it has ended, and must not go on.
        """
        start_ns, span, how = int(self.facts["start_ns"]), None, ""
        for time_s, text in boundaries:
            time_ns = start_ns + round(time_s * 1e9)
            if text == "started":
                span, how = ExperimentSpan(time_ns, None), ""
            elif span is not None and span.ended_ns is None:
                span, how = replace(span, ended_ns=time_ns), text
        if how and not _CONTINUABLE.match(how):
            raise DeviceError(
                f"{self.path} can't be continued: its experiment has ended ({how})"
            )
        return span

    @cached_property
    def _events(self) -> list[dict[str, str]]:
        """The rows of its events; DeviceError: some can't be read."""
        table = events_table(self._folder.events_path)
        rows = [*table.rows()]
        check_whole(table)
        return rows

    def _state(self, span: ExperimentSpan | None, elapsed_s: float) -> ResumedState:
        """Return what continues `elapsed_s` after Start Stream of this run."""
        before, name = self.settings.resumed, self.settings.experiment.exp_name
        lasted_s, last_s = self.settings.earlier_s, 0.0
        counts = dict(before.triggers) if before else {}
        reached = dict(before.reached) if before else {}
        if span is not None:
            frames = RecordedOnsets(self._folder, self.settings, span, self._sham(span))
            is_cut = span.ended_ns is None
            margin_s = UNRECORDED_S if is_cut and not self._is_whole else 0.0
            counts |= frames.counts(is_cut, margin_s)
            last_s, first_s = frames.last_s + margin_s, frames.first_s
            lasted_s += max(last_s - first_s, 0.0)
            reached = self._reached(span, first_s, max(last_s - first_s, 0.0))
        # no time of the earlier run may be later than the start of this one
        elapsed_s = max(elapsed_s, last_s)
        return ResumedState(
            run=str(self.path),
            sentence=self._sentence(counts, reached, lasted_s, elapsed_s - last_s),
            experiment=name,
            lasted_s=lasted_s,
            triggers={it: count.later(elapsed_s) for it, count in counts.items()},
            reached=reached,
        )

    def _sham(self, span: ExperimentSpan) -> dict[str, list[tuple[float, bool]]]:
        """Return by trigger when sham onsets begin (True) and end, in s."""
        found: dict[str, list[tuple[float, bool]]] = {}
        start_ns = int(self.facts["start_ns"])
        for row in self._events:
            time_ns = start_ns + round(float(row["time_s"]) * 1e9)
            if (row["kind"], row["name"]) != ("note", "trigger") or not span.has(
                time_ns
            ):
                continue
            title, _, what = row["text"].partition("] sham ")
            if not what:
                continue
            begins, _, time_s = what.partition(" at ")
            trigger = title.removeprefix("[Trigger ")
            moment = float(time_s.removesuffix(" s")), begins == "begins"
            found.setdefault(trigger, []).append(moment)
        return found

    def _reached(
        self, span: ExperimentSpan, first_s: float, lasted_s: float
    ) -> dict[str, Reached]:
        """Return by arena what the experiment has reached; nothing of one that keeps nothing."""
        arenas = self.settings.arenas
        commands = [*self._commands(span)]
        path = self._folder.table_path(self.settings.deciding_camera)
        if commands and not path.is_file():
            refuse(self.path, f"it has no {path.name}")
        of_arena: dict[str, list[tuple[float, Command]]] = {}
        for time_s, command in commands:
            arena, own = _in_arena(command, arenas)
            of_arena.setdefault(arena, []).append((time_s - first_s, own))
        found = dict[str, Reached]()
        for arena, experiment in self.settings.new_experiments().items():
            record = ExperimentRecord(tuple(of_arena.get(arena, ())), lasted_s)
            try:
                reached = experiment.reached(record)
            except Exception as error:
                raise DeviceError(
                    f"{self.path} can't be continued: reached() of [Experiment "
                    f"{self.settings.experiment_name(arena)}] failed: {error!r}"
                ) from error
            if reached is not None:
                found[arena] = {key: float(number) for key, number in reached.items()}
        return found

    def _commands(self, span: ExperimentSpan) -> Iterator[tuple[float, Command]]:
        """Yield the commands of the experiment in order, with their times in s.

        An intent without its command counts: the program ended between both.
        """
        start_ns, decided = int(self.facts["start_ns"]), set[str]()
        rows = [
            row
            for row in self._events
            if row["kind"] in ("command", "mark", "intent")
            and span.has(int(row["decided_ns"]))
        ]
        for row in rows:
            if row["kind"] != "intent":
                decided.add(row["decided_ns"])
                yield (int(row["exposed_ns"]) - start_ns) / 1e9, parse_command(row)
        for row in rows:
            if row["decided_ns"] not in decided and is_command(row["text"]):
                yield (int(row["decided_ns"]) - start_ns) / 1e9, parse_command(row)

    def _sentence(
        self,
        counts: Mapping[str, OnsetCounts],
        reached: Mapping[str, Reached],
        lasted_s: float,
        gap_s: float,
    ) -> str:
        name = self.settings.experiment.exp_name
        about = [f"{lasted_s:.1f} s of {name}"]
        for arena, numbers in reached.items():
            place = f"{arena}: " if arena else ""
            about += [f"{place}{key} {number:g}" for key, number in numbers.items()]
        about += [
            f"[Trigger {trigger}] {count.number} onsets, {count.total_s:.1f} s true"
            for trigger, count in counts.items()
            if count.number
        ]
        begins = (
            ""
            if reached
            else "; the experiment keeps nothing and starts from its beginning"
        )
        return (
            f"goes on from the run {self.path.name} after a gap of {gap_s:.1f} s: "
            f"{', '.join(about)}{begins}"
        )


def _in_arena(command: Command, arenas: Mapping[str, Any]) -> tuple[str, Command]:
    """Return the arena of a command, and the command as the arena's plan has yielded it."""
    if isinstance(command, Mark):
        arena, _, text = command.text.partition(": ")
        return (arena, Mark(text)) if arena in arenas else ("", command)
    return arena_of(command.output, arenas), command


def newest_run(settings: Settings) -> Path:
    """Return the newest run in OUTPUT_DIRECTORY with the animal of the settings.

    DeviceError: there is none.
    """
    root, animal = settings.output_directory, settings.subject.animal
    found: list[tuple[str, Path]] = []
    for file in root.glob("*/run.json"):
        with suppress(OSError, ValueError, TypeError, AttributeError):
            facts = RunFolder(file.parent).facts
            if (facts.get("session") or {}).get("animal", "") == animal:
                found.append((str(facts["started"]), file.parent))
    if not found:
        of = f" of the animal {animal}" if animal else ""
        raise DeviceError(f"there is no run{of} in {root} that can be continued")
    return max(found)[1]


def interrupted_run(settings: Settings) -> Path | None:
    """Return the last run in OUTPUT_DIRECTORY, if it was interrupted; None: it was not.

    Its end was not recorded, as after a power cut, while an experiment ran that these settings
    can continue.
    """
    found: list[tuple[float, Path]] = []
    for file in settings.output_directory.glob("*/run.json"):
        with suppress(OSError):
            found.append((file.stat().st_mtime, file.parent))
    # of thousands of runs, only the last ones are read
    started: list[tuple[str, Path]] = []
    for _, path in sorted(found)[-_LAST_RUNS:]:
        with suppress(OSError, ValueError, TypeError, KeyError):
            started.append((str(RunFolder(path).facts["started"]), path))
    if not started:
        return None

    path = max(started)[1]
    try:
        return path if EarlierRun(path).was_interrupted(settings) else None
    except (DeepLabStreamError, OSError, ValueError, KeyError):
        return None
