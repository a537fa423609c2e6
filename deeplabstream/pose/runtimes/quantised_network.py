"""Quantized (eight-bit) network of a model folder, and its description.

`network.int8.onnx` lies in the model folder. `int8.json` holds the checksum of the
network that it was made from, the calibration method, and the distance of its points.
`utils/QuantiseNetwork.py` makes both.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from deeplabstream.core.errors import ModelError
from deeplabstream.files.foreign_files import read_json
from deeplabstream.pose.model.model_folder import ModelFolder, network_hash

INT8 = "network.int8.onnx"
DESCRIPTION = "int8.json"


@dataclass(frozen=True, slots=True)
class Quantised:
    """The content of `int8.json`."""

    of_sha256: str
    """Checksum of the network that it was made from."""
    sha256: str
    method: str
    """Calibration method: MinMax or Percentile."""
    pictures: int
    """Number of images for the comparison, without those of the calibration."""
    median_px: float
    """Distance to the points of the original network, px of the input."""
    p95_px: float
    seen_otherwise: float
    """Share of points that one of the two networks finds and the other does not."""


def save_quantised(model: ModelFolder, record: Quantised) -> None:
    """Write `int8.json`."""
    text = json.dumps(asdict(record), indent=2) + "\n"
    (model.path / DESCRIPTION).write_text(text, "utf-8")


def check_quantised(model: ModelFolder) -> Path:
    """Return the file of the int8 network; ModelError: missing, or of another network."""
    file = model.path / INT8
    if not file.is_file():
        raise ModelError(
            f"{model.path} has no {INT8}: python utils/QuantiseNetwork.py makes it"
        )
    try:
        record = read_json(model.path / DESCRIPTION)
        whose, digest = record["of_sha256"], record["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{model.path / DESCRIPTION} is missing or damaged: "
            "python utils/QuantiseNetwork.py --overwrite makes it again"
        ) from error

    # After a new training the old quantized network would still give poses.
    if whose != model.sha256 or digest != network_hash(file):
        raise ModelError(
            f"{file} is damaged, or was made from another network than {model.network}: "
            "python utils/QuantiseNetwork.py --overwrite makes it again"
        )
    return file
