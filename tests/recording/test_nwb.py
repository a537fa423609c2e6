"""NWB files hold the whole closed loop, and keep the rules of NWB's inspector."""

import tracemalloc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deeplabstream.recording.exporters import nwb_run
from deeplabstream.recording.exporters.exports import export
from deeplabstream.recording.exporters.nwb import timing
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_review import review
from deeplabstream.recording.run_schema import MATCHES, PULSES
from tests.recording import recorded
from tests.recording.small_run import expected, exposed, made
from utils.ExportRun import main


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file; what the libraries warn of is theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pynwb import NWBHDF5IO

        with NWBHDF5IO(str(path), "r") as reader:
            yield reader.read()


def rows_of(table: Any) -> list[dict[str, Any]]:
    return list(table.to_dataframe().to_dict("records"))


@pytest.mark.parametrize("animals", [1, 2])
def test_the_file_keeps_the_rules_of_the_inspector(
    tmp_path: Path, animals: int
) -> None:
    """Those that nwbinspector 0.7.2 calls critical or a violation, as far as they apply."""
    from pynwb import TimeSeries, validate
    from pynwb.epoch import TimeIntervals

    (path,) = export(made(tmp_path, animals), ["nwb"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert validate(path=str(path)) == []
    with opened(path) as file:
        assert file.subject.subject_id == ("animal1" if animals == 1 else "anna-bob")
        assert file.subject.sex == "U"
        assert file.subject.age == "P0D/"
        assert file.subject.species.endswith("NCBITaxon_33208")
        assert "/" not in file.session_id
        kinds: list[Any] = [*file.objects.values()]
        series = [each for each in kinds if isinstance(each, TimeSeries)]
        assert (
            len(series) == 1 + animals * 2 * 3
        )  # frames; poses of camera and 2 videos
        for each in series:
            assert each.unit
            assert each.description
            assert each.rate is None  # exposures jitter
            times = each.timestamps[:]
            assert (np.diff(times) > 0).all()
            assert len(times) == len(each.data) or each.external_file
        for table in [each for each in kinds if isinstance(each, TimeIntervals)]:
            start, stop = table["start_time"].data[:], table["stop_time"].data[:]
            assert len(start)
            assert (np.diff(start) >= 0).all()
            assert (stop >= start).all()
        for table in file.events.values():
            assert (np.diff(table["timestamp"].data[:]) >= 0).all()


def test_triggers_outputs_and_events_are_inside(tmp_path: Path) -> None:
    folder = recorded.record(tmp_path / "run")
    (path,) = export(folder, ["nwb"])
    with opened(path) as file:
        triggers = rows_of(file.intervals["triggers"])
        outputs = rows_of(file.intervals["outputs"])
        edges = rows_of(file.events["edge"])
        (mark,) = rows_of(file.events["mark"])
        assert "[Trigger in]" in file.protocol
    found = [(row["start_time"], row["stop_time"], row["state"]) for row in triggers]
    assert found == [
        (0.0, 1.0, "false"),
        (1.0, 2.0, "true"),
        (2.0, 2.5, "unknown"),
        (2.5, 3.9, "false"),
    ]
    assert {row["trigger"] for row in triggers} == {"in"}
    assert outputs == [
        {
            "start_time": 1.05,
            "stop_time": 2.05,
            "output": "light",
            "level": 0.5,
            "cause": "plan",
            "end_cause": "lost",
        }
    ]
    assert [(row["timestamp"], row["level"], row["cause"]) for row in edges] == [
        (0.0, 0.0, "open"),
        (1.05, 0.5, "plan"),
        (2.05, 0.0, "lost"),
    ]
    assert (mark["timestamp"], mark["text"], mark["frame"]) == (1.0, "entry", 10)
    assert mark["posed_s"] == pytest.approx(1.0 + 2e-9, abs=1e-12)


TIMING = {
    "file": "latency/2026-11-01_10-00-00.json",
    "sha256": "ab" * 32,
    "measured": "2026-11-01T10:00:00+00:00",
    "camera": "top",
    "output": "light",
    "flashes": 200,
    "exposure_to_output_ms": {"p50": 12.5, "p95": 14.0, "p99": 15.0, "max": 16.0},
    "changed": [
        "[Camera top] RATE = 30.0 (was 60.0)",
        "the network's file was changed",
    ],
}


def test_the_certificate_and_the_pulses_are_inside(tmp_path: Path) -> None:
    from pynwb import validate

    folder = recorded.record(tmp_path / "run")
    ms = {"p50": 1.0, "p95": 2.0, "p99": 3.0, "max": 4.0, "jitter": 0.5}
    half = {**TIMING, "output": "", "exposure_to_decision_ms": ms}
    half |= {"flash_to_decision_ms": {**ms, "p50": 9.0}, "changed": []}
    RunFolder(folder).update(timing=[TIMING, half])
    (folder / "pulses.csv").write_text(
        f"{','.join(PULSES.names)}\n"
        "trigger,0,0.5,1500000000,1500100000,77\n"
        "trigger,1,0.6,1600000000,1600100000,100077\n",
        "utf-8",
    )
    (folder / "top.pulses.csv").write_text(
        f"{','.join(MATCHES.names)}\n"
        "trigger,0,0,5,0.500000,0.2500,matched\n"
        "trigger,0,1,,0.600000,,lost\n"
        "trigger,0,,6,,,no pulse\n",
        "utf-8",
    )
    (path,) = export(folder, ["nwb"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert validate(path=str(path)) == []
    with opened(path) as file:
        tests = rows_of(file.processing["timing"]["latency_tests"])
        matches = rows_of(file.processing["timing"]["pulses top"])
        pulses = rows_of(file.events["pulse"])
    assert [(row["output"], row["figure"], row["p50"]) for row in tests] == [
        ("light", "exposure_to_output", 12.5),
        ("", "exposure_to_decision", 1.0),
        ("", "flash_to_decision", 9.0),
    ]
    assert tests[0]["changed"] == "; ".join(TIMING["changed"])  # type: ignore[arg-type]
    assert np.isnan(tests[0]["jitter"]) and tests[1]["flashes"] == 200
    assert [(r["pulse"], r["frame"], r["state"]) for r in matches] == [
        (0, 5, "matched"),
        (1, -1, "lost"),
        (-1, 6, "no pulse"),
    ]
    assert matches[0]["delay_ms"] == 0.25 and np.isnan(matches[2]["pulse_s"])
    assert [(r["timestamp"], r["input"], r["pulse"]) for r in pulses] == [
        (0.5, "trigger", 0),
        (0.6, "trigger", 1),
    ]
    assert pulses[1]["device_us"] == 100077


def test_an_input_may_have_the_name_of_a_missing_value(tmp_path: Path) -> None:
    folder = recorded.record(tmp_path / "run")
    (folder / "pulses.csv").write_text(
        f"{','.join(PULSES.names)}\n"
        "NA,1,0.6,1600000000,1600100000,100077\n"
        "nan,0,0.5,1500000000,1500100000,77\n",
        "utf-8",
    )
    (folder / "top.pulses.csv").write_text(
        f"{','.join(MATCHES.names)}\nNA,0,,6,,,no pulse\n", "utf-8"
    )
    (path,) = export(folder, ["nwb"])
    with opened(path) as file:
        pulses = rows_of(file.events["pulse"])
        matches = rows_of(file.processing["timing"]["pulses top"])
    assert [(row["input"], row["pulse"]) for row in pulses] == [("nan", 0), ("NA", 1)]
    assert [(row["input"], row["pulse"]) for row in matches] == [("NA", -1)]


def test_pulses_of_ten_hours_fit_in_memory(tmp_path: Path) -> None:
    """At 100 per second, 3.6 million: a dict and a list of texts per pulse took gigabytes."""
    from pynwb import NWBFile

    folder, count = recorded.record(tmp_path / "run"), 5000
    pulses = (
        f"trigger,{n},{n / 100},{n}0000000,{n}0000900,{n}0000\n" for n in range(count)
    )
    matches = (f"trigger,0,{n},{n},{n / 100},0.25,matched\n" for n in range(count))
    (folder / "pulses.csv").write_text(
        "".join((f"{','.join(PULSES.names)}\n", *pulses)), "utf-8"
    )
    (folder / "top.pulses.csv").write_text(
        "".join((f"{','.join(MATCHES.names)}\n", *matches)), "utf-8"
    )
    run = review(folder)
    file = NWBFile("a run", "run", datetime.now(UTC))
    nwb_run._add_pulses(run, NWBFile("another", "run", datetime.now(UTC)))  # imports
    tracemalloc.start()
    try:
        nwb_run._add_pulses(run, file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(file.events["pulse"]) == count
    assert len(file.processing["timing"]["pulses top"]) == count
    assert peak / count < 900, "bytes per pulse"


def test_frames_of_all_videos_have_their_times(tmp_path: Path) -> None:
    folder = made(tmp_path)
    (path,) = export(folder, ["nwb"])
    with opened(path) as file:
        frames = file.acquisition["top"]
        videos = [path.parent / name for name in frames.external_file]
        assert [video.resolve() for video in videos] == [
            folder / "top.mkv",
            folder / "top_2.mkv",
        ]
        assert list(frames.starting_frame) == [0, 4]
        times = [(exposed(n) - exposed(0)) / 1e9 for n in range(1, 10)]
        np.testing.assert_allclose(frames.timestamps[:], times, rtol=0, atol=1e-12)
        assert list(frames.dimension) == [64, 48]
    (folder / "top.mkv").unlink()  # the file names only what is there
    (path,) = export(folder, ["nwb"], overwrite=True)
    with opened(path) as file:
        assert list(file.acquisition["top"].external_file) == ["../top_2.mkv"]
        assert len(file.acquisition["top"].timestamps) == 5


def test_regular_times_become_a_rate(tmp_path: Path) -> None:
    (path,) = export(recorded.record(tmp_path / "run"), ["nwb"])
    with opened(path) as file:
        for series in (
            file.acquisition["top"],
            file.processing["behavior"]["top"]["nose"],
        ):
            assert series.timestamps is None
            assert (series.starting_time, series.rate) == (0.0, pytest.approx(10.0))
    assert "timestamps" in timing(np.array([0.0, 0.1, 0.2 + 2e-9, 0.3]))
    assert "timestamps" in timing(np.array([0.0, 0.1]))
    thirds = timing(5 + np.arange(100_000) / 30)
    assert thirds == {"rate": pytest.approx(30, abs=1e-9), "starting_time": 5.0}


@pytest.mark.parametrize("animals", [1, 2])
def test_sleap_io_reads_the_poses_of_each_video(tmp_path: Path, animals: int) -> None:
    import sleap_io

    (path,) = export(made(tmp_path, animals), ["nwb"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labels = sleap_io.load_file(str(path))
    assert [Path(video.filename).name for video in labels.videos] == [
        "top.mkv",
        "top_2.mkv",
    ]
    for video, filmed in zip(labels.videos, (range(1, 5), range(5, 10)), strict=True):
        wanted = expected(filmed, animals)
        seen = [n for n in range(len(filmed)) if not np.isnan(wanted[n]).any()]
        frames = labels.find(video)
        for frame, row in zip(frames, seen, strict=True):
            # sleap-io 0.9 puts a time that is not initialised among those of the file
            assert frame.frame_idx in (row, row + 1)
            found = [instance.numpy(scores=True) for instance in frame.instances]
            np.testing.assert_allclose(found, wanted[row], rtol=1e-6, atol=1e-6)
            names = [instance.track.name for instance in frame.instances]
            assert names == [f"track{animal}" for animal in range(animals)]


def test_the_subject_is_given_or_known_from_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made(tmp_path)
    RunFolder(folder).update(
        session={
            "animal": "A12/3",
            "experimenter": "Doe, Jane",
            "group": "control",
            "notes": "calm",
            "age": "P80D",
            "sex": "F",
        },
        experiment={"NAME": "CONDITIONAL"},
    )
    words = [str(folder), "--to", "nwb", "--overwrite"]
    assert main([*words, "--age", "P8W/P10W"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == (
        "run.nwb: no species of the subject is known; give --species"
    )
    assert main([*words, "--species", "Mus musculus", "--age", "P8W/P10W"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    with opened(folder / "export" / "run.nwb") as file:
        subject = file.subject
        assert (subject.subject_id, subject.species) == ("A12_3", "Mus musculus")
        assert (subject.sex, subject.age) == ("F", "P8W/P10W")
        assert subject.description == "group control"
        assert list(file.experimenter) == ["Doe, Jane"]
        assert file.notes == "calm"
        assert file.experiment_description == "experiment CONDITIONAL"


@pytest.mark.parametrize(
    "option",
    [("--species", "mouse"), ("--age", "90 days"), ("--age", "P"), ("--sex", "f")],
)
def test_a_subject_that_nwb_does_not_allow_is_refused(
    tmp_path: Path, option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--to", "nwb", *option])
    assert option[0] in capsys.readouterr().err
