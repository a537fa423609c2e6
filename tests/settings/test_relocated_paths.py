"""Relative paths lead to the same files from another folder."""

from pathlib import Path

from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import parse
from deeplabstream.settings.text_rewriting import relocate_paths

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
    text = relocate_paths(TEXT, old, new)
    before, after = parse(TEXT, old), parse(text, new)
    assert after.output_directory == before.output_directory
    assert Path(after.model).samefile(before.model)
    for rig in (before, after):
        film, screen = vars(rig.cameras["film"]), vars(rig.outputs["screen"])
        assert film["source"].resolve() == old / "films" / "may.mp4"
        assert screen["image"].resolve() == old / "stripes.png"
    assert "# Where runs go." in text
    assert relocate_paths(text, new, old) == TEXT.replace("= mine", "= models/mine")


def test_a_shipped_network_is_named_as_before(tmp_path: Path) -> None:
    text = TEXT.replace("= mine", "= arena")
    assert "MODEL = arena" in relocate_paths(text, tmp_path / "one", tmp_path / "two")


def make_network(rig: Path, name: str) -> Path:
    folder = rig / "models" / name
    folder.mkdir(parents=True)
    return folder


def test_an_own_network_wins_over_a_built_in_one_of_the_same_name(
    tmp_path: Path,
) -> None:
    old, new = tmp_path / "rig", tmp_path / "other"
    own = make_network(old, "arena")
    new.mkdir()
    text = TEXT.replace("= mine", "= arena")
    assert Path(parse(text, old).model).samefile(own)
    assert Path(parse(relocate_paths(text, old, new), new).model).samefile(own)


def test_a_built_in_network_is_not_replaced_by_an_own_one_of_the_other_rig(
    tmp_path: Path,
) -> None:
    old, new = tmp_path / "rig", tmp_path / "other"
    old.mkdir()
    make_network(new, "arena")
    text = relocate_paths(TEXT.replace("= mine", "= arena"), old, new)
    assert Path(parse(text, new).model).samefile(MODELS / "arena")


def test_networks_of_cameras_detectors_and_classifiers_lead_to_the_same_folders(
    tmp_path: Path,
) -> None:
    old, new = tmp_path / "rig", tmp_path / "other"
    folders = [make_network(old, name) for name in ("side", "finder", "gait")]
    make_network(old, "mine")
    new.mkdir()
    text = TEXT.replace("= mine", "= mine\nDETECTOR = finder").replace(
        "KIND = VideoFile", "KIND = VideoFile\nMODEL = side"
    )
    text += "\n[Classifier walk]\nFOLDER = gait\n"
    words = read_sections(relocate_paths(text, old, new)).texts
    found = (
        words["Camera film"]["MODEL"],
        words["Pose Estimation"]["DETECTOR"],
        words["Classifier walk"]["FOLDER"],
    )
    for word, folder in zip(found, folders, strict=True):
        assert (new / word).samefile(folder)
