"""A rack that shows a page: its viewers stop and start boxes, and its end stops none."""

import json
import re
import signal
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from deeplabstream.recording.table_reader import read_events
from tests.rack.test_rack_run import Rack, rack

__all__ = ["rack"]
TOKEN = "token-of-this-test"

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pseudo-terminals"
)


def sent(rack: Rack, command: str) -> str:
    """Send a command to the page of a rack; return the answer."""
    found = re.search(r"Page: (http://\S+)", rack.told.read_text())
    assert found is not None
    request = Request(
        f"{found[1]}/api/commands",
        json.dumps({"command": command}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"},
    )
    with urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["answer"])


def page_of(rack: Rack) -> psutil.Process:
    """Return the process of the page."""
    children = psutil.Process(rack.running.pid).children()
    (page,) = [child for child in children if "ServePage" in " ".join(child.cmdline())]
    return page


def folder_of(rack: Rack, box: str) -> str:
    """Return the run folder of a box as it has reported it; empty: not yet."""
    status = rack.status(box)
    return status.run_folder if status else ""


def marked(rack: Rack, words: str) -> bool:
    """Send a mark; False: the rack has not yet read that the box has a record."""
    try:
        return sent(rack, f"mark {words}") == f"ok: mark {words}"
    except HTTPError as refused:
        assert "has no record now" in refused.read().decode()
        return False


def notes(rack: Rack, box: str) -> list[tuple[str, str]]:
    """Return kind and text of the notes in the record of a box."""
    events = read_events(Path(folder_of(rack, box)) / "events.csv")
    return [(row["name"], row["text"]) for row in events if row["kind"] == "note"]


def test_viewers_mark_and_stop_a_box_and_a_killed_page_stops_none(
    rack: Rack, tmp_path: Path
) -> None:
    token = tmp_path / "token.txt"
    token.write_text(TOKEN)
    rack.start("--page", "0", "--token-file", str(token))
    rack.wait_until_on("left", "right")

    rack.wait(lambda: marked(rack, "left the mouse ate"))
    rack.wait(lambda: ("user", "the mouse ate") in notes(rack, "left"))
    rack.wait(lambda: bool(folder_of(rack, "right")))
    assert "user" not in dict(notes(rack, "right"))

    assert sent(rack, "stop left") == "ok: stop left"
    rack.wait_until_off("left")
    rack.wait(lambda: "[Box left] ended" in rack.told.read_text())
    with pytest.raises(HTTPError) as refused:
        sent(rack, "mark left too late")
    assert "[Box left] has no record now" in refused.value.read().decode()
    assert sent(rack, "start left") == "ok: start left"
    rack.wait_until_on("left", "right")

    page_of(rack).send_signal(signal.SIGKILL)
    rack.wait(lambda: "The page in the browser has ended" in rack.told.read_text())
    rack.wait_for_reports("right", 2)
    rack.wait_until_on("left", "right")
    rack.type("stop")
    rack.wait_until_off("left", "right")
    assert rack.running.wait(60) == 0


def test_a_page_ends_with_its_rack(rack: Rack) -> None:
    rack.start("--only", "left", "--page", "0")
    rack.wait(lambda: "Page: http" in rack.told.read_text())
    page = page_of(rack)
    rack.type("stop")
    assert rack.running.wait(60) == 0
    assert not page.is_running()
