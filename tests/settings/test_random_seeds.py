"""SEED = new: another number before each run, which its record holds."""

import re
from pathlib import Path

from deeplabstream.engine.replay.rehearsal import rehearse
from deeplabstream.engine.replay.rerun import compare
from deeplabstream.settings.loading import load, parse
from deeplabstream.settings.ready_made import CONFIGS
from deeplabstream.settings.text_rewriting import with_drawn_seeds

TEXT = (
    (CONFIGS / "classical_conditioning.ini")
    .read_text("utf-8")
    .replace("SEED = 1", "SEED = new")
    .replace("EDGE = right", "EDGE = right\nPROBABILITY = 0.5\nseed = New")
    .replace("KIND = SimulatedCamera", "KIND = SimulatedCamera\nRATE = 15")
    .replace("CUE_S = 10", "")
)


def test_each_run_has_its_own_number_and_can_be_repeated(tmp_path: Path) -> None:
    rig = parse(TEXT, CONFIGS)
    orders = set()
    for name in ("one", "two"):
        folder, _ = rehearse(rig, tmp_path / name, seconds=60)
        recorded = load(folder.path / "settings.ini")
        seed = folder.facts["experiment"]["SEED"]
        assert vars(recorded.new_experiment())["seed"] == seed
        trigger = folder.facts["triggers"]["looks at the screen"]
        drawn = recorded.new_triggers()["looks at the screen"]
        assert (trigger["SEED"], trigger["PROBABILITY"]) == (drawn.seed, 0.5)
        assert compare(recorded, folder).same
        orders.add((seed, drawn.seed))
    assert len(orders) == 2


def test_what_is_not_new_stays_as_it_is() -> None:
    rig = parse(TEXT.replace("SEED = new", "SEED = 7"), CONFIGS)
    used = with_drawn_seeds(rig)
    assert vars(used.new_experiment())["seed"] == 7
    assert re.sub(r"SEED = \d+", "", used.text) == re.sub(
        r"(SEED = \d+|seed = New)", "", rig.text
    )
    plain = parse(TEXT.replace("SEED = new", "").replace("seed = New", ""), CONFIGS)
    assert with_drawn_seeds(plain) is plain
