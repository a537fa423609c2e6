"""Import a network of another program as a model folder, and compare its points with the original.

    python utils/ImportModel.py outputs/2026-11-21/10-58-55 --output models/mine
    python utils/ImportModel.py exported --output models/mine
    python utils/ImportModel.py network.onnx --description network.json --output models/mine

The first is the folder of a Lightning Pose model. The second is an export of SLEAP-NN, or the
output of a script of `pose/importers/scripts`, which runs where DeepLabCut or Lightning Pose is
installed. The third is any ONNX network, with a short file that describes its inputs and
outputs. docs/importing_networks.md lists the tested networks. Only tensors are unpickled.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import argparse
from collections.abc import Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.core.errors import ModelError, counted
from deeplabstream.pose.importers.sleap_nn import import_sleap_nn
from deeplabstream.pose.importers.sleap_nn_metadata import METADATA
from deeplabstream.pose.importers.onnx_import import import_onnx
from deeplabstream.pose.importers.network_description import read_description
from deeplabstream.pose.importers.script_export import (
    SCRIPTS,
    EXPORT_DESCRIPTION,
    import_exported,
    typed,
)
from deeplabstream.pose.model.model_folder import drafted
from deeplabstream.pose.model.model_opening import CONTEXT
from deeplabstream.pose.importers.reference_points import TOLERANCE_PX
from deeplabstream.pose.model.model_folder import (
    DESCRIPTION,
    DETECTOR,
    NETWORK,
    ModelFolder,
    load_model_folder,
    network_hash,
)

ELSEWHERE = {
    "pytorch_config.yaml": (
        "contains snapshots of DeepLabCut 3. Where DeepLabCut is installed, run "
        "`python {three} {source} --size 640x480 --output exported`, then import "
        "`exported`"
    ),
    "pose_cfg.yaml": (
        "contains a network of DeepLabCut 2. Where DeepLabCut is installed, "
        "export it with `deeplabcut.export_model`, then run `python {two} FOLDER "
        "--size 640x480 --output exported`, then import `exported`"
    ),
    "superanimal_*.pt": (
        "contains a SuperAnimal of DeepLabCut 3. Where DeepLabCut is installed, run "
        "`python {three} {source} --size 640x480 --video VIDEO --output exported`, then "
        "import `exported`"
    ),
    "training_config.yaml": (
        "contains a checkpoint of SLEAP-NN. Where SLEAP-NN is installed, run "
        "`sleap-nn export {source} --output exported` and `python {sleap} "
        "exported {source}`, then import `exported`; for several animals add "
        "--animals 2"
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
    options.licence = options.licence or _licence(options)
    with drafted(options.output) as draft:
        _import(options, draft)
    model = load_model_folder(options.output)
    several = f" of up to {model.animals} animals" if model.animals > 1 else ""
    print(
        f"{model.path}: {counted(len(model.skeleton.bodyparts), 'body part')}{several}, "
        f"{model.fitting.width}x{model.fitting.height}"
    )
    inner = (DETECTOR, "detector: "), (CONTEXT, "with neighbouring frames: ")
    others = [(_inner(model, name), words) for name, words in inner]
    for each, place in ((model, ""), *others):
        if each is not None:
            for line in _compared(each):
                print(f"{place}{line}")
    if isinstance(names := model.about.get("left_out"), list):
        print(
            f"left out, because they belong to no animal: {', '.join(map(str, names))}"
        )
    licence = model.about.get("licence") or (
        "not known. Ask who trained it before you pass it on, and write it into "
        f"{model.path / DESCRIPTION} (about → licence)"
    )
    print(f"licence: {licence}")
    print(
        "to measure its speed: python utils/BenchmarkModel.py --model "
        f"{typed(model.path)}"
    )
    return 0


def _licence(options: argparse.Namespace) -> str:
    """Return the licence that the user names, or the export's; empty: not known."""
    file = options.description or options.network / EXPORT_DESCRIPTION
    known = read_description(file).licence if file.is_file() else ""
    if sys.stdin is None or not sys.stdin.isatty():
        return known
    offered = f" [{known}]" if known else ""
    try:
        return (
            input(f"licence of the network{offered}, Enter if none: ").strip() or known
        )
    except EOFError:
        return known


def _inner(model: ModelFolder, name: str) -> ModelFolder | None:
    """Return the network of that name within it, if there is one."""
    folder = model.path / name
    return load_model_folder(folder) if (folder / DESCRIPTION).is_file() else None


def _compared(model: ModelFolder) -> list[str]:
    """Return what is known of its points, compared with those of the other program."""
    far = model.about.get("compared")
    if not isinstance(far, dict):
        return [
            "its points were NOT compared with the program that trained it, "
            "because there are no reference points of that program (see "
            "docs/importing_networks.md). Check them on your own frames with "
            "utils/CheckNetwork.py"
        ]
    lines = [
        f"{far['points']} points compared with the original program, on original "
        f"frames: median {far['median_px']} px, 95 % within {far['p95_px']} px"
    ]
    lines += [
        (
            f"  frames of {size}: median {own['median_px']} px, 95 % within "
            f"{own['p95_px']} px (limit {own['limit_px']} px), {own['points']} points"
        )
        for size, own in far["sizes"].items()
    ]
    return lines


