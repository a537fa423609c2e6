"""The program AlignRecording: a run's rows get the recorder's times, or stay empty."""

import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.journal_entries import Acknowledged
from deeplabstream.recording.alignment.aligned_run import run_signal, run_signals
from deeplabstream.recording.alignment.sync_signals import (
    barcodes,
    random_pulses,
)
from deeplabstream.recording.csv_tables import CsvTable
from deeplabstream.recording.event_rows import EventRows
from deeplabstream.recording.exporters.exports import export
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_schema import EVENTS, PULSES, QUEUE
from tests.recording.alignment.recorder import Recorder
from tests.recording.alignment.synced_run import RATE, made
from utils.AlignRecording import main

SECONDS = 400.0
RECORDER = Recorder(ppm=60.0)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run `run`, and its recorder's `edges.csv`."""
    folder = tmp_path_factory.mktemp("synced")
    line = random_pulses(11, SECONDS)
    made(folder / "run", line, SECONDS)
    edges, _ = RECORDER.record(line, lost=0.02)
    table = pd.DataFrame({"time_s": edges.times_s, "level": edges.rising.astype(int)})
    table.to_csv(folder / "edges.csv", index=False)
    return folder


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "copy"))


def contents(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.iterdir() if file.is_file()]
    return {file.name: file.read_bytes() for file in files}


def test_every_table_gets_the_recorders_times_and_the_run_is_not_changed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = folder / "run"
    before = contents(run)
    assert main([str(run), str(folder / "edges.csv")]) == 0
    assert contents(run) == before
    into = run / "aligned" / "edges"
    frames = pd.read_csv(into / "top.csv")
    ours = pd.read_csv(run / "top.csv")
    assert list(frames.frame) == list(ours.frame) == list(range(int(SECONDS * RATE)))
    known = frames.recording_s.notna()
    assert known.mean() > 0.9
    truth = RECORDER.clock(ours.time_s.to_numpy())
    off = (frames.recording_s - truth)[known].abs() * 1e3
    assert off.max() < 0.3
    assert (off <= frames.error_ms[known]).mean() > 0.9
    events = pd.read_csv(into / "events.csv")
    assert len(events) == len(pd.read_csv(run / "events.csv"))
    light = events[(events.name == "light") & (events.level == 1)]
    assert abs(light.recording_s.iloc[0] - RECORDER.clock(np.array([100.0]))[0]) < 3e-4
    facts = json.loads((into / "alignment.json").read_text("utf-8"))
    assert facts["signal"] == "sync" and facts["identified_by"] == "intervals"
    assert len(facts["segments"]) == 1
    assert abs(facts["segments"][0]["drift_ppm"][1] - 60) < 1
    assert (into / "alignment.residuals.svg").stat().st_size > 10_000
    assert (into / "alignment.residuals.png").read_bytes().startswith(b"\x89PNG")
    assert "99 % below" in capsys.readouterr().out


def test_an_alignment_is_not_replaced_without_being_asked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(folder / "run"), str(folder / "edges.csv")]
    assert main(words) == 0
    assert main(words) == 2
    assert "already exists" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    assert main([*words, "--name", "again"]) == 0
    assert (folder / "run" / "aligned" / "again" / "alignment.json").exists()


def test_the_recording_of_another_session_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edges, _ = RECORDER.record(random_pulses(12, SECONDS))
    pd.DataFrame({"time_s": edges.times_s}).to_csv(folder / "other.csv")
    assert main([str(folder / "run"), str(folder / "other.csv")]) == 2
    said = capsys.readouterr().err
    assert "the edges of the recording are not those of the run" in said
    assert not (folder / "run" / "aligned").exists()


