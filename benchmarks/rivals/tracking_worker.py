"""SLEAP-NN's trackers on detections without identities, run in SLEAP-NN's own environment.

Started by benchmarks/tracking.py with that environment's Python; it imports nothing of ours.
FOLDER/detections.npz has `points` (frame, detection, body part, 2), NaN where there is none,
`scores` (frame, detection, body part), and the number of `animals`. VIDEO, and the FIRST frame in
it, are for optical flow. For each tracker FOLDER/NAME.npy is written: (frame, detection), the
number of the track; -1: none.

    tracking_worker.py FOLDER [VIDEO FIRST]
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

TRACKERS = {
    "classic": {},
    "classic, N tracks": {"candidates_method": "local_queues", "max_tracks": True},
    "classic, flow": {"use_flow": True, "of_img_scale": 0.5},
    "classic, Kalman": {
        "use_kalman": True,
        "tracking_target_instance_count": True,
        "candidates_method": "local_queues",
        "max_tracks": True,
    },
    "classic, N tracks, distance": {
        "candidates_method": "local_queues",
        "max_tracks": True,
        "features": "centroids",
        "scoring_method": "euclidean_dist",
    },
    "sort": {"tracker": "sort"},
    "bytetrack": {"tracker": "bytetrack"},
    "ocsort": {"tracker": "ocsort"},
    "sort, linked": {"tracker": "sort", "max_tracks": True},
    "bytetrack, linked": {"tracker": "bytetrack", "max_tracks": True},
    "ocsort, linked": {"tracker": "ocsort", "max_tracks": True},
}
"""Options of each; True: the number of animals. Linked: joined afterwards, not on line."""


def main():
    """Track with each of them, and write the numbers of the tracks."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("video", nargs="?", default="", help="for optical flow")
    parser.add_argument("first", nargs="?", type=int, default=0)
    asked = parser.parse_args()
    folder, video, first = asked.folder, asked.video, asked.first
    try:
        import sleap_io as sio
        from loguru import logger
        from sleap_nn.inference.tracking import TrackerConfig, apply_tracking
    except ImportError as error:
        sys.stderr.write(f"install sleap-nn in this environment: {error}\n")
        return 2

    logger.remove()
    given = np.load(folder / "detections.npz")
    points, scores = given["points"], given["scores"]
    animals = int(given["animals"])
    said = {}
    for name, options in TRACKERS.items():
        if options.get("use_flow") and not video:
            continue
        words = {
            key: animals
            if value is True and key.endswith(("tracks", "count"))
            else value
            for key, value in options.items()
        }
        try:
            labels, rows = _labels(sio, points, scores, video, first)
            apply_tracking(labels, TrackerConfig(**words))
            np.save(folder / f"{name}.npy", _numbers(labels, rows, points.shape[:2]))
        except Exception as error:  # of a rival: the others are still compared
            said[name] = f"{type(error).__name__}: {error}"
    (folder / "failed.json").write_text(json.dumps(said), encoding="utf-8")
    return 0


def _labels(sio, points, scores, video, first):
    """Return the detections as SLEAP's labels, and the frame and row of each instance."""
    parts = [f"part{number}" for number in range(points.shape[2])]
    skeleton = sio.Skeleton(parts)
    if video:
        video = sio.Video.from_filename(video)
    else:
        video = sio.Video(filename="detections.mp4", open_backend=False)
    rows, frames = {}, []
    for index, (found, sure) in enumerate(zip(points, scores, strict=True)):
        instances = []
        for row in np.flatnonzero(np.isfinite(found[..., 0]).any(axis=1)):
            instance = sio.PredictedInstance.from_numpy(
                found[row],
                skeleton=skeleton,
                point_scores=sure[row],
                score=float(sure[row][np.isfinite(found[row, :, 0])].mean()),
            )
            rows[id(instance)] = index, int(row), instance
            instances.append(instance)
        frames.append(
            sio.LabeledFrame(video=video, frame_idx=first + index, instances=instances)
        )
    return sio.Labels(frames), rows


def _numbers(labels, rows, shape):
    """Return the number of each detection's track."""
    numbers = np.full(shape, -1)
    tracks = {}
    for frame in labels:
        for instance in frame.instances:
            if instance.track is not None and id(instance) in rows:
                index, row, _ = rows[id(instance)]
                numbers[index, row] = tracks.setdefault(id(instance.track), len(tracks))
    return numbers


if __name__ == "__main__":
    sys.exit(main())
