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
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

from deeplabstream.core.errors import ModelError, counted
from deeplabstream.pose.importers.export_advice import export_advice, project_networks
from deeplabstream.pose.importers.network_description import read_description
from deeplabstream.pose.importers.onnx_import import import_onnx
from deeplabstream.pose.importers.reference_points import TOLERANCE_PX
from deeplabstream.pose.importers.script_export import (
    EXPORT_DESCRIPTION,
    SCRIPTS,
    import_exported,
    typed,
)
from deeplabstream.pose.importers.sleap_nn import import_sleap_nn
from deeplabstream.pose.importers.sleap_nn_metadata import METADATA
from deeplabstream.pose.model.model_folder import (
    DESCRIPTION,
    DETECTOR,
    NETWORK,
    PURPOSE,
    ModelFolder,
    drafted,
    load_model_folder,
    network_hash,
    save_description,
)
from deeplabstream.pose.model.model_opening import CONTEXT
from deeplabstream.programs.program import Program
from deeplabstream.settings.option_fields import option, program_options


def _size(value: object) -> object:
    """Return width and height of `WIDTHxHEIGHT`."""
    if not isinstance(value, str):
        return value
    width, _, height = value.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise ValueError("expected WIDTHxHEIGHT, for example 640x480")
    size = int(width), int(height)
    if not all(16 <= side <= 4096 for side in size):
        raise ValueError("both sides must be from 16 to 4096")
    return size


@program_options
class ImportModel:
    """A network of another program, and the model folder to write."""

    network: Path = option(
        title="Network",
        positional=True,
        folders=True,
        filter="Networks (*.onnx);;All files (*)",
    )
    """Folder of the network, or .onnx file."""
    output: Path = option(title="Name", editor="name")
    """Model folder to write."""
    description: Path | None = option(
        default=None, title="Description", filter="Descriptions (*.json)"
    )
    """Only for an .onnx file: .json file that describes its inputs and outputs."""
    licence: str = option(default="", title="Licence")
    """Licence of the network, written to model.json; default: that of the export; in a
    console it is asked for."""
    purpose: str = option(default="", title="Purpose", description=PURPOSE)
    size: Annotated[tuple[int, int] | None, BeforeValidator(_size)] = option(
        default=None,
        title="Frame size",
        metavar="WIDTHxHEIGHT",
        separator="x",
        editor="text",
        advanced=True,
    )
    """Only for SLEAP-NN: size of the analysed frames, for example 640x480."""
    animals: int = option(default=0, ge=0, le=100, title="Animals", advanced=True)
    """Only for SLEAP-NN: most animals in a frame; 0: as exported."""
    tolerance: float = option(
        default=0.0,
        ge=0,
        le=100,
        title="Tolerance",
        advanced=True,
        decimals=1,
        unit="px",
    )
    """Largest distance of a point to the original's, in px of the input; 0: 0.5."""
    accept_differences: bool = option(
        default=False, title="Accept differences", advanced=True
    )
    """Import the network although some of its points are farther than the tolerance from
    the original's; they are written to model.json."""


def import_model(options: ImportModel) -> int:
    """Import the network and print how near its points are to the original's."""
    licence = options.licence or _licence(options)
    with drafted(options.output) as draft:
        _import(options, licence, draft)
        if options.purpose:
            imported = load_model_folder(draft)
            about = {"purpose": options.purpose, **imported.about}
            save_description(replace(imported, about=about))

    model = load_model_folder(options.output)
    several = f" of up to {model.animals} animals" if model.animals > 1 else ""
    print(
        f"{model.path}: {counted(len(model.skeleton.bodyparts), 'body part')}{several}, "
        f"{model.fitting.width}x{model.fitting.height}"
    )
    _print_comparison(model, "")
    inner = {DETECTOR: "detector: ", CONTEXT: "with neighbouring frames: "}
    for name, prefix in inner.items():
        if (model.path / name / DESCRIPTION).is_file():
            _print_comparison(load_model_folder(model.path / name), prefix)

    if isinstance(names := model.about.get("left_out"), list):
        print(
            f"left out, because they belong to no animal: {', '.join(map(str, names))}"
        )
    licence = str(model.about.get("licence") or "") or (
        "not known. Ask who trained it before you pass it on, and write it into "
        f"{model.path / DESCRIPTION} (about → licence)"
    )
    print(f"licence: {licence}")
    print(
        "to measure its speed: python utils/BenchmarkModel.py --model "
        f"{typed(model.path)}"
    )
    return 0


