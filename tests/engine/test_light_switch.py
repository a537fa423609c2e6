"""The network follows the light: by the phase of the room, or by the colours of the images."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.errors import SettingsError
from deeplabstream.core.frame import Frame, Image, ImageFormat
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.engine.checks.settings_check import rig_problems
from deeplabstream.engine.light_switch import colour_problems, light_switch_of
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.network_loading import network_ready_message, open_network
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.replay.rerun import rerun_decisions
from deeplabstream.files.paths import ROOT
from deeplabstream.pose.per_light import PerLight, per_light_of
from deeplabstream.recording.run_folder import ModelFacts, RunFacts, RunFolder
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings, effective
from deeplabstream.simulation.virtual_output import virtual_outputs

SKELETON = Skeleton(("snout",))
BERLIN = timezone(timedelta(hours=1))
BEFORE_DARK = datetime(2026, 11, 26, 18, 59, 57, tzinfo=BERLIN)
"""3 s before lights-off."""
RIG = """
[Pose Estimation]
MODEL = stand-in:0
INFRARED_MODEL = stand-in:1
LIGHT_CHANGE_S = 1
[Light Cycle]
LIGHTS_ON = 07:00
LIGHTS_OFF = 19:00
[Experiment]
EXP_NAME = lit
[Camera top]
KIND = SimulatedCamera
[Trigger right half]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 50 0 50 100
[Output light]
KIND = SimulatedOutput
[Experiment lit]
KIND = Conditional
TRIGGER = right half
OUTPUT = light
MAX_ON_S = 60
REST_S = 0.1
"""
BY_IMAGE = RIG.replace("LIGHT_CHANGE_S", "INFRARED_WHEN = image\nLIGHT_CHANGE_S")


@dataclass
class At:
    """A network that finds the animal at one column, whatever the image shows."""

    column: float
    skeleton: Skeleton = SKELETON
    threshold: float = 0.5
    provider: str = "script"
    sha256: str = "ab"

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        points = np.array([[[self.column, 50.0]]], np.float32)
        return [Pose(SKELETON, points, np.ones((1, 1), np.float32))] * len(images)


def images_of(kinds: Iterable[Literal["white", "infrared"]]) -> list[Image]:
    """Return images that are coloured or grey, with the noise of a camera."""
    random = np.random.default_rng(0)
    images: list[Image] = []
    for kind in kinds:
        tint = (60, 90, 130) if kind == "white" else (90, 90, 90)
        noise = random.integers(-2, 3, (100, 100, 3))
        images.append((np.array(tint) + noise).astype(np.uint8))
    return images


def recorded(
    folder: Path, text: str, images: Sequence[Image], started: datetime = BEFORE_DARK
) -> RunFolder:
    """Record a stream of 10 frames a second; only the infrared network finds the animal right."""
    settings = replace(parse(text, folder), started=started)
    networks = PerLight(At(10), At(90))
    model = ModelFacts("white", "ab", networks.threshold, "script")
    form = ImageFormat((100, 100, 3), 10.0)
    facts = RunFacts(0, {"top": form}, SKELETON, model, effective(settings))
    made = RunFolder.create_at(folder, datetime.now(UTC), settings.text, facts)
    clock, triggers = ManualClock(), settings.new_triggers()
    outputs = virtual_outputs(settings.outputs)
    with (
        RunWriter(made, 0) as writer,
        opened(outputs, clock, writer.entry) as bank,
    ):
        writer.begin("top", SKELETON, (*triggers,), optional=("light", "network"))
        loop = Loop(
            networks,
            settings.experiment,
            "top",
            clock,
            writer.entry,
            zero_ns=0,
            light=settings.light_cycle,
            light_switch=light_switch_of(settings, networks),
        )
        loop.begin(settings.new_experiment(), triggers, bank)
        for index, image in enumerate(images):
            time_ns = index * 100_000_000
            clock.set(time_ns)
            loop.step(Frame("top", index, time_ns, time_ns, image))
        loop.end()
    return made


def networks_by_frame(run: RunFolder) -> str:
    """Return the first letter of the network of each frame."""
    return "".join(step.network[:1] for step in run.steps("top"))


def test_the_phase_chooses_the_network_and_the_change_is_unknown(
    tmp_path: Path,
) -> None:
    run = recorded(tmp_path / "run", RIG, images_of(["white"] * 60))
    # lights-off at 3 s: unknown from 2.5 s to 3.5 s
    assert networks_by_frame(run) == "w" * 26 + "u" * 9 + "i" * 25
    for step in run.steps("top"):
        x = step.pose.points[0, 0, 0]
        expected = {"white": 10.0, "infrared": 90.0}.get(step.network, np.nan)
        np.testing.assert_equal(float(x), expected)
        answers = {"white": False, "infrared": True, "unknown": None}
        assert step.triggers["right half"] is answers[step.network]


def test_each_change_is_noted_with_camera_and_frame(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", RIG, images_of(["white"] * 60))
    notes = [row["text"] for row in run.events() if row["name"] == "network"]
    assert notes == [
        "[Camera top] the network for white light from frame 0 on",
        "[Camera top] the network for infrared light from frame 35 on",
    ]


@pytest.mark.parametrize("text", [RIG, BY_IMAGE])
def test_a_rerun_of_a_switch_decides_the_same(text: str, tmp_path: Path) -> None:
    """It needs neither networks nor images: the recorded pose is unknown while light changes."""
    images = images_of(["white"] * 30 + ["infrared"] * 30)
    run = recorded(tmp_path / "run", text, images)
    pairs = [*rerun_decisions(parse(run.settings_text, run.path), run)]
    assert sum(len(then.commands) for then, _ in pairs) > 0
    for then, now in pairs:
        assert then.commands == now.commands, then.index
        assert then.triggers == now.triggers, then.index


def test_images_without_colour_choose_the_infrared_network(tmp_path: Path) -> None:
    """Whatever the phase: the light of the room is not that of the timer here."""
    images = images_of(["infrared"] * 20 + ["white"] * 30)
    run = recorded(tmp_path / "run", BY_IMAGE, images)
    assert networks_by_frame(run) == "i" * 20 + "u" * 10 + "w" * 20


def test_a_short_flash_switches_no_network(tmp_path: Path) -> None:
    images = images_of(["infrared"] * 10 + ["white"] * 5 + ["infrared"] * 10)
    run = recorded(tmp_path / "run", BY_IMAGE, images)
    assert networks_by_frame(run) == "i" * 10 + "u" * 5 + "i" * 10


def test_an_image_between_both_lights_is_unknown(tmp_path: Path) -> None:
    dim: Image = np.full((100, 100, 3), (90, 95, 99), np.uint8)
    run = recorded(tmp_path / "run", BY_IMAGE, [dim, *images_of(["white"]), dim])
    assert networks_by_frame(run) == "uwu"


def test_grey_cameras_cannot_show_their_light(tmp_path: Path) -> None:
    settings = parse(BY_IMAGE, tmp_path)
    assert colour_problems(settings, {"top": (480, 640, 3)}) == []
    assert colour_problems(settings, {"top": (480, 640)}) == [
        "[Camera top] delivers grey images, which do not show whether the light is infrared; "
        "set [Pose Estimation] INFRARED_WHEN = phase"
    ]


def test_both_networks_are_loaded_and_recorded(tmp_path: Path) -> None:
    text = RIG.replace("EXP_NAME = lit", "")
    settings = parse(text, tmp_path)
    estimator = open_network(settings)
    assert per_light_of(estimator) is not None
    facts = network_ready_message(estimator, settings).facts
    assert facts.name == "stand-in:0"
    assert facts.infrared is not None
    assert facts.infrared.name == "stand-in:1"


def model_with(folder: Path, parts: tuple[str, str]) -> Settings:
    """Return a rig whose network for infrared light has two body parts exchanged."""
    other = folder / "models/other"
    shutil.copytree(ROOT / "models/arena", other)
    file = other / "model.json"
    one, two = parts
    words = file.read_text("utf-8")
    words = words.replace(f'"{one}"', '"?"').replace(f'"{two}"', f'"{one}"')
    file.write_text(words.replace('"?"', f'"{two}"'), "utf-8")
    text = RIG.replace("stand-in:0", "arena").replace("stand-in:1", "other")
    return parse(text, folder)


def test_another_order_of_body_parts_is_refused_before_and_at_the_start(
    tmp_path: Path,
) -> None:
    settings = model_with(tmp_path, ("snout", "tailbase"))
    (problem,) = rig_problems(settings)
    assert problem.startswith(
        "[Pose Estimation] INFRARED_MODEL = other: all networks of a rig need the same body"
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            ("[Light Cycle]\nLIGHTS_ON = 07:00\nLIGHTS_OFF = 19:00\n", ""),
            "[Pose Estimation] INFRARED_WHEN = phase: needs LIGHTS_ON and LIGHTS_OFF in "
            "[Light Cycle]",
        ),
        (
            ("INFRARED_MODEL = stand-in:1", "INFRARED_MODEL = background"),
            "[Pose Estimation] INFRARED_MODEL = background: background is for any light; "
            "remove INFRARED_MODEL, or name two networks",
        ),
    ],
)
def test_networks_that_no_light_can_choose_are_refused(
    change: tuple[str, str], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(RIG.replace(*change), tmp_path)
    assert problem in refused.value.problems
