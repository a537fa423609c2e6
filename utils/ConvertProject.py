"""Convert a DeepLabCut project or SLEAP's labels to a Lightning Pose project.

    python utils/ConvertProject.py openfield-Pranav-2018-10-30 --output projects/openfield
    python utils/ConvertProject.py labels.slp --output projects/flies

Images and videos are copied. `config.yaml` gets the settings that RecommendSettings.py
recommends. TrainNetwork.py reads both kinds of projects without conversion.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.program import ending, prepare

prepare()

import tempfile
from collections.abc import Sequence

from deeplabstream.core.arguments import ProgramParser
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.data.project_conversion import convert
from deeplabstream.training.data.projects import open_project
from deeplabstream.training.recommendations import advise, inspect_project


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Convert."""
    parser = ProgramParser(
        prog="ConvertProject", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("project", type=Path, help="DeepLabCut folder, or .slp file")
    parser.add_argument(
        "--output", "--lp_dir", type=Path, required=True, help="new folder"
    )
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as unpacked:
        project = open_project(asked.project, Path(unpacked), several=True)
        if project.labels.animals > 1:
            raise LabelsError(
                [
                    f"{asked.project} labels up to {project.labels.animals} animals per "
                    "image; Lightning Pose's projects have one. Train without conversion: "
                    f"python utils/TrainNetwork.py --data {asked.project} --output "
                    "models/mine"
                ]
            )
        advice = {each.key: each.value for each in advise(inspect_project(project, 0))}
        file = convert(project, asked.output, advice)
    labels = project.labels
    print(
        f"{len(labels.images)} images, {len(labels.skeleton.bodyparts)} body "
        f"parts, {len(project.videos)} videos"
    )
    print(f"to train with it: python utils/TrainNetwork.py {file} --output runs/one")
    return 0


if __name__ == "__main__":
    sys.exit(main())
