"""A headless Chromium, controlled by its debugging protocol through a pipe."""

import fcntl
import json
import os
import select
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

from deeplabstream.core.clock import rest
from tests.engine.tolerant import GIVE_UP_S

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--remote-debugging-pipe",
)  # fmt: skip
_FREE_DESCRIPTOR = 10


def chromium() -> str | None:
    """Return the browser's program: that of $CHROMIUM, or one that is installed."""
    return os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, _NAMES)), None
    )


class Browser:
    """One page of a browser, which a test reads and clicks."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._numbers = count(1)
        self._session = ""
        self._waiting = b""
        self.dialogs: list[str] = []
        """Questions that the page has asked."""
        self.answers: list[str | None] = []
        """Answers to the next questions; None: it is cancelled. A prompt gets the text."""
        self.errors: list[str] = []
        """Errors of the page's script."""

    def open(self, address: str) -> None:
        """Open a page."""
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        attached = self._send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._send("Page.enable")
        self._send("Runtime.enable")
        self._send("Page.navigate", url=address)

    def resize(self, width: int, height: int) -> None:
        """Show the page on a screen of this size, in CSS pixels."""
        size: dict[str, Any] = {"width": width, "height": height}
        size |= {"deviceScaleFactor": 1, "mobile": width < 600}
        self._send("Emulation.setDeviceMetricsOverride", **size)

    def value(self, expression: str) -> Any:
        """Return the value of an expression of the page's script; None: it is no JSON."""
        found = self._send(
            "Runtime.evaluate", expression=expression, returnByValue=True
        )
        return found.get("result", {}).get("value")

    def until(
        self, expression: str, meanwhile: Callable[[], object] = lambda: None
    ) -> None:
        """Wait until an expression is true; call `meanwhile` again and again."""
        give_up = perf_counter() + GIVE_UP_S
        while not self.value(expression):
            meanwhile()
            text = self.value("document.body && document.body.innerText")
            assert perf_counter() < give_up, f"{expression}: {text}"
            rest(0.05)

    def click(self, selector: str) -> None:
        """Click an element, as soon as the page has answered."""
        self.value(f"setTimeout(() => document.querySelector({selector!r}).click())")

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = self._write(method, parameters)
        while True:
            message = self._read()
            if message.get("id") == number:
                # there is none while a page is being left
                return dict(message.get("result", {}))
            self._take(message)

    def _write(self, method: str, parameters: dict[str, Any]) -> int:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        return number

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._waiting:
            assert select.select([self._answers], [], [], GIVE_UP_S)[0], "no answer"
            data = os.read(self._answers, 65536)
            assert data, "the browser has ended"
            self._waiting += data
        line, _, self._waiting = self._waiting.partition(b"\0")
        return dict(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        """Answer a question of the page; note an error of its script."""
        match message.get("method"):
            case "Page.javascriptDialogOpening":
                self.dialogs.append(message["params"]["message"])
                answer = self.answers.pop(0) if self.answers else None
                given = {"accept": answer is not None, "promptText": answer or ""}
                self._write("Page.handleJavaScriptDialog", given)
            case "Runtime.exceptionThrown":
                self.errors.append(json.dumps(message["params"]))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Run a browser whose files are in a folder."""
    pipes = [*os.pipe(), *os.pipe()]
    # the browser reads descriptor 3 and writes 4: none of ours may have these numbers
    high = [fcntl.fcntl(end, fcntl.F_DUPFD, _FREE_DESCRIPTOR) for end in pipes]
    for end in pipes:
        os.close(end)
    its_commands, commands, answers, its_answers = high
    script = f'exec "$0" "$@" 3<&{its_commands} 4>&{its_answers}'
    program = ["bash", "-c", script, str(chromium()), *_OPTIONS]
    with subprocess.Popen(
        [*program, f"--user-data-dir={folder / 'browser'}"],
        pass_fds=(its_commands, its_answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(its_commands)
        os.close(its_answers)
        try:
            yield Browser(commands, answers)
        finally:
            process.terminate()
            process.wait()
            os.close(commands)
            os.close(answers)
