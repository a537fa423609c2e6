import re
from dataclasses import replace
from pathlib import Path

import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Acknowledged, Edge
from deeplabstream.engine.checks.animal_appearance import unknown_appearance
from deeplabstream.engine.checks.preflight import PreflightResult, inspect
from deeplabstream.engine.checks.stream_watchdogs import FrameRateMeter
from deeplabstream.engine.session.messages import (
    Analysing,
    AnimalsDistinct,
    ExperimentRunning,
    RecorderFailed,
    RunOpened,
)
from deeplabstream.engine.session.session_state import Counts
from deeplabstream.ipc.ring import Stamp
from deeplabstream.plugins.output import SelfTestResult
from deeplabstream.pose.tracking.appearance_samples import PairTrials
from deeplabstream.pose.tracking.distinctness import Distinctness
from deeplabstream.settings.loading import parse
from tests.engine import small_rig
from tests.gui.fake_session import FakeSession

RIG = small_rig.RIG.replace("snout", "nose")


@pytest.fixture
def rig(tmp_path: Path) -> FakeSession:
    made = FakeSession(shape=(480, 640))
    made.settings = parse(RIG.replace("circle 10 20", "circle 90 90"), tmp_path)
    made.settings.output_directory.mkdir()
    form = ImageFormat((480, 640), 30.0)
    made.update(formats={"arena": form}, counts={"arena": Counts(100)})
    made.update(edges={"laser": Edge("laser", 0.0, "open", 1, 2)})
    return made


def inspected(rig: FakeSession, rates: dict[str, float]) -> list[PreflightResult]:
    rig.update(rates=rates)
    return inspect(rig.settings, rig.state)


def grave(found: list[PreflightResult]) -> list[str]:
    return [finding.text for finding in found if finding.grave]


def test_a_good_rig_may_start_and_says_what_was_looked_at(rig: FakeSession) -> None:
    found = inspected(rig, {"arena": 29.8})
    assert not grave(found)
    told = "\n".join(finding.text for finding in found)
    assert "[Camera arena] gives 29.8 frames/s" in told
    assert "the network finds nose, ear, tail" in told
    assert "1 region of a trigger lies in the frame" in told
    assert "are free in" in told
    assert [finding.note for finding in found if not finding.good] == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("LOST_MS", "5001", "for 5.001 s after the animal is lost"),
        ("PATIENCE_S", "60", "for 60 s after the camera is silent"),
        ("PATIENCE_S", "5", ""),
    ],
)
def test_limits_far_above_their_defaults_are_warned_of(
    rig: FakeSession, tmp_path: Path, key: str, value: str, said: str
) -> None:
    text = RIG.replace("circle 10 20", "circle 90 90")
    rig.settings = parse(f"{text}[Experiment]\n{key} = {value}\n", tmp_path)
    found = inspected(rig, {"arena": 29.8})
    notes = [finding.note for finding in found if not finding.good]
    assert not grave(found)
    assert [said in note for note in notes] == ([True] if said else [])


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("Experiment", "LOST_MS", "99999999999"),
        ("Experiment", "PATIENCE_S", "99999999999"),
        ("Recording", "PLANNED_MINUTES", "1e99"),
        ("Recording", "SPLIT_MINUTES", "1e99"),
    ],
)
def test_a_limit_can_not_be_typed_away(
    tmp_path: Path, section: str, key: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=key):
        parse(f"{RIG}[{section}]\n{key} = {value}\n", tmp_path)


def test_a_second_experiment_in_a_run_folder_is_warned_of(
    rig: FakeSession, tmp_path: Path
) -> None:
    rig.update(run_folder=tmp_path / "run_a")
    assert "This is experiment" not in inspected(rig, {"arena": 30.0})[0].text
    for active in (True, False):
        rig.state = rig.state.after(ExperimentRunning(active))
    found = inspected(rig, {"arena": 30.0})
    assert found[0].note == (
        "warning: This is experiment 2 of run run_a; "
        "stop the stream first to get a new run folder"
    )
    assert not grave(found)
    rig.state = rig.state.started(rig.settings, 1)
    assert rig.state.experiments == 0


