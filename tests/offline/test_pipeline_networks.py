from pathlib import Path

import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.offline.ibl.pipeline import PIPELINES, load_pipeline
from deeplabstream.offline.ibl.pipeline_networks import NetworkFolder, networks_of
from deeplabstream.offline.parallel import Parallel
from deeplabstream.pose.image_copies import CopyEnsemble
from deeplabstream.pose.model.model_opening import MODELS


def test_a_network_of_several_animals_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="arena_animals finds up to 4 animals"):
        NetworkFolder(MODELS, "cpu").matching("arena_animals")


def test_a_network_is_opened_once() -> None:
    folder = NetworkFolder(MODELS, "cpu", 1)
    found = folder.matching("aren[a]")
    assert [one.skeleton.bodyparts[0] for one in found] == ["snout"]
    assert folder.matching("arena")[0] is found[0]


def test_a_pipeline_can_ask_for_copies_of_each_image(tmp_path: Path) -> None:
    file = tmp_path / "mine.ini"
    arena = (PIPELINES / "arena.ini").read_text("utf-8")
    file.write_text(arena.replace("[Pipeline]", "[Pipeline]\nBEST = yes"), "utf-8")
    folder = networks_of(load_pipeline(str(file)), MODELS, "cpu", 1)
    (found,) = folder.matching("arena")
    assert isinstance(
        found.copies[0] if isinstance(found, Parallel) else found, CopyEnsemble
    )
