"""Golden file of the bundled networks and golden runs; as a program, writes it anew.

`python tests/offline/golden.py FILM` is refused while the version (MAJOR.MINOR) is that of
the golden file and a network or a decision differs: raise the version first.
"""

import hashlib
import json
import sys
import tomllib
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from deeplabstream.core.frame import ImageFormat
from deeplabstream.offline.video_inference import predict
from deeplabstream.pose.model.model_folder import DESCRIPTION, NETWORK
from deeplabstream.pose.model.model_opening import MODELS, open_estimator
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.video.recording_options import RecordingOptions

GOLDEN = ROOT / "tests/golden/networks.json"


def release(version: str) -> str:
    """Return MAJOR.MINOR."""
    return ".".join(version.split(".")[:2])


def networks() -> list[str]:
    """Return the names of the bundled networks."""
    return sorted(file.parent.name for file in MODELS.glob(f"*/{DESCRIPTION}"))


def fingerprint(model: Path) -> str:
    """Return a checksum of a model folder: its network, and `model.json` without `about`."""
    words = json.loads((model / DESCRIPTION).read_text("utf-8"))
    words.pop("about", None)
    digest = hashlib.sha256((model / NETWORK).read_bytes())
    digest.update(json.dumps(words, sort_keys=True).encode())
    return digest.hexdigest()


def decisions() -> dict[str, str]:
    """Return a checksum of the commands of each golden run, by its name.

    `tests/test_golden_runs.py` compares the commands themselves with what is decided now.
    """
    return {
        file.parent.name: hashlib.sha256(file.read_text("utf-8").encode()).hexdigest()
        for file in sorted(GOLDEN.parent.glob("runs/*/commands.txt"))
    }


def facts() -> dict[str, object]:
    """Return what belongs to one MAJOR.MINOR."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {
        "release": release(project["version"]),
        "networks": {name: fingerprint(MODELS / name) for name in networks()},
        "decisions": decisions(),
    }


def forbidden(before: dict[str, object], now: dict[str, object]) -> list[str]:
    """Return which facts differ although the version is the same."""
    if before["release"] != now["release"]:
        return []
    return [name for name in now if before.get(name) != now[name]]


def scene(path: Path) -> Path:
    """Write a lossless film of two pictures of the drawn animal."""
    with VideoWriter(
        path, ImageFormat((480, 640, 3), 10), RecordingOptions(codec="ffv1")
    ) as film:
        for number in range(2):
            image = cv2.imread(str(GOLDEN.with_name(f"scene_{number}.jpg")))
            film.write(
                np.asarray(image, np.uint8), number, number * 10**8, number * 10**8
            )
    return path


def main() -> None:
    now = facts()
    if changed := forbidden(json.loads(GOLDEN.read_text("utf-8")), now):
        sys.exit(
            f"{', '.join(changed)} changed: raise MAJOR.MINOR in pyproject.toml first"
        )
    film = scene(Path(sys.argv[1]))
    poses = {}
    for name in networks():
        table = predict(film, open_estimator(MODELS / name, "cpu", 1), name).table
        poses[name] = {
            "points": np.round(table.points.astype(float), 2).tolist(),
            "confidence": np.round(table.confidence.astype(float), 3).tolist(),
        }
    GOLDEN.write_text(json.dumps({**now, "poses": poses}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