@pytest.mark.parametrize(
    ("alike", "unlearned", "after_s", "said"),
    [
        (((0, 1),), (), 0, ["anna and bob look alike: .* stay so until you confirm"]),
        (((0, 1),), (), 2, ["look alike: .* follow motion alone after 2 s"]),
        ((), (1,), 0, ["the appearance of bob is not learned yet"]),
        ((), (), 0, []),
        (None, None, 0, ["the appearance of anna and bob is not learned yet"]),
    ],
)
def test_animals_that_look_alike_or_are_unknown_are_warned_of(
    rig: FakeSession,
    tmp_path: Path,
    alike: tuple[tuple[int, int], ...] | None,
    unlearned: tuple[int, ...],
    after_s: int,
    said: list[str],
) -> None:
    text = RIG.replace("circle 10 20", "circle 90 90")
    rules = f"[Animals]\nNAMES = anna, bob\nBELIEVE_AFTER_S = {after_s}\n"
    rig.settings = parse(text + rules, tmp_path)
    assert rig.state.skeleton is not None
    rig.update(skeleton=replace(rig.state.skeleton, animals=("anna", "bob")))
    if alike is not None:
        message = AnimalsDistinct("arena", Distinctness(alike, unlearned))
        rig.state = rig.state.after(message)
    found = inspected(rig, {"arena": 29.8})
    assert not grave(found)
    notes = [finding.text for finding in found if not finding.good]
    assert len(notes) == len(said)
    assert all(map(re.search, said, notes))
    good = [finding.text for finding in found if finding.good]
    assert ("[Camera arena] anna and bob look different" in good) is not bool(said)


def test_animals_that_may_look_alike_are_warned_of(
    rig: FakeSession, tmp_path: Path
) -> None:
    text = RIG.replace("circle 10 20", "circle 90 90")
    rig.settings = parse(text + "[Animals]\nNAMES = anna, bob\n", tmp_path)
    assert rig.state.skeleton is not None
    rig.update(skeleton=replace(rig.state.skeleton, animals=("anna", "bob")))
    undecided = Distinctness((), (), ((0, 1),), (PairTrials(5, 6),))
    rig.state = rig.state.after(AnimalsDistinct("arena", undecided))
    found = inspected(rig, {"arena": 29.8})
    (note,) = [finding.text for finding in found if not finding.good]
    assert "anna and bob may look alike (told apart in 44% to 97% of views" in note
    assert not any("look different" in finding.text for finding in found)
    assert "anna and bob may look alike" in unknown_appearance(rig.settings, rig.state)


def test_an_analysis_that_starts_knows_no_appearance(rig: FakeSession) -> None:
    message = AnimalsDistinct("arena", Distinctness((), ()))
    assert rig.state.after(message).distinctness == {"arena": message.distinctness}
    assert rig.state.after(message).after(Analysing(True)).distinctness == {}


def test_no_experiment_starts_without_tables(rig: FakeSession, tmp_path: Path) -> None:
    """They begin with the analysis: a recording that starts later does not write them."""
    rig.state = rig.state.after(RecorderFailed("the folder can't be made"))
    rig.state = rig.state.after(RunOpened(tmp_path / "run_a"))
    (text,) = grave(inspected(rig, {"arena": 30.0}))
    assert "not recorded" in text and "Stop and start the analysis" in text
    rig.state = rig.state.analysis_requested()
    assert not grave(inspected(rig, {"arena": 30.0}))
    rig.state = rig.state.after(RecorderFailed("a video failed"))  # tables go on
    assert not grave(inspected(rig, {"arena": 30.0}))


def test_after_a_failed_run_only_a_new_stream_has_tables(
    rig: FakeSession, tmp_path: Path
) -> None:
    rig.state = rig.state.after(RunOpened(tmp_path / "run_a"))
    rig.state = rig.state.after(RecorderFailed("the disk is full", whole=True))
    rig.state = rig.state.analysis_requested()
    (text,) = grave(inspected(rig, {"arena": 30.0}))
    assert "Stop and start the stream" in text
    rules = replace(rig.settings.experiment, on_recording_lost="go on")
    rig.settings = replace(rig.settings, experiment=rules)
    found = inspected(rig, {"arena": 30.0})
    assert not grave(found) and found[0].text == text and not found[0].good
    rig.state = rig.state.started(rig.settings, 1)
    assert not rig.state.tables_lost


