"""Files as the predecessor's users have them, carried over; nothing is lost in silence."""

import shutil
from pathlib import Path

import pytest

from cameras.webcam import Webcam
from deeplabstream.settings.loading import load, parse
from deeplabstream.settings.ready_made import CONFIGS
from deeplabstream.settings.sections import Settings as Rig
from deeplabstream.settings.v1_import.conversion import import_experiment, import_rig
from deeplabstream.settings.v1_import.key_conversion import OldFile
from deeplabstream.settings.v1_import.v1_experiments import CODED
from utils.ImportSettings import main

OLD = Path(__file__).parent / "predecessor"
RIG = """\
[Streaming]
RESOLUTION = 640, 480
FRAMERATE = 25
[Pose Estimation]
MODEL = arena
[Camera arena]
KIND = SimulatedCamera
"""
TRIGGERS = {
    "BaseRegionTrigger": "TYPE = square\nCENTER = 100, 90\nRADIUS = 20\n"
    "BODYPARTS = snout, tailbase",
    "BaseOutsideRegionTrigger": "TYPE = circle\nCENTER = 100, 90\nRADIUS = 20\n"
    "BODYPARTS = snout",
    "BaseHeaddirectionTrigger": "POINT = 320, 0\nANGLE = 25\n"
    "BODYPARTS = tailbase, snout",
    "BaseEgoHeaddirectionTrigger": "ANGLE = 20\nHEADDIRECTION = left\n"
    "BODYPARTS = tailbase, leftear, snout",
    "BaseScreenTrigger": "ANGLE = 30\nDIRECTION = North\nBODYPARTS = tailbase, snout",
    "BaseHeaddirectionROITrigger": "TYPE = circle\nCENTER = 50, 60\nRADIUS = 70\n"
    "POINT = 320, 240\nANGLE = 40\nROI_BODYPARTS = snout\n"
    "ANGLE_BODYPARTS = tailbase, snout",
    "BaseSpeedTrigger": "THRESHOLD = 10\nBODYPARTS = tailbase",
    "BaseFreezeTrigger": "THRESHOLD = 2\nBODYPARTS = tailbase",
}
STIMULATIONS = {
    "BaseStimulation": "TYPE = ARDUINO\nPORT = COM5\nSTIM_TIME = 1.5",
    "RewardDispenser": "TYPE = NI\nSTIM_PORT = Dev1/PFI2\nREMOVAL_PORT = Dev1/PFI3\n"
    "STIM_TIME = 0.4\nREMOVAL_TIME = 2",
    "ScreenStimulation": "TYPE = image\nSTIM_PATH = stripes.png\n"
    "BACKGROUND_PATH = grey.png",
}
EXPERIMENTS = {
    "BaseConditionalExperiment": "INTERTRIAL_TIME = 20\nEXP_LENGTH = 30\nEXP_TIME = 900",
    "BaseOptogeneticExperiment": "INTERTRIAL_TIME = 4\nEXP_LENGTH = 40\nEXP_TIME = 1800\n"
    "MAX_STIM_TIME = 5\nMIN_STIM_TIME = 1\nMAX_TOTAL_STIM_TIME = 600",
    "BaseTrialExperiment": "TRIAL_NAME = right\nTRIAL_TIME = 8\nSTIMULUS_TIME = 6\n"
    "RESULT_FUNC = all\nEXP_LENGTH = 30\nEXP_COMPLETION = 15\nEXP_TIME = 6000\n"
    "INTERTRIAL_TIME = 12",
}


