import os
import sys
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from deeplabstream.core.errors import SettingsError
from deeplabstream.gui.settings_document import Document

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def document(tmp_path: Path, qtbot: QtBot) -> Document:
    file = tmp_path / "rig.ini"
    file.write_bytes((ROOT / "settings.ini").read_bytes())
    return Document(file)


def test_a_change_is_seen_undone_and_made_again(
    document: Document, qtbot: QtBot
) -> None:
    before = document.text
    with qtbot.waitSignal(document.changed, timeout=60_000):
        document.set_value("Experiment", "PATIENCE_S", "0.25")
    assert document.settings is not None
    assert document.settings.experiment.patience_s == 0.25
    assert document.unsaved
    document.undo()
    assert document.text == before
    assert not document.unsaved
    assert not document.history.can_undo
    document.redo()
    assert document.values["Experiment"]["PATIENCE_S"] == "0.25"


def test_what_is_wrong_is_told_and_can_be_undone(document: Document) -> None:
    document.set_value("Experiment", "PATIENCE_S", "soon")
    assert document.settings is None
    assert document.problems == ("[Experiment] PATIENCE_S = soon: expected a number",)
    document.undo()
    assert document.settings is not None
    assert not document.problems


def test_saving_keeps_every_comment(document: Document) -> None:
    before = document.path.read_text(encoding="utf-8")
    document.set_value("Camera arena", "SEED", "7")
    document.save()
    after = document.path.read_text(encoding="utf-8")
    assert after == before.replace("SEED = 1", "SEED = 7")
    assert not document.unsaved
    assert list(document.path.parent.iterdir()) == [document.path]


def test_a_folder_that_cannot_be_written_leaves_the_file_alone(
    document: Document,
) -> None:
    document.set_value("Camera arena", "SEED", "7")
    with pytest.raises(OSError, match="nowhere"):
        document.save(document.path.parent / "nowhere" / "rig.ini")
    assert document.unsaved


