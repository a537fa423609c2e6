"""Files of a video's prediction: tables of poses, identities, metrics, and their record."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.overwriting import check_free
from deeplabstream.offline.labelled_poses import Known
from deeplabstream.offline.metrics import (
    METRICS,
    Numbers,
    temporal_norm,
    write_metric,
)
from deeplabstream.offline.video_identity import identity_file, write_identity
from deeplabstream.offline.video_inference import (
    FACTS,
    VideoPoses,
    files_of_others,
    kinds_written,
    samples_sha256,
)
from deeplabstream.pose.estimator import PoseEstimator
from deeplabstream.recording.exporters.pose_files import WRITERS


@dataclass(frozen=True)
class PredictionFiles:
    """Files of the prediction of one video by one network."""

    video: Path
    folder: Path
    name: str
    """Prefix of the file names."""
    model: str
    estimator: PoseEstimator
    formats: tuple[str, ...]
    metrics: bool
    labels: Known | None = None
    """Labels of the training, for the PCA errors."""

    @property
    def facts(self) -> Path:
        """Record of the prediction: `NAME.prediction.json`."""
        return self.folder / f"{self.name}{FACTS}"

    def complete(self) -> bool:
        """Return whether this network has written all formats for this video."""
        written = self._written()
        return all(
            kind in written and self._table(kind).is_file() for kind in self.formats
        )

    def check_free(self, overwrite: bool) -> None:
        """Raise if files of another network, video or program would be replaced."""
        metrics = METRICS[: 1 if self.labels is None else None] if self.metrics else ()
        others = files_of_others(
            self.folder, self.name, self.formats, self._written(), metrics
        )
        check_free(others, overwrite)

    def write(self, poses: VideoPoses) -> list[Path]:
        """Write all files and return their paths."""
        try:
            return self._write(poses)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise DeepLabStreamError(
                f"Can't write the poses of {self.video} into {self.folder}: {reason}. "
                "Repeat the command to write them"
            ) from error

    def _write(self, poses: VideoPoses) -> list[Path]:
        written = [self._table(kind) for kind in self.formats]
        for kind, path in zip(self.formats, written, strict=True):
            with atomic_file(path) as making:
                WRITERS[kind](poses.table, making)

        if poses.identities is not None:
            path = identity_file(self.folder / f"{self.name}.csv")
            with atomic_file(path) as making:
                write_identity(poses.table, making)
            written.append(path)

        metrics = self._metrics(poses)
        for metric, values in metrics.items():
            path = self._metric(metric)
            with atomic_file(path) as making:
                write_metric(values, poses.table.skeleton.bodyparts, making)
            written.append(path)

        record = self._record(poses, metrics)
        with atomic_file(self.facts) as making:
            making.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
        return [*written, self.facts]

    def _metrics(self, poses: VideoPoses) -> dict[str, Numbers]:
        if not self.metrics or poses.table.points.shape[1] != 1:
            return {}
        points = poses.table.points[:, 0]
        metrics = {METRICS[0]: temporal_norm(points)}
        if self.labels is not None:
            metrics |= self.labels.errors(points, poses.table.skeleton.bodyparts)
        return metrics

    def _record(
        self, poses: VideoPoses, metrics: Mapping[str, object]
    ) -> dict[str, object]:
        # files of an earlier command with other formats belong to this prediction too
        earlier = self._written()
        rows, estimator = poses.rows, self.estimator
        record = {
            "video": self.video.name,
            "bytes": self.video.stat().st_size,
            "samples_sha256": samples_sha256(self.video),
            "frames": len(rows),
            "frames_not_decoded": poses.lost,
            "frames_per_s": round(rows.rate, 4),
            "times_known": rows.timed,
            "model": self.model,
            "sha256": estimator.sha256,
            "provider": estimator.provider,
            "threshold": estimator.threshold,
            "seen": round(
                float((poses.table.confidence >= estimator.threshold).mean()), 4
            ),
        }
        if (identities := poses.identities) is not None:
            record["animals"] = list(identities.skeleton.animals)
            record["identity"] = {
                "doubted_frames": identities.ambiguous,
                "exchanged": identities.swapped,
            }
        record["formats"] = [
            kind
            for kind in WRITERS
            if kind in self.formats or (kind in earlier and self._table(kind).is_file())
        ]
        record["metrics"] = [
            metric
            for metric in METRICS
            if metric in metrics
            or (metric in earlier and self._metric(metric).is_file())
        ]
        return record

    def _written(self) -> frozenset[str]:
        return kinds_written(self.facts, self.video, self.estimator.sha256)

    def _table(self, kind: str) -> Path:
        return self.folder / f"{self.name}.{kind}"

    def _metric(self, metric: str) -> Path:
        return self.folder / f"{self.name}_{metric}.csv"
