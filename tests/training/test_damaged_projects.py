"""Damaged files of other programs: a result, or one error that names the fault."""

import random
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.support.file_damage import damaged_bytes
from benchmarks.support.reader_fuzz import KINDS, fuzz_readers, try_kind
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.training.data.projects import open_project
from tests.training.foreign_projects import sleap


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_is_one_error(kind: str) -> None:
    """In this process; `benchmarks/support/reader_fuzz.py` tries many more."""
    count = round(400 * KINDS[kind][1])
    outcomes = list(try_kind(kind, [f"1 {n}" for n in range(count)]))
    assert not [text for outcome, text in outcomes if outcome == "fault"]
    counted = Counter(outcome for outcome, _ in outcomes)
    assert counted["refused"] > count / 5
    assert counted["read"] > 0  # some changes do no harm


def test_readers_run_in_processes_of_their_own() -> None:
    kind = "label table (.csv)"
    (own,) = fuzz_readers(25, 2, kinds=[kind]).values()
    assert own.tried == own.read + own.refused == 5
    assert not own.faults


@pytest.mark.parametrize("seed", range(6))
def test_a_sleap_file_with_changed_bytes_is_an_error(tmp_path: Path, seed: int) -> None:
    """Each file is tried in a process of its own, as users' files are."""
    file = sleap(tmp_path / "a.pkg.slp")
    raw = damaged_bytes(file.read_bytes(), random.Random(seed))
    file.write_bytes(raw[: len(raw) // 2] if seed == 0 else raw)
    try:
        open_project(file, tmp_path / "unpacked", several=True)
    except DeepLabStreamError as error:
        assert str(file) in str(error)
