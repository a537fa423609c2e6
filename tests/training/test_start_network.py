"""Training from another network: what is taken over, what is new, what is refused."""

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.paths import ROOT
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.runtimes.onnx_runtime import open_onnx
from deeplabstream.pose.runtimes.runtime_comparison import outputs
from deeplabstream.training.data.dataset import load_dataset
from deeplabstream.training.data.labels import read_labels
from deeplabstream.training.evaluation.learned_images import (
    learned_before,
    learned_images,
)
from deeplabstream.training.fit import fit
from deeplabstream.training.fit_settings import FitSettings, LearningRateSchedule
from deeplabstream.training.lightning_pose.result_tables import (
    PREDICTIONS,
    read_sets,
    write_predictions,
)
from deeplabstream.training.networks.pose_network import Architecture, build_network
from deeplabstream.training.start_network import StartNetwork, open_start, take_over
from tests.training.configurations import PROJECT_CONFIG
from utils import EvaluateNetwork, TrainNetwork

SMALL = ["--steps", "2", "--batch", "2", "--quiet", "--rotation", "15", "--no-mirror"]
UNET = ["--backbone", "unet", "--no-imagenet", "--channels", "8"]


def train(data: Path, output: Path, *words: str) -> int:
    size = ["--size", "64x48"] if "--size" not in words else []
    given = ["--data", str(data), "--output", str(output), *SMALL, *size, *words]
    return TrainNetwork.main(given)


