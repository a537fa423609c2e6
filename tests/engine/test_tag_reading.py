"""Tags of readers: into the loop, into the record, and decided equally again."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.journal_entries import Note, TagRead
from deeplabstream.core.pose import Skeleton
from deeplabstream.engine.device_manager import InputEntry, open_inputs
from deeplabstream.engine.replay.rerun import rerun_decisions
from deeplabstream.engine.session.session import RigSession
from deeplabstream.engine.session.session_state import Action
from deeplabstream.engine.tag_reading import TagReading, no_reads, tag_reading_of
from deeplabstream.plugins.input import (
    InputBroken,
    InputLevel,
    InputListener,
    InputTag,
    InputUnreadable,
    TagInput,
)
from deeplabstream.pose.tracking.tag_evidence import AnimalTag, TagPlace, TagResult
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.settings.loading import parse
from tests.engine.test_session import Watched

ANNA, BOB = "999_000000000001", "01023C4D5F"
RIG = f"""
[Streaming]
OUTPUT_DIRECTORY = runs
[Pose Estimation]
MODEL = stand-in:0:2
[Animals]
NAMES = anna, bob
TAGS = anna {ANNA}, bob {BOB}
FIRST = tags
[Camera arena]
KIND = SimulatedCamera
ANIMALS = 2
SEED = 6
SHELTER = no
WIDTH = 320
HEIGHT = 240
[Trigger door]
KIND = InsideRegion
ANIMAL = anna
BODYPARTS = snout
REGION = rectangle 0 0 160 240
[Input reader]
KIND = RfidReader
PORT = PORT
AT = door
"""
NAMES = Skeleton(("snout",), animals=("anna", "bob"))


@settings(frozen=True, kw_only=True)
class Reader(TagInput):
    """A reader whose news is reported when it is opened."""

    news: tuple[InputLevel | InputTag | InputUnreadable | InputBroken, ...] = ()

    @contextmanager
    def opened(self, listener: InputListener) -> Iterator[None]:
        for each in self.news:
            listener(each)
        yield


def test_tags_are_recorded_counted_and_taken_once_by_the_frames_of_their_time() -> None:
    written: list[InputEntry] = []
    news = (InputLevel(False, 1, 1, True), InputTag(ANNA, 5), InputTag(BOB, 9))
    devices = {"reader": Reader(news=news)}
    with open_inputs(devices, ManualClock(), written.append) as inputs:
        now = inputs.now()
        assert (now["reader"], now["reader.count"]) == (0, 2)
        reads = [TagRead("reader", ANNA, 5), TagRead("reader", BOB, 9)]
        assert [it for it in written if isinstance(it, TagRead)] == reads
        assert inputs.take_reads("reader", 8) == reads[:1]
        assert inputs.take_reads("reader", 8) == []
        assert inputs.take_reads("reader", 9) == reads[1:]


def test_lines_that_are_no_tag_are_counted_and_reported_at_powers_of_ten() -> None:
    written: list[InputEntry] = []
    news = (InputLevel(False, 1, 1, True), *[InputUnreadable("x")] * 120)
    devices = {"reader": Reader(news=news)}
    with open_inputs(devices, ManualClock(), written.append) as inputs:
        assert inputs.now()["reader.count"] == 0
    notes = [it for it in written if isinstance(it, Note)]
    assert [it.kind for it in notes] == ["alarm"] * 3
    assert [it.text.split(": ")[1].split(",")[0] for it in notes] == ["1", "10", "100"]
    assert notes[0].text.endswith("is 'x'. Are BAUD and the reader's format right?")


def test_a_place_is_the_region_of_a_trigger_in_px_of_its_camera(tmp_path: Path) -> None:
    reading = tag_reading_of(parse(RIG, tmp_path), NAMES, lambda name, until: ())
    (place,) = reading.places["arena"]
    assert place.reader == "reader"
    assert place.region.has(10, 200) and not place.region.has(170, 200)
    assert reading.animals == {ANNA: 0, BOB: 1}


def test_a_tag_of_an_animal_that_the_network_does_not_find_names_none(
    tmp_path: Path,
) -> None:
    text = RIG.replace("NAMES = anna, bob\n", "").replace(f"bob {BOB}", f"3 {BOB}")
    text = text.replace(f"anna {ANNA}", f"2 {ANNA}").replace("= anna", "= 1")
    text = text.replace("FIRST = tags\n", "")
    skeleton = Skeleton(("snout",), animals=("animal1", "animal2"))
    reading = tag_reading_of(parse(text, tmp_path), skeleton, no_reads)
    assert reading.animals == {ANNA: 1}


def test_reads_that_are_old_are_no_evidence_and_unknown_tags_are_an_alarm() -> None:
    places = {"top": [TagPlace("reader", None)]}  # type: ignore[arg-type]
    reads = [
        TagRead("reader", ANNA, 10**9),
        TagRead("reader", BOB, 9 * 10**8),
        TagRead("reader", "01023C4D60", 10**9),
    ]
    taken: list[tuple[str, int]] = []

    def take(reader: str, until_ns: int) -> list[TagRead]:
        taken.append((reader, until_ns))
        return reads

    reading = TagReading(places, {ANNA: 0, BOB: 1}, NAMES, take)
    assert reading.until("side", 2 * 10**9) == []
    assert reading.until("top", 195 * 10**7) == [AnimalTag("reader", 0, ANNA)]
    assert taken == [("reader", 195 * 10**7)]
    (message,) = reading.messages([], 2.0)
    assert message == (
        "alarm",
        "[Input reader] tag 01023C4D60: no animal has it; add it to [Animals] TAGS",
    )


def test_a_new_name_is_reported_with_the_former_one() -> None:
    reading = TagReading({}, {ANNA: 0}, NAMES)
    result = TagResult(AnimalTag("reader", 0, ANNA), "named", former=1)
    what = f"[Input reader] tag {ANNA} of anna"
    assert [*reading.messages([result], 0)] == [
        (
            "identity",
            f"{what}: the animal at the reader is anna; its name before was bob",
        )
    ]


def test_an_alarm_about_a_tag_comes_once_a_minute() -> None:
    reading = TagReading({}, {ANNA: 0}, NAMES)
    result = TagResult(AnimalTag("reader", 0, ANNA), "no_animal")
    told = [
        [kind for kind, _ in reading.messages([result], s)]
        for s in (0.0, 0.1, 59.0, 60.0, 61.0)
    ]
    assert told == [["alarm"], [], [], ["alarm"], []]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
@pytest.mark.usefixtures("fork_server")
def test_a_tag_read_in_a_live_rig_names_both_animals_and_is_replayed(
    tmp_path: Path,
) -> None:
    import tty

    ours, theirs = os.openpty()
    tty.setraw(theirs)
    rig = parse(RIG.replace("PORT = PORT", f"PORT = {os.ttyname(theirs)}"), tmp_path)
    os.close(theirs)
    with RigSession(rig) as session:
        it = Watched(session)
        it.do(Action.START_STREAM, Action.START_ANALYSIS)
        it.until(lambda it: bool(session.state.identity))
        assert session.state.identity["arena"].ambiguous

        def named(it: Watched) -> bool:
            os.write(ours, f"{ANNA}\r\nnonsense\r\n".encode())
            return not session.state.identity["arena"].ambiguous

        it.until(named)
        os.close(ours)
        it.until(lambda it: any("is gone" in note for note in alarms(it)))
        it.stop()
        path = session.state.run_folder
    assert path is not None
    folder = RunFolder(path)
    rows = [*folder.events()]
    tags = [row for row in rows if row["kind"] == "tag"]
    assert {(row["name"], row["text"]) for row in tags} == {("reader", ANNA)}
    texts = [row["text"] for row in rows if row["name"] == "identity"]
    assert any(
        f"tag {ANNA} of anna: the animal at the reader is anna" in text
        for text in texts
    )

    steps = [*rerun_decisions(rig, folder)]
    assert steps[-1][0].pose.identity == ("", "")
    for then, now in steps:
        assert then.triggers == now.triggers
        assert then.pose.identity == now.pose.identity
    assert {then.triggers["door"] for then, _ in steps} >= {None, True}


def alarms(it: Watched) -> list[str]:
    return [note.text for note in it.of(Note) if note.kind == "alarm"]