def test_an_alignment_without_any_row_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recorder that is too coarse finds the edges and can place no row."""
    options = ["--most-error-ms", "0.0001"]
    assert main([str(folder / "run"), str(folder / "edges.csv"), *options]) == 2
    message = capsys.readouterr().err
    assert "no row of the run has a time of the recording" in message
    assert "allowed are 0.0001 ms (--most-error-ms)" in message
    assert not (folder / "run" / "aligned").exists()


@pytest.mark.parametrize(
    ("signal", "said"),
    [("sink", "no edges of sink; it has"), ("light", "are not those of the run")],
)
def test_a_signal_that_does_not_fit_is_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], signal: str, said: str
) -> None:
    assert (
        main([str(folder / "run"), str(folder / "edges.csv"), "--signal", signal]) == 2
    )
    assert said in capsys.readouterr().err


def test_flashes_of_an_led_are_no_sync_signal_unless_they_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = folder / "run" / "settings.ini"
    words = [str(folder / "run"), str(folder / "edges.csv")]
    text = settings.read_text("utf-8").replace("PIN = 8", "PIN = 8\nPATTERN = flashes")
    settings.write_text(text, "utf-8")
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "which signal did the recorder see? Give --signal: " in said
    assert "sync (" in said and "light (" in said
    assert main([*words, "--signal", "sync"]) == 0


def test_barcodes_of_half_a_session_align_that_half(tmp_path: Path) -> None:
    line = barcodes(77, SECONDS)
    run = made(tmp_path / "run", line, SECONDS)
    edges, _ = RECORDER.record(line)
    half = edges.at(edges.times_s > RECORDER.clock(np.array([200.0])))
    pd.DataFrame({"t": half.times_s * 1e3, "s": half.rising}).to_csv(
        tmp_path / "half.csv", index=False, header=False
    )
    assert main([str(run), str(tmp_path / "half.csv"), "--unit", "ms"]) == 0
    frames = pd.read_csv(run / "aligned" / "half" / "top.csv")
    known = frames.recording_s.notna().to_numpy()
    times = frames.time_s.to_numpy()
    assert known[times > 200].all() and not known[times < 130].any()
    assert (frames.segment.dropna() == 0).all()


def test_the_nwb_export_has_the_aligned_tables(folder: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    run = folder / "run"
    assert main([str(run), str(folder / "edges.csv")]) == 0
    (path,) = export(run, ["nwb"])
    with pynwb.NWBHDF5IO(path, "r") as reader:
        tables = reader.read().processing["alignment"].data_interfaces
        frames = tables["edges top"].to_dataframe()
        events = tables["edges events"].to_dataframe()
    ours = pd.read_csv(run / "aligned" / "edges" / "top.csv")
    np.testing.assert_allclose(frames.recording_s, ours.recording_s)
    assert (frames.segment == ours.segment.fillna(-1)).all()
    assert {"edge", "input"} <= {*events.kind}
    with pynwb.NWBHDF5IO(path, "r") as reader:
        assert pynwb.validate(io=reader) == []


@pytest.mark.parametrize("name", ["NA", "nan"])
def test_the_nwb_export_keeps_names_that_look_like_missing_values(
    folder: Path, name: str
) -> None:
    pynwb = pytest.importorskip("pynwb")
    run = folder / "run"
    events = run / "events.csv"
    events.write_text(events.read_text("utf-8").replace("light", name), "utf-8")
    assert main([str(run), str(folder / "edges.csv")]) == 0
    (path,) = export(run, ["nwb"])
    with pynwb.NWBHDF5IO(path, "r") as reader:
        tables = reader.read().processing["alignment"].data_interfaces
        aligned = tables["edges events"].to_dataframe()
    assert [*aligned.subject[aligned.kind == "edge"]] == [name] * 3
    assert aligned.recording_s.dtype == np.float64


def test_pulses_get_times_and_the_queue_is_left_out(folder: Path) -> None:
    run = folder / "run"
    start_ns = int(json.loads((run / "run.json").read_text("utf-8"))["start_ns"])
    with closing(CsvTable(run / "pulses.csv", PULSES.names)) as table:
        for number in range(100):
            at_ns = start_ns + number * 10**9
            table.write(f"trigger,{number},{number:.6f},{at_ns},{at_ns},5")
    (run / "queue").mkdir()
    CsvTable(run / "queue" / "frames.csv", QUEUE.names).close()
    assert main([str(run), str(folder / "edges.csv")]) == 0
    pulses = pd.read_csv(run / "aligned" / "edges" / "pulses.csv")
    assert pulses.pulse.tolist() == list(range(100))
    off = pulses.recording_s - RECORDER.clock(np.arange(100.0))
    assert off.abs().max() < 3e-4
    assert not (run / "aligned" / "edges" / "frames.csv").exists()


def test_an_input_and_an_output_of_one_name_are_two_signals(folder: Path) -> None:
    run = RunFolder(folder / "run")
    before = run_signal(run, "sync").edges
    text = run.events_path.read_text("utf-8").replace(",light,", ",sync,")
    run.events_path.write_text(text, "utf-8", newline="\n")
    assert {*run_signals(run)} == {"input sync", "output sync"}
    of_board = run_signal(run)
    assert (of_board.name, of_board.kind) == ("input sync", "input")
    assert (of_board.edges.times_s == before.times_s).all()
    assert run_signal(run, "output sync").edges.times_s.tolist() == [100.0, 110.0]
    with pytest.raises(DeviceError, match=r"no edges of sync; it has .*input sync \("):
        run_signal(run, "sync")


def test_the_first_acknowledged_edge_of_an_output_counts(folder: Path) -> None:
    run = RunFolder(folder / "run")
    start_ns = int(run.facts["start_ns"])
    run.events_path.unlink()
    with closing(CsvTable(run.events_path, EVENTS.names)) as table:
        events = EventRows(table, start_ns)
        for at_s, level in ((100, 1.0), (110, 0.0)):
            at_ns = start_ns + at_s * 10**9
            events.entry(Acknowledged("light", level, at_ns, at_ns + 10**6, at_ns))
    light = run_signal(run, "light").edges
    assert light.times_s.tolist() == [100.001, 110.001]
    assert light.rising.tolist() == [True, False]
