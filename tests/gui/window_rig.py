"""A real window on real processes, in a process of its own; the laser is a pseudo-terminal."""

import multiprocessing
import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from PyQt5.QtCore import QPoint, QTimer

from deeplabstream.core.journal_entries import Note
from deeplabstream.engine.session.request_queue import AGENDAS, RequestQueue
from deeplabstream.engine.session.session import RigSession
from deeplabstream.gui.application import application, run_until_closed
from deeplabstream.gui.bridge import Bridge
from deeplabstream.gui.main_window import MainWindow
from deeplabstream.gui.settings_document import Document
from deeplabstream.recording.table_reader import read_events
from deeplabstream.settings.loading import load
from tests.engine.killable import heard, settings_of
from tests.engine.patient_guards import use_patient_guards
from tests.engine.tolerant import GIVE_UP_S

BLOCK, MENU, CLOSE = "block", "menu", "close"
"""Orders: block the main thread until the next order; open a menu; close the window."""


def run_a_window(file: Path, orders: Connection, said: Connection) -> None:
    """Show the window, start the experiment; tell when the laser is on, then all notes."""
    os.setpgid(0, 0)
    use_patient_guards(pytest.MonkeyPatch())  # a busy computer must not end the engine
    application()
    with RigSession(load(file)) as session:
        bridge = Bridge(session, RequestQueue(AGENDAS["experiment"]))
        window = MainWindow(bridge, Document(file))
        window.move(100, 50)
        told: list[bool] = []

        def tell_start() -> None:
            process = window.stop_window.process
            if told or not session.state.levels.get("laser") or process is None:
                return
            told.append(True)
            stop = window.navigation.stop
            place = stop.mapToGlobal(QPoint(stop.width() // 2, stop.height() // 2))
            pids = {process.name: process.pid for process in session.processes()}
            pids |= {"main": os.getpid(), "stop window": process.pid}
            said.send((session.state.run_folder, pids, (place.x(), place.y())))

        def obey() -> None:
            if not orders.poll():
                return
            match orders.recv():
                case "block":
                    said.send(BLOCK)
                    orders.recv()  # as a driver that does not return
                case "menu":
                    window.run_menu.popup(window.mapToGlobal(QPoint(300, 100)))
                    QTimer.singleShot(0, lambda: said.send(MENU))
                case "close":
                    window.end()

        bridge.ticked.connect(tell_start)
        bridge.noted.connect(said.send)
        bridge.failed.connect(said.send)
        timer = QTimer()
        timer.timeout.connect(obey)
        timer.start(20)
        window.show()
        bridge.start()
        run_until_closed(window, window.log.complain, window.end, window.outputs_off)
    said.send(None)


@dataclass
class WindowRig:
    """A window whose experiment keeps the laser on."""

    board: int
    """The other end of the laser's line."""
    orders: Connection
    said: Connection
    run: Path
    pids: dict[str, int]
    pidfds: dict[str, int]
    stop: tuple[int, int]
    """Centre of the window's STOP button on the screen."""
    news: list[Any] = field(default_factory=list)

    def block(self) -> None:
        """Block the window's main thread, as a driver that does not return."""
        self.orders.send(BLOCK)
        self._receive_until(BLOCK)

    def block_with_menu(self) -> None:
        """Block it with an open menu, which keeps keyboard and mouse."""
        self.orders.send(MENU)
        self._receive_until(MENU)
        self.block()

    def suspend(self) -> None:
        """Suspend the process of the window."""
        os.kill(self.pids["main"], signal.SIGSTOP)

    def resume(self) -> None:
        """End the block or the suspension."""
        os.kill(self.pids["main"], signal.SIGCONT)
        self.orders.send("")

    def close(self) -> None:
        """Close the window, and wait for the end of all processes."""
        self.orders.send(CLOSE)
        self._receive_until(None)
        self.wait_for_end()

    def wait_for_end(self, *names: str) -> None:
        """Wait until these processes are gone; all, if none is named."""
        for name in names or tuple(self.pidfds):
            ended = select.select([self.pidfds[name]], [], [], GIVE_UP_S)[0]
            assert ended, f"{name} is left"

    def hold_until_off(
        self, pressing: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Press and release a key or button until the laser is switched off."""
        off = False
        for _ in range(int(GIVE_UP_S / 0.2)):
            with pressing():
                off = off or bool(select.select([self.board], [], [], 0.1)[0])
            if off or select.select([self.board], [], [], 0.1)[0]:
                break
        assert heard(self.board) == b"L"

    def events(self) -> list[dict[str, str]]:
        """Return the rows of the run's events."""
        return read_events(self.run / "events.csv")

    def texts(self) -> list[str]:
        """Return what the window was told."""
        return [
            news.text if isinstance(news, Note) else str(news) for news in self.news
        ]

    def _receive_until(self, last: object) -> None:
        while True:
            assert self.said.poll(GIVE_UP_S), f"no answer; {self.news}"
            if (received := self.said.recv()) == last:
                return
            self.news.append(received)


@contextmanager
def window_with_laser_on(root: Path) -> Iterator[WindowRig]:
    """Yield a rig whose laser is on; whatever is left afterwards is killed."""
    import tty

    spawn = multiprocessing.get_context("spawn")
    board, line = os.openpty()
    tty.setraw(line)
    file = root / "rig.ini"
    file.write_text(settings_of(os.ttyname(line)), encoding="utf-8")
    said, mouth = spawn.Pipe(duplex=False)
    ears, orders = spawn.Pipe(duplex=False)
    main = spawn.Process(target=run_a_window, args=(file, ears, mouth))
    main.start()
    for end in (mouth, ears):
        end.close()
    pidfds: dict[str, int] = {}
    news: list[Any] = []
    try:
        while True:
            assert said.poll(GIVE_UP_S), f"the laser was not switched on; {news}"
            if isinstance(received := said.recv(), tuple):
                break
            news.append(received)
        run, pids, stop = received
        pidfds = {name: os.pidfd_open(pid) for name, pid in pids.items()}
        assert heard(board, 2) == b"LH"
        yield WindowRig(board, orders, said, run, pids, pidfds, stop, news)
    finally:
        for pidfd in pidfds.values():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
        main.kill()
        main.join()
        main.close()
        for end in (board, line):
            os.close(end)
        for pipe in (said, orders):
            pipe.close()