def test_a_full_disk_leaves_the_file_alone_and_nothing_beside_it(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = document.path.read_bytes()
    write = Path.write_text

    def fill(path: Path, text: str, *arguments: str, **more: str) -> None:
        write(path, text[:10], *arguments, **more)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", fill)
        document.set_value("Camera arena", "SEED", "7")
        document.keep_draft()
        with pytest.raises(OSError, match="No space left"):
            document.save()
    assert document.path.read_bytes() == before
    assert [*document.path.parent.iterdir()] == [document.path]
    document.keep_draft()
    assert document.draft.read_text("utf-8") == document.text


def test_another_programs_change_is_noticed(document: Document) -> None:
    assert not document.changed_on_disk()
    document.path.write_text("[Streaming]\n", encoding="utf-8")
    assert document.changed_on_disk()
    document.path.unlink()
    assert document.changed_on_disk()


def test_a_file_that_cannot_be_read_leaves_the_open_one(document: Document) -> None:
    text = document.text
    with pytest.raises(SettingsError, match="nowhere"):
        document.open(document.path.with_name("nowhere.ini"))
    assert document.text == text


def test_windows_line_ends_survive(tmp_path: Path) -> None:
    file = tmp_path / "rig.ini"
    text = (ROOT / "settings.ini").read_text(encoding="utf-8")
    file.write_bytes(text.replace("\n", "\r\n").encode())
    document = Document(file)
    document.set_value("Camera arena", "SEED", "7")
    document.save()
    saved = file.read_bytes()
    assert saved.count(b"\r\n") == saved.count(b"\n")


def test_a_copy_for_another_program_is_no_lost_work(document: Document) -> None:
    assert document.file_as_shown() == document.path
    document.set_value("Camera arena", "SEED", "7")
    copy = document.file_as_shown()
    assert copy.parent == document.path.parent, "its relative paths mean the same"
    assert copy.read_text(encoding="utf-8") == document.text
    assert not document.lost
    assert not Document(document.path).lost
    document.delete_copy()
    assert list(document.path.parent.iterdir()) == [document.path]


def test_no_copy_stays_behind_when_another_file_is_shown(document: Document) -> None:
    document.set_value("Camera arena", "SEED", "7")
    copy = document.file_as_shown()
    document.save(document.path.with_name("another.ini"))
    assert not copy.exists()
    document.set_value("Camera arena", "SEED", "8")
    copy = document.file_as_shown()
    document.open(document.path.with_name("rig.ini"))
    assert not copy.exists()


def test_a_draft_is_lost_work_unless_the_file_says_the_same(document: Document) -> None:
    document.set_value("Camera arena", "SEED", "7")
    document.keep_draft()
    assert Document(document.path).lost
    document.save()
    assert not Document(document.path).lost


def test_unsaved_changes_survive_a_killed_program(
    document: Document, qtbot: QtBot
) -> None:
    document.set_value("Camera arena", "SEED", "7")
    qtbot.waitUntil(document.draft.exists, timeout=60_000)
    killed, again = document.text, Document(document.path)
    assert again.lost is not None
    again.restore_draft(again.lost)
    assert again.text == killed
    assert again.unsaved
    again.undo()
    assert not again.unsaved
    assert not again.draft.exists(), "nothing is left to restore"


def test_a_draft_goes_when_its_changes_are_saved_or_discarded(
    document: Document,
) -> None:
    for leave in (document.save, lambda: document.open(document.path)):
        document.set_value("Camera arena", "SEED", "7")
        document.keep_draft()
        leave()
        assert not document.draft.exists()
        document.set_value("Camera arena", "SEED", "1")
        document.save()


def test_the_draft_of_a_killed_program_is_never_overwritten(document: Document) -> None:
    document.set_value("Camera arena", "SEED", "7")
    document.keep_draft()
    killed, again = document.text, Document(document.path)
    again.set_value("Camera arena", "SEED", "8")
    again.keep_draft()
    files = sorted(path.name for path in document.path.parent.iterdir())
    assert files == ["rig.ini", "rig.unsaved.ini", "rig.unsaved_2.ini"]
    assert document.draft.read_text(encoding="utf-8") == killed


def test_two_windows_with_one_file_keep_a_draft_each(document: Document) -> None:
    other = Document(document.path)
    for seed in range(7, 13):
        each = document if seed % 2 else other
        each.set_value("Camera arena", "SEED", str(seed))
        each.keep_draft()
    files = {path.name for path in document.path.parent.iterdir()}
    assert files == {"rig.ini", "rig.unsaved.ini", "rig.unsaved_2.ini"}
    assert document.draft.read_text("utf-8") == document.text
    document.save()
    assert not document.draft.exists()
    assert other.draft.read_text("utf-8") == other.text


def test_the_newest_draft_is_offered_whatever_its_number(document: Document) -> None:
    other = Document(document.path)
    for each, seed in ((document, "7"), (other, "8")):
        each.set_value("Camera arena", "SEED", seed)
        each.keep_draft()
    os.utime(document.draft, ns=(0, 0))
    again = Document(document.path)
    assert again.lost == other.draft
    again.restore_draft(other.draft)
    assert again.text == other.text
    assert again.lost == document.draft, "offered next"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_draft_that_vanishes_hides_no_other(
    document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, listed = document.path.parent, Path.iterdir
    (folder / "rig.unsaved.ini").symlink_to(folder / "nowhere")
    (folder / "rig.unsaved_2.ini").write_text("[Streaming]\n", "utf-8")
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(sorted(listed(path))))
    assert document.lost == folder / "rig.unsaved_2.ini"


@pytest.mark.parametrize(
    ("title", "key", "word", "said"),
    [
        ("Pose Estimation", "MODEL", "arenas", "there is no model 'arenas'"),
        (
            "Trigger left",
            "BODYPARTS",
            "snoot",
            "the network has no body part 'snoot'; did you mean snout?",
        ),
    ],
)
def test_what_does_not_fit_the_network_is_found_before_the_start(
    document: Document, title: str, key: str, word: str, said: str
) -> None:
    document.set_value(title, key, word)
    document.check()
    (finding,) = document.findings
    assert finding.startswith(f"[{title}] {key}")
    assert said in finding
    assert not document.problems, "a stream can be started without a network"
    document.undo()
    document.check()
    assert not document.findings


def test_saving_in_another_folder_keeps_the_network(document: Document) -> None:
    rig = document.path.parent
    own = rig / "models" / "arena"
    own.mkdir(parents=True)
    document.edit(document.text)
    other = rig / "other"
    other.mkdir()
    document.save(other / "rig.ini")
    assert document.settings is not None
    assert Path(document.settings.model).samefile(own)
    assert not document.unsaved
    assert "MODEL = ../models/arena" in document.path.read_text(encoding="utf-8")
