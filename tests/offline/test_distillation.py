"""A slow network labels videos, a fast one learns from them; limits are measured."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.offline.distillation import distillation, students
from deeplabstream.offline.distillation.agreement import Agreement, agreement
from deeplabstream.offline.distillation.labelling import (
    HAND,
    HELD_OUT,
    KEPT_AWAY,
    LABELS,
    ORIGINS,
    label_video,
)
from deeplabstream.offline.distillation.students import (
    Candidate,
    Errors,
    References,
    Student,
    Timing,
    best,
    measure_student,
    parse_candidate,
)
from deeplabstream.offline.distillation.teacher import (
    COPIES,
    VIEWS,
    Teacher,
    Teachers,
    open_teachers,
)
from deeplabstream.pose.image_files import read_image
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.pose.runtimes.runtime_comparison import images_of
from deeplabstream.simulation.arena import Arena
from deeplabstream.training.data.labels import read_labels
from deeplabstream.video.video_reader import open_video
from tests.offline.films import DotFinder, dot_at, dotted, write_film
from utils.DistillNetwork import main

EARS = Skeleton(("leftear", "rightear", "tail"))
THRESHOLD = np.array([0.5])
TINY = ["--students", "efficientnet_lite0:4:64x48", "--steps", "2", "--batch", "2"]
QUICK = [*TINY, "--runtime", "cpu", "--count", "12", "--quiet"]


def walk(frames: int = 200) -> np.ndarray:
    """Return opinions (frame, 1, view, part, 3) of a teacher that is always right."""
    rng = np.random.default_rng(0)
    path = np.cumsum(rng.normal(0, 2, (frames, 2)), axis=0) + 300
    angle = np.cumsum(rng.normal(0, 0.05, frames))
    body = np.array([(20, -8), (20, 8), (-30, 0)])
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1)
    points = path[:, None] + body @ turn.reshape(-1, 2, 2).transpose(0, 2, 1)
    told = np.ones((frames, 1, len(VIEWS), 3, 3), np.float32)
    told[:, 0, :COPIES, :, :2] = points[:, None]
    told[1:, 0, COPIES, :, :2] = points[:-1]
    told[:-1, 0, COPIES + 1, :, :2] = points[1:]
    told[0, 0, COPIES], told[-1, 0, COPIES + 1] = np.nan, np.nan
    return told + np.concatenate([rng.normal(0, 0.3, (*told.shape[:-1], 2)), np.zeros(
        (*told.shape[:-1], 1))], axis=-1).astype(np.float32)  # fmt: skip


def agreed(told: np.ndarray, **more: object) -> Agreement:
    return agreement(told, THRESHOLD, EARS, 5.0, **more)  # type: ignore[arg-type]


def test_a_teacher_that_is_always_right_is_believed() -> None:
    told = walk()
    found = agreed(told)
    assert found.known.mean() > 0.99
    assert not found.unused
    away = np.linalg.norm(found.points - told[:, 0, 0, :, :2], axis=-1)
    assert np.nanmax(away) < 2


def test_opinions_that_are_apart_are_unknown_and_not_absent() -> None:
    told = walk()
    told[7, 0, 1, 2, :2] += 60  # the mirrored copy has the tail elsewhere
    found = agreed(told)
    assert not found.known[7, 2]
    assert found.known[7, :2].all()
    assert found.rejected["opinions apart"] == 1
    told = walk()
    told[7, 0, :, 2, 2] = 0.1  # not visible in any copy
    told[8, 0, :2, 2, 2] = 0.1  # in half of them
    found = agreed(told)
    assert found.known[7, 2]
    assert np.isnan(found.points[7, 2]).all()
    assert not found.known[8, 2]
    assert found.rejected["seen in some copies only"] == 1


def test_wrong_points_are_caught_though_all_copies_agree() -> None:
    told = walk()
    told[9, 0, :COPIES, 2, :2] += 60  # wrong in all copies of one frame
    found = agreed(told)
    assert not found.known[9, 2]
    assert found.rejected["jumps between frames"] == 1
    told = walk()
    told[9, ..., 2, :2] += (-300, -300)  # and in the frames beside it: it is too long
    found = agreed(told)
    assert found.known[9].tolist() == [True, False, False], "one of the ends is wrong"
    assert found.rejected["edge length"] == 2


def test_exchanged_ears_are_an_implausible_posture() -> None:
    told = walk(400)
    told[5, 0] = told[5, 0][:, [1, 0, 2]]  # left and right, in every view
    found = agreed(told)
    assert not found.known[5].all()
    assert found.rejected["posture"] > 0
    assert found.known.mean() > 0.99


def test_copies_for_which_the_teacher_was_not_trained_are_not_compared() -> None:
    told = walk()
    told[:, 0, 1, :, 0] += 90  # a network of side views: all mirrored poses are wrong
    found = agreed(told)
    assert list(found.unused) == ["mirrored"]
    assert found.known.mean() > 0.99


def test_one_opinion_is_no_agreement() -> None:
    told = walk()
    told[:, 0, 1:COPIES, :, 0] += 90
    found = agreed(told)
    assert len(found.unused) == COPIES - 1
    assert not found.known.any()
    assert not found.usable.any()


def test_a_running_animal_does_not_jump() -> None:
    told = walk()
    for step, frame in enumerate(range(50, 56)):
        told[frame:, ..., 0] += 40 if step else 0
    for frame in range(49, 56):  # the frames beside are those of the same run
        told[frame, 0, COPIES, :, :2] = told[frame - 1, 0, 0, :, :2]
        told[frame, 0, COPIES + 1, :, :2] = told[frame + 1, 0, 0, :, :2]
    assert agreed(told).known[50:55].all()


def test_points_of_copies_are_mapped_back() -> None:
    told = Teacher("dots", (DotFinder(),)).look(dotted(5), dotted(4), dotted(6))
    assert told.shape == (1, len(VIEWS), 1, 3)
    places = [dot_at(5)] * COPIES + [dot_at(4), dot_at(6)]
    assert np.abs(told[0, :, 0, :2] - places).max() < 1.0
    alone = Teacher("dots", (DotFinder(),)).look(dotted(5))
    assert np.isnan(alone[0, COPIES:]).all()


class _TwoEars(DotFinder):
    def estimate(self, images: object, cameras: object = ()) -> list[Pose]:
        found = super().estimate(images)  # type: ignore[arg-type]
        three = [np.repeat(pose.points, 3, axis=1) for pose in found]
        for points in three:
            points[0, 1] += 5
        return [Pose(EARS, each, np.ones((1, 3), np.float32)) for each in three]


def test_mirrored_ears_are_exchanged() -> None:
    network = _TwoEars(skeleton=EARS)
    told = Teacher("ears", (network,)).look(dotted(5))[0, :, :, :2]
    x, y = dot_at(5)
    assert told[0, 1] == pytest.approx([x + 5, y + 5], abs=1)
    assert told[1, 0] == pytest.approx([x - 5, y + 5], abs=1), "the left is mirrored"
    assert told[1, 1] == pytest.approx([x, y], abs=1)


def test_each_camera_has_its_teacher(tmp_path: Path) -> None:
    top, side = Teacher("top", (DotFinder(),)), Teacher("side", (DotFinder(),))
    both = Teachers(top, {"side": side})
    assert both.of(Path("2026_side.mp4")) is side
    assert both.of(Path("side.mkv")) is side
    assert both.of(Path("inside.mkv")) is top
    with pytest.raises(ModelError, match="none is for other"):
        Teachers(None, {"side": side}).of(Path("other.mp4"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["stand-in:0:2"], "finds 2 animals; distillation supports"),
        (["arena", "other"], "all need the same in the same order"),
        (["top=nowhere"], "there is no model 'nowhere'"),
    ],
)
def test_teachers_that_can_not_label_are_refused(
    words: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(shutil.copytree(MODELS / "arena", tmp_path / "other").parent)
    own = Path("other/model.json")
    own.write_text(own.read_text("utf-8").replace("snout", "nose"), "utf-8")
    with pytest.raises(ModelError, match=sentence):
        open_teachers(words, "cpu", 1)


class _Stopped(DotFinder):
    """A network that is stopped at an image."""

    stop_at = 10**9

    def estimate(self, images: object, cameras: object = ()) -> list[Pose]:
        if self.estimated >= self.stop_at:
            raise KeyboardInterrupt
        return super().estimate(images)  # type: ignore[arg-type]


def test_labelling_continues_at_the_frame_at_which_it_was_stopped(
    tmp_path: Path,
) -> None:
    rows = open_video(write_film(tmp_path / "dots.mp4", frames=60))
    network = _Stopped()
    none = np.empty(0, np.int64)
    given = (20, 5.0, 0, none, None, tmp_path / "partial", list[str]().append)
    whole = label_video(rows, Teacher("dots", (DotFinder(),)), *given)
    (tmp_path / "partial").unlink()
    network.stop_at = 100
    with pytest.raises(KeyboardInterrupt):
        label_video(rows, Teacher("dots", (network,)), *given)
    done, network.stop_at = network.estimated, 10**9
    again = label_video(rows, Teacher("dots", (network,)), *given)
    assert network.estimated <= 30 * len(VIEWS), "no frame is looked at twice"
    assert done >= 100
    assert again.chosen.tolist() == whole.chosen.tolist()
    np.testing.assert_array_equal(again.points, whole.points)
    assert np.abs(again.points[:, 0] - [dot_at(r) for r in again.chosen]).max() < 1


def test_students_are_named_by_backbone_and_size() -> None:
    assert parse_candidate("unet:64x48") == Candidate("unet", 5, Fitting(48, 64))
    small = parse_candidate("efficientnet_lite0:4:160x128")
    assert small.name == "efficientnet_lite0_4stages_160x128"
    for word in ("unet", "64", "unet:6:64x48", "unet:small", "unet:65x48"):
        with pytest.raises(ModelError):
            parse_candidate(word)


def test_students_of_a_start_network_have_the_shape_of_the_images(
    tmp_path: Path,
) -> None:
    image = tmp_path / "img.png"
    cv2.imwrite(str(image), np.zeros((480, 640), np.uint8))
    sizes = ["160x128", "224x160", "256x192", "272x208", "320x240", "480x368"]
    names = [each.name for each in students.started([image], "arena", ())]
    assert names == [f"arena_{size}" for size in sizes]
    twice = [parse_candidate("64x64")] * 2
    assert len(students.started([image], "arena", twice)) == 1


def student(px: float, ms: float, unseen: float = 0.0) -> Student:
    return Student("one", "folder", "cpu", Timing(ms, ms), Errors(9, px, px, unseen))


@pytest.fixture
def unseen_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow a student that sees nothing: it learned two steps."""
    monkeypatch.setattr(students, "MOST_UNSEEN", 1.0)


