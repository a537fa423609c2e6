"""Makes the golden runs anew: `python -m tests.golden.make_runs`.

Only when what a run folder holds has changed on purpose: their decisions shall stay.
"""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cameras.simulated_wells import SimulatedWells
from deeplabstream.core.clock import ManualClock
from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.journal_entries import ANALYSIS_STARTED, Note
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.network_loading import network_ready_message, open_network
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.pose_filtering import pose_filter_of
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.engine.replay.rehearsal import rehearse
from deeplabstream.engine.replay.rerun import commands_text
from deeplabstream.engine.replay.video_replay import new_folder, replay
from deeplabstream.engine.space_tracking import space_tracker_of
from deeplabstream.files.paths import ROOT
from deeplabstream.pose.per_camera import thresholds_of
from deeplabstream.recording.run_folder import RunFacts, RunFolder
from deeplabstream.recording.run_schema import VIDEO_ENDED
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import Settings, parse
from deeplabstream.settings.ready_made import CONFIGS
from deeplabstream.settings.sections import effective
from deeplabstream.simulation.space_arena import (
    BodyWalk,
    CameraPainter,
    simulated_camera,
)
from deeplabstream.simulation.virtual_output import virtual_outputs

RUNS = Path(__file__).parent / "runs"
CHANGED = {
    "conditional": {"REST_S": "1", "TRIALS": "6"},
    "optogenetic": {"MIN_ON_S": "0.2", "MAX_ON_S": "0.8", "REST_S": "0.5"},
    "trial_based": {"TRIAL_S": "4", "INTERVAL": "uniform 1 3"},
    "classical_conditioning": {"CUE_S": "1", "INTERVAL": "exponential 1 0.5 3"},
    "stages": {"REWARDS": "3", "REST_S": "1"},
    "place_avoidance": {},
    "resident_intruder": {
        "SEED": "5",
        "BASELINE_S": "2",
        "MAX_BOUTS": "3",
    },  # safety end
    "pairs": {"RATE": "30", "SEED": "5", "REST_S": "1"},
    "pair_behaviour": {"SEED": "5", "REST_S": "1"},
    "social_place_preference": {
        "BASELINE_S": "8",
        "CONDITIONING_S": "13",
        "TEST_S": "7",
    },
}
"""Ready-made experiments, and the values that make something happen soon."""
SECONDS = 30.0
WELLS, WELL_FRAMES, WELL_RATE = "wells", 150, 10.0
"""Ready-made experiment in wells, and the frames of its run."""
REARING, MOMENTS, MOMENT_RATE = "rearing", 180, 10.0
"""Ready-made experiment in space, and the moments of its run."""


def main() -> None:
    for name, values in CHANGED.items():
        text = (CONFIGS / f"{name}.ini").read_text("utf-8")
        camera = "KIND = SimulatedCamera"
        text = text.replace(camera, f"{camera}\nRATE = 15\nSEED = 4\nWIDTH = 640")
        text = text.replace("../../output", "output")
        for key, value in values.items():
            text, times = re.subn(
                rf"^{key} = .*$", f"{key} = {value}", text, flags=re.M
            )
            if not times:
                kind = re.compile(r"(\[Experiment [^\n]*\n)")
                text = kind.sub(rf"\1{key} = {value}\n", text)
        path = RUNS / name
        shutil.rmtree(path, ignore_errors=True)
        flees = ["laser"] if name == "place_avoidance" else []
        folder, _ = rehearse(parse(text, path), path, seconds=SECONDS, flees=flees)
        folder.update(packages={}, system="", started="", ended="")
        (path / "commands.txt").write_text(commands_of(folder), "utf-8", newline="\n")
    make_wells()
    make_rearing()


