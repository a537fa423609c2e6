"""What the scripts share that run where other programs are installed."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from deeplabstream.pose.importers.script_export import SCRIPTS


@pytest.fixture(scope="module")
def package() -> ModuleType:
    file = SCRIPTS / "package.py"
    spec = importlib.util.spec_from_file_location("package_of_scripts", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_size_that_does_not_fit_becomes_larger_and_is_told(
    package: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert package.size_of("640x480", 32) == (640, 480)
    assert capsys.readouterr().out == ""
    assert package.size_of("200x160", 32) == (224, 160)
    assert "--size 200x160 becomes 224x160" in capsys.readouterr().out
    for words, sentence in [
        ("0x640", "32 pixels are the minimum"),
        ("big", "as in 640x480"),
    ]:
        with pytest.raises(SystemExit, match=sentence):
            package.size_of(words, 32)


def test_nothing_that_a_checkpoint_names_is_run(
    package: ModuleType, tmp_path: Path
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    file = tmp_path / "evil.pt"
    torch.save({"model": Evil()}, file)
    with pytest.raises(SystemExit, match="--trust opens it, and runs what is in it"):
        package.loaded(file)
    assert not (tmp_path / "ran").exists()


def test_a_damaged_checkpoint_is_a_sentence(
    package: ModuleType, tmp_path: Path
) -> None:
    file = tmp_path / "it.pt"
    torch.save({"model": {"weight": torch.zeros(1000)}}, file)
    whole = file.read_bytes()
    assert package.loaded(file)["model"]["weight"].shape == (1000,)
    for content in (b"", b"nonsense", whole[: len(whole) // 2]):
        file.write_bytes(content)
        with pytest.raises(SystemExit, match=r"it\.pt"):
            package.loaded(file)
    with pytest.raises(SystemExit, match="can't be read"):
        package.loaded(tmp_path / "gone.pt")


def test_an_export_that_did_not_end_is_done_again(
    package: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = package.new_folder(tmp_path / "exported")
    (folder / "network.onnx").write_bytes(b"half of it")
    assert package.new_folder(folder) == folder
    frames = package.frames_of(None, [(64, 32)])
    assert {frame.shape for frame in frames} == {(32, 64, 3)}
    points = np.zeros((len(frames), 2, 2))
    words = {"bodyparts": ["a", "b"], "left_out": ["spout"]}
    package.save(folder, words, (frames, points, points[..., 0]))
    assert "left out, as they are no animal's: spout" in capsys.readouterr().out
    assert json.loads((folder / "description.json").read_text("utf-8")) == words
    with pytest.raises(SystemExit, match="already contains a network"):
        package.new_folder(folder)


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\n# Model\n", "apache-2.0"),
        ("# Model\nfine\n## Licence\n\nfor research only\n", "for research only"),
        ("# Model\nit runs\n", ""),
    ],
)
def test_the_licence_of_a_model_card_is_found(
    package: ModuleType, tmp_path: Path, card: str, licence: str
) -> None:
    assert package.licence_beside(tmp_path) == ""
    (tmp_path / "README.md").write_text(card, "utf-8")
    assert package.licence_beside(tmp_path) == licence
    (tmp_path / "snapshot.pt").write_bytes(b"")
    assert package.licence_beside(tmp_path / "snapshot.pt") == licence
