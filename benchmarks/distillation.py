"""What distillation keeps of a teacher's accuracy, and how fast the student is.

A teacher labels a video without labels, a student learns from these labels. Both are
measured on points that neither learned from. Aims: the student's median error is at most
10 % above the teacher's, and one core does 150 frames per second.

Without options: the bundled network for the simulated mouse, and a simulated video whose
truth is known. With real data:

    python benchmarks/distillation.py --teacher runs/many --video mouse.mp4 --check points.csv

`--train LABELS` first trains the teacher: an ensemble of EfficientNet-Lite2.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.offline.checked_points import with_images
from deeplabstream.offline.distillation.distill_config import DistillConfig
from deeplabstream.offline.distillation.distillation import (
    Distilled,
    conclusion,
    distil,
    table,
)
from deeplabstream.offline.distillation.students import (
    Student,
    parse_candidate,
    time_per_frame,
)
from deeplabstream.offline.distillation.teacher import Teacher, Teachers, open_teachers
from deeplabstream.offline.video_files import video_files
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import opened
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.simulation.arena import ARENA_SKELETON, Arena
from deeplabstream.training.data.label_files import write_labels
from deeplabstream.training.evaluation.image_prediction import predict_images
from deeplabstream.training.train_config import TrainConfig
from deeplabstream.training.training_job import train
from deeplabstream.video.decoding import as_bgr
from deeplabstream.video.recording_options import RecordingOptions
from deeplabstream.video.video_reader import open_video, sample_rows

FRAMES_PER_S = 150
TIMES_TEACHER = 1.1
RATE = 10
SAMPLES = 2000
"""Samples of the checked frames, with replacement."""


def simulated(folder: Path, frames: int) -> tuple[Path, Path]:
    """Write a video of the simulated mouse and the true points of every 20th frame."""
    video, shape = folder / "mouse.mkv", (480, 640, 3)
    arena = Arena(shape, 7, shelter=False, noise=2.0)
    image: Image = np.empty(shape, np.uint8)
    checked = range(10, frames, 20)
    points = []
    with VideoWriter(video, ImageFormat(shape, RATE), RecordingOptions()) as file:
        for number in range(frames):
            arena.draw(image, number / RATE, number)
            file.write(image, number, number * 10**9 // RATE, number * 10**9 // RATE)
            if number in checked:
                points.append(arena.truth(number / RATE)[0])
    check = folder / "check.csv"
    names = [f"mouse/img{number:05}.png" for number in checked]
    parts = ARENA_SKELETON.bodyparts
    write_labels(check, "truth", parts, names, np.stack(points).astype(np.float32))
    return video, check


def teacher_of(asked: argparse.Namespace, folder: Path) -> Teachers:
    """Return the teacher, trained first where labels are given for that."""
    if asked.train is None:
        return open_teachers(asked.teacher)
    output = asked.teacher_folder or folder / "teacher"
    train(
        TrainConfig(
            data=asked.train,
            output=output,
            backbone="efficientnet_lite2",
            size="256x192",
            moved=0.6,
            steps=asked.teacher_steps,
            seeds=(0, 1, 2),
            threads=asked.train_threads,
            resume=True,
            progress="none",
        )
    )
    return open_teachers([str(output)])


def teacher_ms(teacher: Teacher, video: Path) -> float:
    """Return the milliseconds of CPU time that the teacher takes for a frame."""
    rows = open_video(video)
    found = rows.images_at(sample_rows(rows, 8))
    images = [as_bgr(each.image) for each in found if each.image is not None]
    return time_per_frame(teacher.estimator, images, 1).ms


def result_of(result: Distilled) -> Student | None:
    """Return the chosen student, else the last one."""
    return result.chosen or (result.students[-1] if result.students else None)


def ratio_range(
    asked: argparse.Namespace, teacher: Teacher, student: Student, folder: Path
) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of the ratio over samples of the frames."""
    check = with_images(asked.check, [open_video(asked.video)], folder)
    fast = opened(load_model_folder(Path(student.folder)), student.runtime, 1)
    slow_px, fast_px = (
        predict_images(each, check.images, check.names).distance(check)
        for each in (teacher.estimator, fast)
    )
    rng, ratios = np.random.default_rng(0), []
    for _ in range(SAMPLES):
        some = rng.integers(len(slow_px), size=len(slow_px))
        ratios.append(np.nanmedian(fast_px[some]) / np.nanmedian(slow_px[some]))
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when the aims are met, 1 when not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a tiny student that learns two steps")
    add("--teacher", nargs="+", default=["arena"], metavar="MODEL")
    add("--train", type=Path, metavar="LABELS", help="train the teacher with these")
    add("--teacher-steps", type=int, default=450)
    add("--teacher-folder", type=Path, help="where a trained teacher is kept")
    add("--train-threads", type=int, default=0)
    add("--video", type=Path, help="instead of the simulated one, with --check")
    add("--check", type=Path, help="points placed by hand in frames of the video")
    add("--labels", type=Path, help="labels made by hand, for the students too")
    add("--within", type=float, default=2.0)
    add("--at-most-ms", type=float, default=1000 / FRAMES_PER_S)
    add("--agree", type=float, default=5.0)
    add("--count", type=int, default=300)
    add("--steps", type=int, default=1500)
    add("--seed", type=int, default=0)
    add("--students", nargs="+", type=parse_candidate, default=())
    add("--start-from", metavar="MODEL", help="students start from it; sizes alone")
    add("--output", type=Path, help="keep the student here; continued if it exists")
    add("--json", type=Path, help="write everything there")
    asked = parser.parse_args(argv)
    if (asked.video is None) != (asked.check is None):
        parser.error("--video and --check belong together")
    if asked.quick:
        asked.students = (parse_candidate("efficientnet_lite0:4:64x48"),)
        asked.count, asked.steps, asked.agree = 12, 2, 50.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.video is None:
            asked.video, asked.check = simulated(folder, 60 if asked.quick else 900)
        teachers = teacher_of(asked, folder)
        output = asked.output or folder / "student"
        config = DistillConfig(
            videos=video_files([asked.video]),
            output=output,
            within=asked.within,
            at_most_ms=asked.at_most_ms,
            count=asked.count,
            agree=asked.agree,
            labels=asked.labels,
            check=asked.check,
            students=asked.students,
            start_from=asked.start_from,
            steps=asked.steps,
            seed=asked.seed,
            progress="none",
            resume=(output / "distillation/given.json").is_file(),
        )
        slow_ms = teacher_ms(teachers.of(asked.video), asked.video)
        result = distil(config, teachers)
        print("\n".join([*table(result), *conclusion(config, result)]))
        student = result_of(result)
        if student is None:
            print("no student was trained")
            return 1
        usual = teachers.of(asked.video)
        samples = ratio_range(asked, usual, student, folder / "check")
        return _report(asked, result, student, slow_ms, samples)


