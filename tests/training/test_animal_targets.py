"""Networks for several animals: from labels to a model folder.

That such a network learns to tell animals apart is seen in the one that is shipped:
`tests/pose/test_arena_animals.py`.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.multi_animal import MultiAnimalDecoder
from deeplabstream.pose.image_fitting import Fitting, whole
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import open_estimator, open_live_crop
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.pose.tracking.pose_matching import animal_length
from deeplabstream.training.data.animal_targets import edges_of, training_decoder
from deeplabstream.training.data.augmentation import Augmentation, augment
from deeplabstream.training.data.batches import Batches
from deeplabstream.training.data.dataset import Dataset
from deeplabstream.training.data.labels import Labels, LabelsError
from deeplabstream.training.evaluation.animal_matching import claims, match, padded
from deeplabstream.training.fit_settings import FitSettings
from deeplabstream.training.networks.pose_network import Architecture
from utils import EvaluateNetwork, PredictFrames, TrainNetwork

MICE = 2
PARTS = ("nose", "rump")


@pytest.fixture(scope="module")
def model(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the program makes of them in two steps: a network that knows nothing yet."""
    folder = tmp_path_factory.mktemp("model") / "pair"
    words = ["--data", str(pairs), "--output", str(folder), "--size", "96x64"]
    words += ["--steps", "2", "--stages", "4", "--channels", "8", "--sigma", "1"]
    words += ["--light", "0", "--held-out", "0.2", "--batch", "4", "--quiet"]
    words += ["--animals", "3", "--threads", "2"]
    assert TrainNetwork.main(words) == 0
    return folder


def labels_of(points: np.ndarray, parts: tuple[str, ...], animals: int) -> Labels:
    count = len(points)
    return Labels(
        Path("labels.csv"), Skeleton(parts), (Path("a.png"),) * count,
        points.astype(np.float32), np.ones(points.shape[:2], np.bool_),
        ("a.png",) * count, Path(), animals,
    )  # fmt: skip


def test_there_is_room_for_more_animals_but_not_for_fewer() -> None:
    labels = labels_of(np.ones((2, 4, 2)), ("a", "b"), 2)
    more = padded(labels, 3)
    assert more.points.shape == (2, 6, 2)
    assert np.isnan(more.points[:, 4:]).all()
    assert more.known.all()
    with pytest.raises(LabelsError, match="labels up to 2 animals, more than 1"):
        padded(labels, 1)


def test_edges_are_the_bones_and_the_shortest_that_join_the_rest() -> None:
    points = np.array([[[0, 0], [10, 0], [10, 4], [30, 0]]])
    skeleton = Skeleton(("a", "b", "c", "d"), (("a", "b"),))
    assert edges_of(skeleton, points) == ((0, 1), (1, 2), (1, 3))
    points = np.where(np.arange(4)[None, :, None] == 3, np.nan, points)
    with pytest.raises(LabelsError, match="d: never labelled together"):
        edges_of(skeleton, points)


def test_a_mirror_exchanges_left_and_right_of_each_animal() -> None:
    skeleton = Skeleton(("leftear", "rightear"))
    points = np.array([[10, 5], [20, 5], [30, 9], [40, 9]], np.float32)
    still = Augmentation(rotation_deg=0, scale=(1, 1), shift=0, light=0, empty=0)
    picture = np.zeros((32, 64, 3), np.uint8)
    known = np.array([True, False, True, True])
    for seed in range(40):
        rng = np.random.default_rng(seed)
        _, moved, told = augment(still, skeleton, picture, points, known, None, rng)
        if not np.allclose(moved, points):
            break
    expected = [[43, 5], [53, 5], [23, 9], [33, 9]]
    np.testing.assert_allclose(moved, expected, atol=1e-3)
    assert told.tolist() == [False, True, True, True]