@pytest.mark.parametrize(
    ("rate", "says", "stops"),
    [
        (20.0, "gives 20.0 frames/s and not 30", False),
        (5.0, "gives 5.0 frames/s and not 30", True),
        (0.0, "no longer gives frames", True),
    ],
)
def test_a_slow_camera_is_told_and_a_far_too_slow_one_stops(
    rig: FakeSession, rate: float, says: str, stops: bool
) -> None:
    found = inspected(rig, {"arena": rate})
    assert says in found[0].text
    assert found[0].grave is stops


@pytest.mark.parametrize(
    ("taken_ms", "rates", "says"),
    [
        ({"arena": 20.0}, {"arena": 30.0}, ""),
        ({"arena": 50.0}, {"arena": 30.0}, "about 33% of the frames will be skipped"),
        ({"arena": 20.0, "side": 20.0}, {"arena": 30.0, "side": 15.0}, ""),
        (
            {"arena": 20.0, "side": 30.0},
            {"arena": 30.0, "side": 30.0},
            "takes 30 ms per frame, too long for 60 analysed frames/s: about 33% of the "
            "frames will be skipped; [Camera arena] goes first",
        ),
    ],
)
def test_a_network_that_is_too_slow_for_all_cameras_is_told(
    rig: FakeSession, taken_ms: dict[str, float], rates: dict[str, float], says: str
) -> None:
    form, network = ImageFormat((480, 640), 30.0), rig.state.network
    assert network is not None
    rig.update(
        network=replace(network, frame_ms=taken_ms),
        formats=dict.fromkeys(rates, form),
        counts=dict.fromkeys(rates, Counts(100)),
    )
    found = [f for f in inspected(rig, rates) if "too long for" in f.text]
    assert bool(found) is bool(says)
    assert all(says in finding.text and not finding.grave for finding in found)


def test_a_camera_that_waits_for_its_first_pulse_stops_nothing(
    rig: FakeSession,
) -> None:
    rig.update(counts={"arena": Counts()})
    assert inspected(rig, {"arena": 0.0})[0] == PreflightResult(
        "[Camera arena] has given no frame yet", good=False
    )


@pytest.mark.parametrize(
    ("place", "says", "stops"),
    [
        ("circle 900 20 30", "lies outside the frame of [Camera arena]", True),
        ("circle 639 20 30", "lies partly outside", False),
    ],
)
def test_regions_must_lie_in_the_picture(
    rig: FakeSession, tmp_path: Path, place: str, says: str, stops: bool
) -> None:
    rig.settings = parse(RIG.replace("circle 10 20 30", place), tmp_path)
    found = [f for f in inspected(rig, {"arena": 30.0}) if "[Trigger corner]" in f.text]
    assert says in found[0].text
    assert found[0].grave is stops


def test_the_whole_picture_is_a_region_like_any_other(
    rig: FakeSession, tmp_path: Path
) -> None:
    form = rig.state.formats["arena"]
    whole = f"rectangle 0 0 {form.width} {form.height}"
    rig.settings = parse(RIG.replace("circle 10 20 30", whole), tmp_path)
    texts = [found.text for found in inspected(rig, {"arena": 30.0})]
    assert "1 region of a trigger lies in the frame" in texts


def test_a_disk_too_small_for_the_plan_stops(rig: FakeSession) -> None:
    plan = replace(rig.settings.recording, planned_minutes=500_000)
    rig.settings = replace(rig.settings, recording=plan)
    (text,) = grave(inspected(rig, {"arena": 30.0}))
    assert "500000" in text or "5e+05 minutes" in text
    assert "choose another OUTPUT_DIRECTORY" in text


def test_an_output_directory_that_is_still_to_be_made_stops_nothing(
    rig: FakeSession,
) -> None:
    rig.settings.output_directory.rmdir()
    found = inspected(rig, {"arena": 30.0})
    assert not grave(found)
    assert "are free in" in found[-1].text


def test_the_pace_is_that_of_the_last_two_seconds() -> None:
    pace = FrameRateMeter()

    class Counted:
        published = 0

    camera = Counted()
    rings = {"top": camera}
    for tick in range(200):  # 20 s at 10/s: first 30 frames/s, then 5
        camera.published += 3 if tick < 100 else tick % 2
        pace.update(rings, tick * 100_000_000)  # type: ignore[arg-type]
        if tick == 9:
            assert pace.rates == {}
        if tick == 99:
            assert pace.rates["top"] == pytest.approx(30)
    assert pace.rates["top"] == pytest.approx(5, abs=0.5)