def _report(
    asked: argparse.Namespace,
    result: Distilled,
    student: Student,
    slow_ms: float,
    samples: tuple[float, float],
) -> int:
    teacher = result.teacher_check
    if student.check is None or teacher is None:
        print("nothing was measured on points placed by hand")
        return 1
    ratio = student.check.median_px / teacher.median_px
    rate = 1000 / student.timing.ms
    print(
        f"teacher: {teacher.median_px:.2f} px, 95 % below {teacher.p95_px:.2f} px, "
        f"{slow_ms:.1f} ms of CPU time per frame"
    )
    print(
        f"student: {student.check.median_px:.2f} px, 95 % below "
        f"{student.check.p95_px:.2f} px, {student.timing.ms:.2f} ms per frame"
    )
    print(
        f"student / teacher: error {ratio:.3f} (at most {TIMES_TEACHER}; 95 % of "
        f"{SAMPLES} samples of the frames: {samples[0]:.2f} to {samples[1]:.2f}), "
        f"{rate:.0f} frames/s on one core (at least {FRAMES_PER_S})"
    )
    if asked.json:
        words = {**asdict(result), "teacher_ms": slow_ms, "ratio": ratio, "rate": rate}
        words |= {"seed": asked.seed, "ratio_range": samples}
        asked.json.write_text(json.dumps(words, indent=2) + "\n", "utf-8")
    return 0 if ratio <= TIMES_TEACHER and rate >= FRAMES_PER_S else 1


if __name__ == "__main__":
    sys.exit(main())
