"""A network in eight-bit whole numbers, beside the one it was made from.

`network.int8.onnx` lies in the model folder with `int8.json`, which says of which network
it is, by which method its ranges were found, and how far its points are from that
network's. `utils/QuantiseNetwork.py` makes both.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import ModelFolder, network_hash

INT8 = "network.int8.onnx"
DESCRIPTION = "int8.json"


@dataclass(frozen=True, slots=True)
class Quantised:
    """What `int8.json` says."""

    of_sha256: str
    """Of the network that it was made from."""
    sha256: str
    method: str
    """MinMax or Percentile: how the ranges were found."""
    pictures: int
    """How many pictures it was compared on; others than the ranges were found on."""
    median_px: float
    """Of the distance to the points of the network that it was made from, input px."""
    p95_px: float
    seen_otherwise: float
    """Share of points that one of the two sees and the other does not."""


def save_quantised(model: ModelFolder, words: Quantised) -> None:
    """Write `int8.json`."""
    text = json.dumps(asdict(words), indent=2) + "\n"
    (model.path / DESCRIPTION).write_text(text, "utf-8")


def check_quantised(model: ModelFolder) -> Path:
    """Return the file of the int8 network; ModelError when it is missing or another's."""
    file = model.path / INT8
    if not file.is_file():
        raise ModelError(
            f"{model.path} has no {INT8}: python utils/QuantiseNetwork.py makes it"
        )
    try:
        words = json.loads((model.path / DESCRIPTION).read_text("utf-8"))
        whose, digest = words["of_sha256"], words["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{model.path / DESCRIPTION} is missing or damaged: "
            "python utils/QuantiseNetwork.py --overwrite makes it anew"
        ) from error
    if whose != model.sha256 or digest != network_hash(file):
        raise ModelError(
            f"{file} is damaged, or was made from another network than {model.network}: "
            "python utils/QuantiseNetwork.py --overwrite makes it anew"
        )
    return file
