"""Relative paths lead to the same files from another folder."""

from pathlib import Path

from deeplabstream.settings.loading import parse
from deeplabstream.settings.relocate_paths import moved

TEXT = """\
# Where runs go.
[Streaming]
OUTPUT_DIRECTORY = runs

[Pose Estimation]
MODEL = mine

[Camera film]
KIND = VideoFile
SOURCE = films/may.mp4

[Output screen]
KIND = Screen
IMAGE = stripes.png
"""


def test_paths_lead_where_they_did(tmp_path: Path) -> None:
    old, new = tmp_path / "lab" / "rig", tmp_path / "experiments"
    (old / "models" / "mine").mkdir(parents=True)
    new.mkdir()
    text = moved(TEXT, old, new)
    before, after = parse(TEXT, old), parse(text, new)
    assert after.output_directory == before.output_directory
    assert Path(after.model).samefile(before.model)
    for rig in (before, after):
        film, screen = vars(rig.cameras["film"]), vars(rig.outputs["screen"])
        assert film["source"].resolve() == old / "films" / "may.mp4"
        assert screen["image"].resolve() == old / "stripes.png"
    assert "# Where runs go." in text
    assert moved(text, new, old) == TEXT.replace("= mine", "= models/mine")


def test_a_shipped_network_is_named_as_before(tmp_path: Path) -> None:
    text = TEXT.replace("= mine", "= arena")
    assert "MODEL = arena" in moved(text, tmp_path / "one", tmp_path / "two")