def test_the_nearest_student_is_the_one_that_exceeds_the_limits_least() -> None:
    slow, wrong, both = student(1, 30), student(9, 1), student(2.2, 9)
    blind = student(1, 1, 0.5)
    assert best([slow, wrong, both, blind], 2, 8) is both
    assert both.missed(2, 8) == [
        "the error is 2.20 px, not 2 px or less",
        "a frame takes 9.00 ms, not 8 ms or less",
    ]
    assert student(2, 8, 0.05).missed(2, 8) == []
    (sentence,) = blind.missed(2, 8)
    assert sentence.startswith("50% of the teacher's points are below")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty frames of the simulated mouse, a second apart."""
    arena, shape = Arena((240, 320, 3), 1), (240, 320, 3)

    def frame(row: int) -> Image:
        image = np.empty(shape, np.uint8)
        arena.draw(image, row, row)
        return image

    folder = tmp_path_factory.mktemp("videos")
    return write_film(folder / "mouse.mp4", frame, frames=60)


@pytest.fixture(scope="module")
def stopped(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A distillation in which no student meets the limit of the error."""
    output = tmp_path_factory.mktemp("fast") / "fast"
    words = ["--teacher", "arena", "--videos", str(film), "--output", str(output)]
    hand = tmp_path_factory.mktemp("hand")
    check = write_check(hand / "check.csv", [4, 20])
    words += ["--check", str(check), "--agree", "50"]
    limits = ["--within", "0.1", "--at-most-ms", "5000"]
    assert main([*words, *limits, *QUICK]) == 1
    assert not (output / "model.json").exists()
    return output


