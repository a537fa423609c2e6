import pickle
from pathlib import Path

import pytest

from deeplabstream.core.errors import ModelError, SettingsError
from deeplabstream.core.pose import Skeleton
from deeplabstream.plugins.discovery import discover
from deeplabstream.pose.runtimes.runtime_list import check_runtime
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import (
    FAMILIES,
    Settings,
    check_against,
    load,
    parse,
)
from deeplabstream.settings.settings_docs import describe
from experiments.example import ExampleExperiment
from experiments.optogenetic import Optogenetic
from experiments.triggers.region_triggers import InsideRegion
from tests.engine.small_rig import FOLDER, RIG, problems

HERE = Path(__file__).resolve().parents[2]


def test_a_rig_is_read() -> None:
    rig = parse(RIG + "[Experiment]\nexp_name = light\nRecord_Exp = no", FOLDER)
    assert list(rig.cameras) == ["arena"]
    assert rig.new_triggers()["corner"] == InsideRegion(
        bodyparts=("snout", "tail"), region="circle 10 20 30"
    )
    assert rig.new_experiment() == Optogenetic(trigger="corner", output="laser")
    assert rig.experiment.record_exp is False
    assert rig.deciding_camera == "arena"
    assert rig.output_directory == FOLDER / "output"


def test_triggers_are_new_in_each_run() -> None:
    rig = parse(RIG, FOLDER)
    assert rig.new_triggers()["corner"] is not rig.new_triggers()["corner"]


def test_settings_go_to_another_process() -> None:
    rig = parse(RIG, FOLDER)
    again: Settings = pickle.loads(pickle.dumps(rig))
    assert again == rig
    assert again.new_triggers() == rig.new_triggers()


def test_what_lies_beside_the_file_is_named_from_there() -> None:
    rig = parse(RIG + "[Video]\nVIDEO_SOURCE = films/a.mp4", FOLDER)
    assert rig.video.video_source == FOLDER / "films" / "a.mp4"
    assert parse(RIG + "[Video]\nVIDEO_SOURCE =", FOLDER).video.video_source is None


def test_streaming_speaks_for_cameras_that_say_nothing() -> None:
    rig = parse(RIG + "[Streaming]\nRESOLUTION = 320, 200\nFRAMERATE = 12.5", FOLDER)
    camera = rig.cameras["arena"]
    assert (camera.width, camera.height, camera.rate) == (320, 200, 12.5)  # type: ignore[attr-defined]
    said = RIG.replace("SimulatedCamera", "SimulatedCamera\nRATE = 50\nWIDTH = 400")
    camera = parse(said + "[Streaming]\nFRAMERATE = 12.5", FOLDER).cameras["arena"]
    assert (camera.width, camera.rate) == (400, 50)  # type: ignore[attr-defined]


def test_one_device_is_the_first_camera() -> None:
    two = RIG + "[Camera side]\nKIND = SimulatedCamera\n"
    assert list(parse(two, FOLDER).cameras) == ["arena", "side"]
    one = parse(two + "[Streaming]\nMULTIPLE_DEVICES = no", FOLDER)
    assert list(one.cameras) == ["arena"]


