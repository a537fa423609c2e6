import os
import subprocess
import sys
from pathlib import Path

from deeplabstream.rack.bounded_output import BoundedOutput

PROGRAM = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
from deeplabstream.rack.bounded_output import BoundedOutput
output = BoundedOutput(1, pathlib.Path(sys.argv[2]), 1000)
for number in range(200):
    os.write(1, b"%04d of the box\\n" % number)
    os.system("echo of its child") if number % 50 == 0 else None
    output.limit()
"""
ROOT = Path(__file__).resolve().parents[2]


def test_what_a_box_and_its_children_print_is_bounded_and_the_newest_is_kept(
    tmp_path: Path,
) -> None:
    printed, earlier = tmp_path / "printed.txt", tmp_path / "printed before.txt"
    with printed.open("w+b") as output:
        words = [sys.executable, "-c", PROGRAM, str(ROOT), str(earlier)]
        subprocess.run(words, stdout=output, check=True)
    now, before = printed.read_bytes(), earlier.read_bytes()
    assert len(now) < 1000 <= len(before) < 1100
    assert b"\0" not in now + before
    numbers = [int(line[:4]) for line in (before + now).splitlines() if b"box" in line]
    assert numbers == [*range(numbers[0], 200)]


def test_a_file_that_can_not_be_copied_is_bounded_all_the_same(tmp_path: Path) -> None:
    with (tmp_path / "printed.txt").open("w+b", buffering=0) as output:
        output.write(b"x" * 2000)
        BoundedOutput(output.fileno(), tmp_path / "missing" / "copy", 1000).limit()
        output.write(b"new")
    assert (tmp_path / "printed.txt").read_bytes() == b"new"


def test_a_pipe_is_left_as_it_is(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    BoundedOutput(theirs, tmp_path / "copy", 0).limit()
    os.write(theirs, b"kept")
    assert os.read(ours, 10) == b"kept"
    os.close(ours)
    os.close(theirs)
