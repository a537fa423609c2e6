"""Dose accounts: the limits per hour and per day of outputs, held over restarts and kills.

A dose is on the disk before it is given: the file of an account has what was given, the doses
that have begun, and a reserve for the next command. Whatever ends the program, the next one
counts all of them as given, which may be too much and is never too little.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import NamedTuple

from deeplabstream.core.clock import Clock, SystemCalendar, asleep_ns, boot_id
from deeplabstream.core.command import Pulse, Set, Train
from deeplabstream.core.doses import (
    DAY_S,
    MOST_PULSES,
    Dose,
    DoseHistory,
    DoseLimit,
)
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Note
from deeplabstream.files.exclusive_writing import BeingWrittenError, exclusive
from deeplabstream.plugins.output import Output
from deeplabstream.recording.dose_file import (
    ClockReading,
    DoseFile,
    DoseStore,
    GivenDose,
    OutputRecord,
    dose_path,
)
from deeplabstream.settings.arena_instances import arena_of
from deeplabstream.settings.sections import Settings

WAIT_S = 0.2
"""Longest time that a command larger than all before waits for the disk."""
_PAUSE_S = 0.5
"""Shortest time between two writes of a file whose reserve suffices."""
_RETRY_S = 1.0
"""Time after which a write that failed is repeated."""
_SHORTEST_S = 0.001
"""An output is not switched on for less than this."""
_LOCK_S = 1.0
"""Time in which an engine that was killed releases a file."""
_CLOCK_SKEW = 1.02
"""Largest ratio of a device's clock to ours: its train may be ahead."""
_UNLIMITED = Dose(MOST_PULSES, inf)
_NOTHING = Dose()


@dataclass
class _BegunDose:
    """A dose that was charged in full and has not ended."""

    charged: Dose
    began_s: float
    train: Train | None

    def used(self, time_s: float) -> Dose:
        """Return what was given up to a time."""
        elapsed_s = max(time_s - self.began_s, 0.0)
        if self.train is None:
            return Dose(self.charged.pulses, elapsed_s)
        begun = int(elapsed_s * _CLOCK_SKEW * self.train.frequency) + 1
        pulses = min(begun, self.charged.pulses)
        return Dose(pulses, pulses * self.train.width_s)