def test_all_problems_are_told_at_once() -> None:
    text = """
    lonely
    [Streaming]
    FRAMERATE = fast
    RESOLUTION = 640
    MULTIPLE_DEVICES = maybe
    CAMERA_SOURCE = 0
    [Experiment]
    PATIENCE_S = -1
    LOST_MS = inf
    EXP_NAME = lihgt
    CAMERA = aren
    [Experiment light]
    KIND = Optogenetic
    REST = 3
    TRIGGER = cornre
    OUTPUT = laser
    [Output lazer]
    KIND = SimulatedOutptu
    [Trigger corner]
    KIND = InsideRegion
    REGION = circle 1 2
    """
    text = "\n".join(line.strip() for line in text.splitlines())
    assert problems(text) == [
        "line 2: 'lonely' is not in any [Section]",
        "[Streaming] CAMERA_SOURCE = 0: now SOURCE of [Camera NAME] with KIND = Webcam",
        "[Streaming] RESOLUTION = 640: expected 2 values, separated by commas "
        "(each a whole number, above 0)",
        "[Streaming] FRAMERATE = fast: expected a number",
        "[Streaming] MULTIPLE_DEVICES = maybe: expected yes or no",
        "[Experiment] LOST_MS = inf: expected a finite number",
        "[Experiment] PATIENCE_S = -1: must be above 0",
        "[Experiment light] REST = 3: unknown; did you mean REST_S?",
        "[Output lazer] KIND = SimulatedOutptu: unknown; did you mean SimulatedOutput?",
        "[Trigger corner] BODYPARTS: is missing "
        "(body parts, as the network names them)",
        "[Trigger corner] REGION = circle 1 2: expected circle X Y R",
        "[Experiment] EXP_NAME = lihgt: no section [Experiment lihgt]; "
        "did you mean light?",
        "[Camera NAME]: is missing; at least one camera is needed",
        "[Experiment] CAMERA = aren: no section [Camera aren]",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[Experiment]\nEXP_NAME = lihgt",
            "[Experiment] EXP_NAME = lihgt: no section [Experiment lihgt]; "
            "did you mean light?",
        ),
        (
            "[Experiment]\nCAMERA = aren",
            "[Experiment] CAMERA = aren: no section [Camera aren]; did you mean arena?",
        ),
        (
            "[Experiment other]\nKIND = Conditional\nTRIGGER = cornr\nOUTPUT = laser",
            "[Experiment other] TRIGGER = cornr: no section [Trigger cornr]; "
            "did you mean corner?",
        ),
        (
            "[Experiment other]\nKIND = ExampleExperiment\nREGIONS = corner, no\n"
            "STIMULI = laser, laser",
            "[Experiment other] REGIONS = no: no section [Trigger no]; available: corner",
        ),
        (
            "[Experiment other]\nKIND = ExampleExperiment\nREGIONS = corner, corner\n"
            "STIMULI = laser",
            "[Experiment other] STIMULI: 1 for 2 REGIONS, expected one for each",
        ),
        (
            "[Camera side]\nKIND = SimulatedCamera\nANALYSE = no\n"
            "[Experiment]\nCAMERA = side",
            "[Experiment] CAMERA = side: [Camera side] has ANALYSE = no",
        ),
        (
            "[Camera side]\nKIND = SimulatedCamera\n[Streaming]\nMULTIPLE_DEVICES = no\n"
            "[Experiment]\nCAMERA = side",
            "[Experiment] CAMERA = side: [Camera side] is off by "
            "[Streaming] MULTIPLE_DEVICES = no",
        ),
        (
            "[Pose Estimation]\nDLC_PATH = C:/models",
            "[Pose Estimation] DLC_PATH = C:/models: now MODEL, the name of a folder "
            "under models/ or the path of one",
        ),
        (
            "[Pose Estimation]\nRUNTIME = CPU",
            "[Pose Estimation] RUNTIME = CPU: expected one of auto, cpu, cpu-int8, ",
        ),
        (
            "[Pose Estimation]\nTHREADS = 2 # two",
            "[Pose Estimation] THREADS = 2 # two: expected a whole number; "
            "a comment needs a line of its own",
        ),
        (
            "[Streaming]\nFRAMERATE = 3,5",
            "[Streaming] FRAMERATE = 3,5: expected a number with a decimal point: 3.5",
        ),
        ("[Streaming]\nSTREAMS =", "[Streaming] STREAMS = (empty): expected 1 or more"),
        (
            "[Camera side]\nKIND = SimulatedCamera\nFRAMERATE = 30",
            "[Camera side] FRAMERATE = 30: use RATE",
        ),
        (
            "[Camera side]\nKIND = RealSense\nSTREAMS = depth",
            "[Camera side] STREAMS = depth: use STREAM of KIND = RealSense, one section "
            "for each stream",
        ),
        (
            "[Streaming]\nSTREAMS = color, depth",
            "[Streaming] STREAMS = color, depth: each further stream needs its own "
            "[Camera NAME] with KIND = RealSense and STREAM = depth or infrared",
        ),
        ("[camera x]", "[camera x]: unknown section; did you mean [Camera x]?"),
        ("[Output]", "[Output]: needs a name, [Output NAME]"),
        (
            "[Output ../x]\nKIND = SimulatedOutput",
            "[Output ../x]: NAME may contain letters, digits, spaces, - and _ "
            "only (it becomes part of file names)",
        ),
        ("[Output LASER]\nKIND = SimulatedOutput", "[Output LASER]: occurs twice"),
        ("[Camera arena]", "'[Camera arena]' occurs twice, first in line "),
        ("[Experiment]\nCAMERA = \nCAMERA = x", "'CAMERA = x' occurs twice, first in"),
        ("[Experiment]\nnonsense", "'nonsense' is not KEY = value"),
        ("[Output a]", "[Output a] KIND: is missing"),
        (
            "[Classification]",
            "[Classification]: now [Classifier NAME]",
        ),
    ],
)
def test_a_problem_is_one_sentence(text: str, problem: str) -> None:
    found = problems(f"{RIG}\n{text}\n")
    assert len(found) == 1
    assert problem in found[0]