def write_check(file: Path, frames: list[int]) -> Path:
    parts = load_model_folder(MODELS / "arena").skeleton.bodyparts
    rows = ["scorer" + ",me,me" * len(parts)]
    rows.append("bodyparts," + ",".join(f"{part},{part}" for part in parts))
    rows.append("coords" + ",x,y" * len(parts))
    rows += [f"mouse/img{n:04}.png" + ",100,100" * len(parts) for n in frames]
    file.write_text("\n".join(rows), encoding="utf-8")
    return file


def test_the_teachers_labels_are_ordinary_labels_that_name_their_origin(
    stopped: Path,
) -> None:
    folder = stopped / "distillation/labels"
    learned, held_out = read_labels(folder), read_labels(folder / HELD_OUT)
    assert len(learned.images) + len(held_out.images) == 12
    assert not set(learned.images) & set(held_out.images)
    assert not (folder / HAND).exists()
    with (folder / ORIGINS).open(encoding="utf-8", newline="") as lines:
        origins = list(csv.DictReader(lines))
    assert {row["origin"] for row in origins} == {"network"}
    assert {row["image"] for row in origins} == {*learned.names, *held_out.names}
    first = (folder / LABELS).read_text("utf-8").splitlines()[0]
    assert "arena (network)" in first
    numbers = [int(image.stem[3:]) for image in (*learned.images, *held_out.images)]
    assert min(abs(n - at) for n in numbers for at in (4, 20)) > KEPT_AWAY