def test_what_is_learned_from_is_what_is_read() -> None:
    rng = np.random.default_rng(3)
    points = np.full((4, 3 * 2, 2), np.nan, np.float32)
    for picture in range(4):
        for animal in range(picture % 3 + 1):
            x = 12 + 30 * animal
            ends = np.array([[x, 14], [x + 5, 44]]) + rng.uniform(-2, 2, (2, 2))
            points[picture, 2 * animal : 2 * animal + 2] = ends
    fitting, edges = Fitting(64, 96), ((0, 1),)
    data = Dataset(
        Skeleton(PARTS), fitting, np.zeros((4, 64, 96, 3), np.uint8), points,
        np.ones((4, 6), np.bool_), (whole((64, 96), fitting),) * 4, ("c",) * 4, animals=3,
    )  # fmt: skip
    still = Augmentation(rotation_deg=0, scale=(1, 1), shift=0, mirror=False, empty=0)
    settings = FitSettings(
        batch=4, network=Architecture(sigma=1.0, edges=edges), augmentation=still
    )
    batch = Batches(data, settings).make(0)
    assert batch.targets.shape == (4, 2 + 2, 16, 24)
    assert batch.weight.shape == (4, 2)
    how = training_decoder(data, settings.network)
    for target, truth in zip(batch.targets, batch.points, strict=True):
        found, sure = how.decode(target.numpy()[None])
        own = truth.numpy().reshape(3, 2, 2)
        matched = match(found, sure, own[None])
        counted = matched.counted
        assert counted.labelled == counted.found == counted.predicted
        np.testing.assert_allclose(matched.points[0], own, atol=0.5)


def test_animals_are_counted_as_a_person_would() -> None:
    labels = np.full((2, 3, 2, 2), np.nan, np.float32)
    labels[0, 0], labels[0, 1] = [[10, 10], [50, 10]], [[10, 90], [50, 90]]
    labels[1, 2] = [[30, 30], [70, 30]]
    labels[1, 0, 0] = 200, 200  # one part of an animal is to be seen
    found = np.full_like(labels, np.nan)
    found[0, 0] = [[11, 90], [np.nan, np.nan]]  # the second, half of it
    found[0, 1] = [[150, 10], [190, 10]]  # nobody
    found[1, 1] = [[30, 33], [70, 33]]
    found[1, 0] = [[201, 200], [240, 200]]  # on the one part
    sure = np.where(np.isfinite(found).all(axis=3), 0.9, 0.0).astype(np.float32)
    matched = match(found, sure, labels)
    assert animal_length(labels) == 40
    assert matched.near_px == 10
    counted = matched.counted
    assert counted.labelled.tolist() == [2, 1]
    assert counted.found.tolist() == [1, 1]
    assert counted.predicted.tolist() == [2, 1]
    assert counted.recall == pytest.approx(2 / 3)
    assert counted.of([False, True]).precision == 1
    assert matched.distance[0, 1, 0] == pytest.approx(1)
    assert matched.distance[1, 2].tolist() == [3, 3]
    assert np.isnan(matched.distance[0, 0]).all()
    assert not match(found, sure, labels, 0.95).counted.predicted.any()


def test_who_is_nobodys_takes_a_row_without_a_label() -> None:
    labels = np.full((1, 2, 2, 2), np.nan, np.float32)
    labels[0, 0] = [[10, 10], [30, 10]]
    found = np.full_like(labels, np.nan)
    found[0, 0] = [[200, 200], [220, 200]]
    matched = match(found, np.ones((1, 2, 2), np.float32), labels)
    np.testing.assert_array_equal(matched.points[0, 1], found[0, 0])
    assert np.isnan(matched.points[0, 0]).all()
    assert matched.rows[0, 0] == 1
    assert not matched.right.any()


