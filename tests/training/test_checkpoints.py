"""Lightning Pose's own checkpoint gives the same heat maps here."""

import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.heatmaps import LINEAR_TO, Heatmaps
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.runtimes.runtime_list import load_network
from deeplabstream.training.lightning_pose.checkpoints import load_tensors
from deeplabstream.training.networks.pose_network import Architecture, build_network
from deeplabstream.training.start_network import open_start, take_over
from tests.training.configurations import CONFIG
from tests.training.from_lightning_pose.seeded import filled, picture
from utils.ImportModel import main

HERE = Path(__file__).parent / "from_lightning_pose"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder as Lightning Pose leaves it, its tensors put back."""
    folder = tmp_path_factory.mktemp("lp")
    (folder / "config.yaml").write_text(CONFIG, "utf-8")
    names = json.loads((HERE / "tensors.json").read_text("utf-8"))
    place = folder / "tb_logs" / "test" / "version_0" / "checkpoints"
    place.mkdir(parents=True)
    with (
        zipfile.ZipFile(HERE / "checkpoint_without_tensors.zip") as empty,
        zipfile.ZipFile(place / "epoch=1-step=2-best.ckpt", "w") as full,
    ):
        for name in empty.namelist():
            full.writestr(name, empty.read(name))
        root = empty.namelist()[0].partition("/")[0]
        for number, array in enumerate(filled(names).values()):
            full.writestr(f"{root}/data/{number}", array.tobytes())
    return folder


def test_the_heat_maps_are_lightning_poses(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    words = [str(trained), "--output", str(out), "--licence", "MIT"]
    assert main(words) == 0
    model = load_model_folder(out)
    assert model.skeleton.bodyparts == ("nose", "paw", "tail")
    assert model.decoder == Heatmaps(4, 1.25, 0, LINEAR_TO)
    maps = load_network(model, "cpu", 1).run(picture())
    theirs = np.load(HERE / "maps.npy") * (2 * np.pi * 1.25**2)
    np.testing.assert_allclose(maps, theirs, atol=2e-5)
    assert theirs.max() > 0.2
    assert model.about["licence"] == "MIT"
    said = json.loads((out / "model.json").read_text("utf-8"))
    assert said["about"]["source"] == "Lightning Pose, resnet18"


def test_training_starts_from_the_checkpoint_and_from_its_import(
    trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    assert main([str(trained), "--output", str(out)]) == 0
    network = build_network(
        2, Architecture("resnet18", head="deconvolution", scale="mass")
    )
    for start in (trained, next(trained.rglob("*.ckpt")), out):
        opened = open_start(start)
        assert opened.source == "Lightning Pose, resnet18"
        taken = take_over(network, Skeleton(("tail", "ear")), opened)
        assert (taken.head, taken.bodyparts, taken.new) == (True, ("tail",), ("ear",))
    weights = [each.network.state_dict() for each in (opened, open_start(trained))]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[1])
    assert opened.loss == "mse"


def test_only_the_backbone_of_another_model_of_lightning_pose_is_taken(
    trained: Path, tmp_path: Path
) -> None:
    words = CONFIG.replace("model_type: heatmap", "model_type: regression")
    (tmp_path / "config.yaml").write_text(words, "utf-8")
    (tmp_path / "it.ckpt").symlink_to(next(trained.rglob("*.ckpt")))
    network = build_network(3, Architecture("resnet18"))
    opened = open_start(tmp_path)
    taken = take_over(network, Skeleton(("nose", "paw", "tail")), opened)
    assert (taken.head, taken.new) == (False, ("nose", "paw", "tail"))
    (tmp_path / "config.yaml").write_text(CONFIG.replace("resnet18", "vitb_sam"))
    with pytest.raises(ModelError, match=r"import the network .* and start from the"):
        open_start(tmp_path)
    with pytest.raises(ModelError, match=r"no folder above it has the config\.yaml"):
        open_start(Path("/nowhere/it.ckpt"))


def test_nothing_but_data_is_taken_from_a_checkpoint(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    content = {"state_dict": {}, "hyper_parameters": Evil()}
    file = tmp_path / "evil.ckpt"
    torch.save(content, file)
    with pytest.raises(ModelError, match="more than numbers") as refusal:
        load_tensors(file)
    assert "weights_only=False" in str(
        refusal.value
    )  # the script that the user may run
    assert not (tmp_path / "ran").exists()
    file.write_bytes(b"nonsense")
    with pytest.raises(ModelError):
        load_tensors(file)
    stream = io.BytesIO()
    torch.save([1, 2], stream)
    file.write_bytes(stream.getvalue())
    with pytest.raises(ModelError, match="not a checkpoint of Lightning Pose"):
        load_tensors(file)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("resnet18", "vitb_sam", r"from_lightning_pose\.py"),
        ("model_type: heatmap", "model_type: regression", r"from_lightning_pose\.py"),
        ("resnet18", "resnet50", r"does not fit config\.yaml"),
        ("nose, paw, tail", "nose, paw", r"does not fit config\.yaml"),
        ("downsample_factor: 2", "downsample_factor: 3", r"only downsample_factor 2"),
        ("image_resize_dims: .*", "other: 1", r"needs height and width"),
        ("data:", "dater:", r"has no section data"),
    ],
)
def test_what_is_not_as_expected_is_a_sentence(
    trained: Path,
    tmp_path: Path,
    old: str,
    new: str,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "config.yaml").write_text(re.sub(old, new, CONFIG), "utf-8")
    checkpoint = next(trained.rglob("*.ckpt"))
    (tmp_path / "it.ckpt").symlink_to(checkpoint)
    assert main([str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert re.search(sentence, capsys.readouterr().err)
    assert not (tmp_path / "out" / "model.json").exists()
