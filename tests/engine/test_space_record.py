"""Runs with points in space: recorded, and decided again from the poses in the images."""

import hashlib
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.analysis.analyse import analyse
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.core.clock import ManualClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.journal_entries import ANALYSIS_STARTED, Note, Step
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.pose_filtering import pose_filter_of
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.engine.replay.rerun import compare, rerun_decisions
from deeplabstream.engine.space_tracking import space_tracker_of
from deeplabstream.pose.per_camera import thresholds_of
from deeplabstream.recording.calibrations.aniposelib_toml import write_aniposelib
from deeplabstream.recording.exporters.exports import export
from deeplabstream.recording.moment_table import read_moments
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_repair import repair
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.fields import Maker
from deeplabstream.settings.loading import Settings, parse
from deeplabstream.settings.sections import effective
from deeplabstream.simulation.space_arena import turned
from deeplabstream.simulation.virtual_output import virtual_outputs
from tests.engine.loop_rig import MS
from tests.engine.space_rig import SKELETON, Above, Views
from tests.space.cameras import four_cameras

CAMERAS = ("left", "right", "front")
RIG = """
[Camera left]
KIND = SimulatedCamera
[Camera right]
KIND = SimulatedCamera
[Camera front]
KIND = SimulatedCamera
[Space]
CALIBRATION = cameras.toml
SMOOTH_HZ = 8
[Tracking]
HOLD_MS = 30
[Trigger high]
KIND = AllOf
CAMERA = space
TRIGGERS = near
[Trigger near]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 640 480
[Output light]
KIND = SimulatedOutput
[Experiment it]
KIND = Conditional
TRIGGER = high
OUTPUT = light
[Experiment]
EXP_NAME = it
"""
FORM = ImageFormat((480, 640), 100.0)


def settings_in(folder: Path) -> Settings:
    """The settings, with a trigger in space that is no plug-in."""
    rig = parse(RIG, folder)
    high = Maker(Above, {"bodyparts": ("snout",)})
    return replace(rig, triggers={**rig.triggers, "high": high})


@pytest.fixture
def rig(tmp_path: Path) -> Settings:
    (tmp_path / "rig").mkdir()
    write_aniposelib(four_cameras(), tmp_path / "rig" / "cameras.toml")
    return settings_in(tmp_path / "rig")


def recorded(
    rig: Settings,
    path: Path,
    frames: int = 60,
    bumped: int = 10**6,
    late_ms: float = 0.0,
    missed: int = 10**6,
) -> tuple[RunFolder, list[Step]]:
    """Record a snout that rises and falls, with lost frames; return run and steps.

    The front camera turns by 1° at the frame `bumped`, the right one misses the pulse `missed`.
    Times come up to `late_ms` late.
    """
    late = np.random.default_rng(2).uniform(0, late_ms, (frames, len(CAMERAS)))
    exposures = sorted(
        (round((10 * number + place + late[number, place]) * MS), number, place)
        for number in range(frames)
        for place in range(len(CAMERAS))
    )
    model = ModelFacts("script", "ab" * 32, 0.5, "script")
    facts = RunFacts(0, dict.fromkeys(CAMERAS, FORM), SKELETON, model, effective(rig))
    folder = RunFolder.create_at(path, datetime(2026, 11, 25, tzinfo=UTC), RIG, facts)
    rng, views, clock, steps = np.random.default_rng(1), Views(), ManualClock(), []
    with (
        RunWriter(folder, 0) as writer,
        opened(virtual_outputs(rig.outputs), clock, writer.entry) as bank,
    ):
        for camera, names in rig.triggers_by_camera().items():
            writer.begin(camera, SKELETON, names)
        loop = Loop(
            views,
            rig.experiment,
            rig.deciding_camera,
            clock,
            writer.entry,
            0,
            pose_filter=pose_filter_of(rig, thresholds_of(views)),
            space=space_tracker_of(rig),
        )
        writer.entry(Note(*ANALYSIS_STARTED, 0))
        loop.set_triggers(rig.new_triggers())
        for time_ns, number, place in exposures:
            name = CAMERAS[place]
            if number >= 10 and not loop.experimenting:
                catch_up(bank, clock, time_ns - MS)
                loop.begin(rig.new_experiment(), rig.new_triggers(), bank)
            if rng.random() < 0.1 or (name == "right" and number == missed):
                continue
            view = four_cameras().camera(name)
            if name == "front" and number >= bumped:
                view = turned(view, 1.0)
            at = np.array([10.0, 20.0, 40 + 30 * np.sin(number / 5)])
            views.pixel = view.project(at) + rng.normal(0, 0.3, 2)
            if rng.random() < 0.05:
                views.pixel = np.full(2, np.nan)
            catch_up(bank, clock, time_ns)
            image = np.zeros((4, 4), np.uint8)
            index = number - (name == "right" and number > missed)
            steps.append(loop.step(Frame(name, index, time_ns, time_ns, image)))
        loop.end()
    folder.finish(datetime(2026, 11, 25, 1, tzinfo=UTC), "stopped", [])
    return folder, steps


