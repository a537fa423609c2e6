"""What results read of a run: regions, calibration, trials, stages, rejected points."""

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import deeplabstream as dls
from deeplabstream.analysis.analyse import analyse
from deeplabstream.analysis.events import on_spans, trials_of
from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.region_list import (
    PointOfInterest,
    RegionOfInterest,
    change_places,
    read_places,
    write_places,
)
from deeplabstream.analysis.run_data import read_run
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.regions import parse_region
from deeplabstream.files import exclusive_writing
from deeplabstream.recording.light_facts import recorded_light_cycle
from tests.analysis.made import body_at, made_run, run_of_two_experiments

GOLDEN = Path(__file__).resolve().parents[1] / "golden/runs"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "conditional", tmp_path / "conditional"))


def test_a_region_of_a_trigger_counts_as_the_trigger_saw_it(run: Path) -> None:
    data = read_run(run)
    (region,) = data.places.regions
    assert (region.name, region.source, region.bodyparts) == (
        "in the corner", "trigger", ("snout",),
    )  # fmt: skip
    assert (region.enter_margin, region.exit_margin) == (5, 5)
    # the trigger is unknown while the animal is lost; visits continue
    visits = analyse(data).visits["animal1", "in the corner"]
    starts = data.triggers["in the corner"][:, 0]
    assert {*visits.entries.round(6)} <= {*starts.round(6)}


def test_settings_of_the_run_count_before_the_text(run: Path) -> None:
    facts = json.loads((run / "run.json").read_text("utf-8"))
    facts["triggers"] = {
        "here": {"KIND": "InsideRegion", "REGION": "circle 1 2 3", "BODYPARTS": ["snout"]},
        "out": {"KIND": "OutsideRegion", "REGION": "circle 1 2 4", "BODYPARTS": ["snout"]},
        "again": {"KIND": "InsideRegion", "REGION": "circle 1 2 3", "BODYPARTS": ["snout"]},
        "broken": {"KIND": "Own", "REGION": "blob"},
        "door": {"KIND": "MovingTowards", "POINT": [5.0, 6.0], "BODYPARTS": ["snout"]},
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(facts), "utf-8")
    places = read_run(run).places
    assert [(r.name, r.rule) for r in places.regions] == [
        ("here", "all"),
        ("out", "any"),
    ]
    assert [(p.name, p.x, p.y) for p in places.points] == [("door", 5, 6)]


def test_added_regions_and_points_are_read_back_equal(run: Path) -> None:
    regions = [
        RegionOfInterest("a", parse_region("circle 1.5 2 3"), "arena"),
        RegionOfInterest(
            "in the corner", parse_region("polygon 0 0 9 0 9 9"), unit="px",
            bodyparts=("snout",), rule="any", exit_margin=2,
        ),
        RegionOfInterest("b", parse_region("circle 1 2 3"), "another camera"),
    ]  # fmt: skip
    points = [PointOfInterest("lamp", 3, 4)]
    write_places(run, regions, points)
    found = read_places(run)
    assert (list(found.regions), list(found.points)) == (regions, points)
    # one of an equal name replaces that of the trigger
    data = read_run(run)
    assert {r.name: r.source for r in data.places.regions} == {
        "a": "added", "in the corner": "added",
    }  # fmt: skip
    with pytest.raises(DeepLabStreamError, match="a name of its own"):
        write_places(run, [regions[0], regions[0]])
    assert read_places(run) == found


