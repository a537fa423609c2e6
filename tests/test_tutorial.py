"""The tutorial is followed to the letter: its own commands, in their order, by a shell."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deeplabstream.settings.ini_editing import set_value
from deeplabstream.training.data.label_book import open_book

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)```|(\*\*Label\.\*\*)", re.DOTALL)
RIG = "tutorial/rig.ini"
SHORTER = {
    "--steps 400": "--steps 4",
    "--seconds 20": "--seconds 8",
    "--minutes 5": "--minutes 1",
}
"""What the tests run less of; everything else is as it stands."""

LIGHTER = "[Pose Estimation]\nRUNTIME = cpu\n[Streaming]\nFRAMERATE = 10"
"""For computers on which other tests run."""
EXACT = (
    r"no problems",
    r"entry into \w+' \d+ times",
    r"the same \d+ commands, on the same frames",
    r"arena\.dlc\.csv",
    r"\[Output laser\] was on",
    r"24 of \d+ frames of arena\.mkv",
    r"6 of \d+ frames of arena\.mkv",
    r"written to tutorial/models/mine",
    r"Run folder: .*own_network",
)
"""What the commands must have said in the end, in this order."""


def steps() -> Iterator[tuple[str, str]]:
    """Yield the language and text of each block, `label` where labels are placed."""
    for language, text, label in BLOCK.findall(PAGE):
        yield ("label", "") if label else (language, text)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that looks like a fresh download, and takes what the commands write."""
    for entry in ROOT.iterdir():
        if entry.name not in (".venv", "tutorial", ".git", "output"):
            (tmp_path / entry.name).symlink_to(entry)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    return tmp_path


@pytest.mark.timeout(600)  # a dozen programs, one after the other
@pytest.mark.skipif(
    sys.platform == "win32", reason="its commands are for a Linux shell"
)
def test_its_commands_lead_to_a_closed_loop_and_a_network(place: Path) -> None:
    said = ""
    for language, text in steps():
        if language == "sh":
            for long, short in SHORTER.items():
                text = text.replace(long, short)
            done = subprocess.run(
                ["bash", "-e", "-c", text],
                cwd=place,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, text + done.stdout + done.stderr
            said += done.stdout
            if text.startswith("mkdir"):
                write(place / RIG, LIGHTER)
        elif language == "text":
            write(place / RIG, text)
        elif language == "label":
            accept(place / "tutorial/labels")
    found = re.search(".*".join(EXACT), said, re.DOTALL)
    assert found is not None, said
    assert (place / "tutorial/report.html").stat().st_size > 10_000


def write(file: Path, words: str) -> None:
    """Do what the page asks to be written into the settings."""
    settings, title = file.read_text(encoding="utf-8"), ""
    for line in words.splitlines():
        if line.startswith("["):
            title = line.strip("[]")
        else:
            key, _, word = line.partition(" = ")
            settings = set_value(settings, title, key, word)
    file.write_text(settings, encoding="utf-8")


def accept(folder: Path) -> None:
    """Press Space in each picture: what the network proposed is right."""
    book = open_book(folder)
    assert book.proposed.sum() > 10
    for picture in range(len(book.names)):
        book.accept(picture)


def test_windows_is_told_the_same_commands() -> None:
    linux = [
        line for kind, text in steps() if kind == "sh" for line in text.splitlines()
    ]
    windows = [
        line for kind, text in steps() if kind == "bat" for line in text.splitlines()
    ]
    translated = [
        line.replace("/", "\\").replace(".venv\\bin\\", ".venv\\Scripts\\")
        for line in linux
    ]
    assert [re.sub(r"^cp ", "copy ", line) for line in translated] == windows