def test_a_trigger_must_name_what_the_network_knows(
    rig: FakeSession, tmp_path: Path
) -> None:
    told = [finding.text for finding in inspected(rig, {"arena": 30.0})]
    assert any("it has all body parts" in text for text in told)
    text = RIG.replace("circle 10 20", "circle 90 90").replace("nose, tail", "paw")
    rig.settings = parse(text, tmp_path)
    (grave_one,) = grave(inspected(rig, {"arena": 30.0}))
    assert "the network has no body part 'paw'" in grave_one


def test_times_of_pictures_must_fit_the_computers(rig: FakeSession) -> None:
    def told(exposed_ns: int, arrived_ns: int) -> PreflightResult:
        rig.update(stamps={"arena": Stamp(7, exposed_ns, arrived_ns)})
        return inspected(rig, {"arena": 30.0})[1]

    now = 10**12
    good = told(now - 1_500_000, now)
    assert good == PreflightResult(
        "the frames of [Camera arena] arrive 1.5 ms after their exposure"
    )
    assert "their arrival time is used" in told(now, now).text
    late = told(now - 800_000_000, now)
    assert late.grave
    assert "800 ms old when they arrive, and MAX_AGE_MS = 500" in late.text
    ahead = told(now + 3_000_000_000, now)
    assert ahead.grave
    assert "3000 ms ahead of the computer's clock" in ahead.text
    clock = inspected(rig, {"arena": 30.0})[2]
    assert clock.text.startswith("the computer's clock shows 20")


def test_outputs_answer_and_their_boards_are_proved(rig: FakeSession) -> None:
    def told() -> list[PreflightResult]:
        return [f for f in inspected(rig, {"arena": 30.0}) if "laser" in f.text]

    rig.update(edges={})
    silent = PreflightResult("[Output laser] does not answer", True, False)
    assert told() == [silent]
    rig.update(failed_outputs={"laser": "COM3 is gone"})
    assert told()[0].grave
    rig.update(failed_outputs={})
    rig.update(edges={"laser": Edge("laser", 0.0, "open", 1, 2)})
    assert told() == [
        PreflightResult(
            "[Output laser] was opened and switched off; it can't acknowledge"
        )
    ]
    rig.update(acknowledged={"laser": Acknowledged("laser", 0.0, 10, 250_010, 500_000)})
    assert told() == [
        PreflightResult("[Output laser] acknowledges, 0.25 ms after the command")
    ]
    for good in (True, None, False):
        rig.update(
            self_tests=(SelfTestResult("the watchdog of the laser's board …", good),)
        )
        assert told()[-1].grave is (good is False)


def test_the_time_that_an_experiment_takes_counts_as_planned(rig: FakeSession) -> None:
    told = inspected(rig, {"arena": 30.0})[-1].text
    assert "an hour of video takes at most about" in told
    assert "PLANNED_MINUTES" in told
    run = replace(rig.settings.experiment, exp_time_s=1e9)
    rig.settings = replace(rig.settings, experiment=run)
    (text,) = grave(inspected(rig, {"arena": 30.0}))
    assert "minutes of video may need up to" in text


@pytest.mark.parametrize(
    ("last", "says", "good", "stops"),
    [
        ("500 400", "4 arenas lie in the frame of [Camera arena]", True, False),
        ("620 400", "not within the frame of [Camera arena], 640×480: A2, B2", False, False),
        ("900 400", "not within the frame of [Camera arena], 640×480: A2, B2", False, True),
    ],
)  # fmt: skip
def test_arenas_must_lie_in_the_picture(
    rig: FakeSession, tmp_path: Path, last: str, says: str, good: bool, stops: bool
) -> None:
    grid = (
        f"[Arenas]\nROWS = 2\nCOLUMNS = 2\nCORNERS = 60 60, {last}\nSHAPE = circle 50\n"
    )
    before, laser, after = re.split(r"\[Output laser\]([^[]*)", RIG)
    own = [f"[Output laser.{arena}]{laser}" for arena in ("A1", "A2", "B1", "B2")]
    rig.settings = parse("".join([before, *own, after, grid]), tmp_path)
    (found,) = [f for f in inspected(rig, {"arena": 30.0}) if "arenas " in f.text]
    assert says in found.text
    assert (found.good, found.grave) == (good, stops)
