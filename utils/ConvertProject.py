"""Make a Lightning Pose project of a DeepLabCut project or a SLEAP package.

    python utils/ConvertProject.py openfield-Pranav-2018-10-30 --output projects/openfield
    python utils/ConvertProject.py labels.pkg.slp --output projects/flies

Pictures and videos are copied; `config.yaml` gets the settings that RecommendSettings.py
would recommend. Our own training takes both kinds of projects as they are.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.program import ending, prepare

prepare()

import tempfile
from collections.abc import Sequence

from deeplabstream.core.arguments import ProgramParser
from deeplabstream.training.data.project_conversion import convert
from deeplabstream.training.data.projects import open_project
from deeplabstream.training.recommendations import advise, look


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Convert."""
    parser = ProgramParser(
        prog="ConvertProject", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("project", type=Path, help="a DeepLabCut folder, or a .pkg.slp")
    parser.add_argument(
        "--output", "--lp_dir", type=Path, required=True, help="a new folder"
    )
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as unpacked:
        project = open_project(asked.project, Path(unpacked))
        advice = {each.key: each.value for each in advise(look(project, 0))}
        file = convert(project, asked.output, advice)
    labels = project.labels
    print(
        f"{len(labels.images)} pictures, {len(labels.skeleton.bodyparts)} body parts, "
        f"{len(project.videos)} videos"
    )
    print(f"python utils/TrainNetwork.py {file} --output runs/one trains with it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
