"""Video inference: poses of every frame of a video, in batches, resumable.

The network computes one batch while the next frames are decoded. `NAME.partial` stores
the rows: one line of JSON with the video, the network and the shape, then the rows as
float32. After an interruption the complete rows are used again.
"""

import hashlib
import json
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.closing import Closing
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.frame import Frame, Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.files.exclusive_writing import BeingWrittenError, exclusive
from deeplabstream.files.foreign_files import parse_json, read_json
from deeplabstream.offline.frame_windows import Window, estimated, size_for, windows
from deeplabstream.offline.metrics import METRICS
from deeplabstream.offline.parallel import at_once, reach_of
from deeplabstream.offline.prefetch import ahead, in_order
from deeplabstream.offline.video_identity import (
    VideoAnimals,
    VideoIdentityTracker,
    identity_file,
    identity_tracker_for,
)
from deeplabstream.pose.background.background_detector import BackgroundDetector
from deeplabstream.pose.estimator import EstimatorWrapper, PoseEstimator
from deeplabstream.pose.filters.animal_crops import AnimalCrops
from deeplabstream.pose.filters.live_crop import LiveCrop
from deeplabstream.pose.per_camera import PerCamera
from deeplabstream.pose.tracking.named_estimator import NamedEstimator
from deeplabstream.recording.pose_table import PoseTable
from deeplabstream.video.decoding import Decoder
from deeplabstream.video.video_reader import VideoImage, VideoReader, open_video

FACTS = ".prediction.json"
"""End of the name of the file that describes a prediction."""
_LONGEST_HEAD = 1 << 20
"""Bytes."""
_SAMPLES, _SAMPLE = 16, 1 << 16
"""Parts of a video that identify it, and the bytes of each."""


def estimate_batches(
    frames: Iterable[VideoImage],
    estimator: PoseEstimator,
    batch: int = 0,
    camera: str = "",
) -> Iterator[list[tuple[VideoImage, Pose | None]]]:
    """Yield the images in batches, each with its pose; None: no image.

    Without the name of a `camera` each image is estimated independently; with it, an
    estimator that follows the animal does so, an image at a time.
    A network that needs neighbours gets them. Decoding, and the caller's own work, run in
    parallel with the network. `batch` 0: see `batch_for`.
    """
    size, reach = size_for([estimator], batch)
    threads = at_once(estimator)

    def work(window: Window) -> list[tuple[VideoImage, Pose | None]]:
        images = [image.image for image in window.images]
        poses = estimated(images, window, estimator, batch, camera)
        return list(zip(window.selected, poses, strict=True))

    with (
        ahead(windows(frames, size, reach), most=threads + 1) as decoded,
        in_order(work, decoded, threads) as ready,
    ):
        yield from ready


def remembers(estimator: PoseEstimator, camera: str) -> bool:
    """Return whether a pose of that camera depends on the ones before."""
    if isinstance(estimator, NamedEstimator):
        estimator = estimator.estimator
    if isinstance(estimator, PerCamera):
        estimator = estimator.of(camera)
    return isinstance(estimator, LiveCrop | AnimalCrops | BackgroundDetector)