def make_wells() -> None:
    """Make the run of simulated wells; a rehearsal has mice only."""
    text = (CONFIGS / f"{WELLS}.ini").read_text("utf-8")
    text = text.replace("../../output", "output")
    path = RUNS / WELLS
    shutil.rmtree(path, ignore_errors=True)
    settings = parse(text, path)
    camera = settings.cameras["plate"]
    assert isinstance(camera, SimulatedWells)

    def frames() -> Iterator[Frame]:
        for index in range(WELL_FRAMES):
            image = np.empty(camera.shape, np.uint8)
            camera.wells.draw(image, index / WELL_RATE, index)
            time_ns = round(index * 1e9 / WELL_RATE)
            yield Frame("plate", index, time_ns, time_ns, image)

    estimator = open_network(settings)
    network = network_ready_message(estimator, settings)
    form = ImageFormat(camera.shape, WELL_RATE)
    folder = new_folder(settings, path, form, network, {})
    with RunWriter(folder, 0) as writer:
        for _ in replay(settings, frames(), estimator, writer):
            pass
    folder.update(packages={}, system="", started="", ended="")
    (path / "commands.txt").write_text(commands_of(folder), "utf-8", newline="\n")


def make_rearing() -> None:
    """Make the run of a body in space; a replay of one video has no moments."""
    text = (CONFIGS / f"{REARING}.ini").read_text("utf-8")
    calibration = "CALIBRATION = ../../models/space_arena/calibration.toml"
    assert calibration in text
    text = text.replace("../../output", "output")
    text = text.replace(calibration, "CALIBRATION = calibration.toml")
    path = RUNS / REARING
    shutil.rmtree(path, ignore_errors=True)
    with TemporaryDirectory() as folder:
        source = ROOT / "models" / "space_arena" / "calibration.toml"
        shutil.copy2(source, folder)
        settings = parse(text, Path(folder))
        run = record_rearing(settings, path)
    run.update(
        packages={},
        system="",
        started="",
        ended="",
        # the folder of the original differs each time
        space={**run.facts["space"], "CALIBRATION": "calibration.toml"},
    )
    (path / "commands.txt").write_text(commands_of(run), "utf-8", newline="\n")


def record_rearing(settings: Settings, path: Path) -> RunFolder:
    """Record a run of `settings` on painted images, in one process."""
    cameras = {name: simulated_camera(name) for name in settings.cameras}
    painters = {name: CameraPainter(it) for name, it in cameras.items()}
    estimator, clock, walk = open_network(settings), ManualClock(), BodyWalk()
    network = network_ready_message(estimator, settings)
    forms = {name: ImageFormat(it.size, MOMENT_RATE) for name, it in cameras.items()}
    facts = RunFacts(0, forms, network.skeleton, network.facts, effective(settings))
    folder = RunFolder.create_at(path, datetime.now(UTC), settings.text, facts)
    with (
        RunWriter(folder, 0) as writer,
        opened(virtual_outputs(settings.outputs), clock, writer.entry) as bank,
    ):
        by_camera = settings.triggers_by_camera()
        for name in cameras:
            writer.begin(name, network.skeleton, by_camera.get(name, ()))
        loop = Loop(
            estimator,
            settings.experiment,
            settings.deciding_camera,
            clock,
            writer.entry,
            0,
            pose_filter=pose_filter_of(settings, thresholds_of(estimator)),
            space=space_tracker_of(settings),
        )
        writer.entry(Note(*ANALYSIS_STARTED, 0))
        loop.begin(settings.new_experiments(), settings.new_triggers(), bank)
        for number in range(MOMENTS):
            time_ns = round(number * 1e9 / MOMENT_RATE)
            body = walk.at(time_ns / 1e9)
            catch_up(bank, clock, time_ns)
            for name, painter in painters.items():
                image = np.empty(cameras[name].size, np.uint8)
                painter.paint(image, body, number)
                loop.step(Frame(name, number, time_ns, time_ns, image))
        loop.end(VIDEO_ENDED)
    return folder


def commands_of(folder: RunFolder) -> str:
    """Return the commands of a run, a line for each frame that has some."""
    steps = [
        step for camera in folder.facts["cameras"] for step in folder.steps(camera)
    ]
    steps.sort(key=lambda step: step.exposed_ns)
    return "".join(
        f"{step.index} {commands_text(step.commands)}\n"
        for step in steps
        if step.commands
    )


if __name__ == "__main__":
    main()
