"""What the scripts share that run where other programs are installed."""

import importlib.util
import json
import re
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from deeplabstream.pose.importers.script_export import SCRIPTS


def _script(name: str) -> ModuleType:
    file = SCRIPTS / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_of_scripts", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def package() -> ModuleType:
    return _script("package")


@pytest.fixture
def super_animals(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setitem(sys.modules, "package", package)
    return _script("deeplabcut3_superanimals")


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


def test_numbers_of_numpy_beside_the_weights_are_read(
    package: ModuleType, tmp_path: Path
) -> None:
    """Snapshots of DeepLabCut 3.0.0 hold them."""
    file = tmp_path / "snapshot-best-010.pt"
    metrics = {"test.rmse": np.float64(1.5), "test.mAP": np.float32(90)}
    weights = {"weight": torch.ones(3)}
    torch.save({"model": weights, "metadata": {"metrics": metrics}}, file)
    assert package.loaded(file)["metadata"]["metrics"]["test.rmse"] == 1.5
    assert np.dtype not in torch.serialization.get_safe_globals()


@pytest.mark.skipif(torch.__version__ < (2, 6), reason="torch knows one name alone")
@pytest.mark.parametrize("module", ["numpy.core", "numpy._core"])
def test_numbers_of_numpy_1_and_2_are_read(
    package: ModuleType, tmp_path: Path, module: str
) -> None:
    written, file = BytesIO(), tmp_path / "snapshot.pt"
    torch.save({"metrics": {"test.rmse": np.float64(1.5)}}, written)
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                before = re.search(rb"cnumpy\.[\w.]+\.multiarray\n", content)
                assert before is not None
                own = f"c{module}.multiarray\n".encode()
                content = content.replace(before[0], own)
            new.writestr(name, content)
    assert package.loaded(file)["metrics"]["test.rmse"] == 1.5


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


def test_a_super_animal_is_named_or_found_by_its_files(
    super_animals: ModuleType, tmp_path: Path
) -> None:
    assert super_animals.dataset_of(Path("superanimal_bird")) == "superanimal_bird"
    assert super_animals.dataset_of(tmp_path) is None
    with pytest.raises(SystemExit, match="there is no superanimal_fish; there are"):
        super_animals.dataset_of(Path("superanimal_fish"))
    names = ("hrnet_w32", "fasterrcnn_resnet50_fpn_v2")
    files = [tmp_path / f"superanimal_quadruped_{name}.pt" for name in names]
    for file in files:
        file.write_bytes(b"")
    for source in (tmp_path, files[0]):
        assert super_animals.dataset_of(source) == "superanimal_quadruped"
        assert super_animals.files_of(source, "superanimal_quadruped") == dict(
            zip(reversed(names), reversed(files), strict=True)
        )
    (tmp_path / "superanimal_bird_resnet_50.pt").write_bytes(b"")
    with pytest.raises(SystemExit, match="name one of the files"):
        super_animals.dataset_of(tmp_path)
    assert super_animals.dataset_of(files[0]) == "superanimal_quadruped"


def test_networks_of_a_super_animal_are_those_that_there_are(
    super_animals: ModuleType,
) -> None:
    """As published: a bird has no HRNet, a human body no detector."""
    bird = ["resnet_50", "fasterrcnn_mobilenet_v3_large_fpn", "ssdlite"]
    usual = super_animals.POSE, super_animals.DETECTOR
    assert super_animals.chosen("", bird, usual[0], "pose network") == "resnet_50"
    found = super_animals.chosen("", bird, usual[1], "detector")
    assert found == "fasterrcnn_mobilenet_v3_large_fpn"
    assert super_animals.chosen("ssdlite", bird, usual[1], "detector") == "ssdlite"
    mouse = ["resnet_50", "hrnet_w32", "fasterrcnn_mobilenet_v3_large_fpn", usual[1]]
    assert super_animals.chosen("", mouse, usual[0], "pose network") == usual[0]
    assert super_animals.chosen("", mouse, usual[1], "detector") == usual[1]
    assert super_animals.chosen("", ["rtmpose_x"], usual[1], "detector") is None
    with pytest.raises(SystemExit, match="no such pose network; there are resnet_50"):
        super_animals.chosen("hrnet_w32", bird, usual[0], "pose network")
