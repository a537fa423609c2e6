import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.training.data.labels import read_labels
from deeplabstream.training.data.rotation_range import FEWEST, turns_and_mirror

MOUSE = Skeleton(("snout", "leftear", "rightear", "tailbase"))
FROM_ABOVE = np.array([[60, 0], [35, 15], [35, -15], [-60, 0]], float)
RUNNER = Skeleton(("nose", "forepaw", "hindpaw", "tailbase"))
FROM_THE_SIDE = np.array([[60, 0], [30, 40], [-40, 42], [-60, 5]], float)


def poses(
    shape: NDArray[np.float64], most_deg: float, count: int = 60
) -> NDArray[np.float32]:
    """Return `shape` in `count` places, turned by up to so much, a little bent."""
    rng = np.random.default_rng(0)
    turn = np.radians(rng.uniform(-most_deg, most_deg, count))
    rows = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], axis=1)
    turned = np.einsum("nij,pj->npi", rows.reshape(-1, 2, 2), shape)
    turned += rng.uniform(100, 400, (count, 1, 2)) + rng.normal(0, 4, turned.shape)
    return turned.astype(np.float32)


def test_a_mouse_seen_from_above_may_be_headed_anywhere() -> None:
    assert turns_and_mirror(poses(FROM_ABOVE, 180), MOUSE) == (180, True)


def test_a_runner_seen_from_the_side_stays_upright_and_headed_as_it_is() -> None:
    turns, mirror = turns_and_mirror(poses(FROM_THE_SIDE, 12), RUNNER)
    assert 20 < turns < 30  # twice the 95th percentile
    assert not mirror


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("most_px", [20, 60, 80])
def test_parts_that_move_independently_are_no_rotation(
    count: int, most_px: float
) -> None:
    """Paws beside a fixed camera: the best fitting rotation is far, and fits badly."""
    rng = np.random.default_rng(1)
    moved = FROM_THE_SIDE[:count] + rng.uniform(-most_px, most_px, (90, count, 2))
    turns, _ = turns_and_mirror(
        moved.astype(np.float32), Skeleton(RUNNER.bodyparts[:count])
    )
    assert turns < (180 if count == 3 else 30)  # three fit a rotation by chance


def test_few_animals_that_are_headed_elsewhere_are_enough() -> None:
    """Two of three frames show the animal headed alike; the camera is above."""
    given = poses(FROM_ABOVE, 180)
    given[20:] = poses(FROM_ABOVE, 10)[20:]
    assert turns_and_mirror(given, MOUSE)[0] == 180


SETS = Path(__file__).parents[3] / "shared/data"


@pytest.mark.skipif(not SETS.exists(), reason="the labelled sets are not here")
@pytest.mark.parametrize(
    ("name", "parts", "turns", "mirror"),
    [
        ("openfield", "", 180, True),
        ("mirror-mouse", "", 15, False),
        ("mirror-mouse", "_top", 15, False),
        ("mirror-mouse", "paw", 15, False),
        ("lips", "", 15, True),
    ],
)
def test_real_cameras(name: str, parts: str, turns: float, mirror: bool) -> None:
    """From above, beside a wheel, in front of a face."""
    labels = read_labels(SETS / name / "CollectedData.csv", root=SETS / name)
    own = [n for n, part in enumerate(labels.skeleton.bodyparts) if parts in part]
    skeleton = Skeleton(tuple(labels.skeleton.bodyparts[n] for n in own))
    assert turns_and_mirror(labels.points[:, own], skeleton) == (turns, mirror)


@pytest.mark.skipif(not SETS.exists(), reason="the labelled sets are not here")
def test_flies_filmed_from_above_may_be_headed_anywhere() -> None:
    import sleap_io

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels = sleap_io.load_file(str(SETS / "sleap/clip.slp"))
    frames = list(labels)[::7]
    points = np.array([fly.numpy() for frame in frames for fly in frame.instances])
    skeleton = Skeleton(tuple(labels.skeleton.node_names))
    assert turns_and_mirror(points.astype(np.float32), skeleton)[0] == 180


def test_a_face_seen_from_the_front_may_be_mirrored_but_hardly_turned() -> None:
    face = FROM_ABOVE @ [[0, -1], [1, 0]]
    assert turns_and_mirror(poses(face, 1), MOUSE) == (15, True)


def test_ears_that_a_mirror_would_not_exchange_forbid_it() -> None:
    strange = Skeleton(("snout", "ear_one", "ear_two", "tailbase"))
    assert turns_and_mirror(poses(FROM_ABOVE, 180), strange) == (180, False)


def test_labels_that_are_missing_or_wrong_change_little() -> None:
    given = poses(FROM_THE_SIDE, 12)
    turns, _ = turns_and_mirror(given, RUNNER)
    given[::3, 1] = np.nan
    given[0] = given[0, ::-1]
    given[1] = np.nan
    again, mirror = turns_and_mirror(given, RUNNER)
    assert again == pytest.approx(turns, rel=0.25)
    assert not mirror


def test_parts_that_never_meet_are_no_fault() -> None:
    given = poses(np.concatenate([FROM_ABOVE, FROM_ABOVE + 20]), 180)
    given[::2, :4] = np.nan
    given[1::2, 4:] = np.nan
    names = tuple(f"part{n}" for n in range(8))
    turns, _ = turns_and_mirror(given, Skeleton(names))  # warnings are errors
    assert 0 <= turns <= 180


@pytest.mark.parametrize("count", [0, FEWEST - 1])
def test_few_poses_tell_nothing(count: int) -> None:
    assert turns_and_mirror(poses(FROM_THE_SIDE, 0, count), RUNNER) == (180, True)


def test_as_few_as_needed_of_three_points_tell() -> None:
    three = Skeleton(("nose", "forepaw", "hindpaw"))
    given = poses(FROM_THE_SIDE[:3], 1, FEWEST)
    turns, mirror = turns_and_mirror(given, three)
    assert turns < 30
    assert not mirror


def test_two_points_tell_nothing() -> None:
    two = Skeleton(("a", "b"))
    assert turns_and_mirror(poses(FROM_ABOVE[:2], 0), two) == (180, True)
