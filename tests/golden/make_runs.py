"""Makes the golden runs anew: `python -m tests.golden.make_runs`.

Only when what a run folder holds has changed on purpose: their decisions shall stay.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cameras.simulated_wells import SimulatedWells
from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.engine.network_loading import network_ready_message, open_network
from deeplabstream.engine.replay.rehearsal import rehearse
from deeplabstream.engine.replay.rerun import commands_text
from deeplabstream.engine.replay.video_replay import new_folder, replay
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import parse
from deeplabstream.settings.ready_made import CONFIGS

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


def commands_of(folder: RunFolder) -> str:
    """Return the commands of a run, a line for each frame that has some."""
    (camera,) = folder.facts["cameras"]
    steps = folder.steps(camera)
    return "".join(
        f"{step.index} {commands_text(step.commands)}\n"
        for step in steps
        if step.commands
    )


if __name__ == "__main__":
    main()
