from deeplabstream.rack.analysis_rates import AnalysisRates

SECOND_NS = 1_000_000_000


def said(rates: AnalysisRates, seconds: range, frames: int) -> list[str]:
    """Analyse `frames` of a camera of 30/s in each second, and return the sentences."""
    sentences = []
    for second in seconds:
        for _ in range(frames):
            rates.add("arena")
        sentences += rates.check({"arena": 30.0}, second * SECOND_NS)
    return sentences


def test_a_camera_below_four_fifths_of_its_rate_is_told_once_until_it_has_recovered() -> (
    None
):
    rates = AnalysisRates()
    assert said(rates, range(20), 25) == []
    (sentence,) = said(rates, range(20, 60), 12)
    assert sentence.startswith("[Camera arena] less than 80% of its 30 frames/s are ")
    assert said(rates, range(60, 80), 26) == []
    assert said(rates, range(80, 100), 12) == []
    assert said(rates, range(100, 120), 30) == []
    assert len(said(rates, range(120, 140), 12)) == 1


def test_a_camera_counts_only_after_ten_seconds_of_analysis() -> None:
    rates = AnalysisRates()
    assert said(rates, range(10), 0) == []
    assert [*rates.check({}, 10 * SECOND_NS)] == []
    assert said(rates, range(11, 21), 0) == []
    assert len(said(rates, range(21, 23), 0)) == 1