def test_what_is_told_is_right_or_wrong_but_what_is_missed_says_nothing() -> None:
    labels = np.full((1, 2, 2, 2), np.nan, np.float32)
    labels[0, 0], labels[0, 1] = [[10, 10], [50, 10]], [[10, 90], [np.nan, np.nan]]
    found = np.full_like(labels, np.nan)
    found[0, 0] = [[200, 200], [240, 200]]  # nobody: every row has a label
    found[0, 1] = [[11, 10], [np.nan, np.nan]]  # the first, half of it
    sure = np.where(np.isfinite(found).all(axis=3), 0.9, 0.0).astype(np.float32)
    known = np.ones(sure.shape, np.bool_)
    distance, told, asked = claims(found, sure, labels, known)
    assert asked.tolist() == [[True, True, True, False]]
    np.testing.assert_array_equal(distance[0, :3], [np.nan, np.nan, 1])
    assert told[0, :3].tolist() == sure.reshape(-1)[:3].tolist()
    known[0, 0, 0] = False
    assert claims(found, sure, labels, known)[2].tolist() == [
        [True, True, False, False]
    ]


def test_the_model_folder_says_that_there_are_several(model: Path) -> None:
    loaded = load_model_folder(model)
    assert loaded.animals == 3
    assert isinstance(loaded.decoder, MultiAnimalDecoder)
    assert loaded.decoder.grouping.edges == ((0, 1),)
    (longest,) = loaded.decoder.grouping.longest
    assert longest == pytest.approx(1.5 * 26, abs=0.1)
    assert loaded.decoder.maps == Heatmaps(4, 1.0)
    assert loaded.output_shapes[0] == (4, 16, 24)
    told = loaded.about["held_out_animals"]
    assert isinstance(told, dict)
    assert told["animals"] == 6
    (pose,) = open_estimator(model, "cpu", 1).estimate([np.zeros((64, 96), np.uint8)])
    assert pose.points.shape == (3, 2, 2)


def test_its_tables_have_individuals(model: Path) -> None:
    with (model / "predictions.csv").open(newline="") as lines:
        rows = list(csv.reader(lines))
    assert rows[1][1:8] == ["animal1"] * 6 + ["animal2"]
    assert rows[2][1:8] == ["nose"] * 3 + ["rump"] * 3 + ["nose"]
    assert rows[3][-4:] == ["x", "y", "likelihood", ""]
    assert len(rows) == 4 + 16
    assert {row[-1] for row in rows[4:]} == {"train", "validation"}
    head = (model / "predictions_pixel_error.csv").read_text().splitlines()[0]
    assert head.startswith(",animal1_nose,animal1_rump,animal2_nose")


def test_a_live_crop_needs_a_network_of_one_animal(model: Path) -> None:
    estimator = open_estimator(model, "cpu", 1)
    assert isinstance(estimator, NetworkEstimator)
    with pytest.raises(ModelError, match="LIVE_CROP needs a network of one animal"):
        open_live_crop(estimator, None, 0.5, 0)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--kind", "regression"], "leave out --kind regression"),
        (["--kind", "context", "--moved", "0.5"], "--kind context, --moved"),
        (["--animals", "1"], "labels up to 2 animals, more than 1"),
    ],
)
def test_what_several_animals_can_not_have_is_refused_in_a_sentence(
    pairs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    start = ["--data", str(pairs), "--output", str(tmp_path / "m"), "--steps", "1"]
    assert TrainNetwork.main([*start, *words]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1


def test_the_programs_beside_training_know_several_animals(
    model: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    file = str(pairs / "CollectedData.csv")
    words = ["--model", str(model), "--output", str(out), "--device", "cpu", file]
    assert PredictFrames.main(words) == 0
    table = (out / "CollectedData.csv" / "predictions.csv").read_text().splitlines()
    assert table[1].startswith("individuals,animal1")
    table_of_errors = tmp_path / "errors.csv"
    words = ["--model", str(model), "--data", file, "--device", "cpu", "--csv"]
    assert EvaluateNetwork.main([*words, str(table_of_errors)]) == 0
    told = capsys.readouterr().out
    assert "32 animals: recall 0.0%" in told
    with table_of_errors.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["bodypart"] for row in rows] == ["nose", "rump", "together"]