def _import(options: argparse.Namespace, draft: Path) -> None:
    source: Path = options.network
    if not source.exists():
        raise ModelError(f"{source}: no such file or folder")
    exported = [
        (source.parent / name).is_file() for name in (METADATA, EXPORT_DESCRIPTION)
    ]
    if source.is_file() and options.description is None and any(exported):
        source = source.parent  # a file of what was exported was named
    if not 0 <= options.tolerance <= 100:
        raise ModelError(f"--tolerance {options.tolerance:g}: expected 0 to 100")
    if not 0 <= options.animals <= 100:
        raise ModelError(f"--animals {options.animals}: expected 1 to 100")
    if (source / METADATA).is_file():
        size = _size(options.size) if options.size else None
        how = options.animals, options.tolerance
        import_sleap_nn(source, size, draft, options.licence, *how)
        return
    if advice := _elsewhere(source):
        raise ModelError(advice)
    if options.size or options.animals:
        raise ModelError(
            f"{source}: --size and --animals apply to exports of SLEAP-NN only; "
            "leave them out"
        )
    if networks := [file.parent for glob in PROJECTS for file in source.glob(glob)]:
        raise ModelError(
            f"{source} is a DeepLabCut project. Name one of its networks: "
            f"{', '.join(map(typed, networks))}"
        )
    if (source / EXPORT_DESCRIPTION).is_file():
        limit = options.tolerance or TOLERANCE_PX
        import_exported(source, draft, options.licence, limit)
    elif (source / "config.yaml").is_file():
        from deeplabstream.training.lightning_pose.checkpoints import (
            import_lightning_pose,
        )

        import_lightning_pose(source, draft, options.licence)
    else:
        _import_file(source, options, draft)


def _elsewhere(source: Path) -> str:
    """Return how a network is exported where it was trained; empty: that is not needed."""
    if source.suffix.lower() == ".onnx":
        return ""
    folder = source if source.is_dir() else source.parent
    if any(
        (folder / name).is_file()
        for name in (EXPORT_DESCRIPTION, METADATA, "config.yaml")
    ):
        return ""
    for name, advice in ELSEWHERE.items():
        if any(folder.glob(name)):
            how = advice.format(
                two=typed(SCRIPTS / "from_deeplabcut2.py"),
                three=typed(SCRIPTS / "from_deeplabcut3.py"),
                sleap=typed(SCRIPTS / "from_sleap_nn.py"),
                source=typed(folder if name == "training_config.yaml" else source),
            )
            return f"{source} {how}"
    keras = source.suffix.lower() in (".h5", ".keras", ".hdf5")
    if keras or (folder / "best_model.h5").is_file():
        return (
            f"{source} is a network of TensorFlow (Keras), as SLEAP wrote it before "
            "SLEAP-NN. It can't be imported: train its labels instead, `python "
            "utils/TrainNetwork.py labels.slp --output models/mine`"
        )
    return ""


def _import_file(source: Path, options: argparse.Namespace, draft: Path) -> None:
    if source.suffix.lower() != ".onnx":
        if (source / DESCRIPTION).is_file():
            raise ModelError(f"{source} is already a model folder: use it as MODEL")
        if (source / NETWORK).is_file():
            raise ModelError(
                f"{source} contains a {NETWORK}, but no {EXPORT_DESCRIPTION}: the export "
                "script did not finish. Run it again"
            )
        raise ModelError(
            f"{source}: expected an .onnx file, an export of SLEAP-NN, the "
            f"output of a script of {SCRIPTS}, or the folder of a Lightning Pose "
            "model. For others see docs/importing_networks.md"
        )
    if options.description is None:
        raise ModelError(
            f"{source}: --description is needed: a short file that describes "
            "inputs and outputs of the network (example in docs/importing_networks.md)"
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
        raise ModelError(f"--size {words}: expected WIDTHxHEIGHT, for example 640x480")
    size = int(width), int(height)
    if not all(16 <= side <= 4096 for side in size):
        raise ModelError(f"--size {words}: both sides must be from 16 to 4096")
    return size


def _parser() -> ProgramParser:
    parser = ProgramParser(
        prog="ImportModel", description=(__doc__ or "").split("\n")[0]
    )
    add = parser.add_argument
    add("network", type=Path, help=".onnx file, or a folder")
    add("--description", type=Path, help="description of the .onnx file")
    add(
        "--size",
        default="",
        help="size of the analysed frames, for example 640x480 (SLEAP-NN only)",
    )
    add(
        "--animals",
        type=int,
        default=0,
        help="largest number of animals in a frame (SLEAP-NN only)",
    )
    add("--output", type=Path, required=True, help="model folder to write")
    add(
        "--tolerance",
        type=float,
        default=0.0,
        help="largest distance of a point to the original's, in pixels of the input "
        "(default: 0.5; of a top-down pair of SLEAP-NN 1.5 cells)",
    )
    add(
        "--licence",
        default="",
        help="licence of the network, written to model.json (default: that in "
        "its README; in a console it is asked for)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