@pytest.fixture(scope="module")
def start(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network for leftear and rightear, with a detector."""
    folder = tmp_path_factory.mktemp("start") / "ears"
    assert train(labelled, folder, *UNET, "--cropzoom", "--licence", "MIT") == 0
    return folder


@pytest.fixture
def tails(labelled: Path, tmp_path: Path) -> Path:
    """The labels, of tail and leftear."""
    folder = tmp_path / "tails"
    shutil.copytree(labelled, folder)
    file = folder / "CollectedData.csv"
    text = file.read_text("utf-8").replace("leftear", "tail")
    file.write_text(text.replace("rightear", "leftear"), "utf-8")
    return folder


@pytest.mark.parametrize("kind", ["heatmap", "context", "regression", "mass"])
def test_maps_of_the_same_names_are_taken_over_and_others_are_new(
    kind: str,
) -> None:
    how = Architecture("unet", kind="heatmap" if kind == "mass" else kind)  # type: ignore[arg-type]
    if kind == "mass":
        how = replace(how, backbone="resnet18", head="deconvolution", scale="mass")
    old, new = ("a", "b", "c"), ("d", "c", "a", "b2")
    each = 3 if kind == "regression" else 1
    torch.manual_seed(0)
    theirs, own = build_network(3, how), build_network(4, how)
    before = {key: value.clone() for key, value in own.state_dict().items()}
    taken = take_over(own, Skeleton(new), StartNetwork(Path("x"), old, theirs))
    assert (taken.head, taken.bodyparts, taken.new) == (True, ("c", "a"), ("d", "b2"))
    last = {"regression": "coordinates.2", "mass": "head.layers.1"}
    key = last.get(kind, "head.maps")
    axis = 1 if kind == "mass" else 0
    mine, its, was = (
        net[f"{key}.weight"].transpose(0, axis).unflatten(0, (-1, each))
        for net in (own.state_dict(), theirs.state_dict(), before)
    )
    assert torch.equal(mine[1], its[2])
    assert torch.equal(mine[2], its[0])
    assert torch.equal(mine[[0, 3]], was[[0, 3]])
    assert not torch.equal(was[1], its[2])
    if kind == "mass":  # its next layer has the body parts on both sides
        both = "head.layers.2.weight"
        assert torch.equal(
            own.state_dict()[both][1, 2], theirs.state_dict()[both][2, 0]
        )
    for name, value in theirs.body.state_dict().items():
        assert torch.equal(own.body.state_dict()[name], value)


def test_fields_of_the_same_edges_are_taken_over() -> None:
    old = replace(Architecture("unet"), edges=((0, 1), (1, 2)))
    how = replace(old, edges=((0, 2), (1, 0)))
    theirs, own = build_network(3, old), build_network(3, how)
    its_own = StartNetwork(Path("x"), ("a", "b", "c"), theirs)
    take_over(own, Skeleton(("c", "b", "a")), its_own)
    mine, its = (net.state_dict()["head.maps.weight"] for net in (own, theirs))
    assert torch.equal(mine[:3], its[[2, 1, 0]])
    assert torch.equal(mine[5:7], its[5:7])  # b to c, in both
    assert not torch.equal(mine[3:5], its[3:5])  # c to a, in one


def test_training_begins_with_the_start_networks_weights(
    start: Path, labelled: Path
) -> None:
    data = load_dataset(read_labels(labelled), Fitting(96, 128))  # another size
    opened = open_start(start)
    settings = FitSettings(
        steps=1,
        batch=4,
        learning_rate=1e-12,
        network=opened.how,
        start_from=start,
        schedule=LearningRateSchedule(unfreeze_at=1),
    )
    network = fit(data, settings, lambda epoch: None)
    for mine, its in zip(
        network.parameters(), opened.network.parameters(), strict=True
    ):
        torch.testing.assert_close(mine, its)


def test_held_out_images_that_the_start_network_learned_are_counted(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    assert train(labelled, first, *UNET, "--held-out", "0.25") == 0
    trained = {k for k, own in read_sets(first / PREDICTIONS).items() if own == "train"}
    capsys.readouterr()

    def started(folder: Path, start: Path, share: str) -> tuple[list[str], str]:
        words = ["--start-from", str(start), "--held-out", share]
        assert train(labelled, folder, *words) == 0
        about = json.loads((folder / "model.json").read_text("utf-8"))["about"]
        told = about["started_from"].get("held_out_images_learned", [])
        sets = read_sets(folder / PREDICTIONS).items()
        held_out = [name for name, own in sets if own != "train"]
        assert len(held_out) == about["pictures"]["held_out"]
        assert set(told) <= set(held_out)
        return told, capsys.readouterr().out

    told, said = started(second, first, "0.25")
    assert (told, learned_before(second)) == ([], "")
    assert "by their names" not in said
    told, said = started(third, second, "0.5")
    held_out = {
        k for k, own in read_sets(third / PREDICTIONS).items() if own != "train"
    }
    assert told
    assert set(told) == trained & held_out
    warning = (
        f"{len(told)} of {len(held_out)} held-out images are, by their names, training images of "
        "second, from which this training started: the held-out error may be too low"
    )
    assert f"  {warning}\n" in said
    assert learned_before(third) == warning
    assert learned_images(third) >= trained
    report = tmp_path / "report.html"
    words = ["--model", str(third), "--device", "cpu", "--report", str(report)]
    assert EvaluateNetwork.main(words) == 0
    assert f"{warning}\n" in capsys.readouterr().out
    assert f"{warning}." in report.read_text("utf-8")


def test_a_checkpoint_of_lightning_pose_names_the_images_of_its_training(
    tmp_path: Path,
) -> None:
    checkpoint = tmp_path / "run/tb_logs/test/version_0/checkpoints/best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    points, sure = np.zeros((2, 1, 2), np.float32), np.ones((2, 1), np.float32)
    write_predictions(
        tmp_path / "run" / PREDICTIONS, "x", ["nose"], ["a.png", "b.png"], points, sure,
        ["train", "test"],
    )  # fmt: skip
    assert learned_images(checkpoint) == learned_images(tmp_path / "run") == {"a.png"}


def test_a_bundled_network_begins_with_its_own_maps(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has no weights.pt: its layers, the last one too, are read from network.onnx."""
    opened, model = open_start("arena"), load_model_folder(ROOT / "models/arena")
    images = load_dataset(read_labels(labelled), model.fitting).images[:2]
    with torch.no_grad():
        ours = opened.network.eval().maps(torch.from_numpy(images)).numpy()
    theirs = outputs(open_onnx(model, "cpu").network, images)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert opened.how.sigma == 1.0, "as in its model.json"
    words = ["--start-from", "arena", "--size", "96x64"]
    assert train(labelled, tmp_path / "ears", *words) == 0
    told = capsys.readouterr().out
    assert "arena: backbone and head, maps of leftear, rightear\n" in told
    again = open_start(tmp_path / "ears").network
    assert (again.how.head, again.bodyparts) == ("last", 2)


def test_new_body_parts_get_a_new_head_on_a_bundled_network(
    tails: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--start-from", "arena", "--size", "96x64"]
    assert train(tails, tmp_path / "new", *words) == 0
    assert "arena: backbone; new: tail, leftear\n" in capsys.readouterr().out
    again = open_start(tmp_path / "new")
    assert again.how.head == "light"
    licence = load_model_folder(ROOT / "models/arena").licence
    assert again.licence == licence != "", "of the network that it started from"


def test_the_output_and_the_model_folder_say_what_was_taken_over(
    start: Path, tails: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    words = ["--start-from", str(start), "--size", "96x64", "--cropzoom"]
    assert train(tails, folder, *words) == 0
    told = capsys.readouterr().out
    assert (
        f"starts from {start}: backbone and head, maps of leftear; new: tail\n" in told
    )
    model = load_model_folder(folder)
    assert model.about["started_from"] == {
        "folder": "ears",
        "sha256": load_model_folder(start).sha256,
        "network": "unet",
        "licence": "MIT",
        "head": True,
        "bodyparts": ["leftear"],
    }
    assert model.about["network"] == "unet"
    settings = json.loads((folder / "model.json").read_text("utf-8"))["about"][
        "settings"
    ]
    assert settings["start_from"] == str(start)
    assert settings["network"]["channels"] == 8
    assert settings["schedule"] == {
        **settings["schedule"],
        "backbone": 0.1,
        "unfreeze_at": 0,  # a tenth of two steps
    }
    assert open_start(folder / "detector").how.backbone == "unet"


def test_backbones_of_lightning_pose_alone_are_not_trained_from_random_weights(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--backbone", "vitb_imagenet", "--no-imagenet"]
    assert train(labelled, tmp_path / "new", *words) == 2
    told = capsys.readouterr().err
    assert "vitb_imagenet has weights only in networks of Lightning Pose" in told
    assert "--start-from" in told
    assert train(labelled, tmp_path / "new", "--backbone", "vgg") == 2
    listed = capsys.readouterr().err.partition("; of networks of")[0]
    assert "unet" in listed and "vitb_imagenet" not in listed


def test_a_head_from_a_graph_without_a_last_layer_is_refused() -> None:
    with pytest.raises(ModelError, match="unet has no last layer"):
        build_network(2, Architecture("unet", head="last"))


def test_a_full_disk_names_the_folder(
    labelled: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*given: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")  # as file.write does

    monkeypatch.setattr(Path, "write_bytes", full)
    assert train(labelled, tmp_path / "new", *UNET) == 2
    told = capsys.readouterr().err
    assert told.endswith(f"{tmp_path / 'new'} can't be used: No space left on device\n")


def test_other_ways_of_training_start_from_a_network_too(
    start: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from_here = ["--start-from", str(start)]
    assert train(labelled, tmp_path / "r", *from_here, "--kind", "regression") == 0
    assert "backbone; new: leftear, rightear\n" in capsys.readouterr().out
    project = tmp_path / "project"
    shutil.copytree(labelled, project)
    shutil.copytree(start, project / "ears")
    words = PROJECT_CONFIG.replace("  model_name: dots", "  checkpoint: ears")
    (project / "config.yaml").write_text(words, "utf-8")
    given = [str(project / "config.yaml"), "--output", str(tmp_path / "lp"), "--quiet"]
    assert TrainNetwork.main(given) == 0
    assert "backbone; new: leftear, rightear\n" in capsys.readouterr().out
    config = yaml.safe_load((tmp_path / "lp" / "config.yaml").read_text("utf-8"))
    assert Path(config["model"]["checkpoint"]) == project / "ears"
    assert TrainNetwork.main([*given, "--overwrite", *from_here]) == 2
    assert "leave one of them out" in capsys.readouterr().err


def test_what_can_not_be_started_from_is_told_in_a_sentence(
    start: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(folder: Path, *words: str) -> str:
        out = tmp_path / "model"
        assert train(labelled, out, "--start-from", str(folder), *words) == 2
        assert not out.exists()
        sentence = capsys.readouterr().err
        assert sentence.count("\n") == 1
        return sentence

    assert "there is no model" in told(tmp_path / "nowhere")
    theirs = tmp_path / "sleap"
    theirs.mkdir()
    (theirs / "best.ckpt").write_bytes(b"theirs")
    assert "import a network of another program first" in told(theirs)
    assert "--backbone resnet18: the network to start from has unet; leave" in told(
        start, "--backbone", "resnet18"
    )
    assert "--channels 9: the network" in told(start, "--channels", "9")
    several = tmp_path / "several"
    for seed in ("seed0", "seed1"):
        shutil.copytree(start, several / seed)
    assert f"start from one of its networks, as {several / 'seed0'}" in told(several)
    weights = several / "seed0" / "weights.pt"
    weights.write_bytes(b"nonsense")
    assert f"{weights} can't be read as weights" in told(several / "seed0")
    torch.save({"a": torch.zeros(1)}, weights)
    assert f"{weights} does not fit" in told(several / "seed0")


@pytest.mark.parametrize("what", ["no weights", "no description"])
def test_a_folder_without_weights_is_started_from_by_its_graph(
    what: str,
    start: Path,
    labelled: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "graph"
    shutil.copytree(start, folder)
    if what == "no weights":
        (folder / "weights.pt").unlink()
    else:
        text = (folder / "model.json").read_text("utf-8")
        text = text.replace('"settings"', '"other"')
        (folder / "model.json").write_text(text, "utf-8")
    kept = "backbone and head, maps of leftear, rightear\n"
    new, again = tmp_path / "new", tmp_path / "again"
    assert train(labelled, new, "--start-from", str(folder), "--size", "96x64") == 0
    assert kept in capsys.readouterr().out
    assert load_model_folder(new).about["network"] == "layers of graph"
    assert train(labelled, again, "--start-from", str(new)) == 0
    assert kept in capsys.readouterr().out
    shutil.rmtree(folder)  # its layers are in the new network's graph, too
    again = tmp_path / "later"
    assert train(labelled, again, "--start-from", str(new)) == 0
    assert kept in capsys.readouterr().out


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('run')",)


def test_nothing_but_tensors_is_loaded_from_weights(
    start: Path, tmp_path: Path, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "evil"
    shutil.copytree(start, folder)
    torch.save(Evil(), folder / "weights.pt")
    assert train(labelled, tmp_path / "new", "--start-from", str(folder)) == 2
    assert "can't be read as weights" in capsys.readouterr().err


def test_a_stopped_training_continues_from_the_network_it_started_from(
    start: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, words = tmp_path / "new", ["--start-from", str(start)]
    assert train(labelled, folder, *words, "--steps", "10") == 0
    capsys.readouterr()
    assert train(labelled, folder, "--resume", *UNET) == 2
    assert f"give --start-from {start}\n" in capsys.readouterr().err
    assert train(labelled, folder, "--resume", "--steps", "12", *words) == 0
    other = tmp_path / "other"
    assert train(labelled, other, *UNET) == 0
    assert train(labelled, other, "--resume", *words) == 2
    assert "leave --start-from out\n" in capsys.readouterr().err
