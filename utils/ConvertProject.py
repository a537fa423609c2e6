"""Convert labels of one animal to a Lightning Pose project, of several to DeepLabCut's.

    python utils/ConvertProject.py openfield-Pranav-2018-10-30 --output projects/openfield
    python utils/ConvertProject.py labels.slp --output projects/flies
    python utils/ConvertProject.py projects/flies --output flies.pkg.slp

The labels are a DeepLabCut project, SLEAP's (`.slp`) or a folder with CollectedData.csv.
Lightning Pose's projects have one animal per image. The result opens on the page Network of
the window. Images and videos are copied. Of one animal, `config.yaml` gets the settings that
RecommendSettings.py recommends. TrainNetwork.py reads both kinds of projects without conversion.
With an --output that ends in `.slp`, labels of any number of animals become SLEAP's: a package
(`.pkg.slp`) contains the images, another file names them where they are.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.startup.program import ending, prepare

prepare()

import tempfile
from collections.abc import Sequence

from deeplabstream.startup.arguments import ProgramParser, quoted
from deeplabstream.core.errors import counted
from deeplabstream.recording.exporters.slp import PACKAGE, SLEAP
from deeplabstream.training.data.labels import Labels, LabelsError
from deeplabstream.training.data.project_conversion import (
    convert,
    convert_animals,
    convert_to_sleap,
)
from deeplabstream.training.data.projects import Project, open_project
from deeplabstream.training.recommendations import advise, inspect_project


@ending()
def main(argv: Sequence[str] | None = None) -> int:
    """Convert."""
    parser = ProgramParser(
        prog="ConvertProject", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("project", type=Path, help="DeepLabCut folder, or .slp file")
    parser.add_argument(
        "--output", "--lp_dir", type=Path, required=True,
        help="new folder; or SLEAP's file (.pkg.slp, .slp)",
    )  # fmt: skip
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as unpacked:
        project = open_project(asked.project, Path(unpacked), several=True)
        labels = project.labels
        if asked.output.suffix.lower() == SLEAP:
            return _to_sleap(project, asked.output, Path(unpacked))
        if labels.animals > 1:
            file = convert_animals(project, asked.output).parent
            _tell_unknown(labels, "DeepLabCut's tables")
        else:
            facts = inspect_project(project, 0)
            advice = {each.key: each.value for each in advise(facts)}
            file = convert(project, asked.output, advice)
    if labels.left_out:
        print(f"left out, as they belong to no animal: {', '.join(labels.left_out)}")
    print(
        f"{counted(len(labels.images), 'image')}, "
        f"{counted(len(labels.skeleton.bodyparts), 'body part')}, "
        f"{counted(len(project.videos), 'video')}"
        + (f", up to {labels.animals} animals" if labels.animals > 1 else "")
    )
    data = f"--data {quoted(file)}" if labels.animals > 1 else quoted(file)
    print(f"to train with it: python utils/TrainNetwork.py {data} --output runs/one")
    return 0


def _tell_unknown(labels: Labels, where: str) -> None:
    """Say how many points lose the mark that nothing is known of them."""
    if count := int((~labels.known).sum()):
        print(
            f"{counted(count, 'unknown point')} (visible 0): {where} cannot store that, and "
            "training from them learns that such points are not visible"
        )


def _to_sleap(project: Project, file: Path, unpacked: Path) -> int:
    labels = project.labels
    inside = any(image.is_relative_to(unpacked) for image in labels.images)
    if inside and not file.name.lower().endswith(PACKAGE):
        raise LabelsError(
            [
                f"{file}: these labels are not beside images, but in a package or beside a "
                f"video, so the new file must contain the images: name it "
                f"{file.stem}{PACKAGE}"
            ]
        )
    frames = convert_to_sleap(project, file)
    _tell_unknown(labels, "SLEAP's files")
    if labels.left_out:
        print(f"left out, as they belong to no animal: {', '.join(labels.left_out)}")
    print(
        f"{counted(frames, 'labelled frame')} of {counted(len(labels.images), 'image')}: {file}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
