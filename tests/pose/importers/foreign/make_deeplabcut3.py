"""Make deeplabcut3_*.tar.xz beside this file, where DeepLabCut 3 is installed.

    python -m tests.pose.importers.foreign.make_deeplabcut3

Tiny snapshots, as DeepLabCut writes them, and what `from_deeplabcut3.py` makes of them.
The weights repeat, so that the archives are small.
"""

import tempfile
from pathlib import Path

from tests.pose.importers.foreign.making import exported, repeating

PARTS = ["snout", "leftear", "rightear", "tailbase"]


def main() -> None:
    """Write both archives."""
    with tempfile.TemporaryDirectory() as folder:
        _make(Path(folder) / "maps", "resnet_50", False, _small_resnet)
        _make(Path(folder) / "axes", "rtmpose_s", True, _small_rtmpose)


def _make(folder, net, top_down, shrink):
    import torch
    import yaml
    from deeplabcut.pose_estimation_pytorch.config import PoseConfig
    from deeplabcut.pose_estimation_pytorch.models import PoseModel

    folder.mkdir()
    project = {
        "Task": "tiny", "scorer": "nobody", "date": "Nov1", "bodyparts": PARTS,
        "multianimalproject": False, "project_path": str(folder), "skeleton": [],
        "engine": "pytorch", "TrainingFraction": [0.95], "iteration": 0,
        "default_net_type": net, "identity": False, "video_sets": {},
    }  # fmt: skip
    config = PoseConfig.build(
        project, folder / "pytorch_config.yaml", net_type=net, top_down=top_down,
        multi_animal=False,
    )  # fmt: skip
    words = config.to_dict(normalize=True)
    shrink(words)
    words["metadata"]["project_path"] = words["metadata"]["pose_config_path"] = None
    text = yaml.safe_dump(words)
    (folder / "pytorch_config.yaml").write_text(text, "utf-8")
    model = PoseModel.build(dict(PoseConfig.from_any(words)["model"]))
    model.load_state_dict(repeating(model.state_dict(), ("heads", 0.05)))
    snapshot = {"model": model.state_dict(), "metadata": {"epoch": 10, "metrics": {}}}
    torch.save(snapshot, folder / "snapshot-best-010.pt")
    name = f"deeplabcut3_{folder.name}"
    exported("from_deeplabcut3.py", folder, name, "--size", "128x96")


def _small_resnet(words):
    words["model"]["backbone"]["model_name"] = "test_resnet"
    words["model"]["backbone_output_channels"] = 96
    head = words["model"]["heads"]["bodypart"]
    head["heatmap_config"]["channels"][0] = 96
    head["locref_config"]["channels"][0] = 96


def _small_rtmpose(words):
    words["model"]["backbone"]["widen_factor"] = 0.125
    words["model"]["backbone_output_channels"] = 128
    head = words["model"]["heads"]["bodypart"]
    head["in_channels"] = 128
    head["gau_cfg"]["hidden_dims"] = 64
    head["gau_cfg"]["s"] = 32


if __name__ == "__main__":
    main()