def test_a_result_names_the_limit_that_was_not_met(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = json.loads((stopped / "distillation/result.json").read_text("utf-8"))
    assert result["chosen"] is None
    (only,) = result["students"]
    assert only["runtime"] == "cpu"
    assert only["check"]["points"] == 2 * len(
        load_model_folder(Path(only["folder"])).skeleton.bodyparts
    )
    assert result["teacher_check"]["median_px"] > 0


@pytest.mark.usefixtures("unseen_allowed")
def test_a_stopped_distillation_continues_and_ends_with_a_network(
    stopped: Path, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--teacher", "arena", "--videos", str(film), "--output", str(stopped)]
    words += ["--within", "900", "--at-most-ms", "5000", "--agree", "50", *QUICK]
    assert main(words) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 2
    assert "--resume: check was" in capsys.readouterr().err
    check = json.loads((stopped / "distillation/given.json").read_text("utf-8"))
    again = [*words, "--resume", "--check", str(check["check"])]
    assert main([*again, "--tell"]) == 0
    said = capsys.readouterr().out
    assert "is already labelled" in said
    assert "is already trained" in said
    assert '{"student": 1, "students": 1, "name": ' in said
    assert "RUNTIME = cpu" in said
    model = load_model_folder(stopped)
    distilled = model.about["distilled"]
    assert isinstance(distilled, dict)
    assert distilled["teacher"] == "arena"
    licence = load_model_folder(MODELS / "arena").licence
    assert distilled["licence"] == licence != ""
    assert model.licence == licence, "its own is not named"
    assert main(again) == 2
    assert "is finished; name a new folder" in capsys.readouterr().err


def test_ranges_of_eight_bits_are_found_on_frames_that_are_learned_from(
    stopped: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = shutil.copytree(stopped, tmp_path / "fast")
    (output / "model.json").unlink(missing_ok=True)
    used: list[tuple[Path, np.ndarray]] = []

    def measured(
        folder: Path,
        name: str,
        how: References,
        ms: float,
        images: np.ndarray,
        say: object,
    ) -> list[Student]:
        used.append((folder, images))
        return [student(5, 5)]

    monkeypatch.setattr(distillation, "measure_student", measured)
    check = json.loads((output / "distillation/given.json").read_text("utf-8"))["check"]
    words = ["--teacher", "arena", "--videos", str(film), "--output", str(output)]
    words += ["--check", check, "--agree", "50", "--within", "0.1"]
    assert main([*words, "--at-most-ms", "5000", "--resume", *QUICK]) == 1
    ((folder, ranges),) = used
    fitting, fitted = load_model_folder(folder).fitting, []
    for table in (LABELS, HELD_OUT):
        files = read_labels(output / "distillation/labels" / table).images
        images = [image for file in files if (image := read_image(file)) is not None]
        made = students.images_of(images, fitting)
        fitted.append({image.tobytes() for image in made})
    learned, held_out = fitted
    assert {image.tobytes() for image in ranges} == learned
    assert not learned & held_out


def test_a_student_that_is_too_slow_is_tried_with_eight_bits(
    stopped: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(MODELS / "arena", tmp_path / "arena"))
    held_out = read_labels(stopped / "distillation/labels" / HELD_OUT)
    images = [
        image for each in held_out.images if (image := read_image(each)) is not None
    ]
    pictures, _ = images_of(load_model_folder(folder))
    references = References(held_out, None, None, images, 1, "auto")
    said: list[str] = []
    own = (folder, "arena", references)
    (fast,) = measure_student(*own, 10_000, pictures, said.append)
    assert not said
    first, *reduced = measure_student(*own, 0.001, pictures, said.append)
    assert not {"cpu-int8", "openvino-int8"} & {fast.runtime, first.runtime}
    assert {each.runtime for each in reduced} == {"cpu-int8", "openvino-int8"}
    assert said[0].startswith("  8 bits: ")
    for each in (first, *reduced):  # the labels are this network's
        assert each.teacher.median_px < 3
        assert each.timing.ms > 0


@pytest.mark.usefixtures("unseen_allowed")
def test_labels_made_by_hand_are_learned_from_and_held_out_apart(
    film: Path, stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = stopped / "distillation/labels"
    words = ["--teacher", "arena", "--videos", str(film), "--labels", str(labels)]
    words += ["--output", str(tmp_path / "fast"), "--agree", "50", *QUICK]
    assert main([*words, "--within", "900", "--at-most-ms", "5000"]) == 0
    own = tmp_path / "fast/distillation/labels"
    held_out = read_labels(own / HAND)
    learned = read_labels(own)
    by_hand = [name for name in learned.names if "/hand_mouse/" in name]
    assert len(by_hand) + len(held_out.names) == len(read_labels(labels).names)
    with (own / ORIGINS).open(encoding="utf-8", newline="") as lines:
        origins = {row["image"]: row["origin"] for row in csv.DictReader(lines)}
    assert {origins[name] for name in (*by_hand, *held_out.names)} == {"hand"}
    taught = [
        int(Path(name).stem[3:]) for name, by in origins.items() if by == "network"
    ]
    apart = [int(image.stem[3:]) for image in held_out.images]
    assert len(taught) == 12
    assert min(abs(n - at) for n in taught for at in apart) > KEPT_AWAY
    assert " by hand" in capsys.readouterr().out


@pytest.mark.usefixtures("unseen_allowed")
def test_students_start_from_a_network_in_sizes_alone(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--teacher", "arena", "--videos", str(film), "--agree", "50", *QUICK]
    words += ["--within", "900", "--at-most-ms", "5000", "--output"]
    with pytest.raises(SystemExit) as ended:
        main([*words, str(tmp_path / "a"), "--students", "64x64"])
    assert ended.value.code == 2
    assert "a size without a backbone needs --start-from" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    words += [str(tmp_path / "b"), "--start-from", "arena"]
    assert main(words) == 2
    assert "with --start-from, name sizes alone" in capsys.readouterr().err
    assert main([*words, "--resume", "--students", "64x64"]) == 0
    model = load_model_folder(tmp_path / "b")
    assert (model.fitting.width, model.fitting.height) == (64, 64)
    begun = model.about["started_from"]
    assert isinstance(begun, dict)
    assert (begun["folder"], begun["head"]) == ("arena", True)
    assert begun["bodyparts"] == list(model.skeleton.bodyparts)


def test_a_limit_that_no_student_can_meet_is_told_before_training(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--teacher",
        "arena",
        "--videos",
        str(film),
        "--output",
        str(tmp_path / "a"),
    ]
    words += ["--within", "5", "--at-most-ms", "0.1", "--agree", "50", *QUICK]
    assert main([*words, "--students", "efficientnet_lite2:320x256"]) == 2
    assert "too much even with 8 bits" in capsys.readouterr().err
    assert not (tmp_path / "a/distillation/students").exists()


def test_a_video_of_checked_frames_alone_is_a_sentence(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check = write_check(tmp_path / "check.csv", [*range(5, 60, 10)])
    words = ["--teacher", "arena", "--videos", str(film), "--within", "5", *QUICK]
    words += ["--at-most-ms", "5", "--output", str(tmp_path / "a")]
    assert main([*words, "--check", str(check)]) == 2
    assert "no frame is left to label" in capsys.readouterr().err


def test_videos_of_the_same_name_are_refused(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copy(film, tmp_path))
    words = ["--teacher", "arena", "--videos", str(film), str(other), *QUICK]
    words += ["--within", "5", "--at-most-ms", "5", "--output", str(tmp_path / "a")]
    assert main(words) == 2
    assert "two videos are called mouse" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_a_folder_that_is_in_use_and_a_teacher_in_doubt_are_sentences(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--teacher", "arena", "--videos", str(film), "--within", "5"]
    words += ["--at-most-ms", "5", *QUICK]
    assert main([*words, "--output", str(film.parent)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main([*words, "--output", str(tmp_path / "a"), "--agree", "0.1"]) == 2
    assert "the teacher agrees with itself in" in capsys.readouterr().err
    assert main([*words, "--output", str(tmp_path / "b"), "--resume"]) == 2
    assert "contains no distillation that was stopped" in capsys.readouterr().err
