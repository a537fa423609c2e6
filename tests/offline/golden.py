"""What the bundled networks see in a made scene; as a program, writes the golden file."""

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
from deeplabstream.offline.prediction import predict
from deeplabstream.pose.model.model_folder import DESCRIPTION
from deeplabstream.pose.model.model_opening import MODELS, open_estimator
from deeplabstream.recording.video_writer import VideoFile
from deeplabstream.video.recording_options import Recipe

GOLDEN = ROOT / "tests/golden/networks.json"


def release(version: str) -> str:
    """Return MAJOR.MINOR."""
    return ".".join(version.split(".")[:2])


def networks() -> list[str]:
    """Return the names of the bundled networks."""
    return sorted(file.parent.name for file in MODELS.glob(f"*/{DESCRIPTION}"))


def scene(path: Path) -> Path:
    """Write a lossless film of two pictures of the drawn animal."""
    with VideoFile(path, ImageFormat((480, 640, 3), 10), Recipe(codec="ffv1")) as film:
        for number in range(2):
            image = cv2.imread(str(GOLDEN.with_name(f"scene_{number}.jpg")))
            film.write(
                np.asarray(image, np.uint8), number, number * 10**8, number * 10**8
            )
    return path


def main() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "version"
    ]
    film = scene(Path(sys.argv[1]))
    poses = {}
    for name in networks():
        table = predict(film, open_estimator(MODELS / name, "cpu", 1), name).table
        poses[name] = {
            "points": np.round(table.points.astype(float), 2).tolist(),
            "confidence": np.round(table.confidence.astype(float), 3).tolist(),
        }
    facts = {"release": release(version), "poses": poses}
    GOLDEN.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