class OutputDoses:
    """What one output has given, and may still give."""

    def __init__(
        self,
        output: Output,
        account: "DoseAccount",
        history: DoseHistory | None = None,
        largest: Dose = _NOTHING,
    ) -> None:
        self.limits = output.dose_limits
        self.history = history or DoseHistory()
        self.largest = largest
        """The largest command: the file has a reserve for another one."""
        self.total = _NOTHING
        """Doses since the account was opened, those that have begun in full."""
        self.covered = _NOTHING if account.store is not None else _UNLIMITED
        """The `total` up to which the file counts doses as given."""
        self.begun: _BegunDose | None = None
        self.granted_s = inf
        """On-time after which a limit ends the last `Set`; inf: none does."""
        self.granted_by = ""
        """Key of that limit."""
        self.refusal = ""
        """Why the last command was refused."""
        self._account = account
        self._max_on_s = output.max_on_s
        self._told = False

    @property
    def reserve_is_low(self) -> bool:
        """Whether the file must be written before another command of the largest size."""
        return not self.covered.includes(self.total + self.largest)

    def charge(
        self, command: Set | Pulse | Train, active_s: float | None, now_ns: int
    ) -> bool:
        """Count a command that switches on; return whether it may be carried out.

        `active_s`: how long the output, which is on, may stay on; None: it is off.
        """
        with self._account.changed:
            return self._charge(command, active_s, self._account.time_s(now_ns))

    def _charge(
        self, command: Set | Pulse | Train, active_s: float | None, time_s: float
    ) -> bool:
        running = self.begun.used(time_s) if self.begun else _NOTHING
        given = {
            limit: self.history.given(limit.window_s, time_s) + running
            for limit in self.limits
        }
        wanted, granted_s, granted_by = self._wanted(command, active_s), inf, ""
        for limit, dose in given.items():
            left = limit.left(dose)
            # the limit of the on-time ends a Set, which need not fit
            if isinstance(command, Set) and left.seconds < wanted.seconds:
                granted_s, granted_by = left.seconds, limit.key
                wanted = Dose(wanted.pulses, granted_s)
            if not left.includes(wanted) or left.seconds < _SHORTEST_S:
                self.refusal = self._reached(limit, dose, wanted, time_s)
                return False

        charged = self.begun.charged if self.begun else _NOTHING
        total = self.total - charged + running + wanted
        if not self._account.covers(self, total, wanted):
            self.refusal = self._account.why_not_covered
            return False

        self._settle(time_s)
        self.total, self._told = total, False
        self.granted_s, self.granted_by = granted_s, granted_by
        train = command if isinstance(command, Train) else None
        self.begun = _BegunDose(wanted, time_s, train)
        self._account.note_change()
        return True

    def _wanted(self, command: Set | Pulse | Train, active_s: float | None) -> Dose:
        """Return the largest dose that a command can give."""
        most_s = self._max_on_s
        if isinstance(command, Set):
            return Dose(1, most_s) if active_s is None else Dose(0, active_s)
        if isinstance(command, Pulse):
            return Dose(1, min(command.seconds, most_s))
        # MAX_ON_S counts from the first pulse of a train, its pauses included
        pulses = min(command.count, int(most_s * command.frequency) + 1)
        return Dose(pulses, pulses * command.width_s)

    def _reached(
        self, limit: DoseLimit, given: Dose, wanted: Dose, time_s: float
    ) -> str:
        """Return that a limit does not permit a dose, and when it does."""
        needed = Dose(wanted.pulses, max(wanted.seconds, _SHORTEST_S))
        free_s = self.history.free_at_s(limit, needed, time_s) - time_s
        again = "it does not fit into the limit"
        if free_s < inf:
            again = f"possible again in {_minutes(free_s)}"
        return f"{limit.text(given)}; {again}"

    def settle(self, now_ns: int) -> None:
        """Count a dose that has ended as what was given of it."""
        with self._account.changed:
            if self.begun is not None:
                self._settle(self._account.time_s(now_ns))
                self._account.note_change()

    def _settle(self, time_s: float) -> None:
        if (begun := self.begun) is None:
            return
        used, self.begun = begun.used(time_s), None
        self.total = self.total - begun.charged + used
        self.history.add(used, time_s)

    def is_news(self) -> bool:
        """Return whether the last refusal is the first one since a command was carried out."""
        is_news, self._told = not self._told, True
        return is_news

    def summary(self, now_ns: int) -> str:
        """Return how much was given, for each limit; empty: nothing."""
        with self._account.changed:
            time_s = self._account.time_s(now_ns)
            given = {it: self.history.given(it.window_s, time_s) for it in self.limits}
        return "; ".join(it.text(dose) for it, dose in given.items() if dose.pulses)

    def given_before(self, now_ns: int) -> list[tuple[float, Dose]]:
        """Return the doses of the last 24 hours, with the time since each, in s.

        Later doses are counted apart from them, as in a re-run that begins with them.
        """
        with self._account.changed:
            time_s = self._account.time_s(now_ns)
            self.history.close_entry()
            return [
                (time_s - at_s, dose)
                for at_s, dose in self.history.entries
                if time_s - at_s < DAY_S
            ]

    def begin_with(self, doses: Sequence[tuple[float, Dose]], at_ns: int) -> None:
        """Replace what was given by these doses, each with its time before `at_ns`, in s."""
        with self._account.changed:
            time_s = self._account.time_s(at_ns)
            self.history = DoseHistory((time_s - ago_s, dose) for ago_s, dose in doses)

    def record(self, time_s: float, with_reserve: bool) -> tuple[OutputRecord, Dose]:
        """Return its part of the file, and the `total` that this covers."""
        entries, covered = [*self.history.entries], self.total
        if (begun := self.begun) is not None:
            # it may last longer than it should: a device may be late
            full = begun.charged.at_least(begun.used(time_s))
            entries.append((time_s, full))
            covered += full - begun.charged
        given = tuple(GivenDose(at_s, it.pulses, it.seconds) for at_s, it in entries)
        largest = self.largest.pulses, self.largest.seconds
        reserved = largest if with_reserve else (0, 0.0)
        record = OutputRecord(given=given, reserved=reserved, largest=largest)
        return record, covered + Dose(*reserved)


