"""The designer as a user has it: on a terminal, by options, and then the file is used."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deeplabstream.plugins.discovery import discover
from deeplabstream.settings.experiment_design import SIMULATED, design
from deeplabstream.settings.loading import FAMILIES, load
from utils import CheckSettings, RehearseExperiment
from utils.DesignExperiment import main

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, str(ROOT / "utils" / "DesignExperiment.py")]
CORNER = [
    "Trigger corner KIND=InsideRegion",
    "[Trigger corner] BODYPARTS = snout",
    "Trigger corner REGION=circle 160 240 70",
]
LIGHT = [
    "Experiment TRIGGER=corner",
    "Experiment OUTPUT=laser",
    "Experiment REST_S=1",
    "Output laser KIND=SimulatedOutput",
    *CORNER,
]


def options(file: Path, *answers: str) -> list[str]:
    words = ["--yes", "--rig", "simulated", "--name", "light", "--file", str(file)]
    return [*words, *(word for answer in answers for word in ("--set", answer))]


def test_options_alone_make_a_file_that_runs(tmp_path: Path) -> None:
    file = tmp_path / "light.ini"
    words = ["--kind", "conditional", "--minutes", "0.5", "--experimenter", "Anna"]
    assert main([*options(file, *LIGHT), *words]) == 0
    rig = load(file)
    assert rig.experiment.exp_time_s == 30
    assert vars(rig.new_experiment())["rest_s"] == 1
    assert file.read_text("utf-8").startswith("# light, by Anna\n")
    assert CheckSettings.main([str(file)]) == 0
    run = tmp_path / "run"
    assert RehearseExperiment.main(["--settings", str(file), "--output", str(run)]) == 0
    assert "laser" in (run / "events.csv").read_text("utf-8")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (
            ["Experiment KIND=Condition"],
            "Condition: unknown; did you mean Conditional?",
        ),
        (["Experiment KIND=Conditional"], "[Experiment] TRIGGER: needs an answer"),
        (
            ["Experiment KIND=Conditional", *LIGHT, "Experiment REST_S=-1"],
            "[Experiment] REST_S: -1: must be 0 or more",
        ),
        (
            ["Experiment KIND=Conditional", *LIGHT, "Trigger corner BODYPARTS=nose"],
            "the network has no body part 'nose'",
        ),
        (
            ["Experiment KIND=Conditional", *LIGHT, "Trigger edge KIND=Not"],
            "unknown questions: trigger edge kind",
        ),
        (
            [
                "Experiment KIND=Optogenetic",
                *LIGHT,
                "Experiment MIN_ON_S=9",
                "Experiment MAX_ON_S=3",
            ],
            "[Experiment] MAX_ON_S: 3: must be MIN_ON_S = 9 or more",
        ),
        (
            [
                "Experiment KIND=Conditional",
                "Experiment TRIGGER=a",
                "Trigger a KIND=Not",
                "Trigger a TRIGGER=a",
            ],
            "a refers to itself",
        ),
    ],
)
def test_a_wrong_option_is_a_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answers: list[str], said: str
) -> None:
    file = tmp_path / "light.ini"
    assert main(options(file, *answers)) == 2
    assert said in capsys.readouterr().err
    assert not file.exists()


def test_a_file_that_is_there_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "light.ini"
    file.write_text("precious", "utf-8")
    words = options(file, "Experiment KIND=Conditional", *LIGHT)
    assert main(words) == 2
    assert "already exists" in capsys.readouterr().err
    assert file.read_text("utf-8") == "precious"
    assert main([*words, "--replace"]) == 0
    assert load(file).experiment.exp_name == "light"


def test_a_lab_s_rig_goes_along_with_its_comments_and_paths(tmp_path: Path) -> None:
    rig = tmp_path / "lab" / "settings.ini"
    rig.parent.mkdir()
    film = "[Camera top]\n# Filmed in May.\nKIND = VideoFile\nVIDEO_SOURCE = may.mp4\n"
    text = SIMULATED.replace("[Camera arena]\nKIND = SimulatedCamera\n", film)
    used = "[Trigger zone]\nKIND = InsideRegion\nBODYPARTS = snout\n"
    used += "REGION = circle 1 2 3\n[Output old]\nKIND = SimulatedOutput\n"
    rig.write_text(text.replace("VIDEO_SOURCE", "SOURCE") + used, "utf-8")
    file = tmp_path / "light.ini"
    answers = ["Experiment KIND=Triggered", "Experiment TRIGGER=zone"]
    answers += ["Experiment OUTPUT=lamp", "Output lamp KIND=SimulatedOutput"]
    assert main([*options(file, *answers), "--rig", str(rig)]) == 0
    found, before = load(file), load(rig)
    assert found.cameras == before.cameras
    assert found.output_directory == before.output_directory
    assert list(found.triggers) == ["zone"]
    assert list(found.outputs) == ["lamp"]
    assert "# Filmed in May." in file.read_text("utf-8")


def answers(file: Path) -> dict[str, list[str]]:
    """Return what is answered to each question, in turn; to all others, nothing."""
    return {
        "[Rig] FILE": ["simulated"],
        "[Experiment] NAME": ["my light"],
        "[Experiment] KIND": ["Conditional"],
        "[Experiment] TRIGGER": ["wrong corner", "corner"],
        "[Trigger wrong corner] KIND": ["back"],
        "[Trigger corner] KIND": ["InsideRegion"],
        "[Trigger corner] BODYPARTS": ["nose", "snout"],
        "[Trigger corner] REGION": ["circle 160", "circle 160 240 70"],
        "[Trigger corner] CALMER": ["yes"],
        "[Trigger corner] MIN_DWELL_S": ["0.2"],
        "[Experiment] OUTPUT": ["laser"],
        "[Output laser] KIND": ["SimulatedOutput"],
        "[Output laser] MAX_ON_S": ["5"],
        "[Experiment] MAX_ON_S": ["-3", "3"],
        "[Experiment] EXPERIMENTER": ["Ben"],
        "[File] PATH": [str(file)],
    }


def converse(read: int, write: int, wanted: dict[str, list[str]]) -> str:
    """Answer a program's questions until it ends; return all that it said."""
    said, seen, asked = "", 0, ""
    while True:
        try:
            words = os.read(read, 4096).decode(errors="replace")
        except OSError:  # a terminal that nobody has open any more
            words = ""
        if not words:
            return said
        said += words
        if said.endswith("> "):
            titles = re.findall(r"^(\[[\w ]+\] \w+): ", said[seen:], re.MULTILINE)
            asked, seen = [asked, *titles][-1], len(said)
            left = wanted.get(asked, [])
            os.write(write, f"{left.pop(0) if left else ''}\n".encode())


