"""One video through one network, to a table with a row for every frame."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.errors import DeepLabStreamError
from core.pose import Pose
from offline.estimating import posed
from offline.naming import Naming, naming_of
from offline.parallel import reach_of
from offline.partial import PartialRows
from pose.estimator import PoseEstimator
from pose.identity import Rules
from recording.pose_tables import PoseTable
from video.decoding import Decoder
from video.reading import VideoReader, open_video

Watch: TypeAlias = Callable[[int, int], object]
"""Told how many rows are done, and how many there are."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a network saw in a video."""

    rows: VideoReader
    table: PoseTable
    lost: int
    """Rows without a picture: they could not be decoded. Their poses are NaN."""
    resumed: int
    """Rows that an earlier, interrupted run had made."""
    naming: Naming | None = None
    """Of several animals: what told who is who."""


def predict(
    video: Path,
    estimator: PoseEstimator,
    scorer: str,
    *,
    batch: int = 0,
    decoder: Decoder = "cpu",
    partial: Path | None = None,
    watch: Watch = lambda done, rows: None,
    names: Sequence[str] = (),
    rules: Rules | None = None,
) -> Prediction:
    """Return the poses of every frame of `video`, raw: nothing is thresholded.

    `scorer` is the network's name, for the table. With `partial`, rows are kept there
    while they are made, and an interrupted prediction of the same video by the same
    network goes on where it was. DeviceError: the file is no video that can be read.
    Several animals are told apart and get `names`, as `rules` have it; that depends on all
    pictures before, so such a prediction begins afresh.
    """
    rows = open_video(video)
    if not len(rows):
        raise DeepLabStreamError(f"{video} holds no frames")
    naming = naming_of(rows, estimator, names, rules or Rules())
    skeleton = naming.skeleton if naming else estimator.skeleton
    shape = skeleton.count, len(skeleton.bodyparts), 3
    with ExitStack() as files:
        place = None if naming else partial
        place = place or Path(files.enter_context(TemporaryDirectory()), "rows")
        kept = files.enter_context(PartialRows(place, _facts(rows, estimator), shape))
        resumed = kept.rows
        watch(resumed, len(rows))
        for block in _blocks(rows, estimator, shape, resumed, batch, decoder, naming):
            kept.append(block)
            watch(kept.rows, len(rows))
        values = kept.read()
    lost = int(np.isnan(values).all(axis=(1, 2, 3)).sum())
    table = PoseTable(
        video=video,
        size=(rows.form.height, rows.form.width),
        skeleton=skeleton,
        scorer=scorer,
        times_s=rows.times_ns / 1e9,
        points=values[..., :2],
        confidence=values[..., 2],
    )
    return Prediction(rows, table, lost, resumed, naming)


def _blocks(
    rows: VideoReader,
    estimator: PoseEstimator,
    shape: tuple[int, ...],
    start: int,
    batch: int,
    decoder: Decoder,
    naming: Naming | None,
) -> Iterator[NDArray[np.float32]]:
    """Yield (row, animal, body part, 3) from row `start` on."""
    begin = max(0, start - reach_of(estimator))  # the first rows' neighbours
    for done in posed(rows.pictures(begin, decoder), estimator, batch):
        if naming is not None:
            done = [(picture, naming.tell(picture, pose)) for picture, pose in done]
        if new := [pose for picture, pose in done if picture.row >= start]:
            yield np.stack([values_of(pose, shape) for pose in new])


def _facts(rows: VideoReader, estimator: PoseEstimator) -> dict[str, object]:
    """Return what must be the same for rows of an earlier run to be of use."""
    file = rows.path.stat()
    return {
        "video": rows.path.name,
        "bytes": file.st_size,
        "changed_ns": file.st_mtime_ns,
        "rows": len(rows),
        "network": estimator.sha256 or type(estimator).__name__,
        "bodyparts": list(estimator.skeleton.bodyparts),
    }


def values_of(pose: Pose | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return (animal, body part, 3): x, y, confidence; NaN for what is not there."""
    values = np.full(shape, np.nan, np.float32)
    if pose is not None:
        if len(pose.points) > shape[0]:
            found = len(pose.points)
            raise DeepLabStreamError(
                f"the network told of {shape[0]} animals at first, then of {found}"
            )
        values[: len(pose.points), :, :2] = pose.points
        values[: len(pose.points), :, 2] = pose.confidence
    return values
