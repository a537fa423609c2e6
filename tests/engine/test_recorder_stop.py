"""The end of a stream with a slow disk, and with a recorder that is killed."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.session import process_manager
from deeplabstream.engine.session import session as session_module
from deeplabstream.engine.session.session_state import Action, Failed, Phase
from deeplabstream.files.paths import ROOT
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_repair import repair
from tests.engine.gated_recorder import GATE, GATED
from tests.engine.patient_guards import use_patient_guards
from tests.engine.test_killed import SETTINGS
from tests.engine.test_suspended import rig, started, until


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "gate"
    folder.mkdir()
    monkeypatch.setenv(GATE, str(folder))
    return folder


def test_a_slow_disk_is_waited_for_as_long_as_the_recorder_makes_progress(
    tmp_path: Path, gate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearly the whole patience passes before each fsync; the clock is the test's."""
    monkeypatch.setattr(process_manager, "RECORDER", GATED)
    use_patient_guards(monkeypatch)
    clock_s, number, notes = 1000.0, 0, list[str]()
    clock = SimpleNamespace(perf_counter=lambda: clock_s)
    with rig(tmp_path) as session:
        started(session)
        monkeypatch.setattr(process_manager, "time", clock)
        monkeypatch.setattr(session_module, "perf_counter", clock.perf_counter)
        session.do(Action.STOP_STREAM)
        processes = session._processes
        assert processes is not None
        processes.saved_s = 0.0
        waited_from_s = None

        def ended() -> bool:
            nonlocal clock_s, number, waited_from_s
            waits = (gate / f"at {number}").exists()  # what it said before is there
            for news in session.poll():
                assert not isinstance(news, Failed), news.text
                notes.extend([news.text] if isinstance(news, Note) else [])
            if waits:
                if processes.saved_s == clock_s:  # it has reported progress
                    waited_from_s = waited_from_s or clock_s
                    clock_s += process_manager.SAVING_S - 5
                    session.poll()
                (gate / f"go {number}").touch()
                number += 1
            return session.state.phase is Phase.IDLE

        assert until(ended)
        folder = session.state.run_folder
        assert session.state.alarms == ()
    assert waited_from_s is not None
    assert clock_s - waited_from_s > 2 * process_manager.SAVING_S
    assert any("the record is still being saved" in text for text in notes)
    assert folder is not None
    facts = RunFolder(folder).facts
    assert facts["how"] == "stopped"
    assert facts["not_saved"] == []
    assert all(each["closes"] for each in facts["accounting"])
    assert {each["span"] for each in facts["accounting"]} == {"analysis", "recording"}


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_recorder_killed_at_the_end_is_said_in_exit_code_sentence_and_run_json(
    tmp_path: Path, gate: Path
) -> None:
    settings = tmp_path / "settings.ini"
    settings.write_text(SETTINGS.format(codec="h264"), "utf-8")
    options = ["--headless", "--dlc-enabled", "--recording-enabled", "--frames", "30"]
    program = [sys.executable, "-m", "tests.engine.gated_recorder"]
    with subprocess.Popen(
        [*program, *options, "--settings", str(settings)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        waits = gate / "at 0"
        assert until(lambda: waits.exists() or process.poll() is not None)
        if waits.exists():
            os.kill(int(waits.read_text()), signal.SIGKILL)
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 1, said
    assert "Alarm: The run was not saved whole" in said
    (path,) = (path.parent for path in tmp_path.rglob("run.json"))
    folder = RunFolder(path)
    assert folder.facts["ended"] is None
    assert "The recorder ended unexpectedly" in folder.facts["not_saved"][-1]
    assert repair(path).done
    assert folder.facts["how"] == "killed"


@pytest.mark.timeout(300)
def test_an_experiment_whose_video_gets_no_frame_does_not_start(tmp_path: Path) -> None:
    """A disk far too slow: once the program said "recording", and its exit code was 0."""
    settings = tmp_path / "settings.ini"
    settings.write_text(SETTINGS.format(codec="h264"), "utf-8")
    options = ["--headless", "--experiment", "--settings", str(settings)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.gated_recorder", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Cannot start the experiment" in done.stdout
    assert "has no frame in its video" in done.stdout
    assert "experiment: started" not in done.stdout
    assert "recording starting" in done.stdout
    assert not re.search(r"recording$", done.stdout, re.MULTILINE)
