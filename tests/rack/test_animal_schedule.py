"""Several animals in one box, one after another, on a simulated clock."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.errors import DeepLabStreamError, SettingsError
from deeplabstream.rack.animal_schedule import schedule_of
from deeplabstream.settings.rack_file import BoxSection, parse_rack

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)
DAY = "m1 09:00 - 11:00, m2 11:30 - 13:30"


@dataclass
class Box:
    """A box by its schedule alone, as its rack watches it."""

    section: BoxSection
    first: datetime
    zone: ZoneInfo = BERLIN
    clock: ManualClock = field(default_factory=ManualClock)
    runs: list[tuple[str, str, str]] = field(default_factory=list)
    """Animal, begin and end of each run."""
    running: bool = False

    def __post_init__(self) -> None:
        self.schedule = schedule_of(self.section, self.clock, self)

    def now(self) -> datetime:
        return self.first + timedelta(microseconds=self.clock.now_ns() // 1000)

    def end(self) -> None:
        """End the run, as the end of its experiment or its time does."""
        animal, begin, _ = self.runs[-1]
        self.runs[-1] = animal, begin, f"{self.now().astimezone(BERLIN):%d. %H:%M}"
        self.running = False
        self.schedule.end()

    def go_on(self, minutes: int) -> None:
        for _ in range(minutes):
            if self.running and self.schedule.over():
                self.end()
            elif not self.running and self.schedule.due():
                self.schedule.begin()
                now = f"{self.now().astimezone(BERLIN):%d. %H:%M}"
                self.runs.append((self.schedule.animal, now, ""))
                self.running = True
            self.clock.set(self.clock.now_ns() + 60 * 10**9)


def box(animals: str, first: str = "2026-06-01 08:00", **keys: object) -> Box:
    section = BoxSection(rig=Path("rig"), animals=animals, **keys)  # type: ignore[arg-type]
    local = datetime.fromisoformat(first).replace(tzinfo=BERLIN)
    return Box(section, local.astimezone(UTC))


def test_each_animal_has_a_run_in_its_time_each_day() -> None:
    it = box(DAY, next_animal="automatic")
    it.go_on(2 * 24 * 60)
    assert it.runs == [
        ("m1", "01. 09:00", "01. 11:00"),
        ("m2", "01. 11:30", "01. 13:30"),
        ("m1", "02. 09:00", "02. 11:00"),
        ("m2", "02. 11:30", "02. 13:30"),
    ]


def test_the_next_animal_has_a_run_only_after_a_user_has_confirmed_it() -> None:
    it = box(DAY)
    it.go_on(4 * 60 + 1)  # until 12:01
    assert it.runs == []
    assert it.schedule.animal == "m2"
    assert it.schedule.waiting() == (
        "waits for m2 from 11:30: put it into the box, then start the box"
    )
    it.schedule.restart()
    it.go_on(120)
    assert it.runs == [("m2", "01. 12:01", "01. 13:30")]
    it.go_on(24 * 60)
    assert len(it.runs) == 1


def test_a_confirmation_before_the_time_waits_for_it_and_is_that_of_one_animal() -> (
    None
):
    it = box(DAY)
    it.schedule.restart()
    assert it.schedule.waiting() == "waits until 09:00 for m1"
    it.go_on(24 * 60)
    assert it.runs == [("m1", "01. 09:00", "01. 11:00")]


def test_a_start_after_an_early_end_is_that_of_the_next_animal() -> None:
    it = box(DAY)
    it.schedule.restart()
    it.go_on(90)
    it.end()  # at 09:30 the experiment was over
    assert it.schedule.animal == "m2"
    it.schedule.restart()
    it.go_on(6 * 60)
    assert [animal for animal, *_ in it.runs] == ["m1", "m2"]


def test_a_start_after_a_stop_is_that_of_the_same_animal() -> None:
    for animals in (DAY, "m1, m2"):
        it = box(animals, "2026-06-01 09:10")
        it.schedule.restart()
        it.go_on(10)
        it.running = False  # a user has stopped it: its block is not over
        it.schedule.restart()
        it.go_on(10)
        assert [animal for animal, *_ in it.runs] == ["m1", "m1"]


def test_animals_without_times_follow_one_another_once() -> None:
    it = box("m1, m2, m3", max_hours=0.5, next_animal="automatic")
    for number in range(3):
        assert it.schedule.repeats == (number < 2)
        it.go_on(2)
        it.go_on(30)
    assert [(animal, begin) for animal, begin, _ in it.runs[:3]] == [
        ("m1", "01. 08:00"), ("m2", "01. 08:31"), ("m3", "01. 09:02"),
    ]  # fmt: skip


def test_a_user_can_choose_the_animal() -> None:
    it = box("m1, m2, m3")
    it.schedule.choose("m3")
    it.schedule.restart()
    it.go_on(1)
    assert it.runs[0][0] == "m3"
    with pytest.raises(DeepLabStreamError, match="ANIMALS has no m9; it has: m1, m2"):
        it.schedule.choose("m9")
    timed = box(DAY)
    with pytest.raises(DeepLabStreamError, match="m2 has its own time"):
        timed.schedule.choose("m2")


@pytest.mark.parametrize("animals", ["m1, m2", DAY])
def test_after_a_power_cut_only_an_interrupted_animal_goes_on_by_itself(
    animals: str,
) -> None:
    interrupted = box(animals, "2026-06-01 09:30")
    interrupted.schedule.recall("m1", interrupted=True)
    interrupted.go_on(1)
    assert interrupted.runs == [("m1", "01. 09:30", "")]

    over = box(animals, "2026-06-01 09:30")
    over.schedule.recall("m1", interrupted=False)
    over.schedule.count_run(over.now() - MINUTE)
    over.go_on(1)
    assert over.runs == []
    assert over.schedule.animal == "m2"


def test_the_turn_of_an_animal_that_was_interrupted_is_over_with_its_time() -> None:
    it = box(DAY, "2026-06-01 11:40")
    it.schedule.recall("m1", interrupted=True)
    it.go_on(10)
    assert it.runs == []
    assert it.schedule.animal == "m2"


@pytest.mark.parametrize("key", ["ANIMAL = m1", "DAILY = 09:00 - 11:00"])
def test_keys_that_contradict_animals_are_refused(tmp_path: Path, key: str) -> None:
    (tmp_path / "settings.ini").write_text("", "utf-8")
    text = f"[Box left]\nRIG = settings.ini\n{key}\nANIMALS = m1, m2\n"
    with pytest.raises(SettingsError, match=f"ANIMALS.*leave out {key.split()[0]}"):
        parse_rack(text, tmp_path / "rack.ini")
