"""Account of uncertain places: what counts as corrected, checked and remaining."""

from pathlib import Path

import pytest

from deeplabstream.analysis.options import AnalysisOptions
from deeplabstream.analysis.run_report import run_document
from deeplabstream.core.errors import DeviceError
from deeplabstream.evidence.bundle_verification import Verification, _check_identity
from deeplabstream.files.report_document import ReportText
from deeplabstream.recording.place_account import (
    PlaceAccount,
    account_for,
    place_accounts,
)
from deeplabstream.recording.pose_corrections import (
    Correction,
    Kind,
    append_correction,
)
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.uncertain_places import Reason, UncertainPlace
from tests.recording.small_run import made, write_flags


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = made(tmp_path, animals=2)
    write_flags(
        folder, {"3": "anna stray", "4": "bob stray", "8": "anna doubt1; bob doubt1"}
    )
    return folder


def add(run: Path, kind: Kind, frame: int, *animals: str) -> None:
    append_correction(
        run,
        Correction(kind=kind, camera="top", frames=(frame, frame), animals=animals),
    )


def place(
    first: int,
    last: int,
    *animals: str,
    reason: Reason = "stray",
    checked: bool = False,
) -> UncertainPlace:
    return UncertainPlace(
        reason=reason, frames=(first, last), start_s=0.0, duration_s=1.0, animals=animals,
        checked=checked,
    )  # fmt: skip


def test_places_are_corrected_or_checked_or_remain(run: Path) -> None:
    assert place_accounts(run) == {
        "top": PlaceAccount(uncertain=3, corrected=0, checked=0)
    }
    add(run, "confirm", 8, "anna", "bob")
    add(run, "check", 3, "anna")
    account = place_accounts(run)["top"]
    assert account == PlaceAccount(uncertain=3, corrected=1, checked=1)
    assert str(account) == "3 uncertain places: 1 corrected, 1 checked, 1 not checked"
    append_correction(run, Correction(kind="undo", undoes=1))
    assert place_accounts(run)["top"].corrected == 0


def test_a_place_whose_animal_has_another_name_now_is_not_corrected(run: Path) -> None:
    add(run, "switch", 3, "anna", "bob")
    add(run, "split", 4, "bob", "anna")
    assert place_accounts(run)["top"].corrected == 0


def test_a_place_of_which_a_part_is_still_listed_remains() -> None:
    recorded = [place(10, 20, "anna"), place(30, 40, "bob")]
    left = [place(10, 12, "anna", checked=True), place(18, 20, "anna")]
    assert account_for(recorded, left, ()) == PlaceAccount(
        uncertain=2, corrected=1, checked=0
    )
    other = [place(10, 20, "anna", reason="missing"), place(30, 40, "carl")]
    assert account_for(recorded, other, ()).corrected == 2


def test_a_single_animal_has_no_account(tmp_path: Path) -> None:
    assert place_accounts(made(tmp_path)) == {}


def test_report_and_bundle_state_the_account(run: Path) -> None:
    add(run, "confirm", 8, "anna", "bob")
    said = "camera top: 3 uncertain places: 1 corrected, 0 checked, 2 not checked."
    blocks = [
        block
        for section in run_document(run, AnalysisOptions()).sections
        for block in section.blocks
    ]
    texts = [block.text for block in blocks if isinstance(block, ReportText)]
    assert f"Names of animals, {said}" in texts

    result = Verification()
    _check_identity(RunFolder(run), result)
    assert len(result.not_proven) == 1
    assert result.not_proven[0].endswith(said.replace("camera", "Camera"))
    assert result.failed == []


def test_damaged_corrections_are_a_sentence(run: Path) -> None:
    (run / "corrections.json").write_text("{", "utf-8")
    with pytest.raises(DeviceError, match="corrections"):
        place_accounts(run)
    result = Verification()
    _check_identity(RunFolder(run), result)
    assert "can't be used" in result.failed[0]
    assert any(
        "can't be read" in note
        for note in run_document(run, AnalysisOptions()).warnings
    )
