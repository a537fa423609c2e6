from pathlib import Path

import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.path_containment import inside, inside_for_writing


@pytest.mark.parametrize(
    "name",
    [
        "../precious.png",
        "a/../../precious.png",
        "..\\precious.png",
        "a\\..\\..\\precious.png",
        "/etc/passwd",
        "\\\\server\\share\\x.png",
        "C:/windows/x.png",
        "c:x.png",
        "..",
        "a/\0.png",
    ],
)
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DeepLabStreamError, match="is outside the folder"):
        inside(tmp_path, name)
    with pytest.raises(DeepLabStreamError, match="is outside the folder"):
        inside_for_writing(tmp_path, name)


@pytest.mark.parametrize("name", ["é" * 200 + ".png", "clip/" * 500 + "a.png"])
def test_a_path_that_is_too_long_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(DeepLabStreamError, match="is too long for a file") as refusal:
        inside(tmp_path, name)
    assert len(str(refusal.value)) < 100


def test_a_path_inside_the_folder_is_the_same_on_every_system(tmp_path: Path) -> None:
    whole = tmp_path / "labeled-data" / "mouse 1" / "img..001.png"
    assert inside(tmp_path, "labeled-data/mouse 1/img..001.png") == whole
    assert inside(tmp_path, "labeled-data\\mouse 1\\img..001.png") == whole
    assert inside(tmp_path, "./labeled-data/x/../mouse 1//img..001.png") == whole
    assert inside_for_writing(tmp_path, "new/folder/x.png").parent.name == "folder"


def test_a_link_out_of_the_folder_is_not_written_through(tmp_path: Path) -> None:
    folder, other = tmp_path / "folder", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    try:
        (folder / "link").symlink_to(other, target_is_directory=True)
    except OSError:
        pytest.skip("links can't be made here")
    assert inside(folder, "link/x.png") == folder / "link" / "x.png"
    with pytest.raises(DeepLabStreamError, match="is outside the folder"):
        inside_for_writing(folder, "link/x.png")