@dataclass(frozen=True, slots=True, eq=False)
class PrecomputedEstimator(EstimatorWrapper):
    """An estimator that returns poses computed before by `estimator`, by image.

    Code that estimates frame by frame uses it, and so profits from batches.
    """

    estimator: PoseEstimator
    _poses: dict[int, Pose] = field(default_factory=dict)

    def frames(
        self,
        images: Iterable[VideoImage],
        camera: str,
        batch: int = 0,
        left_out: Callable[[int], bool] = lambda time_ns: False,
    ) -> Iterator[Frame]:
        """Yield a frame for each decoded image; its pose is stored until the next frame.

        No pose is estimated of the times that are `left_out`; their frames have none.
        """
        batch = 1 if remembers(self.estimator, camera) else batch
        without_pose: dict[int, VideoImage] = {}

        def chosen() -> Iterator[VideoImage]:
            for image in images:
                if left_out(image.time_ns):
                    without_pose[image.row] = image
                    image = replace(image, image=None)
                yield image

        for done in estimate_batches(chosen(), self.estimator, batch, camera):
            for image, pose in done:
                shown = without_pose.pop(image.row, image).image
                if shown is None:  # it can't be decoded
                    continue
                self._poses.clear()
                if pose is not None:
                    self._poses[id(shown)] = pose
                time_ns = image.time_ns
                yield Frame(camera, image.row, time_ns, time_ns, shown)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return the stored poses of the frame that was yielded last."""
        return [self._poses[id(image)] for image in images]


class PartialRows(Closing):
    """Rows of `shape` float32 that belong to `facts`; older ones of the same are kept.

    Where another program writes the same file, the rows are in a temporary one beside it.
    """

    def __init__(
        self, path: Path, facts: Mapping[str, object], shape: tuple[int, ...]
    ) -> None:
        self.path = path
        self._shape = shape
        self._head = (json.dumps({**facts, "shape": list(shape)}) + "\n").encode()
        self._row_bytes = 4 * int(np.prod(shape))
        with ExitStack() as opened:
            try:
                opened.enter_context(exclusive(path, 0.0))
            except BeingWrittenError:
                own = TemporaryDirectory(
                    prefix=f".{path.stem[:40]}.",
                    dir=path.parent,  # raises an error if the folder is not writable
                    ignore_cleanup_errors=True,
                )
                self.path = Path(opened.enter_context(own), "rows")
            self.rows = self._kept()
            """Number of stored rows."""
            self._file = opened.enter_context(
                self.path.open("r+b" if self.rows else "w+b", buffering=0)
            )
            if not self.rows:
                self._file.write(self._head)
            self._file.truncate(len(self._head) + self.rows * self._row_bytes)
            self._file.seek(0, 2)
            self._until_closed = opened.pop_all()

    def append(self, rows: NDArray[np.float32]) -> None:
        """Append rows (row, *shape); OSError: it failed, and part of them may be there."""
        left = np.ascontiguousarray(rows, np.float32).tobytes()
        while left:  # a partial write has no error code, but the next one has
            left = left[self._file.write(left) :]
        self.rows += len(rows)

    def read(self) -> NDArray[np.float32]:
        """Return all rows (row, *shape)."""
        self._file.seek(len(self._head))
        data = self._file.readall()  # fails also if another program removed the file
        return np.frombuffer(data, np.float32).reshape(-1, *self._shape)

    def close(self, done: bool = False) -> None:
        """Close the file; `done`: it is no longer needed."""
        with self._until_closed:
            self._file.close()
            if done:
                self.path.unlink(missing_ok=True)

    def _kept(self) -> int:
        try:
            with self.path.open("rb") as file:
                if file.readline() != self._head:
                    return 0
        except OSError:
            return 0
        return (self.path.stat().st_size - len(self._head)) // self._row_bytes


Watch: TypeAlias = Callable[[int, int], object]
"""Called with the numbers of finished rows and of all rows."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoPoses:
    """Poses of one video: a row for every frame."""

    rows: VideoReader
    table: PoseTable
    lost: int
    """Rows without an image: it could not be decoded. Their poses are NaN."""
    resumed: int
    """Rows that an earlier, interrupted run computed."""
    identities: VideoIdentityTracker | None = None
    """Identity tracker of several animals, with its counts."""


def predict(
    video: Path,
    estimator: PoseEstimator,
    scorer: str,
    *,
    batch: int = 0,
    decoder: Decoder = "cpu",
    partial: Path | None = None,
    watch: Watch = lambda done, rows: None,
    animals: VideoAnimals | None = None,
) -> VideoPoses:
    """Return the poses of every frame of `video`, raw: nothing is thresholded.

    `scorer` is the network's name, for the table. With `partial`, rows are kept there
    while they are made, and an interrupted prediction of the same video by the same
    network continues. DeviceError: the file is not a readable video.
    Several animals are identified and get the names of `animals`; that depends on all images
    before, so such a prediction starts again at the first frame.
    """
    rows = open_video(video)
    if not len(rows):
        raise DeepLabStreamError(f"{video} contains no frames")
    identities = identity_tracker_for(rows, estimator, animals or VideoAnimals())
    skeleton = identities.skeleton if identities else estimator.skeleton
    shape = skeleton.count, len(skeleton.bodyparts), 3
    with ExitStack() as files:
        place = None if identities else partial
        place = place or Path(
            files.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)), "rows"
        )
        kept = files.enter_context(
            PartialRows(place, video_facts(video, len(rows), estimator), shape)
        )
        resumed = kept.rows
        watch(resumed, len(rows))
        for block in _blocks(
            rows, estimator, shape, resumed, batch, decoder, identities
        ):
            kept.append(block)
            watch(kept.rows, len(rows))
        values = kept.read()
    return poses_of(rows, skeleton, values, scorer, resumed, identities)


