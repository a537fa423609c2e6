"""The light phase decides, is recorded, and is the same in every re-run."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.engine.checks.clock_watchdog import ClockWatchdog
from deeplabstream.engine.replay.rehearsal import rehearse
from deeplabstream.engine.replay.rerun import compare, rerun_decisions
from deeplabstream.engine.replay.video_replay import replay
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action, Phase
from deeplabstream.pose.placeholder_network import PlaceholderNetwork
from deeplabstream.recording.light_facts import START_LOCAL
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import effective
from tests.engine.fake_processes import FakeProcesses
from tests.engine.test_video_replay import SETTINGS, dark_spot

CYCLE = "[Light Cycle]\nLIGHTS_ON = 07:00\nLIGHTS_OFF = 19:00\n"
AT_NIGHT = (
    SETTINGS.replace("TRIGGER = spot", "TRIGGER = spot at night")
    + CYCLE
    + "[Trigger night]\nKIND = LightPhase\nPHASE = dark\n"
    + "[Trigger spot at night]\nKIND = AllOf\nTRIGGERS = spot, night\n"
)
"""An experiment that a combination of triggers restricts to the dark phase."""
ONLY_DARK = (
    SETTINGS.replace("[Experiment]\n", "[Experiment]\nLIGHT_PHASE = dark\n") + CYCLE
)
"""The same by one key of [Experiment]."""
BERLIN = timezone(timedelta(hours=1))
BEFORE_DARK = datetime(2026, 11, 26, 18, 59, 58, 500_000, tzinfo=BERLIN)
"""1.5 s before lights-off: in the middle of 90 frames."""


def run_at(folder: Path, text: str, started: datetime | None) -> RunFolder:
    """Record 90 frames of a stream that was started at a local time."""
    settings = replace(parse(text, folder), started=started)
    network = PlaceholderNetwork()
    model = ModelFacts("stand-in:0", "", network.threshold, network.provider)
    form = ImageFormat((60, 120), 30.0)
    more = effective(settings)
    facts = RunFacts(0, {"top": form}, network.skeleton, model, more)
    made = RunFolder.create_at(folder, datetime.now(UTC), settings.text, facts)
    with RunWriter(made, 0) as writer:
        list(replay(settings, dark_spot(90), network, writer))
    return made


def ons(run: RunFolder) -> list[float]:
    """Return the times at which the output was switched on."""
    edges = [row for row in run.events() if row["kind"] == "edge"]
    return [float(row["time_s"]) for row in edges if float(row["level"]) > 0]


@pytest.mark.parametrize("text", [AT_NIGHT, ONLY_DARK])
def test_an_experiment_is_restricted_to_the_dark_phase_without_code(
    text: str, tmp_path: Path
) -> None:
    free, dark = run_at(tmp_path / "free", SETTINGS, BEFORE_DARK), tmp_path / "dark"
    assert min(ons(free)) < 1.5
    restricted = run_at(dark, text, BEFORE_DARK)
    assert min(ons(restricted)) > 1.5
    assert any(
        row["text"] == "the dark phase begins (ZT 12.0)" for row in restricted.events()
    )


@pytest.mark.parametrize("text", [AT_NIGHT, ONLY_DARK])
def test_an_unknown_phase_switches_nothing_on(text: str, tmp_path: Path) -> None:
    """Such as of a video without the time at which it was recorded."""
    assert ons(run_at(tmp_path / "run", text, None)) == []


def test_outputs_go_off_when_the_phase_ends(tmp_path: Path) -> None:
    text = ONLY_DARK.replace("MAX_ON_S = 0.2", "MAX_ON_S = 5")
    before_light = datetime(2026, 11, 26, 6, 59, 59, 400_000, tzinfo=BERLIN)
    run = run_at(tmp_path / "run", text, before_light)
    edges = [row for row in run.events() if row["kind"] == "edge"]
    (off,) = [row for row in edges if row["cause"] == "light phase"]
    assert 0.6 <= float(off["time_s"]) < 0.64
    assert ons(run) == [pytest.approx(0.4, abs=0.01)]
    statuses = [step.status for step in run.steps("top")]
    assert statuses[-1] == "waits for the dark phase"


def test_every_analysed_frame_has_its_phase_in_the_table(tmp_path: Path) -> None:
    run = run_at(tmp_path / "run", AT_NIGHT, BEFORE_DARK)
    steps = [*run.steps("top")]
    expected = ["light" if it.exposed_ns < 1_500_000_000 else "dark" for it in steps]
    assert [step.light for step in steps] == expected
    assert {*expected} == {"light", "dark"}


def test_without_a_light_cycle_tables_have_no_column_of_it(tmp_path: Path) -> None:
    run = run_at(tmp_path / "run", SETTINGS, BEFORE_DARK)
    header = run.table_path("top").read_text("utf-8").splitlines()[0]
    assert "light" not in header.split(",")
    assert {step.light for step in run.steps("top")} == {""}


def set_zone() -> None:
    """Use the time zone of the environment, where the system can."""
    if hasattr(time, "tzset"):
        time.tzset()


def same_again(run: RunFolder) -> list[tuple[Step, Step]]:
    settings = parse(run.settings_text, run.path)
    pairs = [*rerun_decisions(settings, run)]
    for then, now in pairs:
        assert then.commands == now.commands, then.index
        assert then.triggers == now.triggers, then.index
        assert (then.status, then.light) == (now.status, now.light), then.index
    return pairs


@pytest.mark.parametrize("text", [AT_NIGHT, ONLY_DARK])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_a_rerun_elsewhere_decides_the_same(
    text: str, zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_at(tmp_path / "run", text, BEFORE_DARK)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", zone)
        set_zone()
        pairs = same_again(run)
    set_zone()
    assert sum(len(then.commands) for then, _ in pairs) > 2


def test_a_run_without_a_recorded_start_decides_nothing_by_its_phase(
    tmp_path: Path,
) -> None:
    run = run_at(tmp_path / "run", SETTINGS, None)
    assert START_LOCAL not in run.facts
    changed = compare(parse(AT_NIGHT, tmp_path), run)
    assert not changed.same
    assert {difference.now for difference in changed.differences} == {()}


def test_other_times_of_the_lamps_show_what_would_have_been_decided(
    tmp_path: Path,
) -> None:
    run = run_at(tmp_path / "run", AT_NIGHT, BEFORE_DARK)
    earlier = AT_NIGHT.replace("LIGHTS_OFF = 19:00", "LIGHTS_OFF = 18:00")
    found = compare(parse(earlier, tmp_path), run)
    assert found.differences[0].time_s < 1.5


class SetCalendar:
    """A calendar of a place, which a test sets."""

    def __init__(self, now: datetime, zone: str) -> None:
        self.utc = now.astimezone(UTC)
        self.zone = ZoneInfo(zone)

    def now(self) -> datetime:
        return self.utc


def streaming(
    folder: Path, clock: ManualClock, calendar: SetCalendar, fake: FakeProcesses
) -> RigSession:
    session = RigSession(
        parse(AT_NIGHT, folder),
        lambda settings, zero_ns: fake,  # type: ignore[arg-type,return-value]
        lambda settings, state: [],
        clock,
        calendar,
    )
    session.do(Action.START_STREAM)
    session.update_state(phase=Phase.STREAMING)
    return session


def test_a_clock_that_is_set_during_a_run_changes_no_phase_and_is_an_alarm(
    tmp_path: Path,
) -> None:
    summer = datetime(2026, 10, 24, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    calendar, clock = SetCalendar(summer, "Europe/Berlin"), ManualClock(10**12)
    session = streaming(tmp_path, clock, calendar, FakeProcesses())
    assert session.state.run_facts()[START_LOCAL] == "2026-10-24T12:00:00+02:00"

    # a day later the clock has gone back by an hour: daylight saving, not a clock that was set
    calendar.utc += timedelta(hours=24)
    clock.set(clock.now_ns() + 24 * 3600 * 10**9)
    session.poll()
    assert session.state.alarms == ()
    assert str(session.state.light_at(clock.now_ns())) == "light, ZT 5.0"

    calendar.utc += timedelta(hours=9)
    clock.set(clock.now_ns() + 2 * 10**9)
    session.poll()
    (alarm,) = session.state.alarms
    assert "clock went forwards by 540 min" in alarm.text
    assert str(session.state.light_at(clock.now_ns())) == "light, ZT 5.0"


def test_a_clock_that_is_set_right_again_is_no_further_alarm() -> None:
    watchdog, start = ClockWatchdog(), datetime(2026, 1, 1, tzinfo=UTC)
    found = [
        bool(watchdog.check(start, start + timedelta(seconds=seconds), run_s))
        for seconds, run_s in [(1, 1.0), (3602, 2.0), (3603, 3.0), (4, 4.0), (5, 5.0)]
    ]
    assert found == [False, True, False, False, False]


def test_a_rehearsal_tries_both_phases(tmp_path: Path) -> None:
    text = AT_NIGHT.replace(
        "KIND = SimulatedCamera", "KIND = SimulatedCamera\nRATE = 5"
    )
    _, steps = rehearse(parse(text, tmp_path), tmp_path / "run", seconds=4)
    assert [step.light for step in steps] == ["light"] * 10 + ["dark"] * 10


def test_the_first_phase_of_an_analysis_is_noted(tmp_path: Path) -> None:
    run = run_at(tmp_path / "run", AT_NIGHT, BEFORE_DARK)
    rows = [row for row in run.events() if row["kind"] == "note"]
    notes = [row["text"] for row in rows if row["name"] == "light"]
    assert notes == [
        "the room is in the light phase (ZT 11.9)",
        "the dark phase begins (ZT 12.0)",
    ]
