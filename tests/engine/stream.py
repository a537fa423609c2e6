"""A stream without its processes: rings, a journal, and a recorder to turn."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Pipe
from pathlib import Path

import numpy as np

from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.engine.processes.recorder_process import StreamRecorder
from deeplabstream.engine.session import messages
from deeplabstream.ipc.journal import Journal, JournalWriter, create_journal
from deeplabstream.ipc.ring import FrameRing, RingWriter, create_ring
from deeplabstream.recording.run_folder import RunFolder
from tests.recording.written_rows import rows

FORM = ImageFormat((48, 64, 3), 30.0)
SKELETON = Skeleton(("nose", "tail"))
TICK_NS = 10_000_000


class Rig:
    """A stream without its processes: a ring, a journal, and a recorder to turn."""

    def __init__(
        self, root: Path, rings: dict[str, FrameRing], journal: Journal
    ) -> None:
        self.root, self.rings, self.journal = root, rings, journal
        self.writers = {name: RingWriter(ring) for name, ring in rings.items()}
        self.engine = JournalWriter(journal)
        self.pipe, theirs = Pipe()
        self.recorder = StreamRecorder(theirs, lambda: None, journal, 0)
        self._theirs = theirs
        self.told: list[object] = []
        specs = tuple(ring.spec for ring in rings.values())
        self.tell(messages.AttachStream(specs, SKELETON, 0, dict.fromkeys(rings, True)))

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.pipe.send(message)
        self.recorder.work()
        self.told.extend(self.sent())

    def sent(self) -> Iterator[object]:
        while self.pipe.poll():
            yield self.pipe.recv()

    def expose(self, *indices: int, camera: str = "top") -> None:
        writer = self.writers[camera]
        for index in indices:
            writer.slot()[:] = index % 250
            writer.publish(index, index * TICK_NS, index * TICK_NS + 1000)

    def decide(self, *indices: int, camera: str = "top") -> None:
        for index in indices:
            self.engine.write(step(index, camera))

    def of(self, kind: type) -> list[object]:
        return [message for message in self.told if isinstance(message, kind)]

    @property
    def folder(self) -> RunFolder:
        opened = self.of(messages.RunOpened)[0]
        assert isinstance(opened, messages.RunOpened)
        return RunFolder(opened.path)

    @property
    def accounting(self) -> list[dict[str, object]]:
        accounts: list[dict[str, object]] = self.folder.facts["accounting"]
        return accounts

    def close(self) -> None:
        self.recorder.close("the test is over")
        self.pipe.close()
        self._theirs.close()


def step(index: int, camera: str = "top") -> Step:
    points = np.full((1, 2, 2), index / 3, np.float32)
    pose = Pose(SKELETON, points, np.ones((1, 2), np.float32))
    at = index * TICK_NS
    times = at, at + 1000, at + 2000, at + 3000, 0
    return Step(camera, index, *times, pose, {"corner": index > 5}, ())


@contextmanager
def memory(
    *cameras: str, slots: int = 64, **formats: ImageFormat
) -> Iterator[tuple[dict[str, FrameRing], Journal]]:
    formats = dict.fromkeys(cameras, FORM) | formats
    rings = {name: create_ring(name, form, slots) for name, form in formats.items()}
    journal = create_journal(256)
    try:
        yield rings, journal
    finally:
        for block in (*rings.values(), journal):
            block.close()
            block.unlink()


@contextmanager
def recording(
    root: Path, *cameras: str, slots: int = 64, **formats: ImageFormat
) -> Iterator[Rig]:
    with (
        memory(*(cameras or ("top",)), slots=slots, **formats) as (rings, journal),
        closing(Rig(root, rings, journal)) as rig,
    ):
        yield rig


def open_run(rig: Rig) -> None:
    rig.tell(messages.OpenRun(rig.root, "[Streaming]\n", {"seed": 4}))


def listed(folder: RunFolder, camera: str = "top") -> list[tuple[int, int]]:
    """The frames of a camera's table, and whether they were analysed."""
    return [(int(r[0]), int(r[7])) for r in list(rows(folder.table_path(camera)))[1:]]
