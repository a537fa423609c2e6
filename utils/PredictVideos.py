"""Predict poses of whole videos: one row per frame.

    python utils/PredictVideos.py videos/ --model models/mine --to csv h5

Reads files, and folders, of all containers and codecs that FFmpeg supports. An interrupted
prediction continues where it stopped. Finished videos are skipped. A multi-view network gets
the videos of all views of a session together: their names end with the view (day1_left.mp4).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
import json
import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.startup.arguments import ProgramParser, at_least
from deeplabstream.files.overwriting import check_free
from deeplabstream.startup.progress import Overall
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.offline.video_files import overall_progress, stems, video_files
from deeplabstream.offline.labelled_poses import Known, known_poses
from deeplabstream.offline.multiview_inference import predict_views, sessions
from deeplabstream.offline.metrics import METRICS, temporal_norm, write_metric
from deeplabstream.offline.parallel import open_parallel
from deeplabstream.offline.video_identity import identity_file, write_identity
from deeplabstream.offline.video_inference import (
    FACTS,
    VideoPoses,
    files_of_others,
    is_begun,
    kinds_written,
    predict,
    samples_sha256,
)
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.pose.tracking.identity_tracker import IdentitySettings
from deeplabstream.pose.model.model_opening import (
    open_for_videos,
    open_for_views,
    outdated,
    views_of,
)
from deeplabstream.pose.runtimes.gpu_use import gpu_remarks
from deeplabstream.pose.runtimes.runtime_list import RUNTIMES
from deeplabstream.recording.exporters.pose_files import WRITERS


@ending("stopped; repeat the command to continue")
def main(argv: Sequence[str] | None = None) -> int:
    """Predict; return 0, 1 when some video could not be, 2 when nothing could."""
    asked = _parser().parse_args(argv)
    videos = video_files(asked.videos)
    names = stems(videos)
    known = None
    if asked.labels is not None:
        known = known_poses(asked.labels, asked.mirrored, asked.columns)
    views = views_of(asked.model)
    if views:
        estimator = open_for_views(asked.model, asked.runtime, asked.threads)
    else:
        open_one = partial(open_for_videos, asked.model, asked.runtime)
        estimator = open_parallel(open_one, asked.threads)
    for sentence in (*outdated(asked.model), *gpu_remarks()):
        print(f"Warning: {sentence}", file=sys.stderr)
    if known is not None:
        known.check(estimator.skeleton.bodyparts)
    if views:
        found = sessions(videos, views)
        overall = overall_progress([list(each.values()) for each in found.values()])
        return Job(asked, estimator, known, overall).predict_views(found)
    overall = overall_progress([[video] for video in videos])
    job = Job(asked, estimator, known, overall)
    failed = 0
    with ThreadPoolExecutor(1) as writing:
        ends: list[Future[list[Path]]] = []
        for number, video in enumerate(videos):
            of = f" ({number + 1} of {len(videos)})" if len(videos) > 1 else ""
            try:
                if end := job.begin(video, names[video], writing, (number, of)):
                    ends.append(end)
            except DeepLabStreamError as error:
                print(error, file=sys.stderr)
                failed += 1
        for end in ends:
            try:
                for path in end.result():
                    print(path)
            except DeepLabStreamError as error:
                print(error, file=sys.stderr)
                failed += 1
    return 1 if failed else 0


@dataclass(frozen=True)
class Job:
    """The same for all videos of one command."""

    asked: argparse.Namespace
    estimator: PoseEstimator
    known: Known | None
    overall: Overall
    """Progress of all videos, or sessions."""

    def begin(
        self,
        video: Path,
        name: str,
        writing: ThreadPoolExecutor,
        place: tuple[int, str],
    ) -> Future[list[Path]] | None:
        """Predict one video and have it written; None when that was done before.

        `place` is which of the videos it is, and the words that say so.
        """
        folder: Path = self.asked.output or video.parent
        facts = folder / f"{name}{FACTS}"
        tables = {kind: folder / f"{name}.{kind}" for kind in self.asked.to}
        own = kinds_written(facts, video, self.estimator.sha256)
        if self._is_done(own, tables) and not self.asked.overwrite:
            print(
                f"{video} is already predicted ({facts}); use --overwrite to "
                "predict it again"
            )
            return None
        partial = folder / f"{name}.partial"
        if not is_begun(partial, [video], self.estimator):
            self._check_free(folder, name, own)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            found = self._predict(video, partial, *place)
        except OSError as error:
            raise DeepLabStreamError(f"Can't write {folder}: {error}") from error
        return writing.submit(self._write_all, found, folder, name, partial)

    def predict_views(self, found: Mapping[str, Mapping[str, Path]]) -> int:
        """Predict the videos of each session together; return 0, or 1: one could not be."""
        failed = 0
        for number, (session, videos) in enumerate(found.items()):
            try:
                for path in self._of_session(number, session, videos):
                    print(path)
            except DeepLabStreamError as error:
                print(error, file=sys.stderr)
                failed = 1
        return failed

    def _of_session(
        self, number: int, session: str, videos: Mapping[str, Path]
    ) -> list[Path]:
        names = stems(list(videos.values()))
        folders = {video: self.asked.output or video.parent for video in names}
        facts = {v: folders[v] / f"{name}{FACTS}" for v, name in names.items()}
        tables = {
            video: {kind: folders[video] / f"{name}.{kind}" for kind in self.asked.to}
            for video, name in names.items()
        }
        network = self.estimator.sha256
        own = {v: kinds_written(facts[v], v, network) for v in names}
        done = all(self._is_done(own[video], tables[video]) for video in names)
        if done and not self.asked.overwrite:
            print(
                f"{session} is already predicted; use --overwrite to predict it again"
            )
            return []
        first = folders[next(iter(names))]
        partial = first / f"{session}.partial"
        if not is_begun(partial, list(videos.values()), self.estimator):
            for video, name in names.items():
                self._check_free(folders[video], name, own[video])
        try:
            first.mkdir(parents=True, exist_ok=True)
            with self.overall.bar(number, session) as bar:
                poses = predict_views(
                    videos, self.estimator, Path(str(self.asked.model)).name,
                    batch=self.asked.batch, decoder=self.asked.decoder,
                    partial=partial, watch=bar.show,
                )  # fmt: skip
            written = []
            for view, video in videos.items():
                written += self._write(
                    poses[view], folders[video], names[video], partial
                )
        except OSError as error:
            raise DeepLabStreamError(f"Can't write {first}: {error}") from error
        return written

    def _predict(self, video: Path, partial: Path, number: int, of: str) -> VideoPoses:
        with self.overall.bar(number, f"{video.name}{of}") as bar:
            found = predict(
                video,
                self.estimator,
                Path(str(self.asked.model)).name,
                batch=self.asked.batch,
                decoder=self.asked.decoder,
                partial=partial,
                watch=bar.show,
                names=self.asked.animals or (),
                rules=IdentitySettings(self.asked.first, self.asked.believe_after_s),
            )
        if found.identities is not None and found.identities.ambiguous:
            print(
                f"{video}: identities are ambiguous in {found.identities.ambiguous} of "
                f"{len(found.rows)} frames"
            )
        if found.resumed:
            print(f"{video}: continued at frame {found.resumed}")
        if found.lost:
            print(
                f"{video}: {found.lost} of {len(found.rows)} frames could not be "
                "decoded; their rows are empty"
            )
        return found

    def _write_all(
        self, found: VideoPoses, folder: Path, name: str, partial: Path
    ) -> list[Path]:
        try:
            return self._write(found, folder, name, partial)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise DeepLabStreamError(
                f"Can't write the poses of {found.rows.path} into {folder}: {reason}. "
                "Repeat the command to write them"
            ) from error

    def _write(
        self, found: VideoPoses, folder: Path, name: str, partial: Path
    ) -> list[Path]:
        written = []
        for kind in self.asked.to:
            path = folder / f"{name}.{kind}"
            with atomic_file(path) as making:
                WRITERS[kind](found.table, making)
            written.append(path)
        if found.identities is not None:
            path = identity_file(folder / f"{name}.csv")
            with atomic_file(path) as making:
                write_identity(found.table, making)
            written.append(path)
        if self.asked.metrics and found.table.points.shape[1] == 1:
            written += self._write_metrics(found, folder, name)
        facts = folder / f"{name}{FACTS}"
        own = kinds_written(facts, found.rows.path, self.estimator.sha256)
        formats = [
            kind
            for kind in WRITERS
            if kind in self.asked.to
            or (kind in own and (folder / f"{name}.{kind}").is_file())
        ]
        metrics = [
            metric
            for metric in METRICS
            if (path := folder / f"{name}_{metric}.csv") in written
            or (metric in own and path.is_file())
        ]
        told = self._facts(found) | {"formats": formats, "metrics": metrics}
        with atomic_file(facts) as making:
            making.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
        partial.unlink(missing_ok=True)
        return [*written, facts]

    def _write_metrics(self, found: VideoPoses, folder: Path, name: str) -> list[Path]:
        points, parts = found.table.points[:, 0], found.table.skeleton.bodyparts
        metrics = {METRICS[0]: temporal_norm(points)}
        if self.known is not None:
            metrics |= self.known.errors(points, parts)
        written = []
        for metric, values in metrics.items():
            path = folder / f"{name}_{metric}.csv"
            with atomic_file(path) as making:
                write_metric(values, parts, making)
            written.append(path)
        return written

    def _facts(self, found: VideoPoses) -> dict[str, object]:
        shown: NDArray[np.bool_] = found.table.confidence >= self.estimator.threshold
        return {
            "video": found.rows.path.name,
            "bytes": found.rows.path.stat().st_size,
            "samples_sha256": samples_sha256(found.rows.path),
            "frames": len(found.rows),
            "frames_not_decoded": found.lost,
            "frames_per_s": round(found.rows.rate, 4),
            "times_known": found.rows.timed,
            "model": str(self.asked.model),
            "sha256": self.estimator.sha256,
            "provider": self.estimator.provider,
            "threshold": self.estimator.threshold,
            "seen": round(float(shown.mean()), 4),
            **self._names(found),
        }

    def _names(self, found: VideoPoses) -> dict[str, object]:
        if (identities := found.identities) is None:
            return {}
        told = {
            "doubted_frames": identities.ambiguous,
            "exchanged": identities.swapped,
        }
        return {"animals": list(identities.skeleton.animals), "identity": told}

    def _is_done(self, own: Collection[str], tables: Mapping[str, Path]) -> bool:
        return all(kind in own and file.is_file() for kind, file in tables.items())

    def _check_free(self, folder: Path, name: str, own: Collection[str]) -> None:
        """Refuse to replace files of another network, video or program."""
        metrics = METRICS[: 1 if self.known is None else None]
        metrics = metrics if self.asked.metrics else ()
        theirs = files_of_others(folder, name, self.asked.to, own, metrics)
        check_free(theirs, self.asked.overwrite)


def _parser() -> ProgramParser:
    parser = ProgramParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("videos", type=Path, nargs="+", help="videos, or folders of videos")
    add(
        "--model",
        required=True,
        help="name of a folder under models/, or the path of a model folder",
    )
    add(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="output folder (default: beside each video)",
    )
    add(
        "--to",
        nargs="+",
        choices=list(WRITERS),
        default=["csv"],
        help="output formats (default: csv)",
    )
    add("--batch", type=at_least(1), default=0, metavar="IMAGES",
        help="frames per batch (default: 1, on a GPU 8)")  # fmt: skip
    names = ", ".join(RUNTIMES)
    add("--runtime", choices=["auto", *RUNTIMES], default="auto", metavar="NAME",
        help=f"runtime of the network: auto, {names}")  # fmt: skip
    add("--decoder", choices=["auto", "cpu", "cuda"], default="auto", help="videos'")
    add("--threads", type=at_least(0), default=0, help="CPU threads; 0: all cores")
    add("--animals", nargs="+", metavar="NAME",
        help=("names of the animals, for a network of several (default: animal1, "
            "animal2 …)"))  # fmt: skip
    add("--first", choices=["leftmost", "darkest"], default="leftmost",
        help="order of the first names, once all animals were seen apart")  # fmt: skip
    add("--believe-after-s", type=at_least(0, float), default=0.0, metavar="SECONDS",
        help=("time after which motion alone resolves an ambiguous identity of animals that "
            "look alike (default: 0: never)"))  # fmt: skip
    add("--overwrite", action="store_true", help="predict finished videos again")
    add("--no-metrics", dest="metrics", action="store_false", help="write poses only")
    add(
        "--labels",
        type=Path,
        metavar="CSV",
        help="labels of the network's training, for PCA reprojection errors",
    )
    add(
        "--columns",
        nargs="+",
        metavar="PART",
        help="body parts of the single-view PCA error (default: all)",
    )
    add(
        "--mirrored",
        nargs="+",
        metavar="SUFFIX",
        help=(
            "suffixes of body part names by view, for example _top _bot, for the "
            "multi-view PCA error"
        ),
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
