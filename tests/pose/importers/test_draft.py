"""A model folder is there when it is whole, and not before."""

from pathlib import Path

import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import drafted


def test_what_was_written_takes_the_folders_name(tmp_path: Path) -> None:
    folder = tmp_path / "Mäuse im Käfig" / "mine"
    with drafted(folder) as draft:
        (draft / "network.onnx").write_bytes(b"it")
        assert not folder.exists()
    assert [each.name for each in folder.iterdir()] == ["network.onnx"]
    assert list(folder.parent.iterdir()) == [folder]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    with drafted(tmp_path) as draft:
        (draft / "network.onnx").write_bytes(b"it")
    assert (tmp_path / "network.onnx").is_file()


@pytest.mark.parametrize("error", [ModelError("{} is wrong"), KeyboardInterrupt()])
def test_nothing_is_left_of_what_failed(tmp_path: Path, error: BaseException) -> None:
    folder = tmp_path / "mine"

    def fail() -> None:
        with drafted(folder) as draft:
            (draft / "model.json").write_bytes(b"it")
            raise type(error)(str(error).format(draft / "model.json"))

    with pytest.raises(type(error)) as told:
        fail()
    assert list(tmp_path.iterdir()) == []
    if isinstance(error, ModelError):
        assert str(told.value) == f"{folder / 'model.json'} is wrong"


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", "utf-8")
    for folder, sentence in [
        (tmp_path, "not empty"),
        (tmp_path / "file", "is a file"),
    ]:
        with pytest.raises(ModelError, match=sentence), drafted(folder):
            pytest.fail("it was let in")
    (tmp_path / "model.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match="already contains a model"), drafted(tmp_path):
        pytest.fail("it was let in")
    assert (tmp_path / "file").read_text("utf-8") == "mine"


def test_where_the_program_runs_is_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="name a new folder"), drafted(Path()):
        pytest.fail("it was let in")
