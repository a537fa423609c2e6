from pathlib import Path

import pytest

from deeplabstream.core.errors import DeepLabStreamError, ModelError
from deeplabstream.files.overwriting import (
    check_free,
    check_new,
    free_path,
    would_overwrite,
)


def test_a_folder_to_make_is_new_or_empty(tmp_path: Path) -> None:
    check_new(tmp_path)
    check_new(tmp_path / "new")
    (tmp_path / "file").write_text("mine", "utf-8")
    with pytest.raises(DeepLabStreamError, match="not empty; name a new folder"):
        check_new(tmp_path)
    with pytest.raises(ModelError, match="file is a file; name a new folder"):
        check_new(tmp_path / "file", ModelError)


def test_a_file_that_is_there_is_replaced_only_on_request(tmp_path: Path) -> None:
    file = tmp_path / "poses.csv"
    check_free([file])
    file.write_text("mine", "utf-8")
    with pytest.raises(
        DeepLabStreamError, match=r"poses\.csv already exists.*--overwrite"
    ):
        check_free([tmp_path / "other.csv", file])
    check_free([file], overwrite=True)
    with pytest.raises(DeepLabStreamError, match="is a folder; name a file"):
        check_free([tmp_path], overwrite=True)


def test_the_free_name_is_the_first_that_nothing_has(tmp_path: Path) -> None:
    assert free_path(tmp_path / "mouse.ini") == tmp_path / "mouse.ini"
    (tmp_path / "mouse.ini").write_text("", "utf-8")
    (tmp_path / "mouse_2.ini").write_text("", "utf-8")
    assert free_path(tmp_path / "mouse.ini") == tmp_path / "mouse_3.ini"
    (tmp_path / "net").mkdir()
    assert not would_overwrite(tmp_path / "net"), (
        "an empty folder holds nothing to lose"
    )
    (tmp_path / "net" / "model.json").write_text("{}", "utf-8")
    assert free_path(tmp_path / "net") == tmp_path / "net_2"


def test_a_link_that_leads_nowhere_is_taken(tmp_path: Path) -> None:
    link = tmp_path / "link.csv"
    try:
        link.symlink_to(tmp_path / "gone.csv")
    except OSError:
        pytest.skip("links can't be made here")
    assert would_overwrite(link)