def _licence(options: ImportModel) -> str:
    """Return the licence that the user types, or the export's; empty: not known."""
    file = options.description or options.network / EXPORT_DESCRIPTION
    known = read_description(file).licence if file.is_file() else ""
    if sys.stdin is None or not sys.stdin.isatty():
        return known
    offered = f" [{known}]" if known else ""
    try:
        answer = input(f"licence of the network{offered}, Enter if none: ")
    except EOFError:
        return known
    return answer.strip() or known


def _print_comparison(model: ModelFolder, prefix: str) -> None:
    """Print how far its points are from those of the other program."""
    compared = model.about.get("compared")
    if not isinstance(compared, dict):
        print(
            f"{prefix}its points were NOT compared with the program that trained it, "
            "because there are no reference points of that program (see "
            "docs/importing_networks.md). Check them on your own frames with "
            "utils/CheckNetwork.py"
        )
        return
    print(
        f"{prefix}{compared['points']} points compared with the original program, on "
        f"original frames: median {compared['median_px']} px, 95 % within "
        f"{compared['p95_px']} px"
    )
    for size, own in compared["sizes"].items():
        print(
            f"{prefix}  frames of {size}: median {own['median_px']} px, 95 % within "
            f"{own['p95_px']} px (limit {own['limit_px']} px), {own['points']} points"
        )
    if differences := compared.get("differences"):
        print(
            f"WARNING: {prefix}accepted differences from the original program: "
            f"{differences['points']} of {compared['points']} points; the first: "
            f"{differences['named'][0]}. They are in {model.path / DESCRIPTION} (about → "
            "compared → differences). Check the network on your own frames with "
            "utils/CheckNetwork.py",
            file=sys.stderr,
        )


def _import(options: ImportModel, licence: str, draft: Path) -> None:
    source = options.network
    if not source.exists():
        raise ModelError(f"{source}: no such file or folder")
    exported = [
        (source.parent / name).is_file() for name in (METADATA, EXPORT_DESCRIPTION)
    ]
    if source.is_file() and options.description is None and any(exported):
        source = source.parent  # a file inside the export was given

    if (source / METADATA).is_file():
        import_sleap_nn(
            source,
            options.size,
            draft,
            licence,
            options.animals,
            options.tolerance,
            options.accept_differences,
        )
        return
    if advice := export_advice(source):
        raise ModelError(advice)
    if options.size or options.animals:
        raise ModelError(
            f"{source}: --size and --animals apply to exports of SLEAP-NN only; "
            "leave them out"
        )
    if networks := project_networks(source):
        raise ModelError(
            f"{source} is a DeepLabCut project. Name one of its networks: "
            f"{', '.join(map(typed, networks))}"
        )

    if (source / EXPORT_DESCRIPTION).is_file():
        import_exported(
            source,
            draft,
            licence,
            options.tolerance or TOLERANCE_PX,
            options.accept_differences,
        )
    elif (source / "config.yaml").is_file():
        from deeplabstream.training.lightning_pose.checkpoints import (
            import_lightning_pose,
        )

        import_lightning_pose(source, draft, licence)
    else:
        _import_file(source, options.description, licence, draft)


def _import_file(
    source: Path, description: Path | None, licence: str, draft: Path
) -> None:
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
    if description is None:
        raise ModelError(
            f"{source}: --description is needed: a short file that describes "
            "inputs and outputs of the network (example in docs/importing_networks.md)"
        )
    described = read_description(description)
    about: dict[str, object] = {
        "imported_from": {"file": source.name, "sha256": network_hash(source)},
        "description": described.model_dump(mode="json", exclude_none=True),
    }
    if licence:
        described = described.model_copy(update={"licence": licence})
    import_onnx(source, described, draft, about)


PROGRAM = Program(ImportModel, import_model, __doc__, "ImportModel")
