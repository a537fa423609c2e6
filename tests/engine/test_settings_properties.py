"""Whatever is written in settings.ini: a rig or sentences, and the same read again."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.errors import SettingsError
from deeplabstream.settings.fields import keys_of
from deeplabstream.settings.loading import FAMILIES, FIXED, load, parse
from deeplabstream.settings.settings_docs import format_value
from tests.engine.small_rig import FOLDER, RIG

LINES = st.one_of(
    st.sampled_from(
        [
            *(f"[{title}]" for title in FIXED),
            *(f"[{family} {name}]" for family in FAMILIES for name in ("a", "b", "")),
            "KIND = SimulatedCamera",
            "KIND = InsideRegion",
            "KIND = Speed",
            "KIND = Conditional",
            "KIND = ExampleExperiment",
            "KIND = SimulatedOutput",
            "  more",
            "[",
            "]",
            "\ufeff",
        ]
    ),
    st.builds(
        "{} {} {}".format,
        st.sampled_from(
            sorted(
                {"REGION", "BODYPARTS", "CAMERA", "REGIONS", "MAX_ON_S", "RATE"}
                | {key for kind in FIXED.values() for key in keys_of(kind)}
            )
        ),
        st.sampled_from("=:"),
        st.one_of(
            st.sampled_from(["a", "a, b", "circle 1 2 3", "yes", "circle 0 0 1e999"]),
            st.text(st.characters()),
            st.floats().map(str),
            st.integers().map(str),
        ),
    ),
    st.text(st.characters()),
)


@given(st.lists(LINES, max_size=30).map("\n".join))
def test_no_text_gives_anything_but_settings_or_sentences(text: str) -> None:
    try:
        rig = parse(text, FOLDER)
    except SettingsError as error:
        assert error.problems
        assert all(sentence.strip() for sentence in error.problems)
    else:
        rig.new_triggers()
        pickle.dumps(rig)


@given(st.binary())
def test_no_file_gives_anything_but_settings_or_sentences(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed.ini"
    file.write_bytes(content)
    with pytest.raises(SettingsError):
        load(file)


@given(
    st.floats(1, 1000),
    st.booleans(),
    st.lists(st.just("color"), min_size=1, max_size=1),
)
def test_written_and_read_again_is_the_same(
    number: float, choice: bool, streams: list[str]
) -> None:
    text = f"""
    [Streaming]
    FRAMERATE = {format_value(number)}
    MULTIPLE_DEVICES = {format_value(choice)}
    STREAMS = {format_value(streams)}
    """
    text = "\n".join(line.strip() for line in text.splitlines())
    streaming = parse(RIG + text, FOLDER).streaming
    assert streaming.framerate == number
    assert streaming.multiple_devices is choice
    assert list(streaming.streams) == streams
