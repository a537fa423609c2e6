"""Recommend training settings for labelled data, with reasons.

    python utils/RecommendSettings.py labels/
    python utils/RecommendSettings.py labels/ --output config.yaml

Reads the same data as TrainNetwork's --data. `--output` writes a YAML file for TrainNetwork.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from deeplabstream.files.overwriting import check_free
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.training.data.labels import Labels, LabelsError
from deeplabstream.training.data.project_conversion import write_config
from deeplabstream.training.data.projects import open_project
from deeplabstream.training.recommendations import (
    Advice,
    advise,
    cropzoom_pays,
    gpu_memory_gb,
    inspect_project,
)


@program_options
class RecommendSettings:
    """Labelled data, and a file for the recommended settings."""

    data: Path = option(positional=True)
    """Labelled frames."""
    output: Path | None = option(default=None, metavar="FILE.yaml")
    """Also write the settings to this file."""
    overwrite: bool = overwrite()


def recommend_settings(options: RecommendSettings) -> int:
    """Print the settings with reasons, and write them."""
    check_free([options.output], options.overwrite)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as unpacked:
        project = open_project(options.data, Path(unpacked))
        facts = inspect_project(project, gpu_memory_gb())
    advice = advise(facts)
    for setting in advice:
        print(f"{setting.key} = {setting.value}\n    {setting.reason}")
    if cropzoom_pays(facts):
        print("--cropzoom\n    the animal is small in the frame")
    if options.output:
        _write(options.output, project.labels, advice)
    return 0


def _write(file: Path, labels: Labels, advice: Sequence[Advice]) -> None:
    if labels.file.name != "CollectedData.csv" or not labels.file.is_file():
        raise LabelsError(
            ["a YAML file needs a Lightning Pose project; ConvertProject creates one"]
        )
    settings = {setting.key: setting.value for setting in advice}
    settings["data.data_dir"] = str(labels.root.resolve())
    settings["data.video_dir"] = str((labels.root / "videos").resolve())
    settings["data.csv_file"] = labels.file.name
    write_config(file, labels.skeleton.bodyparts, settings)
    print(f"written: {file}")


PROGRAM = Program(RecommendSettings, recommend_settings, __doc__, "RecommendSettings")
