"""Whole experiments on drawn animals; those that flee from light shift their occupancy."""

from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.engine.replay.rehearsal import FLIGHT, rehearse
from deeplabstream.engine.replay.rehearsal_summary import on_times
from deeplabstream.engine.replay.rerun import compare
from deeplabstream.settings.loading import load, parse
from deeplabstream.settings.ready_made import CONFIGS
from deeplabstream.simulation.arena import ArenaCamera
from utils.RehearseExperiment import main

AVOIDANCE = CONFIGS / "place_avoidance.ini"


def slow(file: Path) -> str:
    """Return a ready-made file with 15 pictures a second, which is enough here."""
    text = file.read_text("utf-8")
    return text.replace("KIND = SimulatedCamera", "KIND = SimulatedCamera\nRATE = 15")


def share_in_the_light(folder: Path, seed: int, flees: tuple[str, ...]) -> float:
    settings = parse(slow(AVOIDANCE), CONFIGS)
    path = folder / f"{seed}{len(flees)}"
    _, steps = rehearse(settings, path, seconds=120, flees=flees, seed=seed)
    answers = [step.triggers["left half"] for step in steps]
    return answers.count(True) / (len(answers) - answers.count(None))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_animal_that_flees_from_light_avoids_the_place(
    tmp_path: Path, seed: int
) -> None:
    indifferent = share_in_the_light(tmp_path, seed, ())
    fleeing = share_in_the_light(tmp_path, seed, ("laser",))
    assert 0.35 < indifferent < 0.65
    odds = [share / (1 - share) for share in (indifferent, fleeing)]
    assert odds[0] / odds[1] == pytest.approx(FLIGHT, rel=0.35)
    assert fleeing < indifferent / 2


def test_two_rehearsals_are_the_same_and_are_decided_alike_again(
    tmp_path: Path,
) -> None:
    settings = parse(slow(AVOIDANCE), CONFIGS)
    runs = [
        rehearse(settings, tmp_path / name, seconds=40, flees=["laser"], seed=5)[0]
        for name in ("one", "two")
    ]
    for name in ("arena.csv", "events.csv", "triggers.csv"):
        one, two = ((run.path / name).read_bytes() for run in runs)
        assert one == two
    again = compare(load(runs[0].path / "settings.ini"), runs[0])
    assert again.same
    assert again.commands > 10


def test_on_times_are_those_of_the_trigger(tmp_path: Path) -> None:
    settings = parse(slow(AVOIDANCE), CONFIGS)
    folder, steps = rehearse(settings, tmp_path / "run", seconds=60, seed=2)
    held = sum(step.triggers["left half"] is True for step in steps) / 15
    times, on_s = on_times(folder, 60.0)["laser"]
    assert times > 3
    assert on_s == pytest.approx(held, abs=0.1 * times)


def test_several_animals_meet(tmp_path: Path) -> None:
    settings = parse(slow(CONFIGS / "social.ini"), CONFIGS)
    folder, steps = rehearse(settings, tmp_path / "run", seconds=240, seed=1, animals=2)
    meetings = [row for row in folder.events() if row["text"].startswith("contact")]
    assert len(meetings) >= 3
    for row in meetings:
        points = next(s for s in steps if s.index == int(row["frame"])).pose.points
        assert np.hypot(*(points[0, 0] - points[1, 3])) <= 30
    assert compare(settings, folder).same


# a rehearsal has mice that share one arena and one camera, no flies in wells
OTHERS = "wells", "rearing"
FILES = sorted(file for file in CONFIGS.glob("*.ini") if file.stem not in OTHERS)


def test_an_experiment_in_space_is_not_rehearsed(tmp_path: Path) -> None:
    settings = load(CONFIGS / "rearing.ini")
    with pytest.raises(SettingsError, match="a rehearsal has one camera"):
        rehearse(settings, tmp_path / "run", seconds=1)
    assert not (tmp_path / "run").exists()


def test_a_camera_in_space_does_not_show_the_flat_arena() -> None:
    for camera in load(CONFIGS / "rearing.ini").cameras.values():
        assert not isinstance(camera, ArenaCamera)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_every_ready_made_experiment_acts_and_all_is_off_afterwards(
    file: Path, tmp_path: Path
) -> None:
    settings = parse(slow(file), CONFIGS)
    many = 2 if file.stem in ("social", "any_animal") else 1
    seconds = 420 if file.stem == "less_visited_half" else 75  # it decides after 300 s
    folder, steps = rehearse(
        settings, tmp_path / "run", seconds=seconds, seed=1, animals=many
    )
    rows = [row for row in folder.events() if row["kind"] == "edge"]
    assert any(float(row["level"]) > 0 for row in rows)
    last = {row["name"]: float(row["level"]) for row in rows}
    assert last == dict.fromkeys(settings.outputs, 0.0)
    assert steps


def test_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--settings", str(AVOIDANCE), "--minutes", "0.5"]
    assert main([*words, "--output", str(tmp_path / "run"), "--flees", "laser"]) == 0
    said = capsys.readouterr().out
    assert "30.0 s of simulated time, 900 frames" in said
    assert "[Trigger left half] was true " in said
    assert "[Output laser] was on " in said
    assert main([*words, "--flees", "lasr"]) == 2
    assert "did you mean laser?" in capsys.readouterr().err


def test_what_does_not_fit_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "settings.ini"
    text = slow(AVOIDANCE)
    file.write_text(text.replace("tailbase", "tailtip"), "utf-8")
    assert main(["--settings", str(file)]) == 2
    assert "the network has no body part 'tailtip'" in capsys.readouterr().err
    file.write_text(text.replace("EXP_NAME = place avoidance", "EXP_NAME ="), "utf-8")
    assert main(["--settings", str(file)]) == 2
    assert "no experiment chosen" in capsys.readouterr().err


def test_every_seed_is_in_the_record(tmp_path: Path) -> None:
    settings = parse(slow(CONFIGS / "trial_based.ini"), CONFIGS)
    folder, _ = rehearse(settings, tmp_path / "run", seconds=1)
    said = folder.facts["experiment"]
    assert said["NAME"] == "trials"
    assert said["KIND"] == "TrialBased"
    assert said["SEED"] == 0  # the file does not name it
    assert said["INTERVAL"] == "uniform 10 41"
    assert folder.facts["triggers"]["left"]["SEED"] == 0
    assert folder.facts["triggers"]["left"]["PROBABILITY"] == 1.0
    assert folder.facts["walk"] == 0
