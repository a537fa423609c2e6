"""Videos that are predicted after training, as a Lightning Pose configuration requests (`eval`)."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.metrics import temporal_norm, write_metric
from deeplabstream.offline.parallel import open_parallel
from deeplabstream.offline.pose_drawing import Look, Shown
from deeplabstream.offline.rendering import render
from deeplabstream.offline.video_files import stems
from deeplabstream.offline.video_inference import predict
from deeplabstream.pose.model.model_opening import open_for_videos
from deeplabstream.recording.exporters.pose_files import WRITERS
from deeplabstream.startup.progress import progress_bar
from deeplabstream.training.lightning_pose.project import TestVideos


def predict_test_videos(
    folder: Path, videos: TestVideos, threads: int = 0
) -> Iterator[Path]:
    """Predict the videos and write what Lightning Pose does; yield each file.

    `video_preds/NAME.csv` and `NAME_temporal_norm.csv` in the model folder, and, where
    asked for, `video_preds/labeled_videos/NAME_labeled.mp4`. DeepLabStreamError: a video
    cannot be read.
    """
    place = folder / "video_preds"
    (place / "labeled_videos").mkdir(parents=True, exist_ok=True)
    estimator = open_parallel(partial(open_for_videos, folder, "auto"), threads)
    for video, name in stems(list(videos.files)).items():
        with progress_bar(video.name) as bar:
            found = predict(video, estimator, folder.name, watch=bar.show)
        table = place / f"{name}.csv"
        with atomic_file(table) as making:
            WRITERS["csv"](found.table, making)
        yield table
        norm = place / f"{name}_temporal_norm.csv"
        parts = found.table.skeleton.bodyparts
        with atomic_file(norm) as making:
            write_metric(temporal_norm(found.table.points[:, 0]), parts, making)
        yield norm
        if videos.shown_from is not None:
            rendered = place / "labeled_videos" / f"{name}_labeled.mp4"
            render(
                found.rows, rendered, [Shown(found.table, videos.shown_from)], Look()
            )
            yield rendered
