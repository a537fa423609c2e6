"""Distillation: from a teacher and videos to the smallest student within two limits.

```text
FOLDER/
  model.json network.onnx …     the chosen student, if one meets the limits
  distillation/
    given.json                  teacher, videos and options
    labels/                     the teacher's labels, as any labels; origins.csv
    students/NAME/              each student, as TrainNetwork leaves it
    result.json                 all measured students, the limits, the choice
```
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Image
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.foreign_files import read_json
from deeplabstream.files.overwriting import check_new
from deeplabstream.offline.checked_points import rows_by_video, with_images
from deeplabstream.offline.distillation.distill_config import DistillConfig
from deeplabstream.offline.distillation.labelling import (
    HAND,
    HELD_OUT,
    LABELS,
    ORIGINS,
    facts_of,
    held_out_frames,
    label_video,
    read_hand_labels,
    write_label_folder,
)
from deeplabstream.offline.distillation.students import (
    EIGHT_BITS,
    Candidate,
    Errors,
    References,
    Student,
    best,
    candidates,
    images_of,
    measure_student,
    measured_errors,
    started,
    untrained_time,
)
from deeplabstream.offline.distillation.teacher import Teachers
from deeplabstream.pose.image_files import read_image
from deeplabstream.pose.model.model_folder import (
    DESCRIPTION,
    load_model_folder,
    save_description,
)
from deeplabstream.training.data.labels import Labels, read_labels
from deeplabstream.training.lightning_pose.result_tables import PREDICTIONS
from deeplabstream.training.train_config import TrainConfig
from deeplabstream.training.training_job import train
from deeplabstream.video.video_reader import open_video

_TIMED = 40
"""Number of frames for measuring times."""
_RANGES = 100
"""Number of training frames for calibrating 8-bit networks."""


@dataclass(frozen=True, slots=True)
class Distilled:
    """Result of a distillation."""

    students: tuple[Student, ...]
    """All trained and measured students, in order."""
    chosen: Student | None
    """First student within the limits; None: there is none."""
    teacher_hand: Errors | None
    """The teacher's own distances to held-out labels made by hand."""
    teacher_check: Errors | None
    """The teacher's own distances to the points placed by hand."""
    too_slow: Mapping[str, float]
    """Students that were not trained, because of their time in ms."""


OnEntry = Callable[[dict[str, Any]], object]