class DoseAccount:
    """The doses of the outputs of one animal, and the thread that writes their file.

    Without a store nothing is written: a replay counts from zero.
    """

    def __init__(
        self,
        clock: Clock,
        store: DoseStore | None = None,
        animal: str = "",
        note: Callable[[Note], object] = lambda note: None,
        now: Callable[[], ClockReading] | None = None,
    ) -> None:
        self.store = store
        self.changed = threading.Condition()
        """The lock of all; notified when the file is to be written, and when it was."""
        self._clock, self._animal, self._note = clock, animal, note
        self._now = now or (lambda: _system_reading(clock))
        self._opened_ns, self._opened_s = clock.now_ns(), 0.0
        self._outputs: dict[str, OutputDoses] = {}
        self._others: dict[str, OutputRecord] = {}
        """Outputs of the file that are not open here."""
        self._dirty = self._stopped = False
        self._problem = ""
        self._thread = threading.Thread(target=self._run, name="doses", daemon=True)

    def open(self, outputs: Mapping[str, Output]) -> dict[str, OutputDoses]:
        """Read and write the file; return the doses of outputs, by their key in it.

        DeviceError: the file can't be read or written, or is of another animal.
        """
        records: dict[str, OutputRecord] = {}
        if self.store is not None and (found := self.store.read()) is not None:
            if found.animal != self._animal:
                raise DeviceError(
                    f"{self.store.path} is of the animal {found.animal}: names of animals must "
                    "differ in more than case"
                )
            elapsed_s = found.saved.elapsed_s(self._now())
            self._opened_s = found.clock_s + elapsed_s
            records = {**found.outputs}
        for key, output in outputs.items():
            self._outputs[key] = self._restored(output, records.pop(key, None))
        self._others = records
        if self.store is not None:
            self.save()
        return self._outputs

    def _restored(self, output: Output, record: OutputRecord | None) -> OutputDoses:
        if record is None:
            return OutputDoses(output, self)
        history = DoseHistory((it.time_s, Dose(*it[1:])) for it in record.given)
        # when it was given is not known: at the latest now
        history.add(Dose(*record.reserved), self._opened_s)
        return OutputDoses(output, self, history, Dose(*record.largest))

    def time_s(self, now_ns: int) -> float:
        """Return a time on the clock of the account, which no one sets."""
        return self._opened_s + (now_ns - self._opened_ns) / 1e9

    def covers(self, doses: OutputDoses, total: Dose, wanted: Dose) -> bool:
        """Return whether the file counts `total` as given; wait for it, at most `WAIT_S`."""
        if not doses.covered.includes(total):
            doses.largest = doses.largest.at_least(wanted)
            self.note_change()
            self.changed.wait_for(
                lambda: self._problem or doses.covered.includes(total), WAIT_S
            )
        return doses.covered.includes(total)

    @property
    def why_not_covered(self) -> str:
        """Why a dose can't be given: it would not survive a restart."""
        return self._problem or f"its dose file could not be written in {WAIT_S:g} s"

    def note_change(self) -> None:
        """Have the file written; the caller has the lock."""
        self._dirty = True
        self.changed.notify_all()

    def save(self, with_reserve: bool = True) -> None:
        """Write the file; DeviceError: that is not possible."""
        if self.store is None:
            return
        covered = dict[str, Dose]()
        records = {**self._others}
        with self.changed:
            self._dirty = False
            time_s = self.time_s(self._clock.now_ns())
            for key, doses in self._outputs.items():
                records[key], covered[key] = doses.record(time_s, with_reserve)
            moment = self._now()
        content = DoseFile(
            animal=self._animal, saved=moment, clock_s=time_s, outputs=records
        )
        self.store.write(content)
        with self.changed:
            self._problem = ""
            for key, doses in self._outputs.items():
                doses.covered = covered[key]
            self.changed.notify_all()

    def start(self) -> None:
        """Start the thread that writes the file after each change."""
        if self.store is not None:
            self._thread.start()

    def close(self) -> None:
        """End the thread, and write the file without a reserve."""
        with self.changed:
            self._stopped = True
            self.changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self.save(with_reserve=False)
        except DeviceError as error:
            self._fail(error)

    def _run(self) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._dirty or self._stopped)
                if self._stopped:
                    return
            pause_s = _PAUSE_S
            try:
                self.save()
            except DeviceError as error:
                self._fail(error)
                pause_s = _RETRY_S
            with self.changed:
                self.changed.wait_for(lambda: self._stopped or self._urgent, pause_s)

    @property
    def _urgent(self) -> bool:
        """Whether a reserve is low; after a failure, the pause is kept."""
        low = any(doses.reserve_is_low for doses in self._outputs.values())
        return low and not self._problem

    def _fail(self, error: DeviceError) -> None:
        is_new = False
        with self.changed:
            is_new, self._problem = not self._problem, str(error)
            self._dirty = True
            self.changed.notify_all()
        if is_new:
            text = f"Outputs with limits per hour or day stay off: {error}"
            self._note(Note("alarm", text, self._clock.now_ns()))