def test_a_doubled_section_names_both_lines_and_the_file(tmp_path: Path) -> None:
    file = tmp_path / "rig.ini"
    file.write_text(f"{RIG}\n[Streaming]\n\n[Streaming]\n", "utf-8")
    lines = file.read_text("utf-8").splitlines()
    first, second = (n for n, line in enumerate(lines, 1) if line == "[Streaming]")
    with pytest.raises(SettingsError) as error:
        load(file)
    assert error.value.problems == (
        f"rig.ini: line {second}: '[Streaming]' occurs twice, first in line {first}",
    )


def test_a_doubled_key_names_the_line_in_its_own_section() -> None:
    text = "[Experiment]\nCAMERA = a\n[Session]\nANIMAL = a\n# ANIMAL\nanimal = b\n"
    assert read_sections(text).problems == (
        "line 6: 'animal = b' occurs twice, first in line 4",
    )


@pytest.mark.parametrize("family", ["Trigger", "Output", "Camera"])
def test_an_unknown_kind_lists_all_kinds(family: str) -> None:
    (problem,) = problems(f"{RIG}\n[{family} b]\nKIND = qqqqqqqq\n")
    folder, contract = FAMILIES[family]
    assert problem.startswith(f"[{family} b] KIND = qqqqqqqq: unknown; available: ")
    assert problem.split("available: ")[1].split(", ") == [
        *discover(folder, contract).classes
    ]


COMBINED = """
[Trigger both]
KIND = AllOf
TRIGGERS = corner, {}
[Trigger other]
KIND = Not
TRIGGER = {}
"""


CAMERA = "[Camera a]\nKIND = SimulatedCamera\n"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("[Camera a]\nKIND = {long}", "[Camera a] KIND = xxx"),
        ("[{long}]\nKIND = 3", "[xxx"),
        (CAMERA + "{long} = 3", "[Camera a] XXX"),
        (CAMERA + "{long}", "line 3: 'xxx"),
        (CAMERA + "RATE = {long}", "[Camera a] RATE = "),
        (f"{RIG}[Experiment]\nEXP_NAME = {{long}}", "[Experiment] EXP_NAME = xxx"),
        (f"{CAMERA}[Trigger t]\nKIND = InsideRegion\nREGION = {{list}}", "[Trigger t]"),
    ],
)
def test_a_damaged_file_is_told_in_short_sentences(text: str, start: str) -> None:
    damaged = text.format(long="x" * 400_000, list="circle " * 60_000)
    told = problems(damaged)
    assert any(problem.startswith(start) for problem in told)
    assert sum(map(len, told)) < 4000
    many = CAMERA + "\n".join(f"K{number} = 3" for number in range(20_000))
    with pytest.raises(SettingsError, match="and 19900 more problems") as caught:
        parse(many, FOLDER)
    assert len(caught.value.problems) == 20_000
    assert len(str(caught.value)) < 10_000


