"""The programs of docs/http send a command to the page of a rack."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deeplabstream.settings.rack_file import RackFile
from tests.web.test_page_commands import commanded
from tests.web.test_rack_page import ROOT, STATUS, TOKEN, rack, running

__all__ = ["rack"]
needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None or sys.platform == "win32", reason="there is no curl"
)


@pytest.mark.parametrize(
    ("program", "file"),
    [(sys.executable, "rack.py"), pytest.param("sh", "rack.sh", marks=needs_curl)],
    ids=["Python", "curl"],
)
def test_an_example_prints_the_states_and_sends_a_command(
    rack: RackFile, tmp_path: Path, program: str, file: str
) -> None:
    token = tmp_path / "a token.txt"
    token.write_text(f"{TOKEN}\n", "utf-8")

    def run(command: str) -> str:
        words = [program, str(ROOT / "docs/http" / file), address, str(token), command]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout

    with running(rack, "left", STATUS), commanded(rack, tmp_path) as page:
        address = f"http://127.0.0.1:{page.server.port}"
        told = run("stop left")
        assert STATUS.state in told and "ok: stop left" in told
        assert "error: dance" in run("dance")
        assert page.commands == ["stop left", "dance"]