class DosePlace(NamedTuple):
    """Where the doses of an output are kept."""

    path: Path
    animal: str
    key: str


def dose_places(rig: Settings) -> dict[str, DosePlace]:
    """Return where the doses of the outputs with limits are kept: with their animal.

    The files of named animals are in PROGRESS_FOLDER if there is one, so that they follow
    the animal to another rig; else in OUTPUT_DIRECTORY.
    """
    places: dict[str, DosePlace] = {}
    for name, output in rig.outputs.items():
        if not output.dose_limits:
            continue
        arena = arena_of(name, rig.arenas)
        animal = rig.subjects.get(arena, "") if arena else rig.subject.animal
        folder = rig.output_directory
        if animal and rig.subject.progress_folder is not None:
            folder = rig.subject.progress_folder
        key = name.removesuffix(f".{arena}") if animal and arena else name
        path = dose_path(folder, animal)
        if any((it.path, it.key) == (path, key) for it in places.values()):
            key = name
        places[name] = DosePlace(path, animal, key)
    return places


@contextmanager
def open_accounts(
    outputs: Mapping[str, Output],
    places: Mapping[str, DosePlace],
    clock: Clock,
    note: Callable[[Note], object],
) -> Iterator[dict[str, OutputDoses]]:
    """Open the accounts of outputs with limits, for this program alone; yield their doses.

    DeviceError: a file can't be read or written, or another rig has the animal.
    """
    by_path = defaultdict[tuple[Path, str], list[str]](list)
    for name, place in places.items():
        by_path[place.path, place.animal].append(name)
    doses: dict[str, OutputDoses] = {}
    with ExitStack() as stack:
        for (path, animal), names in by_path.items():
            stack.enter_context(_alone(path))
            account = DoseAccount(clock, DoseStore(path), animal, note)
            opened = account.open({places[name].key: outputs[name] for name in names})
            doses |= {name: opened[places[name].key] for name in names}
            stack.callback(account.close)
            account.start()
        yield doses


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Refuse other programs the file for the block."""
    lock = ExitStack()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.enter_context(exclusive(path, _LOCK_S))
    except BeingWrittenError as error:
        raise DeviceError(
            f"{path} is in use: another rig counts doses for this animal"
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise DeviceError(f"{path.parent} can't be made: {reason}") from error
    with lock:
        yield


def doses_in_memory(
    outputs: Mapping[str, Output], clock: Clock
) -> dict[str, OutputDoses]:
    """Return the doses of outputs with limits, from zero, without files: for replays."""
    limited = {name: it for name, it in outputs.items() if it.dose_limits}
    return DoseAccount(clock).open(limited)


def _system_reading(clock: Clock) -> ClockReading:
    monotonic_s = (clock.now_ns() + asleep_ns()) / 1e9
    return ClockReading(
        utc=SystemCalendar().now(), boot=boot_id(), monotonic_s=monotonic_s
    )


def _minutes(seconds: float) -> str:
    """Return a time, rounded up.

    >>> _minutes(61), _minutes(5000)
    ('2 min', '1 h 24 min')
    """
    hours, minutes = divmod(-int(-seconds // 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