def test_a_rerun_decides_the_same_on_the_same_points(
    rig: Settings, tmp_path: Path
) -> None:
    folder, steps = recorded(rig, tmp_path / "run")
    # the original is gone: the run has a copy
    (tmp_path / "rig" / "cameras.toml").unlink()

    pairs = [*rerun_decisions(settings_in(folder.path), folder)]
    assert len(pairs) == len(steps)
    assert sum(len(step.commands) for step in steps) >= 3
    for written, (then, now) in zip(steps, pairs, strict=True):
        assert now.commands == then.commands == written.commands
        assert now.space_triggers == then.space_triggers == written.space_triggers
        assert (now.status, now.lost) == (written.status, written.lost)
        assert (now.space is None) is (written.space is None)
        if now.space is not None and written.space is not None:
            assert now.space.points.tobytes() == written.space.points.tobytes()
            assert now.space.time_ns == written.space.time_ns
    assert compare(settings_in(folder.path), folder).same


def test_a_rerun_finds_the_turned_camera_at_the_same_moment(
    rig: Settings, tmp_path: Path
) -> None:
    folder, steps = recorded(rig, tmp_path / "run", frames=580, bumped=20)
    notes = folder.events_path.read_text("utf-8")
    assert "[Camera front] has turned by about 1.0°" in notes
    assert [*steps[-1].space_triggers.values()] in ([None], [None, None], [])

    pairs = [*rerun_decisions(settings_in(folder.path), folder)]
    answers = [step.space_triggers for step in steps]
    assert [now.space_triggers for _, now in pairs] == answers
    assert compare(settings_in(folder.path), folder).same

    # a run of an earlier version was not monitored, and is not monitored now
    facts = {k: v for k, v in folder.facts["space"].items() if k != "TURNED_DEG"}
    folder.update(space=facts)
    unmonitored = [now for _, now in rerun_decisions(settings_in(folder.path), folder)]
    late = [it.space_triggers for it in unmonitored[-240:] if it.space is not None]
    assert any(True in it.values() for it in late)


def test_a_rerun_matches_the_same_pulses(rig: Settings, tmp_path: Path) -> None:
    by_pulses = replace(rig.space, match="pulses")
    folder, steps = recorded(
        replace(rig, space=by_pulses), tmp_path / "run", 200, late_ms=7, missed=100
    )
    assert "[Camera right] missed 1 of the pulses" in folder.events_path.read_text(
        "utf-8"
    )

    again = replace(settings_in(folder.path), space=by_pulses)
    pairs = [*rerun_decisions(again, folder)]
    moments = [step.space for step in steps]
    assert len([it for it in moments if it is not None]) > 100
    for then, (_, now) in zip(moments, pairs, strict=True):
        assert (now.space is None) is (then is None)
        if now.space is not None and then is not None:
            assert now.space.points.tobytes() == then.points.tobytes()
            assert now.space.time_ns == then.time_ns
    assert compare(again, folder).same
    # matched by times, the same run has other points
    by_times = [
        now.space for _, now in rerun_decisions(settings_in(folder.path), folder)
    ]
    assert [it is None for it in by_times] != [it is None for it in moments]


