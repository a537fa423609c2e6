import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.offline.ibl.pipeline_networks import NetworkFolder
from deeplabstream.pose.model.model_opening import MODELS


def test_a_network_of_several_animals_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="arena_animals finds up to 4 animals"):
        NetworkFolder(MODELS, "cpu").matching("arena_animals")


def test_a_network_is_opened_once() -> None:
    folder = NetworkFolder(MODELS, "cpu", 1)
    found = folder.matching("aren[a]")
    assert [one.skeleton.bodyparts[0] for one in found] == ["snout"]
    assert folder.matching("arena")[0] is found[0]
