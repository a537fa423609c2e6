"""The rule by which a computer carries boxes, and the search for their number."""

from datetime import UTC, datetime
from math import nan
from pathlib import Path

import pytest

from deeplabstream.engine.session.animal_progress import AnimalProgress
from deeplabstream.rack.box_load import BoxLoad, CameraLoad
from deeplabstream.rack.capacity import (
    RatedLoad,
    arena_sentence,
    find_capacity,
    rated,
    sentence,
)
from deeplabstream.rack.simulated_box import simulated
from deeplabstream.recording.animal_file import (
    Animal,
    AnimalEntry,
    animal_file,
    read_animal,
    write_animal,
)
from deeplabstream.settings.arena_layout import with_first_arenas
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


def test_arenas_are_carried_if_the_camera_is_analysed_and_are_named() -> None:
    few = rated(load_of(camera("1 left", 0.98)), ALONE, arenas=4)
    assert not few.carried
    found = rated(load_of(camera("1 left", p50_ms=15.1)), ALONE, arenas=4)
    assert found.carried, "each arena adds to the latency"
    assert found.row().split()[0] == "4"
    assert found.facts()["arenas"] == 4
    some = arena_sentence("left", 2, found)
    assert "carries 2 of its 4 arenas" in some
    assert "With all 4: 100.0% of the frames are analysed, p50 is 15.1 ms." in some
    assert "carries all of its 4 arenas" in arena_sentence("left", 4, found)
    failed = rated(load_of(problem="failed"), ALONE, arenas=4)
    assert "carries none of its 4" in arena_sentence("left", 0, failed)
    assert arena_sentence("left", 0, failed).endswith("With all 4: failed.")


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


PLATE = """
[Pose Estimation]
MODEL = background
[Camera plate]
KIND = Webcam
SOURCE = 7
RESOLUTION = 320, 240
RATE = 50
[Arenas]
ROWS = 2
COLUMNS = 3
CORNERS = 50 60, 250 160
SHAPE = circle 40
SUBJECTS = A1 fly 1, A2 fly 2, A3 -, B1 fly 4, B2 fly 5, extra fly 6
EXPERIMENTS = A1:A2 -, extra -
UNUSED = B3
[Arena extra]
REGION = rectangle 290 200 20 20
[Experiment]
EXP_NAME = light
[Trigger left]
KIND = InsideRegion
BODYPARTS = centre
REGION = rectangle -20 -20 20 40
[Experiment light]
KIND = Conditional
TRIGGER = left
OUTPUT = light
"""
LIGHTS = "".join(
    f"[Output light.{arena}]\nKIND = SerialLine\nPORT = /dev/{arena}\n"
    for arena in ("A3", "B1", "B2", "A1")
)
MARKERS = "0 0, 9 0, 9 9, 0 9"


def test_a_real_camera_above_arenas_becomes_simulated_wells_without_markers(
    tmp_path: Path,
) -> None:
    corners = ", ".join([MARKERS] * 4)
    found = f"MARKERS = 0, 1, 2, 3\nMARKER_CORNERS = {corners}\n[Arena extra]"
    rig = parse(PLATE.replace("[Arena extra]", found) + LIGHTS, tmp_path)
    box = simulated(rig)
    plate = box.cameras["plate"]
    values = [getattr(plate, key) for key in ("width", "height", "rate")]
    assert values == [320, 240, 50]
    assert [getattr(plate, key) for key in ("rows", "columns")] == [2, 3]
    assert not plate.occupied and not box.outputs["light.A3"].occupied
    assert (box.plate.markers, box.arenas) == ((), rig.arenas)
    assert rig.plate.markers


def test_a_video_is_repeated_at_its_rate_and_its_markers_are_found(
    tmp_path: Path,
) -> None:
    corners = ", ".join([MARKERS] * 4)
    found = f"MARKERS = 0, 1, 2, 3\nMARKER_CORNERS = {corners}\n[Arena extra]"
    text = PLATE.replace("[Arena extra]", found) + LIGHTS
    device = "KIND = Webcam\nSOURCE = 7\nRESOLUTION = 320, 240\nRATE = 50\n"
    (tmp_path / "plate.mkv").touch()
    video = "KIND = VideoFile\nSOURCE = plate.mkv\nPACED = no\n"
    box = simulated(parse(text.replace(device, video), tmp_path))
    plate = box.cameras["plate"]
    assert plate.repeated_video == tmp_path / "plate.mkv"
    assert vars(plate)["paced"]
    assert box.plate.markers == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("number", "arenas"),
    [
        (1, ["A3"]),
        (2, ["A3", "B1"]),
        (3, ["A3", "B1", "B2"]),
        (4, ["A1", "A3", "B1", "B2"]),
        (5, ["A1", "A2", "A3", "B1", "B2"]),
        (6, ["A1", "A2", "A3", "B1", "B2", "extra"]),
    ],
)
def test_some_arenas_of_a_rig_have_their_outputs_and_one_with_an_experiment_is_first(
    tmp_path: Path, number: int, arenas: list[str]
) -> None:
    text = PLATE + LIGHTS
    rig = parse(text, tmp_path)
    some = parse(with_first_arenas(text, rig, number), tmp_path)
    assert [*some.arenas] == arenas
    assert {*some.outputs} == {f"light.{it}" for it in arenas} & {*rig.outputs}
    assert some.subjects == {k: it for k, it in rig.subjects.items() if k in arenas}
    kept = {k: it for k, it in rig.arena_experiments.items() if k in arenas}
    assert some.arena_experiments == kept