def test_the_moments_are_recorded_exactly(rig: Settings, tmp_path: Path) -> None:
    folder, steps = recorded(rig, tmp_path / "run")
    moments = [*read_moments(folder.moments_path, SKELETON.bodyparts)]
    ended = [step for step in steps if step.space is not None]
    assert len(moments) == len(ended) > 50
    for moment, step in zip(moments, ended, strict=True):
        assert step.space is not None
        assert moment.points.tobytes() == step.space.points.tobytes()
        assert moment.triggers == step.space_triggers
        assert (moment.camera, moment.frame) == (step.camera, step.index)
        assert moment.time_ns == step.space.time_ns
    assert all(not table.warning() for table in folder.tables())


def test_the_results_have_the_heights_that_were_recorded(
    rig: Settings, tmp_path: Path
) -> None:
    folder, steps = recorded(rig, tmp_path / "run")
    results = analyse(
        folder, AnalysisOptions(rearing_height=50, min_rearing_s=0.1, max_gap_s=1)
    )
    ended = [step.space for step in steps if step.space is not None]
    heights = np.array([space.points[0, 2] for space in ended])
    t = np.array([space.time_ns for space in ended]) / 1e9
    start_s, end_s = results.data.period
    is_counted = (t[1:] > start_s) & (t[:-1] < end_s)  # a height lasts to the next one
    highest = np.nanmax(heights[:-1][is_counted])
    assert results.value("max_height") == pytest.approx(highest, abs=1e-3)

    # above 50 mm while sin(number / 5) > 1/3: frames 34 to 45, the first one is before
    assert results.value("rears") == 1
    assert results.value("rearing_time") > 0.1


def test_nwb_has_the_points_in_mm(rig: Settings, tmp_path: Path) -> None:
    folder, steps = recorded(rig, tmp_path / "run", frames=20)
    (path,) = export(folder.path, ["nwb"])
    ended = [step.space for step in steps if step.space is not None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pynwb import NWBHDF5IO, validate

        assert validate(path=str(path)) == []
        with NWBHDF5IO(str(path), "r") as reader:
            space = reader.read().processing["space"]
            snout = space["Position"]["snout"]
            points, times_s = snout.data[:], snout.timestamps[:]
    assert (snout.unit, snout.conversion) == ("meters", 0.001)
    expected = np.array([each.points[0] for each in ended])
    np.testing.assert_allclose(points, expected, atol=1e-4)
    assert times_s == pytest.approx([each.time_ns / 1e9 for each in ended])


def test_the_run_has_the_calibration_with_its_hash(
    rig: Settings, tmp_path: Path
) -> None:
    original = (tmp_path / "rig" / "cameras.toml").read_bytes()
    folder, _ = recorded(rig, tmp_path / "run", frames=5)
    assert (folder.path / "calibration" / "cameras.toml").read_bytes() == original
    digest = hashlib.sha256(original).hexdigest()
    assert folder.facts["space"]["sha256"] == {"cameras.toml": digest}


def test_repair_does_not_take_the_moments_for_a_camera(
    rig: Settings, tmp_path: Path
) -> None:
    folder, _ = recorded(rig, tmp_path / "run", frames=20)
    (folder.path / "run.json").unlink()
    repair(folder.path)
    assert set(RunFolder(folder.path).facts["cameras"]) == {*CAMERAS}


def test_a_calibration_that_can_not_be_copied_leaves_no_run(
    rig: Settings, tmp_path: Path
) -> None:
    facts = effective(rig)
    (tmp_path / "rig" / "cameras.toml").unlink()
    model = ModelFacts("script", "ab" * 32, 0.5, "script")
    run = RunFacts(0, dict.fromkeys(CAMERAS, FORM), SKELETON, model, facts)
    path = tmp_path / "run"
    with pytest.raises(DeviceError, match=r"cameras\.toml can't be copied"):
        RunFolder.create_at(path, datetime(2026, 11, 25, tzinfo=UTC), RIG, run)
    assert not (path / "settings.ini").exists()