def experiment_file(
    base: str, trigger: str, stimulation: str, kind: str = "switch"
) -> str:
    answer = "\nTRIAL_TRIGGER = BaseRegionTrigger" if "Trial" in base else ""
    sections = {
        "EXPERIMENT": f"BASE = {base}\nEXPERIMENTER = Eva",
        base: f"TRIGGER = {trigger}{answer}\nPROCESS = BaseProtocolProcess\n"
        + EXPERIMENTS[base],
        "BaseRegionTrigger": TRIGGERS["BaseRegionTrigger"],
        trigger: TRIGGERS[trigger],
        "BaseProtocolProcess": f"TYPE = {kind}\nSTIMULATION = {stimulation}",
        stimulation: STIMULATIONS[stimulation],
    }
    return "\n".join(f"[{title}]\n{keys}\n" for title, keys in sections.items())


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("base", EXPERIMENTS)
def test_every_base_experiment_with_every_trigger_can_be_used(
    base: str, trigger: str, tmp_path: Path
) -> None:
    made = import_experiment(
        experiment_file(base, trigger, "BaseStimulation"), "old", RIG, tmp_path
    )
    assert made.problems == ()
    rig = parse(made.text, tmp_path)
    assert rig.new_experiment()
    assert trigger in rig.triggers
    assert "# Experimenter: Eva" in made.text


@pytest.mark.parametrize("stimulation", STIMULATIONS)
@pytest.mark.parametrize(
    ("kind", "ours"),
    [("trial", "Triggered"), ("switch", "Conditional"), ("supply", "Supply")],
)
def test_each_type_of_process_is_an_experiment(
    kind: str, ours: str, stimulation: str, tmp_path: Path
) -> None:
    text = experiment_file(
        "BaseConditionalExperiment", "BaseRegionTrigger", stimulation, kind
    )
    made = import_experiment(text, "old", RIG, tmp_path)
    assert made.problems == ()
    rig = parse(made.text, tmp_path)
    assert type(rig.new_experiment()).__name__ == ours


def values(text: str, folder: Path) -> dict[str, object]:
    return vars(parse(text, folder).new_experiment())


def test_values_stay(tmp_path: Path) -> None:
    region, arduino = "BaseRegionTrigger", "BaseStimulation"
    file = experiment_file("BaseOptogeneticExperiment", region, arduino)
    made = import_experiment(file, "old", RIG, tmp_path)
    light = values(made.text, tmp_path)
    assert (light["min_on_s"], light["max_on_s"]) == (1, 5)
    assert (light["max_total_s"], light["rest_s"]) == (600, 4)
    rig = parse(made.text, tmp_path)
    assert rig.experiment.exp_time_s == 1800
    assert "REGION = rectangle 80 70 40 40" in made.text
    assert "ON_BYTES = H" in made.text
    assert any("EXP_LENGTH = 40" in sentence for sentence in made.sentences)

    file = experiment_file("BaseTrialExperiment", region, arduino)
    trials = values(import_experiment(file, "old", RIG, tmp_path).text, tmp_path)
    assert (trials["trial_s"], trials["stimulus_s"], trials["result"]) == (8, 6, "all")
    assert (trials["trials"], trials["successes"]) == (30, 15)
    assert str(trials["interval"]) == "choice 12"

    base = "BaseConditionalExperiment"
    file = experiment_file(base, region, "RewardDispenser", "supply")
    drops = values(import_experiment(file, "old", RIG, tmp_path).text, tmp_path)
    assert (drops["drop_s"], drops["removal_s"], drops["drops"]) == (0.4, 2, 30)
    assert (drops["supply"], drops["removal"]) == ("reward", "removal")

    file = experiment_file(base, "BaseSpeedTrigger", arduino)
    made = import_experiment(file, "old", RIG, tmp_path)
    assert "SPEED = 250" in made.text  # 10 pixels a frame at 25 frames per second


