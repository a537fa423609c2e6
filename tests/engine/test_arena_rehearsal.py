"""Rehearsal with arenas: one simulated animal walks in each."""

from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.core.pose import Skeleton
from deeplabstream.core.regions import Circle, Polygon, Rectangle, Region
from deeplabstream.engine.replay.arena_animals import ArenaAnimals
from deeplabstream.engine.replay.rehearsal import rehearse
from deeplabstream.settings.loading import Settings, load, parse
from deeplabstream.settings.ready_made import CONFIGS
from deeplabstream.simulation.arena import ARENA_SKELETON

WELLS = CONFIGS / "wells.ini"
CORNER = Polygon(((0, 0), (100, 0), (100, 100), (80, 100), (80, 20), (0, 20)))


def wells() -> Settings:
    """The ready-made rig at 10 frames per second, which are enough here."""
    text = WELLS.read_text("utf-8")
    return parse(text.replace("ROWS = 3", "RATE = 10\nROWS = 3", 1), CONFIGS)


def share_in_the_light(folder: Path, flees: tuple[str, ...]) -> dict[str, float]:
    _, steps = rehearse(wells(), folder, seconds=60, flees=flees, seed=1)
    return {
        name: float(np.mean([bool(step.triggers[name]) for step in steps]))
        for name in steps[0].triggers
    }


def test_each_arena_has_an_animal_with_its_own_decisions(tmp_path: Path) -> None:
    folder, steps = rehearse(wells(), tmp_path / "run", seconds=15)
    arenas = load(folder.path / "settings.ini").arenas
    assert steps[0].pose.skeleton.animals == (*arenas,)
    for step in steps:
        points = step.pose.points[:, 0]
        own = [it.contains(points[n : n + 1]) for n, it in enumerate(arenas.values())]
        assert np.all(own)
    outputs = {
        it.output for step in steps for it in step.commands if hasattr(it, "output")
    }
    assert len(outputs) > len(arenas) / 2


def test_animals_flee_from_the_output_of_their_own_arena(tmp_path: Path) -> None:
    before = share_in_the_light(tmp_path / "one", ())
    after = share_in_the_light(tmp_path / "two", ("light",))
    assert np.mean([*after.values()]) < 0.7 * np.mean([*before.values()])

    one = share_in_the_light(tmp_path / "three", ("light.B2",))
    assert one["right half.B2"] == after["right half.B2"]
    changed = {name for name in one if one[name] != before[name]}
    assert changed == {"right half.B2"}


def test_an_unknown_output_to_flee_from_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"flees lamp: there is no \[Output lamp\]"):
        rehearse(wells(), tmp_path / "run", seconds=1, flees=("lamp",))


@pytest.mark.parametrize(
    "region", [Circle(50, 60, 30), Rectangle(10, 20, 200, 30), CORNER]
)
@pytest.mark.parametrize("skeleton", [Skeleton(("centre",)), ARENA_SKELETON])
def test_an_animal_walks_within_any_shape(region: Region, skeleton: Skeleton) -> None:
    animals = ArenaAnimals({"A1": region}, skeleton, 30, 0, ())
    points = np.array([animals.where(index)[0] for index in range(3000)])
    middle = points.mean(axis=1)
    assert region.contains(middle).all()
    assert np.ptp(middle, axis=0).min() > 5
