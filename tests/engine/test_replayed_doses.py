"""A re-run refuses what the rig refused because of doses of earlier runs, and nothing else."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.journal_entries import Edge
from deeplabstream.engine.dose_accounts import OutputDoses
from deeplabstream.engine.replay.rerun import compare, rerun_decisions
from deeplabstream.recording.dose_file import ClockReading
from deeplabstream.recording.given_doses import read_given
from deeplabstream.recording.table_reader import read_events
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings
from tests.engine.loop_rig import IN, OUT, Place
from tests.engine.test_dose_accounts import Account, Memory
from tests.engine.test_resumed_runs import DAY, START_NS, Recorded, record, rig

HOUR = 8 * 3600
"""Frames of an hour."""
VISITS: list[Place] = [IN, OUT, OUT, OUT] * 6
PULSE = "MAX_PULSES_PER_HOUR = 4\n"
TIME = "MAX_ON_S_PER_HOUR = 0.35\n"


class Rig:
    """Records runs of one animal, one after the other; its doses are on one disk."""

    def __init__(self, folder: Path, limit: str) -> None:
        self.folder, self.disk = folder, Memory(folder / "doses.json")
        text = rig(folder).text
        kind = "[Output light]\nKIND = SimulatedOutput\n"
        self.settings: Settings = parse(text.replace(kind, kind + limit), folder)

    def run(self, name: str, first: int, places: list[Place] = VISITS) -> Recorded:
        def doses(clock: ManualClock) -> Mapping[str, OutputDoses]:
            def now() -> ClockReading:
                passed_s = (clock.now_ns() - START_NS) / 1e9
                utc = DAY + timedelta(seconds=passed_s)
                return ClockReading(utc=utc, boot="b", monotonic_s=passed_s)

            self.account = Account(clock, self.disk, "m1", lambda note: None, now)
            return self.account.open(self.settings.outputs)

        path = self.folder / name
        done = record(path, self.settings, places, first, "stopped", doses=doses)
        self.account.save(with_reserve=False)
        return done


@pytest.fixture(params=[PULSE, TIME], ids=["pulses", "on-time"])
def lab(tmp_path: Path, request: pytest.FixtureRequest) -> Rig:
    return Rig(tmp_path, request.param)


def recorded_edges(run: Recorded) -> Iterator[tuple[int, float, str]]:
    for row in read_events(run.folder.path / "events.csv"):
        if row["kind"] == "edge" and row["cause"] not in ("open", "close"):
            yield int(row["written_ns"]), float(row["level"]), row["cause"]


def rerun_edges(run: Recorded, settings: Settings) -> list[tuple[int, float, str]]:
    found: list[tuple[int, float, str]] = []

    def watch(entry: object) -> None:
        if isinstance(entry, Edge) and entry.cause not in ("open", "close"):
            found.append((entry.written_ns, entry.level, entry.cause))

    for _ in rerun_decisions(settings, run.folder, watch=watch):
        pass
    return found


def test_a_rerun_writes_the_edges_that_the_doses_of_earlier_runs_have_left(
    lab: Rig,
) -> None:
    first = lab.run("first", 0)
    second = lab.run("second", 200)
    # while it runs, the doses of the first one become an hour old
    third = lab.run("third", HOUR - 4, [OUT, OUT, *VISITS, *VISITS])
    on = [
        sum(level > 0 for _, level, _ in recorded_edges(it)) for it in (first, second)
    ]
    assert on[0] in (3, 4) and on[1] < on[0]
    for run in (first, second, third):
        assert rerun_edges(run, lab.settings) == [*recorded_edges(run)]


def test_a_rerun_tells_other_limits_by_what_they_refuse(lab: Rig) -> None:
    lab.run("first", 0)
    # alone, so few visits would not reach a limit
    second = lab.run("second", 200, VISITS[:8])
    same = compare(lab.settings, second.folder)
    assert same.refused == {"light": (1, 1)}
    assert not any("limits per hour" in line for line in same.lines())

    free = compare(rig(lab.folder), second.folder)
    assert free.refused == {"light": (1, 0)}
    assert (
        "[Output light]: limits per hour or day began to refuse commands 1 times, would "
        "begin 0 times"
    ) in free.lines()


def test_a_first_run_has_no_note_of_doses_and_a_second_one_all(lab: Rig) -> None:
    first, second = lab.run("first", 0), lab.run("second", 200)
    texts = [
        [
            row["text"]
            for row in read_events(run.folder.path / "events.csv")
            if row["name"] == "doses"
        ]
        for run in (first, second)
    ]
    assert texts[0] == []
    (text,) = texts[1]
    found = read_given(text)
    assert found is not None
    output, doses = found
    assert output == "light"
    on = sum(level > 0 for _, level, _ in recorded_edges(first))
    assert sum(dose.pulses for _, dose in doses) == on
    assert all(0 < ago_s < 25 for ago_s, _ in doses)


@pytest.mark.parametrize(
    "text", ["", "[Output light] had given", "[Output a] had given x"]
)
def test_a_damaged_note_is_none(text: str) -> None:
    assert read_given(text) is None
