from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.recording.frame_accounts import FrameCounter, FrameCounts


def test_a_frame_too_few_or_too_many_does_not_close() -> None:
    fine = FrameCounts("top", "analysis", 10, lost=2, analysed=7, skipped=3)
    assert fine.is_balanced()
    assert fine.exposed == 12
    assert not replace(fine, analysed=6).is_balanced()
    assert not replace(fine, analysed=11, skipped=-1).is_balanced()
    assert not replace(fine, lost=-1).is_balanced()
    film = FrameCounts("top", "recording", 10, recorded=9, recording_losses=1)
    assert film.is_balanced()
    assert film.exposed is None
    assert not replace(film, recorded=8).is_balanced()


@given(st.lists(st.sampled_from(["seen", "missed", "lost"]), max_size=50))
def test_every_exposed_frame_is_seen_missed_or_lost(fates: list[str]) -> None:
    counter, missed = FrameCounter(knows_losses=True), 0
    whole = ["seen", *fates, "seen"]
    for index, fate in enumerate(whole):
        if fate == "missed":
            missed += 1
        if fate == "seen":
            counter.add(index, missed)
            missed = 0
    assert counter.lost == fates.count("lost")
    assert counter.delivered + counter.lost == len(whole)
    assert counter.dropped is None, "they are in `lost`"


def test_damaged_frames_of_a_camera_that_knows_no_losses_are_counted() -> None:
    counter = FrameCounter(knows_losses=False)
    for index in (0, 1, 4, 5):  # 2 and 3 were damaged
        counter.add(index)
    assert (counter.lost, counter.dropped, counter.delivered) == (None, 2, 4)