@pytest.mark.parametrize(
    "url",
    ["rtsp//anna:se:cr@t@host/x", "rtsp://anna:se cret@host/x", "anna:secret@host"],
)
def test_a_password_in_a_wrong_address_is_not_told(url: str) -> None:
    (problem,) = problems(f"[Camera a]\nKIND = NetworkStream\nURL = {url}")
    assert "anna:…@host" in problem
    assert "cr" not in problem.split(": wrong format")[0]


def test_triggers_may_name_triggers() -> None:
    parse(RIG + COMBINED.format("other", "corner"), FOLDER)
    assert problems(RIG + COMBINED.format("othr", "corner")) == [
        "[Trigger both] TRIGGERS = othr: no section [Trigger othr]; did you mean other?"
    ]


def test_triggers_that_name_each_other_are_a_problem() -> None:
    (problem,) = problems(RIG + COMBINED.format("other", "both"))
    assert problem in (
        "[Trigger both] refers to itself: both uses other uses both",
        "[Trigger other] refers to itself: other uses both uses other",
    )
    (problem,) = problems(RIG + COMBINED.format("other", "other"))
    assert problem == "[Trigger other] refers to itself: other uses other"


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    for content, words in (
        (b"[Video]\nVIDEO_SOURCE = \xff\xfe", "UTF-8 text (line 2)"),
        (b"\0" * 9, "NUL characters"),
    ):
        file = tmp_path / "settings.ini"
        file.write_bytes(content)
        with pytest.raises(SettingsError, match=words.replace("(", r"\(")[:9]):
            load(file)
    with pytest.raises(SettingsError, match="Can't read"):
        load(tmp_path / "none.ini")
    with pytest.raises(SettingsError, match="Can't read"):
        load(tmp_path)


def test_body_parts_are_checked_against_the_network() -> None:
    rig = parse(RIG, FOLDER)
    assert check_against(rig, Skeleton(("snout", "tail"))) == []
    assert check_against(rig, Skeleton(("snout", "tailbase"))) == [
        "[Trigger corner] BODYPARTS: the network has no body part 'tail'; "
        "did you mean tailbase?"
    ]


def test_the_shipped_settings_are_right() -> None:
    rig = load(HERE / "settings.ini")
    assert isinstance(rig.new_experiment(), ExampleExperiment)


def test_docs_are_what_the_fields_say() -> None:
    page = (HERE / "docs" / "settings.md").read_text(encoding="utf-8")
    again = "python utils/CheckSettings.py --describe docs/settings.md --overwrite"
    assert page == describe(), f"run {again}"


def test_an_output_may_name_another_but_not_in_a_chain() -> None:
    text = RIG.replace("KIND = SimulatedOutput", "KIND = SimulatedOutput\nTHEN = pump")
    assert problems(text)[0].startswith(
        "[Output laser] THEN = pump: no section [Output pump]"
    )
    pump = "[Output pump]\nKIND = SimulatedOutput\n"
    assert parse(text + pump, FOLDER).outputs["laser"].then == "pump"
    assert problems(text + pump + "THEN = laser") == [
        "[Output laser] THEN = pump: that output must not have THEN itself",
        "[Output pump] THEN = laser: that output must not have THEN itself",
    ]


def test_the_removed_runtime_is_read_as_auto() -> None:
    rig = parse(RIG + "\n[Pose Estimation]\nRUNTIME = mnn\n", FOLDER)
    assert rig.pose.runtime == "auto"


@pytest.mark.parametrize(
    ("former", "instead"),
    [
        ("torch", "auto or cpu"),
        ("torch-bf16", "auto or openvino-bf16"),
        ("torch-cuda", "auto or cuda"),
        ("torch-cuda-fp16", "auto or tensorrt"),
    ],
)
def test_a_runtime_in_torch_is_answered_with_another(former: str, instead: str) -> None:
    (problem,) = problems(f"{RIG}\n[Pose Estimation]\nRUNTIME = {former}\n")
    assert f"{former} is no longer available as a runtime; choose {instead}" in problem
    with pytest.raises(ModelError, match=f"choose {instead}"):
        check_runtime(former)