def test_no_key_goes_in_silence(tmp_path: Path) -> None:
    old = (OLD / "settings.ini").read_text("utf-8").replace("= PATH_TO_", "= D:/")
    advanced = (OLD / "utils/advanced_settings.ini").read_text("utf-8")
    old += "[Odd]\nSTRANGE = 7\n"
    made = import_rig(old, advanced, lambda name: None, tmp_path)
    said = "\n".join(made.sentences)
    for file in (OldFile(old), OldFile(advanced)):
        for key in file.left():
            carried = key.word.rpartition("/")[2] in made.text and key.word
            turned = key.key in ("EXP_ORIGIN", "STREAMING_SOURCE", "CROP_X", "CROP_Y")
            assert key.key in said or carried or turned, key
    assert "[Odd] STRANGE = 7: unknown key" in said
    for comment in ("# Rig in room 2.14", "# first USB port", "# only the arena"):
        assert comment in made.text


def imported(old: str, advanced: str, folder: Path) -> tuple[Rig, str]:
    """Return the new settings, and what was said about the old ones."""
    made = import_rig(old, advanced, lambda _name: None, folder)
    assert made.problems == ()
    return parse(made.text, folder), "\n".join(made.sentences)


def test_the_number_of_a_webcam_in_the_first_versions(tmp_path: Path) -> None:
    old = "[Streaming]\nFRAMERATE = 30\nVIDEO_SOURCE = 2\n"
    rig, said = imported(old, "", tmp_path)
    assert rig.cameras["camera"] == Webcam(source=2, rate=30)
    assert "unknown key" not in said
    assert rig.video.video_source is None


def test_a_number_is_no_video(tmp_path: Path) -> None:
    old = "[Streaming]\nSTREAMING_SOURCE = camera\nCAMERA_SOURCE = 1\n"
    rig, said = imported(old + "[Video]\nVIDEO_SOURCE = 2\n", "", tmp_path)
    assert rig.cameras["camera"] == Webcam(source=1)
    assert rig.video.video_source is None
    assert "[Video] VIDEO_SOURCE = 2: a number selects a webcam, not a video" in said
    rig, _ = imported(old + "[Video]\nVIDEO_SOURCE = may.mp4\n", "", tmp_path)
    assert rig.video.video_source == tmp_path / "may.mp4"


@pytest.mark.parametrize("place", ["settings.ini", "advanced_settings.ini"])
def test_several_cameras_need_their_sections(tmp_path: Path, place: str) -> None:
    def said(word: str) -> tuple[Rig, str]:
        key = f"[Streaming]\nMULTIPLE_DEVICES = {word}\n"
        first = key if place == "settings.ini" else "[Streaming]\nFRAMERATE = 30\n"
        return imported(first, "" if place == "settings.ini" else key, tmp_path)

    rig, sentences = said("True")
    assert rig.streaming.multiple_devices
    assert (
        "MULTIPLE_DEVICES = True: all connected cameras ran; add a [Camera" in sentences
    )
    rig, sentences = said("False")
    assert rig.streaming.multiple_devices, "a second camera of the new file runs"
    assert "left out (default values, no longer needed): " in sentences
    assert "[Streaming] MULTIPLE_DEVICES" in sentences


def test_keys_of_the_first_versions_are_explained(tmp_path: Path) -> None:
    old = (
        "[Streaming]\nSTREAMS = color, depth\nSTACK_FRAMES = True\nANIMALS_NUMBER = 2\n"
    )
    _, said = imported(old, "", tmp_path)
    assert "unknown key" not in said
    assert "depth and infrared were not used" in said


def test_keys_of_old_experiments_are_explained(tmp_path: Path) -> None:
    old = "[Streaming]\nFRAMERATE = 30\n[Experiment]\nEXP_NUMBER = 2\nSTART_TIME = 0\n"
    _, said = imported(old, "[Pose Estimation]\nHANDLE_MISSING = null\n", tmp_path)
    assert "unknown key" not in said
    assert "EXP_NUMBER = 2: now EXP_NAME: experiments are selected by name" in said
    assert "START_TIME = 0: no longer needed: each run records when it began" in said
    assert "HANDLE_MISSING = null: a body part that is not seen is unknown" in said


