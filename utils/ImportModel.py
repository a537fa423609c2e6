"""Make a model folder of a network from elsewhere, checked by running both.

    python utils/ImportModel.py network.onnx --description network.json --output models/mine
    python utils/ImportModel.py outputs/2026-11-21/10-58-55 --output models/mine

The first is any ONNX network, with a short file that says what it wants and gives
(docs/models.md). The second is the folder of a model that Lightning Pose trained. Nothing
is unpickled but tensors.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import hashlib
from collections.abc import Sequence

from core.errors import DeepLabStreamError, ModelError
from pose.importers.described import import_onnx
from pose.importers.description import read_description
from pose.model_folder import ModelFolder


def main(argv: Sequence[str] | None = None) -> int:
    """Import; return 0, or 1 after a sentence that says why not."""
    options = _parser().parse_args(argv)
    try:
        model = _imported(options)
    except DeepLabStreamError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    print(
        f"{model.path}: {len(model.skeleton.bodyparts)} body parts, "
        f"{model.fitting.width}x{model.fitting.height}; the same as the original on the "
        "same pictures"
    )
    print(f"python utils/BenchmarkModel.py --model {model.path} shows its speed")
    return 0


def _imported(options: argparse.Namespace) -> ModelFolder:
    source: Path = options.network
    if source.is_dir() and (source / "config.yaml").is_file():
        from training.lightning_pose_models import import_lightning_pose

        return import_lightning_pose(source, options.output, options.licence)
    if source.suffix != ".onnx":
        raise ModelError(
            f"{source}: expected an .onnx file, or the folder of a model that Lightning "
            "Pose trained (with config.yaml in it); docs/models.md says how others are "
            "exported to ONNX"
        )
    if options.description is None:
        raise ModelError(
            f"{source}: --description is needed: a short file that says what the network "
            "wants and gives; docs/models.md has an example"
        )
    words = read_description(options.description)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    about: dict[str, object] = {
        "imported_from": {"file": source.name, "sha256": digest},
        "description": words.model_dump(mode="json", exclude_none=True),
    }
    if options.licence:
        words = words.model_copy(update={"licence": options.licence})
    return import_onnx(source, words, options.output, about)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ImportModel", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("network", type=Path, help="an .onnx file, or a folder of Lightning Pose's")
    add("--description", type=Path, help="of the .onnx file")
    add("--output", type=Path, required=True, help="the model folder to write")
    add("--licence", default="", help="of the network, written into model.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
