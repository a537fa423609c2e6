"""Convert labels of one animal to a Lightning Pose project, of several to DeepLabCut's.

    python utils/ConvertProject.py openfield-Pranav-2018-10-30 --output projects/openfield
    python utils/ConvertProject.py labels.slp --output projects/flies
    python utils/ConvertProject.py projects/flies --output flies.pkg.slp

The labels are a DeepLabCut project, SLEAP's (`.slp`), COCO's (`.json`) or CollectedData.csv.
Lightning Pose's projects have one animal per image. The result opens on the page Network of
the window. Images and videos are copied. Of one animal, `config.yaml` gets the settings that
RecommendSettings.py recommends. TrainNetwork.py reads both kinds of projects without conversion.
With an --output that ends in `.slp`, labels of any number of animals become SLEAP's: a package
(`.pkg.slp`) contains the images, another file names them where they are.
"""

import tempfile
from pathlib import Path

from deeplabstream.core.errors import check_packages, counted
from deeplabstream.programs.program import Program
from deeplabstream.recording.exporters.slp import PACKAGE, SLEAP
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.startup.arguments import quoted
from deeplabstream.training.data.labels import Labels, LabelsError
from deeplabstream.training.data.project_conversion import (
    convert,
    convert_animals,
    convert_to_sleap,
)
from deeplabstream.training.data.projects import Project, open_project
from deeplabstream.training.recommendations import advise, inspect_project


@program_options
class ConvertProject:
    """Labels of another program, and where the converted ones go."""

    project: Path = option(positional=True)
    """DeepLabCut folder, .slp file, or .json file of COCO."""
    output: Path = option(aliases=("--lp_dir",))
    """New folder; or SLEAP's file (.pkg.slp, .slp)."""


def convert_project(options: ConvertProject) -> int:
    """Convert the labels, and print how to train with them."""
    if options.output.suffix.lower() != SLEAP:
        check_packages("a converted project", ("yaml", "pandas"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as unpacked:
        project = open_project(options.project, Path(unpacked), several=True)
        labels = project.labels
        if options.output.suffix.lower() == SLEAP:
            _convert_to_sleap(project, options.output, Path(unpacked))
            return 0
        if labels.animals > 1:
            file = convert_animals(project, options.output).parent
            _print_lost_points(labels, "DeepLabCut's tables")
        else:
            advice = {
                setting.key: setting.value
                for setting in advise(inspect_project(project, 0))
            }
            file = convert(project, options.output, advice)

    _print_left_out(labels)
    several = f", up to {labels.animals} animals" if labels.animals > 1 else ""
    print(
        f"{counted(len(labels.images), 'image')}, "
        f"{counted(len(labels.skeleton.bodyparts), 'body part')}, "
        f"{counted(len(project.videos), 'video')}{several}"
    )
    data = f"--data {quoted(file)}" if labels.animals > 1 else quoted(file)
    print(f"to train with it: python utils/TrainNetwork.py {data} --output runs/one")
    return 0


def _convert_to_sleap(project: Project, file: Path, unpacked: Path) -> None:
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
    frames = counted(convert_to_sleap(project, file), "labelled frame")
    _print_lost_points(labels, "SLEAP's files")
    _print_left_out(labels)
    print(f"{frames} of {counted(len(labels.images), 'image')}: {file}")


def _print_left_out(labels: Labels) -> None:
    if labels.left_out:
        print(f"left out, as they belong to no animal: {', '.join(labels.left_out)}")


def _print_lost_points(labels: Labels, where: str) -> None:
    """Print how many points lose the mark "unknown"."""
    if count := int((~labels.known).sum()):
        print(
            f"{counted(count, 'unknown point')} (visible 0): {where} cannot store that, and "
            "training from them learns that such points are not visible"
        )


PROGRAM = Program(ConvertProject, convert_project, __doc__, "ConvertProject")