def test_no_region_is_lost_when_several_programs_add_some(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exclusive_writing, "PATIENCE_S", 600.0)
    start = threading.Barrier(3)

    def add(writer: int) -> None:
        start.wait()
        for number in range(15):
            name = f"{writer} {number}"
            region = RegionOfInterest(name, parse_region("circle 1 2 3"))
            change_places(run, lambda there, new=region: there.with_added([new], ()))

    writers = [threading.Thread(target=add, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(read_places(run).regions) == 45


def test_the_calibration_is_that_of_the_settings(run: Path) -> None:
    settings = run / "settings.ini"
    text = settings.read_text("utf-8")
    scaled = text.replace("WIDTH = 640", "WIDTH = 640\nMM_PER_PIXEL = 0.5")
    px = analyse(run)
    settings.write_text(scaled, "utf-8")
    mm = analyse(run)
    assert (px.unit, mm.unit) == ("px", "mm")
    assert mm.value("distance") == pytest.approx(px.value("distance") / 2)
    assert mm.value("region_time", "in the corner") == px.value(
        "region_time", "in the corner"
    )
    assert analyse(run, AnalysisOptions(unit="px")).value("distance") == pytest.approx(
        px.value("distance")
    )
    settings.write_text(scaled.replace("0.5", "wide"), "utf-8")
    assert any("calibration can't be used" in note for note in analyse(run).notes)


def test_points_that_were_rejected_do_not_count(run: Path) -> None:
    path = run / "arena.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table["flags"] = ""
    seen = np.flatnonzero(table["snout_confidence"].astype(float) > 0.5)[5:25]
    table.loc[seen[:5], "flags"] = "snout jump"
    table.loc[seen[5:10], "flags"] = "leftear held; snout bone+held"
    table.loc[seen[10:20], "flags"] = "snout smoothed; leftear held"
    table.to_csv(path, index=False, lineterminator="\n")
    before = read_run(GOLDEN / "conditional").points[seen, 0]
    after = read_run(run).points[seen, 0]
    assert np.isnan(after[:10, 0]).all()
    np.testing.assert_array_equal(after[10:], before[10:])
    np.testing.assert_array_equal(after[:, 1:], before[:, 1:])


def test_trials_stages_and_their_phases() -> None:
    trials = read_run(GOLDEN / "trial_based").trials
    assert [(each.stimulus, each.outcome) for each in trials] == [("tone", "right")] * 4
    assert trials[0].start_s == pytest.approx(0.266667)
    assert trials[0].end_s == pytest.approx(4.266667)
    assert trials[0].reaction_s == pytest.approx(3.4)
    options = AnalysisOptions(phases=("stages",))
    stages = analyse(GOLDEN / "stages", options)
    assert [span.name for span in stages.spans] == ["whole", "stage 1", "stage 2"]
    time_s = [stages.value("duration", span=s) for s in ("stage 1", "stage 2")]
    assert sum(time_s) == pytest.approx(stages.value("duration"))
    options = AnalysisOptions(phases=("light:laser", "stimulation:laser"))
    light = analyse(GOLDEN / "optogenetic", options)
    on, off = (light.value("distance", span=f"laser {s}") for s in ("on", "off"))
    assert on + off == pytest.approx(light.value("distance"))
    assert light.value("distance", span="during laser") == pytest.approx(on)
    assert light.value("on_time", "laser", span="before laser") == pytest.approx(0)


def test_results_are_split_by_the_light_phase(tmp_path: Path) -> None:
    run = Path(shutil.copytree(GOLDEN / "conditional", tmp_path / "run"))
    options = AnalysisOptions(phases=("light cycle",))
    with pytest.raises(DeepLabStreamError, match="has no light cycle"):
        analyse(run, options)

    facts = json.loads((run / "run.json").read_text("utf-8"))
    # lights-off 4 s after Start Stream, by a timer that ignores daylight saving
    facts["start_local"] = "2026-07-01T19:59:56+02:00"
    facts["light_cycle"] = {
        "LIGHTS_ON": "07:00:00",
        "LIGHTS_OFF": "19:00:00",
        "UTC_OFFSET": 1.0,
    }
    (run / "run.json").write_text(json.dumps(facts), "utf-8")
    found = analyse(run, options)
    names = [span.name for span in found.spans]
    assert names == ["whole", "light phase", "dark phase"]
    assert found.spans[1].end_s == found.spans[2].start_s == 4.0
    times_s = [found.value("duration", span=name) for name in names]
    assert times_s[0] == pytest.approx(sum(times_s[1:]), abs=0.05)


@pytest.mark.parametrize("damaged", ["noon", {"LIGHTS_ON": "7"}, {"UTC_OFFSET": "inf"}])
def test_a_damaged_light_cycle_is_not_known(damaged: object) -> None:
    facts = {"start_local": "2026-07-01T19:59:56+02:00", "light_cycle": damaged}
    assert recorded_light_cycle(facts) is None


def test_one_experiment_for_all_arenas_keeps_its_trials_and_stages(
    tmp_path: Path,
) -> None:
    for name in ("trial_based", "stages"):
        run = Path(shutil.copytree(GOLDEN / name, tmp_path / name))
        facts = json.loads((run / "run.json").read_text("utf-8"))
        facts["arenas"] = {"A1": "circle 50 50 40", "A2": "circle 150 50 40"}
        (run / "run.json").write_text(json.dumps(facts), "utf-8")
        before, after = read_run(GOLDEN / name), read_run(run)
        assert before.trials or before.stages
        assert after.trials == before.trials
        assert {*after.stages} == {*before.stages}


def test_a_trial_without_an_outcome_ends_with_the_next() -> None:
    marks = [
        (1.0, "trial 1"),
        (3.0, "trial 2"),
        (4.0, "trial 2 over"),
        (6.0, "trial 3"),
    ]
    found = trials_of(marks, np.zeros((0, 2)), 9)
    assert [(t.start_s, t.end_s, t.outcome) for t in found] == [
        (1, 3, ""), (3, 4, "over"), (6, 9, ""),
    ]  # fmt: skip
    assert all(np.isnan(each.reaction_s) for each in found)


def test_the_trials_of_several_experiments_of_a_run_are_told_apart(
    tmp_path: Path,
) -> None:
    data = read_run(run_of_two_experiments(tmp_path))
    assert [
        (t.experiment, t.number, round(t.start_s, 3), round(t.end_s, 3), t.outcome)
        for t in data.trials
    ] == [
        (1, 1, 0.267, 4.267, "right"), (1, 2, 6.467, 9, ""),
        (2, 1, 15.067, 19.067, "right"), (2, 2, 25.8, 29.8, "right"),
    ]  # fmt: skip
    assert data.trials[2].reaction_s == pytest.approx(
        read_run(GOLDEN / "trial_based").trials[2].reaction_s
    )
    assert [each for each in data.notes if "experiments" in each] == [
        "2 experiments ran: results span from the start of the first one to the end of "
        "the last one; choose a part with start_s and end_s"
    ]
    assert not [
        each for each in read_run(GOLDEN / "trial_based").notes if "ran" in each
    ]


def test_experiments_are_counted_where_the_first_start_was_not_recorded(
    tmp_path: Path,
) -> None:
    run = run_of_two_experiments(tmp_path)
    path = run / "events.csv"
    head, started, rest = path.read_text("utf-8").partition(
        "experiment,,,,,,,,started\n"
    )
    assert started
    path.write_text(head[: head.rindex("\n") + 1] + rest, "utf-8")
    assert [each.experiment for each in read_run(run).trials] == [1, 1, 2, 2]


def test_an_experiment_whose_end_was_not_written_counts_to_the_end_of_the_run(
    tmp_path: Path,
) -> None:
    run = Path(shutil.copytree(GOLDEN / "trial_based", tmp_path / "killed"))
    path = run / "events.csv"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    ends = [n for n, line in enumerate(lines) if ",note,,,experiment," in line][1:]
    note = "{},note,,,experiment,,,,,,,,{}\n"
    first = [note.format("9.000000", "stopped"), note.format("9.500000", "started")]
    kept = [line for n, line in enumerate(lines) if n not in ends]
    path.write_text("".join([*kept, *first]), "utf-8")
    data = read_run(run)
    assert data.period[1] == data.t[-1] > 20


def test_an_experiment_that_was_not_started_does_not_move_the_end(run: Path) -> None:
    path = run / "events.csv"
    note = "{},note,,,experiment,,,,,,,,{}\n"
    lines = path.read_text("utf-8").replace("the video is over", "stopped")
    lines = lines.replace("29.933333,note", "20.000000,note")
    path.write_text(lines + note.format("25.000000", "not started: no space"), "utf-8")
    assert read_run(run).period == (0, 20)


def test_an_output_that_was_never_switched_off_is_on_to_the_end() -> None:
    assert on_spans([0, 1, 2, 3, 5], [0, 0.4, 1, 0, 1], 8).tolist() == [[1, 3], [5, 8]]


def test_an_animal_inside_at_the_start_has_entered_if_that_is_chosen(run: Path) -> None:
    everywhere = (RegionOfInterest("all", parse_region("rectangle 0 0 640 480")),)
    for counts in (False, True):
        options = AnalysisOptions(regions=everywhere, start_counts=counts)
        results = analyse(run, options)
        assert results.value("region_entries", "all") == counts
        assert results.value("region_latency", "all") == pytest.approx(
            0 if counts else np.nan, nan_ok=True
        )


def test_broken_lines_are_reported_and_left_out(run: Path) -> None:
    path = run / "arena.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[100] = b"100,broken\n"
    path.write_bytes(b"".join(lines))
    (run / "triggers.csv").unlink()
    data = read_run(run)
    assert data.notes == (
        "arena.csv: 1 line is broken and skipped (line 101)", "triggers.csv is missing",
    )  # fmt: skip
    whole = read_run(GOLDEN / "conditional")
    assert len(data.t) == len(whole.t) - 1
    assert set(data.notes) <= set(analyse(run).notes)


@pytest.mark.parametrize(
    ("session", "skeleton", "names"),
    [
        ("", (), ["conditional"]),
        ("M7", (), ["M7"]),
        ("", ("anna", "bob"), ["anna", "bob"]),
        ("pair 3", ("anna", "bob"), ["pair 3 anna", "pair 3 bob"]),
        ("", ("animal1", "animal2"), ["conditional animal1", "conditional animal2"]),
    ],
)
def test_animals_of_different_runs_are_told_apart(
    session: str, skeleton: tuple[str, ...], names: list[str]
) -> None:
    t = np.arange(9) / 10
    count = max(1, len(skeleton))
    data = made_run(
        t,
        np.stack([body_at(np.zeros((9, 2)), np.zeros(9))] * count, axis=1),
        folder=read_run(GOLDEN / "conditional").folder,
        facts={"session": {"animal": session}},
        animals=skeleton or (session or "animal1",),
    )
    table = analyse(data).table()
    assert list(table["animal"]) == names
    assert list(analyse(data).long_table()["animal"].unique()) == names


def test_behaviours_of_the_table_count(run: Path) -> None:
    path = run / "arena.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table["flags"] = ""
    table["behaviour_walk"] = "0.2"
    table.loc[30:59, "behaviour_walk"] = "0.9"  # of 15 frames/s
    table.loc[90:104, "behaviour_walk"] = ""
    table.to_csv(path, index=False, lineterminator="\n")
    results = analyse(run)
    assert results.value("behaviour_time", "walk") == pytest.approx(2, abs=1e-4)
    assert results.value("behaviour_latency", "walk") == pytest.approx(2, abs=1e-4)
    whole = results.value("duration")
    share = results.value("behaviour_share", "walk")
    assert share == pytest.approx(2 / (whole - 1), abs=1e-4)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"regions": [], "points": [{"name": "a", "x": "far", "y": 1}]},
        {"regions": [{"name": "a", "region": "circle 1 2 3", "unit": "inch"}], "points": []},
        {"regions": [{"name": "a", "region": "circle 1 2"}], "points": []},
        {"regions": [{"name": "a", "region": "circle 1 2 3", "depth": 1}], "points": []},
    ],
)  # fmt: skip
def test_a_damaged_list_of_regions_is_named(run: Path, content: object) -> None:
    (run / "regions.json").write_text(json.dumps(content), "utf-8")
    with pytest.raises(DeepLabStreamError, match=r"regions.json can't be read: "):
        read_run(run)


def test_too_many_bins_and_other_units_are_refused(run: Path) -> None:
    with pytest.raises(DeepLabStreamError, match="more than 10000 bins"):
        analyse(run, AnalysisOptions(bin_s=0.001))
    with pytest.raises(DeepLabStreamError, match="expected one of auto, px, mm"):
        AnalysisOptions(unit="cm")  # type: ignore[arg-type]
    with pytest.raises(DeepLabStreamError, match="max_gap_s = nan"):
        AnalysisOptions(max_gap_s=float("nan"))


def test_a_run_that_is_open_is_analysed_too(run: Path) -> None:
    opened = dls.analyse(dls.open_run(run))
    assert opened.value("distance") == analyse(str(run)).value("distance")
    with pytest.raises(DeepLabStreamError, match="is not a run folder"):
        analyse(run.parent / "nowhere")