def distil(
    config: DistillConfig,
    teachers: Teachers,
    report: Callable[[str], object] = print,
    on_entry: OnEntry = lambda entry: None,
) -> Distilled:
    """Label videos with a teacher, train students, choose the smallest that is good enough.

    Parameters
    ----------
    config : DistillConfig
        Videos, limits and options.
    teachers : Teachers
        Networks that label.
    report : callable
        Is called with each line of text.
    on_entry : callable
        Is called with entries for a window: the number of the student that is trained.

    Returns
    -------
    Distilled
        Measured students, and the choice.

    Raises
    ------
    DeepLabStreamError
        Something is there already, a video cannot be read, the teacher's predictions
        agree in too few frames, or a training fails.
    """
    _begin(config, teachers)
    hand = None
    if config.labels is not None:
        hand = read_hand_labels(
            config.labels, teachers.skeleton, config.work / "unpacked"
        )
    check = _label(config, teachers, hand, report)
    folder = config.work / "labels"
    held_out = read_labels(folder / HELD_OUT)
    hand_out = read_labels(folder / HAND) if (folder / HAND).is_file() else None
    images = _images(held_out.images)
    learned = read_labels(folder / LABELS).images
    for_ranges = _images(learned[:: -(-len(learned) // _RANGES)])
    references = References(
        held_out, hand_out, check, images[:_TIMED], config.threads, config.runtime
    )
    estimator = teachers.every[0].estimator
    own_errors = [
        None if labels is None else measured_errors(estimator, labels)
        for labels in (hand_out, check)
    ]
    order, too_slow = _order(config, teachers, held_out, references, report)
    students: list[Student] = []
    chosen = None
    for number, candidate in enumerate(order, start=1):
        report(f"student {number} of {len(order)}: {candidate.name}")
        on_entry({"student": number, "students": len(order), "name": candidate.name})
        own = _train(config, teachers, candidate, report)
        samples = images_of(for_ranges, candidate.fitting)
        students += measure_student(
            own, candidate.name, references, config.at_most_ms, samples, report
        )
        good = [s for s in students if not s.missed(config.within, config.at_most_ms)]
        if good:
            chosen = min(good, key=lambda student: student.timing.ms)
            break
    result = Distilled(tuple(students), chosen, own_errors[0], own_errors[1], too_slow)
    _write(config, teachers, result)
    return result


def _begin(config: DistillConfig, teachers: Teachers) -> None:
    """Reject a folder that is in use; record the options, or compare them with recorded ones."""
    double = [n for n, k in Counter(v.stem for v in config.videos).items() if k > 1]
    if double:
        raise DeepLabStreamError(
            f"--videos: two videos are called {double[0]}; rename one of them"
        )
    readers = {video: open_video(video) for video in config.videos}
    given = {
        "teacher": teachers.sha256,
        "videos": facts_of(readers),
        "labels": str(config.labels) if config.labels else None,
        "check": str(config.check) if config.check else None,
        **{
            name: getattr(config, name)
            for name in (
                "count",
                "agree",
                "held_out",
                "seed",
                "steps",
                "batch",
                "start_from",
            )
        },
    }
    file = config.work / "given.json"
    if not config.resume:
        check_new(config.output)
    elif not file.is_file():
        raise DeepLabStreamError(
            f"--resume: {config.output} contains no distillation that was stopped"
        )
    elif (config.output / DESCRIPTION).is_file():
        raise DeepLabStreamError(f"{config.output} is finished; name a new folder")
    else:
        before = read_json(file)
        for name, value in given.items():
            if before.get(name) != json.loads(json.dumps(value)):
                raise DeepLabStreamError(
                    f"--resume: {name} was {before.get(name)}, now it is {value}; repeat "
                    "the command as it was, or name a new folder"
                )
    config.work.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(given, indent=2) + "\n", "utf-8")


def _label(
    config: DistillConfig,
    teachers: Teachers,
    hand: Labels | None,
    report: Callable[[str], object],
) -> Labels | None:
    """Write the label folder unless it exists; return the points for the check."""
    videos = [open_video(video) for video in config.videos]
    apart: Mapping[Path, Any] = {}
    check = None
    if config.check is not None:
        apart = rows_by_video(config.check, videos)
        check = with_images(config.check, videos, config.work / "check")
    folder = config.work / "labels"
    if (folder / ORIGINS).is_file():
        report(f"{folder} is already labelled")
        return check
    per_video = -(-config.count // len(videos))
    labelled = []
    for number, rows in enumerate(videos):
        partial = config.work / f"opinions{number}.partial"
        away = apart.get(rows.path, np.empty(0, np.int64))
        if hand is not None:
            own = held_out_frames(hand, rows.path, config.held_out, config.seed)
            away = np.union1d(away, own)
        labelled.append(
            label_video(
                rows, teachers.of(rows.path), per_video, config.agree, config.seed,
                away, hand, partial, report,
            )
        )  # fmt: skip
    counts = write_label_folder(
        folder, teachers, labelled, hand, config.held_out, config.seed
    )
    report(
        f"{folder}: {counts[LABELS]} images to learn from, {counts[HELD_OUT]} of the "
        "teacher held out" + (f", {counts[HAND]} by hand" if HAND in counts else "")
    )
    return check


def _images(files: Sequence[Path]) -> list[Image]:
    found = [read_image(file) for file in files]
    return [image for image in found if image is not None]


def _order(
    config: DistillConfig,
    teachers: Teachers,
    labels: Labels,
    references: References,
    report: Callable[[str], object],
) -> tuple[list[Candidate], dict[str, float]]:
    """Return the students to train, the fastest first, and those that are too slow."""
    if config.start_from is not None:
        given = started(labels.images, config.start_from, config.students)
    else:
        given = config.students or candidates(labels.images)
    times = {
        student: untrained_time(
            student, teachers.skeleton, references.images, config.threads
        )
        for student in given
    }
    limit = EIGHT_BITS * config.at_most_ms
    slow = {student.name: ms for student, ms in times.items() if ms > limit}
    order = [student for student in given if student.name not in slow]
    if not config.students:
        order.sort(key=lambda student: times[student])
    for student in order:
        report(f"{student.name}: {times[student]:.1f} ms per frame before training")
    for name, ms in slow.items():
        report(f"{name}: {ms:.1f} ms per frame; too slow even with 8 bits, not trained")
    if not order:
        raise DeepLabStreamError(
            f"--at-most-ms {config.at_most_ms:g}: the fastest student takes "
            f"{min(times.values()):.1f} ms per frame on this computer, too much even with "
            "8 bits"
        )
    return order, slow


def _train(
    config: DistillConfig,
    teachers: Teachers,
    candidate: Candidate,
    report: Callable[[str], object],
) -> Path:
    """Train one student unless it exists; return its folder."""
    folder = config.work / "students" / candidate.name
    if (folder / PREDICTIONS).is_file() and (folder / DESCRIPTION).is_file():
        report(f"{folder} is already trained")
        return folder
    start = candidate.start_from
    edges = tuple(f"{one}:{other}" for one, other in teachers.skeleton.edges)
    train(
        TrainConfig(
            data=config.work / "labels" / LABELS,
            output=folder,
            size=candidate.fitting,
            backbone=None if start else candidate.backbone,
            stages=None if start else candidate.stages,
            start_from=start,
            imagenet=candidate.backbone.startswith("efficientnet") or start is not None,
            steps=config.steps,
            batch=config.batch,
            seed=config.seed,
            held_out=0.1,
            edges=edges,
            device=config.device,
            precision=config.precision,
            workers=config.workers,
            licence=config.licence,
            command=config.command,
            progress=config.progress,
            resume=True,
        ),
        report,
    )
    return folder


def _write(config: DistillConfig, teachers: Teachers, result: Distilled) -> None:
    """Write the result, and the chosen student into the model folder."""
    summary = {
        "within_px": config.within,
        "at_most_ms": config.at_most_ms,
        "threads": config.threads,
        **asdict(result),
    }
    with atomic_file(config.work / "result.json") as making:
        making.write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    if (chosen := result.chosen) is None:
        return
    for file in Path(chosen.folder).iterdir():
        if file.is_file() and file.name != DESCRIPTION:
            shutil.copyfile(file, config.output / file.name)
    model = load_model_folder(Path(chosen.folder))
    facts = {
        "teacher": teachers.name,
        "teacher_sha256": teachers.sha256,
        "licence": teachers.licence,
        "runtime": chosen.runtime,
        "ms_per_frame": round(chosen.timing.ms, 3),
        "to_teacher_median_px": round(chosen.teacher.median_px, 3),
        "to_teacher_points": chosen.teacher.points,
    }
    about = {**model.about, "distilled": facts}
    save_description(replace(model, path=config.output, about=about))


def table(result: Distilled) -> list[str]:
    """Return the measured students as lines of text."""
    lines = [
        f"{'student':<36}{'runtime':<15}{'ms':>7}{'p50':>7} | {'to the teacher, px':<30}"
        f" | {'by hand, px':<16} | {'checked, px':<16}"
    ]
    for student in result.students:
        to = student.teacher
        lines.append(
            f"{student.name:<36}{student.runtime:<15}{student.timing.ms:7.2f}"
            f"{student.timing.p50_ms:7.2f} | {to.median_px:6.2f}, 95 % below "
            f"{to.p95_px:6.1f}, {to.not_seen:4.0%} | {_px(student.hand):<16} | "
            f"{_px(student.check):<16}"
        )
    nothing = f"{'the teacher':<36}{'':<15}{'':>7}{'':>7} | {'':<30} | "
    lines.append(
        f"{nothing}{_px(result.teacher_hand):<16} | {_px(result.teacher_check):<16}"
    )
    return [line.rstrip() for line in lines]


def _px(errors: Errors | None) -> str:
    return f"{errors.median_px:.2f} (95 %: {errors.p95_px:.1f})" if errors else "-"


def conclusion(config: DistillConfig, result: Distilled) -> list[str]:
    """Return the result: the chosen student, or the limit that was not met."""
    limits = config.within, config.at_most_ms
    if chosen := result.chosen:
        return [
            f"{config.output} is {chosen.name}: {chosen.teacher.median_px:.2f} px to the "
            f"teacher (limit {limits[0]:g}), {chosen.timing.ms:.2f} ms per frame (limit "
            f"{limits[1]:g})",
            "settings.ini:",
            "[Pose Estimation]",
            f"MODEL = {config.output}",
            f"RUNTIME = {chosen.runtime}",
        ]
    near = best(result.students, *limits)
    return [
        "no student meets the limits, and nothing was written to "
        f"{config.output / DESCRIPTION}",
        f"the nearest is {near.name} in {near.runtime} ({near.folder}): "
        + "; ".join(near.missed(*limits)),
    ]
