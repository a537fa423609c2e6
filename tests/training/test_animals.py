"""Networks for several animals: from labels to a model folder.

That such a network learns to tell animals apart is seen in the one that is shipped:
`tests/pose/test_arena_animals.py`.
"""

import csv
import json
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from core.errors import ModelError
from core.pose import Skeleton
from pose.fitting import Fitting
from pose.heatmaps import Heatmaps
from pose.model_folder import load_model_folder
from pose.network_estimator import NetworkEstimator
from pose.opening import open_estimator, open_live_crop
from pose.reading import Several
from pose.window import whole
from training.animals import animal_length, decoder_of, edges_of, match, padded
from training.augmentation import Augmentation, augment
from training.batches import Batches
from training.dataset import Dataset
from training.labels import Labels, LabelsError, read_labels
from training.networks import Architecture
from training.projects import open_project
from training.settings import FitSettings
from utils import EvaluateNetwork, PredictFrames, TrainNetwork

MICE = 2
PARTS = ("nose", "rump")


def draw(picture: np.ndarray, nose: np.ndarray, rump: np.ndarray) -> None:
    """Draw an animal: a grey bar with a bright and a dark end."""
    ends = [tuple(int(v) for v in np.rint(end * 16)) for end in (nose, rump)]
    cv2.line(picture, ends[0], ends[1], (80,) * 3, 4, cv2.LINE_AA, 4)
    cv2.circle(picture, ends[0], 4 * 16, (250,) * 3, -1, cv2.LINE_AA, 4)
    cv2.circle(picture, ends[1], 4 * 16, (5,) * 3, -1, cv2.LINE_AA, 4)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen pictures of two animals side by side, and where they are."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    rows = []
    for index in range(16):
        picture = np.full((64, 96, 3), 150, np.uint8)
        cells: list[object] = [f"img{index:02}.png"]
        for middle in ((28, 32), (68, 32)):
            angle = rng.uniform(0, 2 * np.pi)
            along = 13 * np.array([np.cos(angle), np.sin(angle)])
            at = np.array(middle) + rng.uniform(-5, 5, 2)
            ends = np.round([at + along, at - along], 2)
            draw(picture, *ends)
            cells += ends.ravel().tolist()
        cv2.imwrite(str(folder / str(cells[0])), picture)
        rows.append(cells)
    header = [
        ["scorer", *["me"] * 8],
        ["individuals", *["one"] * 4, *["two"] * 4],
        ["bodyparts", *["nose", "nose", "rump", "rump"] * 2],
        ["coords", *["x", "y"] * 4],
    ]
    with (folder / "CollectedData.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([*header, *rows])
    return folder


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


def test_labels_of_several_animals_are_read_only_where_they_are_wanted(
    pairs: Path,
) -> None:
    labels = read_labels(pairs, several=True)
    assert labels.animals == MICE
    assert labels.skeleton.bodyparts == PARTS
    assert labels.points.shape == (16, 4, 2)
    assert labels.known.all()
    with pytest.raises(LabelsError, match="labels several animals; one per picture"):
        read_labels(pairs)


@pytest.mark.parametrize(
    ("owners", "parts", "sentence"),
    [
        ("a a b b", "x x y y", "b has y, a x"),
        ("a a single single", "x x box box", "no animal's, of the individual 'single'"),
        ("a a b b a a b b", "x x x x y y y y", "do not stand together"),
    ],
)
def test_animals_that_do_not_fit_together_are_refused(
    tmp_path: Path, owners: str, parts: str, sentence: str
) -> None:
    count = len(owners.split())
    rows = [
        ["scorer", *["me"] * count],
        ["individuals", *owners.split()],
        ["bodyparts", *parts.split()],
        ["coords", *["x", "y"] * (count // 2)],
        ["a.png", *["1"] * count],
    ]
    file = tmp_path / "CollectedData.csv"
    with file.open("w", newline="") as lines:
        csv.writer(lines).writerows(rows)
    with pytest.raises(LabelsError, match=sentence):
        read_labels(file, pictures=False, several=True)


def test_a_deeplabcut_project_of_several_animals_is_read(pairs: Path) -> None:
    folder = pairs.parent / "dlc"
    clip = folder / "labeled-data" / "film"
    clip.mkdir(parents=True)
    rows = (pairs / "CollectedData.csv").read_text().splitlines()
    for line in rows[4:]:
        name = line.split(",")[0]
        (clip / name).write_bytes((pairs / name).read_bytes())
    head = [line.replace(",", ",,,", 1) for line in rows[:4]]
    told = [f"labeled-data,film,{line}" for line in rows[4:]]
    (clip / "CollectedData_me.csv").write_text("\n".join([*head, *told]))
    (folder / "config.yaml").write_text(
        "scorer: me\nmultianimalproject: true\nindividuals: [one, two]\n"
        "bodyparts: MULTI!\nmultianimalbodyparts: [rump, nose]\nuniquebodyparts: []\n"
        "skeleton: [[nose, rump]]\n"
    )
    labels = open_project(folder, folder, several=True).labels
    assert labels.animals == MICE
    assert labels.skeleton == Skeleton(("rump", "nose"), (("nose", "rump"),))
    plain = read_labels(pairs, several=True)
    np.testing.assert_array_equal(labels.points[:, [1, 0, 3, 2]], plain.points)
    with pytest.raises(LabelsError, match="labels several animals; one per picture"):
        open_project(folder, folder)


def test_a_sleap_package_has_as_many_animals_as_its_fullest_picture(
    tmp_path: Path,
) -> None:
    file = tmp_path / "two.pkg.slp"
    words = {
        "nodes": [{"name": "nose"}, {"name": "rump"}],
        "skeletons": [{"nodes": [{"id": 0}, {"id": 1}], "links": []}],
    }
    frame = [(n, "u8") for n in ("frame_id", "video", "frame_idx")]
    frame += [(f"instance_id_{end}", "u8") for end in ("start", "end")]
    one = [("instance_type", "u1"), ("point_id_start", "u8"), ("point_id_end", "u8")]
    picture = cv2.imencode(".png", np.zeros((30, 40), np.uint8))[1].ravel()
    with h5py.File(file, "w") as content:
        content.create_group("metadata").attrs["json"] = json.dumps(words)
        content["frames"] = np.array([(0, 0, 0, 0, 1), (1, 0, 1, 1, 3)], frame)
        instances = [(0, 2 * i, 2 * i + 2) for i in range(3)]
        content["instances"] = np.array(instances, one)
        points = [(float(i), 2.0, True) for i in range(6)]
        kind = [("x", "f8"), ("y", "f8"), ("visible", "?")]
        content["points"] = np.array(points, kind)
        stored = content.create_dataset(
            "video0/video", (2,), h5py.special_dtype(vlen=np.int8)
        )
        stored[0], stored[1] = picture.view(np.int8), picture.view(np.int8)
        content["video0/frame_numbers"] = [0, 1]
    labels = open_project(file, tmp_path / "unpacked", several=True).labels
    assert labels.animals == 2
    assert labels.points[:, :, 0].tolist()[1] == [2, 3, 4, 5]
    assert np.isnan(labels.points[0, 2:]).all()
    with pytest.raises(LabelsError, match="labels several animals"):
        open_project(file, tmp_path / "again")


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
    for seed in range(40):
        _, moved = augment(
            still, skeleton, picture, points, None, np.random.default_rng(seed)
        )
        if not np.allclose(moved, points):
            break
    expected = [[43, 5], [53, 5], [23, 9], [33, 9]]
    np.testing.assert_allclose(moved, expected, atol=1e-3)


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
    how = decoder_of(data, edges, 1.0)
    for target, truth in zip(batch.targets, batch.points, strict=True):
        found, sure = how.decode(target.numpy())
        own = truth.numpy().reshape(3, 2, 2)
        matched = match(found[None], sure[None], own[None])
        assert matched.labelled == matched.found == matched.told
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
    assert (matched.labelled, matched.found, matched.told) == (3, 2, 3)
    assert matched.recall == pytest.approx(2 / 3)
    assert matched.distance[0, 1, 0] == pytest.approx(1)
    assert matched.distance[1, 2].tolist() == [3, 3]
    assert np.isnan(matched.distance[0, 0]).all()
    assert match(found, sure, labels, 0.95).told == 0


def test_the_model_folder_says_that_there_are_several(model: Path) -> None:
    loaded = load_model_folder(model)
    assert loaded.animals == 3
    assert isinstance(loaded.decoder, Several)
    assert loaded.decoder.grouping.edges == ((0, 1),)
    (longest,) = loaded.decoder.grouping.longest
    assert longest == pytest.approx(1.5 * 26, abs=0.1)
    assert loaded.heatmaps == Heatmaps(4, 1.0)
    assert loaded.output_shape == (4, 16, 24)
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


def test_one_animal_is_all_that_a_live_crop_follows(model: Path) -> None:
    estimator = open_estimator(model, "cpu", 1)
    assert isinstance(estimator, NetworkEstimator)
    with pytest.raises(ModelError, match="LIVE_CROP follows one animal"):
        open_live_crop(estimator, None, 0.5, 0)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--kind", "regression"], "leave out --kind regression"),
        (["--kind", "context", "--moved", "0.5"], "--kind context, --moved"),
        (["--cropzoom"], "leave out --cropzoom"),
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
    assert TrainNetwork.main([*start, *words]) == 1
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
    page = tmp_path / "page.html"
    words = ["--model", str(model), "--data", file, "--device", "cpu", "--report"]
    assert EvaluateNetwork.main([*words, str(page)]) == 1
    assert "--report is for one animal" in capsys.readouterr().err