def poses_of(
    rows: VideoReader,
    skeleton: Skeleton,
    values: NDArray[np.float32],
    scorer: str,
    resumed: int,
    identities: VideoIdentityTracker | None = None,
) -> VideoPoses:
    """Return the poses of one video from its values (row, animal, body part, 3)."""
    lost = int(np.isnan(values).all(axis=(1, 2, 3)).sum())
    table = PoseTable(
        source=rows.path,
        skeleton=skeleton,
        points=values[..., :2],
        confidence=values[..., 2],
        frames=np.arange(len(values), dtype=np.int64),
        times_s=rows.times_ns / 1e9,
        scorer=scorer,
        size=(rows.form.height, rows.form.width),
        identity=identities.names if identities else (),
    )
    return VideoPoses(rows, table, lost, resumed, identities)


def _blocks(
    rows: VideoReader,
    estimator: PoseEstimator,
    shape: tuple[int, ...],
    start: int,
    batch: int,
    decoder: Decoder,
    identities: VideoIdentityTracker | None,
) -> Iterator[NDArray[np.float32]]:
    """Yield (row, animal, body part, 3) from row `start` on."""
    # also read the neighbours of the first rows
    begin = max(0, start - reach_of(estimator))
    for done in estimate_batches(rows.images(begin, decoder), estimator, batch):
        if identities is not None:
            done = [(image, identities.update(image, pose)) for image, pose in done]
        if new := [pose for image, pose in done if image.row >= start]:
            yield np.stack([values_of(pose, shape) for pose in new])


def video_facts(video: Path, rows: int, estimator: PoseEstimator) -> dict[str, object]:
    """Return what must be the same for rows of an earlier run to be of use."""
    file = video.stat()
    return {
        "video": video.name,
        "bytes": file.st_size,
        "changed_ns": file.st_mtime_ns,
        "rows": rows,
        "network": estimator.sha256 or type(estimator).__name__,
        "bodyparts": list(estimator.skeleton.bodyparts),
    }


def is_begun(partial: Path, videos: Sequence[Path], estimator: PoseEstimator) -> bool:
    """Return whether `partial` stores rows of these videos by this network."""
    try:
        with partial.open("rb") as file:
            head = parse_json(file.readline(_LONGEST_HEAD))
        views = head.get("views", [head])
        return len(views) == len(videos) and all(
            {**own, **video_facts(video, own["rows"], estimator)} == own
            for own, video in zip(views, videos, strict=True)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def files_of_others(
    folder: Path,
    name: str,
    formats: Iterable[str],
    own: Collection[str],
    metrics: Iterable[str] = (),
) -> list[Path]:
    """Return the files of a prediction that another network, video or program may have written.

    `own` is what this network has written for this video (`kinds_written`). If there is
    nothing, the identities and `NAME.prediction.json` are not its own either.
    """
    others = [folder / f"{name}.{kind}" for kind in formats if kind not in own]
    others += [
        folder / f"{name}_{metric}.csv" for metric in metrics if metric not in own
    ]
    if own:
        return others
    return [*others, folder / f"{name}{FACTS}", identity_file(folder / f"{name}.csv")]


def kinds_written(facts: Path, video: Path, network: str) -> frozenset[str]:
    """Return the formats and metrics that a network's prediction of a video has written.

    `facts` is the file `NAME.prediction.json` beside them; `network` the network's hash.
    Earlier versions recorded neither the metrics nor a checksum of the video: all metrics
    count as theirs, and only the video's size is compared.
    """
    try:
        content = read_json(facts)
        if content["sha256"] != network or content["bytes"] != video.stat().st_size:
            return frozenset()
        samples = content.get("samples_sha256")
        if samples is not None and samples != samples_sha256(video):
            return frozenset()
        return frozenset([*content["formats"], *content.get("metrics", METRICS)])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()


def samples_sha256(video: Path) -> str:
    """Return a checksum of 16 parts of a file, evenly spaced from its first to its last byte."""
    digest, last = hashlib.sha256(), max(0, video.stat().st_size - _SAMPLE)
    with video.open("rb") as file:
        for part in range(_SAMPLES):
            file.seek(last * part // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def values_of(pose: Pose | None, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return (animal, body part, 3): x, y, confidence; NaN for missing points."""
    values = np.full(shape, np.nan, np.float32)
    if pose is not None:
        if len(pose.points) > shape[0]:
            found = len(pose.points)
            raise DeepLabStreamError(
                f"the network found {shape[0]} animals first, then {found}"
            )
        values[: len(pose.points), :, :2] = pose.points
        values[: len(pose.points), :, 2] = pose.confidence
    return values
