"""Recommend training settings for labelled data, with reasons.

    python utils/RecommendSettings.py labels/
    python utils/RecommendSettings.py labels/ --output config.yaml

Reads the same data as TrainNetwork's --data. `--output` writes a YAML file for TrainNetwork.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import tempfile
from collections.abc import Sequence

from deeplabstream.startup.arguments import ProgramParser
from deeplabstream.files.overwriting import add_overwrite, check_free
from deeplabstream.training.data.project_conversion import write_config
from deeplabstream.training.data.labels import Labels, LabelsError
from deeplabstream.training.data.projects import open_project
from deeplabstream.training.recommendations import (
    Advice,
    advise,
    cropzoom_pays,
    inspect_project,
)


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Recommend."""
    parser = ProgramParser(
        prog="RecommendSettings", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("data", type=Path, help="labelled frames")
    parser.add_argument(
        "--output", type=Path, metavar="FILE.yaml", help="also write them to this file"
    )
    add_overwrite(parser)
    asked = parser.parse_args(argv)
    if asked.output:
        check_free([asked.output], asked.overwrite)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as unpacked:
        project = open_project(asked.data, Path(unpacked))
        facts = inspect_project(project, _gpu_gb())
    advice = advise(facts)
    for each in advice:
        print(f"{each.key} = {each.value}\n    {each.reason}")
    if cropzoom_pays(facts):
        print("--cropzoom\n    the animal is small in the frame")
    if asked.output:
        _write(asked.output, project.labels, advice)
    return 0


def _write(file: Path, labels: Labels, advice: Sequence[Advice]) -> None:
    if labels.file.name != "CollectedData.csv" or not labels.file.is_file():
        raise LabelsError(
            ["a YAML file needs a Lightning Pose project; ConvertProject creates one"]
        )
    settings = {each.key: each.value for each in advice}
    settings["data.data_dir"] = str(labels.root.resolve())
    settings["data.video_dir"] = str((labels.root / "videos").resolve())
    settings["data.csv_file"] = labels.file.name
    write_config(file, labels.skeleton.bodyparts, settings)
    print(f"written: {file}")


def _gpu_gb() -> float:
    import torch

    if not torch.cuda.is_available():
        return 0.0
    return float(torch.cuda.get_device_properties(0).total_memory / 2**30)


if __name__ == "__main__":
    sys.exit(main())
