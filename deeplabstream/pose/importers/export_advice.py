"""Networks that must be exported first, where the program that trained them is installed."""

from pathlib import Path

from deeplabstream.pose.importers.script_export import (
    EXPORT_DESCRIPTION,
    SCRIPTS,
    typed,
)
from deeplabstream.pose.importers.sleap_nn_metadata import METADATA

_ADVICE = {
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
"""Instructions for exporting a network, by a file of its folder."""
_PROJECTS = (
    "dlc-models-pytorch/*/*/train/pytorch_config.yaml",
    "dlc-models/*/*/train/pose_cfg.yaml",
)
"""Networks in the folder of a DeepLabCut project."""


def export_advice(source: Path) -> str:
    """Return instructions for exporting a network; empty: it can be imported."""
    if source.suffix.lower() == ".onnx":
        return ""
    folder = source if source.is_dir() else source.parent
    importable = (EXPORT_DESCRIPTION, METADATA, "config.yaml")
    if any((folder / name).is_file() for name in importable):
        return ""

    for name, advice in _ADVICE.items():
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


def project_networks(source: Path) -> list[Path]:
    """Return the network folders of a DeepLabCut project; empty: it is not a project."""
    return [file.parent for pattern in _PROJECTS for file in source.glob(pattern)]
