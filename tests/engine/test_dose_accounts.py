"""Limits per hour and day, over restarts, kills, power cuts and clocks that are set."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplabstream.core.clock import ManualClock, SystemClock
from deeplabstream.core.command import Command, Pulse, Set, Train, off, on
from deeplabstream.core.doses import Dose
from deeplabstream.core.errors import DeviceError, SettingsError
from deeplabstream.core.journal_entries import Edge, Note
from deeplabstream.engine.dose_accounts import (
    DoseAccount,
    OutputDoses,
    dose_places,
    open_accounts,
)
from deeplabstream.engine.output_bank import OutputBank, opened
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.plugins.output import Output
from deeplabstream.recording.dose_file import (
    ClockReading,
    DoseFile,
    DoseStore,
    dose_path,
)
from deeplabstream.settings.loading import parse
from outputs.simulated_output import SimulatedOutput
from tests.outputs.stubborn import LASER, SECOND, Watcher

START = datetime(2026, 11, 26, 12, tzinfo=UTC)
MINUTE = 60 * SECOND


class Memory(DoseStore):
    """A disk of which a power cut leaves what was written."""

    content: DoseFile | None = None

    def read(self) -> DoseFile | None:
        return self.content

    def write(self, content: DoseFile) -> None:
        self.content = content


class Account(DoseAccount):
    """An account whose file is written at once, or only at requests: a slow disk."""

    slow = False

    def covers(self, doses: OutputDoses, total: Dose, wanted: Dose) -> bool:
        if not doses.covered.includes(total) and not self.slow:
            doses.largest = doses.largest.at_least(wanted)
            self.save()
        return doses.covered.includes(total)


class Computer:
    """A computer whose programs are killed, whose power fails, and whose date is set."""

    def __init__(self, output: Output) -> None:
        self.disk = Memory(Path("doses.json"))
        self.slow = False
        self.output = output
        self.true_ns = 0
        """Time that has passed in truth."""
        self.boot, self.boot_ns = 1, 0
        self.date = START
        """The date when the true time is 0, as the computer has it."""
        self.edges: list[tuple[int, float]] = []
        """What the output did in truth: times in ns and levels."""
        self.heard = Watcher()
        self._start()

    def _start(self) -> None:
        self.clock = clock = ManualClock(self.true_ns - self.boot_ns)
        boot, boot_ns = self.boot, self.boot_ns

        def now() -> ClockReading:
            true_s = (clock.now_ns() + boot_ns) / 1e9
            return ClockReading(
                utc=self.date + timedelta(seconds=true_s),
                boot=str(boot),
                monotonic_s=clock.now_ns() / 1e9,
            )

        self.account = Account(clock, self.disk, "m1", self.heard.append, now)
        self.account.slow = self.slow
        doses = self.account.open({"laser": self.output})
        self.manager = opened({"laser": self.output}, clock, self._watch, doses)
        self.bank: OutputBank = self.manager.__enter__()
        self.doses = doses["laser"]

    def _watch(self, entry: object) -> None:
        if isinstance(entry, Edge) and entry.cause != "open":
            at_ns = entry.written_ns + self.boot_ns
            self.edges.append((at_ns, entry.level))
        if isinstance(entry, Edge | Note):
            self.heard.append(entry)

    def wait(self, ns: int) -> None:
        self.true_ns += ns
        catch_up(self.bank, self.clock, self.true_ns - self.boot_ns)

    def command(self, *commands: Command) -> None:
        self.bank.apply(commands, self.clock.now_ns())

    def kill(self, power: bool, pause_ns: int = 0, date_s: float = 0.0) -> None:
        """Let nothing of this program happen any more; guards switch off, then another starts."""
        if self.bank.levels["laser"] > 0:
            self.edges.append((self.true_ns, 0.0))
        self.true_ns += pause_ns
        self.date += timedelta(seconds=date_s)
        if power:
            self.boot, self.boot_ns = self.boot + 1, self.true_ns
        self._start()

    def end(self) -> None:
        """End in order, and start again."""
        self.manager.__exit__(None, None, None)
        self.account.close()
        self._start()

    def most(self, window_ns: int) -> tuple[int, float]:
        """Return the most pulses and the longest on-time in any window of true time."""
        spans, began_ns = list[tuple[int, int]](), -1
        for at_ns, level in [*self.edges, (self.true_ns, 0.0)]:
            if level and began_ns < 0:
                began_ns = at_ns
            elif not level and began_ns >= 0:
                spans.append((began_ns, at_ns))
                began_ns = -1
        pulses = on_ns = 0
        for first_ns, _ in spans:
            last_ns = first_ns + window_ns
            own = [
                (start, min(end, last_ns)) for start, end in spans if first_ns <= start
            ]
            own = [(start, end) for start, end in own if start < last_ns]
            pulses = max(pulses, len(own))
            on_ns = max(on_ns, sum(end - start for start, end in own))
        return pulses, on_ns / 1e9


VALVE = SimulatedOutput(max_pulses_per_day=5, max_on_s=2.0)
LAMP = SimulatedOutput(max_on_s_per_hour=10.0, max_on_s=4.0)


def test_a_day_has_no_more_pulses_than_its_limit_whoever_kills_the_program() -> None:
    rig = Computer(VALVE)
    for number in count(1):
        rig.command(Pulse(LASER, 0.2))
        rig.wait(5 * MINUTE)
        rig.kill(power=number % 2 == 0)
        if number == 12:
            break
    pulses, _ = rig.most(24 * 60 * MINUTE)
    # each kill may cost a pulse that was not given: never one too many
    assert 2 <= pulses <= 5


def test_nothing_is_lost_by_a_program_that_ends_in_order() -> None:
    rig = Computer(VALVE)
    for _ in range(8):
        rig.command(Pulse(LASER, 0.2))
        rig.wait(SECOND)
        rig.end()
    assert rig.most(24 * 60 * MINUTE)[0] == 5
    assert (
        "[Output laser] was not switched on: 5 of 5 pulses in the last 24 h "
        "(MAX_PULSES_PER_DAY); possible again in 24 h 0 min" in rig.heard.notes
    )
    rig.wait(24 * 60 * MINUTE)
    rig.command(Pulse(LASER, 0.2))
    assert rig.bank.levels["laser"] == 1


@pytest.mark.parametrize("set_s", [-86_400.0, -3600.0, 0.0])
def test_a_date_that_is_set_back_gives_no_further_doses(set_s: float) -> None:
    rig = Computer(VALVE)
    for _ in range(5):
        rig.command(Pulse(LASER, 0.2))
        rig.wait(MINUTE)
    rig.kill(power=True, pause_ns=12 * 60 * MINUTE, date_s=set_s)
    rig.command(Pulse(LASER, 0.2))
    assert rig.bank.levels["laser"] == 0


def test_a_date_that_is_set_forward_counts_only_after_the_computer_was_off() -> None:
    rig = Computer(VALVE)
    for _ in range(5):
        rig.command(Pulse(LASER, 0.2))
        rig.wait(MINUTE)
    rig.kill(power=False, date_s=30 * 3600.0)
    rig.command(Pulse(LASER, 0.2))
    assert rig.bank.levels["laser"] == 0
    rig.kill(power=True, pause_ns=25 * 60 * MINUTE)
    rig.command(Pulse(LASER, 0.2))
    assert rig.bank.levels["laser"] == 1


def test_an_output_that_is_switched_on_goes_off_at_the_limit_of_its_on_time() -> None:
    rig = Computer(LAMP)
    for _ in range(4):
        rig.command(on(LASER))
        rig.wait(10 * SECOND)
        rig.command(off(LASER))
    assert rig.most(60 * MINUTE)[1] == pytest.approx(10.0)
    assert rig.heard.notes[-2:] == [
        "[Output laser] MAX_ON_S_PER_HOUR is reached: off until the experiment commands 0, "
        "or its pulses would have ended",
        "[Output laser] was not switched on: 10 of 10 s in the last hour "
        "(MAX_ON_S_PER_HOUR); possible again in 1 h 0 min",
    ]


def test_what_was_not_given_of_a_dose_can_be_given_later() -> None:
    rig = Computer(LAMP)
    for _ in range(9):
        rig.command(on(LASER))
        rig.wait(SECOND)
        rig.command(off(LASER))
    assert rig.most(60 * MINUTE)[1] == pytest.approx(9.0)


def test_a_train_counts_the_pulses_that_it_gave() -> None:
    rig = Computer(SimulatedOutput(max_pulses_per_hour=100))
    rig.command(Train(LASER, frequency=10, width_s=0.01, count=60))
    rig.wait(round(0.95 * SECOND))
    rig.command(off(LASER))
    rig.command(Train(LASER, frequency=10, width_s=0.01, count=60))
    assert rig.bank.levels["laser"] == 1
    rig.wait(10 * SECOND)
    assert "70 of 100 pulses" in rig.doses.summary(rig.clock.now_ns())
    rig.command(Train(LASER, frequency=10, width_s=0.01, count=60))
    assert rig.bank.levels["laser"] == 0
    rig.command(Train(LASER, frequency=10, width_s=0.01, count=30))
    assert rig.bank.levels["laser"] == 1


def test_a_level_that_is_lowered_is_never_refused() -> None:
    rig = Computer(SimulatedOutput(max_pulses_per_hour=1))
    rig.command(Pulse(LASER, 1.0))
    now_ns = rig.clock.now_ns()
    rig.bank.apply([on(LASER, 0.5)], now_ns, only_lower="the frame is too old")
    assert rig.bank.levels["laser"] == 0.5


def test_a_refusal_is_noted_once_until_a_command_is_carried_out() -> None:
    rig = Computer(SimulatedOutput(max_pulses_per_hour=1))
    for _ in range(50):
        rig.command(Pulse(LASER, 0.1))
        rig.wait(SECOND)
    assert sum("was not switched on" in note for note in rig.heard.notes) == 1


def test_an_experiment_begins_with_what_was_given_before() -> None:
    rig = Computer(SimulatedOutput(max_ul_per_day=1000, ul_per_s=10))
    rig.command(Pulse(LASER, 37.0))
    rig.wait(40 * SECOND)
    rig.kill(power=False)
    rig.bank.restart_totals(rig.clock.now_ns())
    # what the file had reserved before the dose
    assert rig.heard.notes[-1] == (
        "[Output laser] given before this experiment: 370 of 1000 µl in the last 24 h "
        "(MAX_UL_PER_DAY)"
    )


def test_a_damaged_file_opens_no_output(tmp_path: Path) -> None:
    path = tmp_path / "doses.json"
    path.write_text('{"animal": "m1", "saved"')
    with pytest.raises(DeviceError, match="can't be read, so it is not known what out"):
        DoseAccount(ManualClock(), DoseStore(path), "m1").open({"laser": VALVE})
    assert path.read_text() == '{"animal": "m1", "saved"'


def test_negative_doses_in_a_file_are_damage(tmp_path: Path) -> None:
    rig = Computer(VALVE)
    rig.command(Pulse(LASER, 0.1))
    store = DoseStore(tmp_path / "m1.json")
    assert rig.disk.content is not None
    store.write(rig.disk.content)
    assert store.read() == rig.disk.content
    content = json.loads(store.path.read_text())
    content["outputs"]["laser"]["reserved"][0] = -5
    store.path.write_text(json.dumps(content))
    with pytest.raises(DeviceError, match="can't be read"):
        store.read()


def test_a_disk_that_can_not_be_written_gives_no_dose(tmp_path: Path) -> None:
    folder = tmp_path / "doses"
    notes = list[Note]()
    clock, path = SystemClock(), folder / "m1.json"
    folder.mkdir()
    account = DoseAccount(clock, DoseStore(path), "m1", notes.append)
    doses = account.open({"laser": VALVE})
    account.start()
    try:
        path.unlink()
        path.mkdir()  # nothing can take its name any more
        with opened({"laser": VALVE}, clock, notes.append, doses) as bank:
            bank.apply([Pulse(LASER, 0.1)], clock.now_ns())
            assert bank.levels["laser"] == 0
    finally:
        account.close()
    texts = [note.text for note in notes if isinstance(note, Note)]
    assert any(text.startswith("Outputs with limits per hour") for text in texts)
    assert any("was not switched on: Can't write" in text for text in texts)


def test_the_first_pulse_waits_for_the_disk_and_the_next_finds_its_reserve(
    tmp_path: Path,
) -> None:
    clock, path = SystemClock(), tmp_path / "m1.json"
    account = DoseAccount(clock, DoseStore(path), "m1")
    doses = account.open({"laser": VALVE})["laser"]
    account.start()
    try:
        assert doses.charge(Pulse(LASER, 0.1), None, clock.now_ns())
        with account.changed:
            assert account.changed.wait_for(lambda: not doses.reserve_is_low, 30)
        content = DoseStore(path).read()
        assert content is not None
        assert content.outputs["laser"].reserved == (1, 0.1)
    finally:
        account.close()


RIG = """
[Streaming]
OUTPUT_DIRECTORY = runs
[Camera top]
KIND = SimulatedCamera
[Output water]
KIND = SimulatedOutput
MAX_PULSES_PER_DAY = 50
[Output lamp]
KIND = SimulatedOutput
[Session]
ANIMAL = m1
"""


def test_the_doses_of_an_animal_follow_it_where_its_progress_does(
    tmp_path: Path,
) -> None:
    (place,) = dose_places(parse(RIG, tmp_path)).values()
    assert place.path == tmp_path / "runs" / "doses" / "m1.json"
    rig = parse(f"{RIG}PROGRESS_FOLDER = animals\n", tmp_path)
    assert dose_places(rig)["water"].path == tmp_path / "animals" / "doses" / "m1.json"
    rig = parse(RIG.replace("ANIMAL = m1", "ANIMAL = a/b"), tmp_path)
    assert dose_places(rig)["water"].path.name == "a%2Fb.json"
    rig = parse(RIG.replace("ANIMAL = m1", ""), tmp_path)
    assert dose_places(rig)["water"].path.name == "without animal.json"


def test_an_animal_whose_doses_another_rig_counts_is_refused(tmp_path: Path) -> None:
    rig = parse(RIG, tmp_path)
    arguments = rig.outputs, dose_places(rig), SystemClock(), list[Note]().append
    with (
        open_accounts(*arguments),
        pytest.raises(DeviceError, match=r"m1.json is in use: another rig counts"),
        open_accounts(*arguments),
    ):
        raise AssertionError("two rigs give doses to one animal")
    with open_accounts(*arguments) as doses:
        assert [*doses] == ["water"]


def test_arenas_with_subjects_have_a_file_each(tmp_path: Path) -> None:
    arenas = (
        "[Arenas]\nROWS = 1\nCOLUMNS = 2\nCORNERS = 50 50, 90 50\nSHAPE = circle 9\n"
    )
    outputs = "".join(
        f"[Output water.A{number}]\nKIND = SimulatedOutput\nMAX_PULSES_PER_DAY = 5\n"
        for number in (1, 2)
    )
    text = f"[Camera top]\nKIND = SimulatedCamera\n{arenas}SUBJECTS = A1 fly 7, A2 -\n{outputs}"
    places = dose_places(parse(text, tmp_path))
    assert places["water.A1"].path == dose_path(tmp_path / "output", "fly 7")
    assert places["water.A1"].key == "water"
    assert places["water.A2"].path == dose_path(tmp_path / "output", "")
    assert places["water.A2"].key == "water.A2"


def test_a_volume_without_a_flow_is_a_problem(tmp_path: Path) -> None:
    text = RIG.replace("MAX_PULSES_PER_DAY", "MAX_UL_PER_DAY")
    with pytest.raises(SettingsError, match="needs UL_PER_S"):
        parse(text, tmp_path)


commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(Pulse, st.just(LASER), st.sampled_from([0.1, 0.5, 2.0, 9.0])),
    st.builds(
        Train,
        st.just(LASER),
        st.sampled_from([2.0, 10.0]),
        st.sampled_from([0.02, 0.05]),
        st.integers(1, 40),
    ),
    st.just(on(LASER)),
    st.just(on(LASER, 0.5)),
    st.just(off(LASER)),
)
events = st.one_of(
    st.tuples(st.just("command"), commands),
    st.tuples(st.just("command"), commands),
    st.tuples(st.just("wait"), st.sampled_from([0.03, 0.4, 3.0, 50.0, 700.0, 3500.0])),
    st.tuples(st.just("disk"), st.booleans()),
    st.tuples(st.just("kill"), st.booleans()),
    st.tuples(st.just("set back"), st.sampled_from([10.0, 4000.0, 90_000.0])),
    st.tuples(st.just("set forward"), st.sampled_from([10.0, 4000.0, 90_000.0])),
    st.tuples(st.just("end"), st.none()),
)
limits = st.builds(
    SimulatedOutput,
    max_pulses_per_hour=st.sampled_from([0, 3, 30]),
    max_pulses_per_day=st.sampled_from([0, 5, 40]),
    max_on_s_per_hour=st.sampled_from([0.0, 1.0, 5.0]),
    max_on_s_per_day=st.sampled_from([0.0, 2.0, 9.0]),
    max_on_s=st.sampled_from([0.5, 4.0]),
)


@given(output=limits, script=st.lists(events, max_size=40))
@settings(deadline=None)
def test_no_sequence_of_kills_gives_more_than_the_limits(
    output: SimulatedOutput, script: list[tuple[str, object]]
) -> None:
    rig = Computer(output)
    for what, value in script:
        match what, value:
            case "command", Pulse() | Train() | Set():
                rig.command(value)
            case "wait", float(seconds):
                rig.wait(round(seconds * 1e9))
            case "disk", bool(slow):
                rig.slow = rig.account.slow = slow
            case "kill", bool(power):
                rig.kill(power, pause_ns=7 * SECOND)
            case "set back", float(seconds):
                rig.date -= timedelta(seconds=seconds)
            case "set forward", float(seconds):
                # a computer that is off can't know it; the next start is of the same one
                rig.date += timedelta(seconds=seconds)
                rig.kill(power=False)
                rig.date -= timedelta(seconds=seconds)
            case "end", _:
                rig.end()
    for name, window_ns in (("hour", 60 * MINUTE), ("day", 24 * 60 * MINUTE)):
        pulses, on_s = rig.most(window_ns)
        most_pulses = getattr(output, f"max_pulses_per_{name}")
        most_s = getattr(output, f"max_on_s_per_{name}")
        assert not most_pulses or pulses <= most_pulses
        assert not most_s or on_s <= most_s + 1e-4