def test_an_empty_model_is_reported(tmp_path: Path) -> None:
    old = "[Streaming]\nFRAMERATE = 30\n[Pose Estimation]\nMODEL_ORIGIN = ORIGIN\n"
    empty = "[Pose Estimation] MODEL is empty"
    for keys in ("", "MODEL_PATH = PATH_TO_MODEL\nMODEL_NAME = MODEL_NAME\n"):
        rig, said = imported(old + keys, "", tmp_path)
        assert rig.pose.model == ""
        assert empty in said
        assert "convert the network" not in said
    _, said = imported(old + "MODEL_PATH = D:/net\n", "", tmp_path)
    assert "MODEL_PATH = D:/net: convert the network" in said
    assert empty not in said


@pytest.mark.parametrize("text", [RIG, "[Mouse]\nNAME = 3\n"])
def test_a_file_of_another_version_is_refused(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file, new = tmp_path / "settings.ini", tmp_path / "new.ini"
    file.write_text(text, "utf-8")
    assert main([str(file), "--output", str(new)]) == 2
    assert "is not a file of DeepLabStream 1" in capsys.readouterr().err
    assert not new.exists()


def test_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(OLD, tmp_path / "old")
    new = tmp_path / "settings.ini"
    words = [str(tmp_path / "old" / "settings.ini"), "--output", str(new)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "MODEL_PATH = D:/networks/openfield_export: convert the network" in said
    assert "left out (default values, no longer needed): " in said
    left_out = said.partition("no longer needed): ")[2].splitlines()[0].split(", ")
    assert "[Streaming] STACK_FRAMES" in left_out
    written = {
        f"[{key.section}] {key.key}" for key in OldFile(new.read_text("utf-8")).left()
    }
    assert written.isdisjoint(left_out), "as the report says"
    rig = load(new)
    assert vars(rig.cameras["camera"])["source"] in (1, "1")
    assert rig.cameras["camera"].crop == (100, 0, 640, 480)
    assert rig.streaming.framerate == 30
    assert type(rig.new_experiment()).__name__ == "Conditional"
    assert "# measured on the floor plan" in new.read_text("utf-8")
    assert main(words) == 2
    assert "already exists" in capsys.readouterr().err
    assert main(["nowhere.ini", "--output", str(tmp_path / "x.ini")]) == 2
    assert "Can't read" in capsys.readouterr().err


@pytest.mark.parametrize("name", CODED)
def test_a_coded_experiment_gets_the_ready_made_one(name: str, tmp_path: Path) -> None:
    old = f"[Streaming]\nFRAMERATE = 30\n[Experiment]\nEXP_ORIGIN = CUSTOM\nEXP_NAME = {name}\n"
    made = import_rig(old, "", lambda name: None, tmp_path)
    assert made.problems == ()
    ready_made = CONFIGS / f"{CODED[name]}.ini"
    if ready_made.is_file():
        expected = parse(ready_made.read_text("utf-8"), CONFIGS).new_experiment()
        assert parse(made.text, tmp_path).new_experiment() == expected
    assert any(name in sentence for sentence in made.sentences)


def test_what_nobody_knows_is_said(tmp_path: Path) -> None:
    old = "[Streaming]\nFRAMERATE = 30\n[Experiment]\nEXP_NAME = OurMaze\n"
    made = import_rig(old, "", lambda name: None, tmp_path)
    assert any("EXP_NAME = OurMaze: was a Python class" in s for s in made.sentences)
    file = experiment_file(
        "BaseConditionalExperiment", "BaseRegionTrigger", "BaseStimulation"
    )
    odd = file.replace("TRIGGER = BaseRegionTrigger", "TRIGGER = MyTrigger")
    made = import_experiment(
        odd + "[BaseScreenTrigger]\nANGLE = 3\n", "old", RIG, tmp_path
    )
    said = "\n".join(made.sentences)
    assert "MyTrigger is your own class" in said
    assert "[BaseScreenTrigger]: this experiment does not use it (ANGLE)" in said
    assert made.problems  # an experiment without a trigger has to be mended
