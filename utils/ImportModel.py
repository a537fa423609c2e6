"""Make a model folder of a network from elsewhere, checked by running both.

    python utils/ImportModel.py outputs/2026-11-21/10-58-55 --output models/mine
    python utils/ImportModel.py exported --output models/mine
    python utils/ImportModel.py network.onnx --description network.json --output models/mine

The first is the folder of a model that Lightning Pose trained, the second what SLEAP-NN
exported, or what a script of `pose/importers/scripts` wrote where DeepLabCut or Lightning
Pose is installed. The third is any ONNX network, with a short file that says what it wants
and gives. docs/models.md says what of whom was tried. Nothing is unpickled but tensors.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence

from core.errors import ModelError
from pose.importers.sleap_nn import import_sleap_nn
from pose.importers.sleap_nn_metadata import METADATA
from pose.importers.described import import_onnx
from pose.importers.description import read_description
from pose.importers.exported import SCRIPTS, WORDS, import_exported, typed
from pose.importers.draft import drafted
from pose.model_folder import DESCRIPTION, NETWORK, load_model_folder, network_hash

ELSEWHERE = {
    "pytorch_config.yaml": (
        "holds snapshots of DeepLabCut 3. Where DeepLabCut is installed, run "
        "`python {three} {source} --size 640x480 --output exported`, then import `exported`"
    ),
    "pose_cfg.yaml": (
        "holds a network of DeepLabCut 2. Where DeepLabCut is installed, export it with "
        "`deeplabcut.export_model`, then run `python {two} "
        "FOLDER --size 640x480 --output exported`, then import `exported`"
    ),
    "training_config.yaml": (
        "holds a checkpoint of SLEAP-NN. Where SLEAP-NN is installed, run `sleap-nn export "
        "{source} --output exported --input-height 480 --input-width 640`, then import "
        "`exported` with --size 640x480, and with --animals 2 if there are several"
    ),
}
"""What lies in a folder that must be exported first, and how that is done."""
PROJECTS = (
    "dlc-models-pytorch/*/*/train/pytorch_config.yaml",
    "dlc-models/*/*/train/pose_cfg.yaml",
)
"""Where DeepLabCut keeps networks in the folder of a project."""


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Import."""
    options = _parser().parse_args(argv)
    with drafted(options.output) as draft:
        _import(options, draft)
    model = load_model_folder(options.output)
    several = f" of up to {model.animals} animals" if model.animals > 1 else ""
    print(
        f"{model.path}: {len(model.skeleton.bodyparts)} body parts{several}, "
        f"{model.fitting.width}x{model.fitting.height}; the same as the original on the "
        "same pictures"
    )
    if isinstance(far := model.about.get("compared"), dict):
        print(
            f"{far['points']} points of the original's own: half within "
            f"{far['median_px']} px, the farthest {far['max_px']} px away"
        )
    if isinstance(names := model.about.get("left_out"), list):
        print(f"left out, as they are no animal's: {', '.join(map(str, names))}")
    print(f"python utils/BenchmarkModel.py --model {typed(model.path)} shows its speed")
    return 0


def _import(options: argparse.Namespace, draft: Path) -> None:
    source: Path = options.network
    if not source.exists():
        raise ModelError(f"{source}: there is no such file or folder")
    exported = [(source.parent / name).is_file() for name in (METADATA, WORDS)]
    if source.is_file() and options.description is None and any(exported):
        source = source.parent  # a file of what was exported was named
    if not 0 <= options.animals <= 100:
        raise ModelError(f"--animals {options.animals}: expected 1 to 100")
    if (source / METADATA).is_file():
        size = _size(options.size) if options.size else None
        import_sleap_nn(source, size, draft, options.licence, options.animals)
        return
    if options.size or options.animals:
        raise ModelError(
            f"{source}: --size and --animals are for what SLEAP-NN exported; leave them out"
        )
    if networks := [file.parent for glob in PROJECTS for file in source.glob(glob)]:
        raise ModelError(
            f"{source} is a project of DeepLabCut; name one of its networks instead: "
            f"{', '.join(map(typed, networks))}"
        )
    if (source / WORDS).is_file():
        import_exported(source, draft, options.licence)
    elif (source / "config.yaml").is_file():
        from training.lightning_pose_models import import_lightning_pose

        import_lightning_pose(source, draft, options.licence)
    else:
        _import_file(source, options, draft)


def _import_file(source: Path, options: argparse.Namespace, draft: Path) -> None:
    if source.suffix.lower() != ".onnx":
        for name, advice in ELSEWHERE.items():
            if (source / name).is_file() or source.with_name(name).is_file():
                how = advice.format(
                    two=typed(SCRIPTS / "from_deeplabcut2.py"),
                    three=typed(SCRIPTS / "from_deeplabcut3.py"),
                    source=typed(source),
                )
                raise ModelError(f"{source} {how}")
        if (source / DESCRIPTION).is_file():
            raise ModelError(f"{source} is a model folder already: name it as MODEL")
        if (source / NETWORK).is_file():
            raise ModelError(
                f"{source} holds a {NETWORK}, and no {WORDS}: the script that wrote it did "
                "not come to its end; run it again"
            )
        raise ModelError(
            f"{source}: expected an .onnx file, what SLEAP-NN exported, what a script of "
            f"{SCRIPTS} wrote, or the folder of a model that Lightning Pose trained; "
            "docs/models.md says how others are exported"
        )
    if options.description is None:
        raise ModelError(
            f"{source}: --description is needed: a short file that says what the network "
            "wants and gives; docs/models.md has an example"
        )
    words = read_description(options.description)
    about: dict[str, object] = {
        "imported_from": {"file": source.name, "sha256": network_hash(source)},
        "description": words.model_dump(mode="json", exclude_none=True),
    }
    if options.licence:
        words = words.model_copy(update={"licence": options.licence})
    import_onnx(source, words, draft, about)


def _size(words: str) -> tuple[int, int]:
    width, _, height = words.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise ModelError(f"--size {words}: expected WIDTHxHEIGHT, as in 640x480")
    size = int(width), int(height)
    if not all(16 <= side <= 4096 for side in size):
        raise ModelError(f"--size {words}: both sides must be from 16 to 4096")
    return size


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ImportModel", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("network", type=Path, help="an .onnx file, or a folder")
    add("--description", type=Path, help="of the .onnx file")
    add("--size", default="", help="of analysed pictures, as in 640x480: for SLEAP-NN")
    add("--animals", type=int, default=0, help="the most in a picture: for SLEAP-NN")
    add("--output", type=Path, required=True, help="the model folder to write")
    add("--licence", default="", help="of the network, written into model.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
