"""The rule by which a computer carries boxes, and the search for their number."""

from datetime import UTC, datetime
from math import nan
from pathlib import Path

import pytest

from deeplabstream.engine.session.animal_progress import AnimalProgress
from deeplabstream.rack.box_load import BoxLoad, CameraLoad
from deeplabstream.rack.capacity import RatedLoad, find_capacity, rated, sentence
from deeplabstream.rack.simulated_box import simulated
from deeplabstream.recording.animal_file import (
    Animal,
    AnimalEntry,
    animal_file,
    read_animal,
    write_animal,
)
from deeplabstream.settings.loading import parse
from deeplabstream.settings.text_rewriting import with_drawn_seeds


def camera(box: str, share: float = 1.0, p50_ms: float = 10.0) -> CameraLoad:
    return CameraLoad(box, "top", 30.0, 30.0 * share, share, p50_ms, 2 * p50_ms)


def load_of(*cameras: CameraLoad, problem: str = "") -> BoxLoad:
    return BoxLoad(max(1, len(cameras)), cameras, 0.5, 100.0, problem)


ALONE = {("1 left", "top"): 10.0, ("2 right", "top"): 20.0}


@pytest.mark.parametrize(
    ("cameras", "ratio", "carried"),
    [
        ((camera("1 left"), camera("2 right", p50_ms=20.0)), 1.0, True),
        ((camera("1 left", p50_ms=15.0),), 1.5, True),
        ((camera("1 left", p50_ms=15.1),), 1.51, False),
        ((camera("1 left"), camera("2 right", p50_ms=31.0)), 1.55, False),
        ((camera("1 left", share=0.99),), 1.0, True),
        ((camera("1 left", share=0.98), camera("2 right", p50_ms=1.0)), 1.0, False),
        ((camera("1 left", p50_ms=nan),), nan, False),
        ((camera("3 unknown"),), nan, False),
        ((), nan, False),
    ],
)
def test_boxes_are_carried_if_each_camera_is_analysed_and_as_fast_as_alone(
    cameras: tuple[CameraLoad, ...], ratio: float, carried: bool
) -> None:
    found = rated(load_of(*cameras), ALONE)
    assert found.ratio == pytest.approx(ratio, nan_ok=True)
    assert found.carried is carried
    assert found.facts()["carried"] is carried


@pytest.mark.parametrize("most", [1, 2, 7, 16])
@pytest.mark.parametrize("real", [*range(18)])
def test_the_largest_number_of_boxes_is_found_exactly(most: int, real: int) -> None:
    tried = []

    def measure(number: int) -> RatedLoad:
        tried.append(number)
        return rated(load_of(camera("1 left", float(number <= real))), ALONE)

    steps = [*find_capacity(most, measure)]
    assert steps[-1][0] == min(real, most)
    assert len(set(tried)) == len(tried) == len(steps)
    assert tried[0] == 1
    assert max(tried) <= most


def test_a_number_that_could_not_be_measured_is_not_carried_and_says_why() -> None:
    found = rated(load_of(problem="[Box 1 left] failed"), ALONE)
    assert not found.carried
    assert found.row().endswith("1  [Box 1 left] failed")
    assert "does not carry" in sentence(0, 16)
    assert "more were not tried" in sentence(16, 16)
    assert "more" not in sentence(2, 16)


RIG = """
[Pose Estimation]
MODEL = stand-in:0
[Experiment]
EXP_NAME = light
[Camera top]
KIND = Webcam
SOURCE = 7
RESOLUTION = 320, 240
RATE = 50
[Camera side]
KIND = Webcam
SOURCE = 8
RECORD = no
CROP = 10, 20, 100, 80
[Camera drawn]
KIND = SimulatedCamera
WIDTH = 96
[Trigger corner]
KIND = InsideRegion
BODYPARTS = snout
REGION = circle 10 20 30
[Output laser]
KIND = SerialLine
PORT = /dev/nowhere
MAX_ON_S = 7
[Experiment light]
KIND = Conditional
TRIGGER = corner
OUTPUT = laser
"""


def test_a_simulated_box_opens_no_device(tmp_path: Path) -> None:
    rig = parse(RIG, tmp_path)
    box = simulated(rig)
    assert not any(it.occupied for it in (*box.cameras.values(), *box.outputs.values()))
    assert box.outputs["laser"].max_on_s == 7

    sizes = {
        name: [getattr(it, key) for key in ("width", "height", "rate")]
        for name, it in box.cameras.items()
    }
    assert sizes["top"] == [320, 240, 50]
    assert sizes["side"] == [100, 80, 30]
    assert not box.cameras["side"].record
    assert box.cameras["drawn"] is rig.cameras["drawn"]
    assert (box.pose, box.experiment) == (rig.pose, rig.experiment)


SHAPING = """
[Session]
ANIMAL = m1
PROGRESS_FOLDER = animals
[Camera top]
KIND = Webcam
SOURCE = 7
[Trigger corner]
KIND = InsideRegion
BODYPARTS = snout
REGION = circle 0 0 9
PROBABILITY = 0.5
SEED = new
[Output feeder]
KIND = SerialLine
PORT = /dev/nowhere
[Experiment]
EXP_NAME = shaping
[Experiment shaping]
KIND = Stages
STAGES = corner, corner, corner
REWARD = feeder
"""


def test_a_new_seed_and_progress_of_an_animal_open_no_device_of_a_simulated_box(
    tmp_path: Path,
) -> None:
    file = animal_file(tmp_path / "animals", "m1")
    entry = AnimalEntry(
        time=datetime(2026, 11, 25, tzinfo=UTC),
        experiment="shaping",
        values={"FIRST_STAGE": "2"},
    )
    write_animal(file, Animal(animal="m1").after(entry))

    box = simulated(parse(SHAPING, tmp_path))
    # as a session does at its start
    used, _ = AnimalProgress().open(with_drawn_seeds(box))
    assert not any(
        it.occupied for it in (*used.cameras.values(), *used.outputs.values())
    )
    assert len(read_animal(file).history) == 1