def look_at(file: Path, said: str) -> None:
    assert "the network has no body part 'nose'" in said
    assert "must be above 0" in said
    assert "expected circle X Y R" in said
    rig = load(file)
    assert list(rig.triggers) == ["corner"]
    assert rig.triggers["corner"]().min_dwell_s == 0.2
    assert rig.outputs["laser"].max_on_s == 5
    assert vars(rig.new_experiment())["max_on_s"] == 3
    assert file.read_text("utf-8").startswith("# my light, by Ben\n")


def test_a_conversation_through_pipes(tmp_path: Path) -> None:
    file = tmp_path / "made.ini"
    pipe = subprocess.PIPE
    with subprocess.Popen(PROGRAM, stdin=pipe, stdout=pipe) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        ends = program.stdout.fileno(), program.stdin.fileno()
        said = converse(*ends, answers(file))
    assert program.returncode == 0, said[-2000:]
    look_at(file, said)


@pytest.mark.skipif(
    os.name == "nt", reason="Windows has no pseudo-terminals like these"
)
def test_a_conversation_on_a_terminal(tmp_path: Path) -> None:
    import pty

    file = tmp_path / "made.ini"
    terminal, slave = pty.openpty()
    with subprocess.Popen(PROGRAM, stdin=slave, stdout=slave, stderr=slave) as program:
        os.close(slave)
        said = converse(terminal, terminal, answers(file))
        os.close(terminal)
    assert program.returncode == 0, said[-2000:]
    look_at(file, said)


def test_a_conversation_that_ends_early_writes_nothing(tmp_path: Path) -> None:
    words = [*PROGRAM, "--file", str(tmp_path / "made.ini")]
    done = subprocess.run(
        words, input="simulated\nlight\n", capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 2
    assert "[Experiment] KIND: no answer" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("family", ["Experiment", "Trigger", "Output"])
def test_every_kind_can_be_chosen(family: str) -> None:
    folder, contract = FAMILIES[family]
    known = set(discover(folder, contract).classes)
    questions = design()
    question, given = next(questions), {"Rig FILE": "simulated"}
    given |= {"Experiment NAME": "it", "Experiment KIND": "Conditional"}
    given |= {"Experiment TRIGGER": "one", "Trigger one KIND": "InsideRegion"}
    given |= {"Trigger one BODYPARTS": "snout", "Experiment OUTPUT": "two"}
    given |= {"Trigger one REGION": "circle 1 2 3"}
    kinds = {"Experiment": "Experiment KIND", "Trigger": "Trigger one KIND"}
    wanted = kinds.get(family, "Output two KIND")
    while question.name != wanted:
        question = questions.send(question.answer(given.get(question.name, "")))
    assert set(question.choices) == known
    assert all(question.choices.values())
