"""Figures of verdicts: weights, intervals, raters who disagree."""

from dataclasses import replace

import pytest

from deeplabstream.audit.estimation import cohens_kappa, estimate
from deeplabstream.recording.audit_files import (
    AuditClip,
    AuditFacts,
    AuditFile,
    AuditSample,
    GivenVerdict,
    Stratum,
    Verdict,
)
from deeplabstream.recording.audit_results import AuditRow, Interval

FACTS = AuditFacts(run="run", started="", application="", networks={}, settings={})


def stratum(
    answer: bool | None, *hours: int, of: str = "in", animal: str = ""
) -> Stratum:
    return Stratum(
        name=f"{of} {answer}", kind="trigger", of=of, animal=animal, answer=answer,
        near=False, hours=hours,
    )  # fmt: skip


LIGHT = Stratum(
    name="light", kind="output", of="light", animal="", answer=True, near=False, hours=(20,)
)  # fmt: skip


def clips(stratum: Stratum, *times_s: float, first: int = 1) -> list[AuditClip]:
    return [
        AuditClip(
            number=number, kind=stratum.kind, name=stratum.of, animal=stratum.animal,
            answer=stratum.answer, camera="top", frame=number, time_s=time_s,
            stratum=stratum.name,
        )
        for number, time_s in enumerate(times_s, start=first)
    ]  # fmt: skip


def audit(
    strata: list[Stratum], of: list[AuditClip], said: list[Verdict], rater: str = "anna"
) -> AuditFile:
    sample = AuditSample(
        clips=tuple(of), strata=tuple(strata), seed=1, facts=FACTS,
        experiment_s=(1800.0,) * len(strata[0].hours),
    )  # fmt: skip
    verdicts = [
        GivenVerdict(clip=clip.number, rater=rater, verdict=verdict)
        for clip, verdict in zip(of, said, strict=True)
    ]
    return AuditFile(sample, tuple(verdicts))


def test_a_sample_of_everything_leaves_no_doubt() -> None:
    true, false = stratum(True, 4), stratum(False, 6)
    of = clips(true, 1, 2, 3, 4) + clips(false, *range(6), first=5)
    said: list[Verdict] = ["right"] * 3 + ["wrong"] + ["right"] * 5 + ["wrong"]
    results = estimate(audit([true, false], of, said))
    precision = results.find("trigger", "in", "precision")
    recall = results.find("trigger", "in", "recall")
    assert precision and (precision.low, precision.value, precision.high) == (0.75,) * 3
    assert recall and (recall.low, recall.high) == (0.75, 0.75)


def test_clips_count_with_the_sizes_of_their_strata() -> None:
    """One missed in ten of 10,000 false answers is much, although nine clips are right."""
    true, false = stratum(True, 1000), replace(stratum(False, 10000), near=True)
    of = clips(true, *range(20)) + clips(false, *range(10), first=21)
    said: list[Verdict] = ["right"] * 20 + ["wrong"] + ["right"] * 9
    results = estimate(audit([true, false], of, said))
    recall = results.find("trigger", "in", "recall")
    precision = results.find("trigger", "in", "precision")
    assert recall and 0.15 < recall.low < recall.value < recall.high < 0.95
    assert recall.value == pytest.approx(0.5, abs=0.1)
    assert precision and precision.low > 0.85 and precision.value > 0.98


def test_an_unknown_answer_is_wrong_where_the_condition_held() -> None:
    true, unknown = stratum(True, 5), stratum(None, 5)
    of = clips(true, *range(5)) + clips(unknown, *range(5), first=6)
    said: list[Verdict] = ["right"] * 5 + ["wrong"] * 5
    recall = estimate(audit([true, unknown], of, said)).find("trigger", "in", "recall")
    assert recall and recall.value == 0.5, "half of what held was not fired on"


def test_wrong_pulses_are_per_hour_of_the_experiment() -> None:
    of = clips(LIGHT, *range(20))
    said: list[Verdict] = ["wrong"] * 3 + ["right"] * 17
    results = estimate(audit([LIGHT], of, said))
    wrong = results.find("output", "light", "wrong pulses per hour")
    assert wrong and wrong.low == wrong.high == 6.0, "3 in half an hour"


def test_hours_and_animals_have_figures_of_their_own() -> None:
    anna, bob = (
        stratum(True, 4, 4, animal="anna"),
        stratum(True, 4, 4, of="b", animal="bob"),
    )
    of = clips(anna, 0, 1, 2, 3, 3600, 3601, 3602, 3603)
    of += clips(bob, 0, 1, 2, 3, 3600, 3601, 3602, 3603, first=9)
    said: list[Verdict] = ["right"] * 4 + ["wrong"] * 4 + ["right"] * 8
    results = estimate(audit([anna, bob], of, said))

    def precision(group: str, name: str, hour: int | None) -> float:
        found = results.find(group, name, "precision", hour)  # type: ignore[arg-type]
        assert found is not None
        return found.value

    assert precision("trigger", "in", None) == 0.5
    assert [precision("trigger", "in", hour) for hour in (0, 1)] == [1.0, 0.0]
    assert [precision("animal", name, None) for name in ("anna", "bob")] == [0.5, 1.0]


def test_a_figure_without_clips_is_left_out() -> None:
    true, false = stratum(True, 100), stratum(False, 1000)
    results = estimate(audit([true, false], clips(true, 1, 2), ["right", "right"]))
    assert results.find("trigger", "in", "precision") is not None
    assert results.find("trigger", "in", "recall") is None, "no false answer was judged"
    unjudged = estimate(audit([true, false], clips(true, 1), ["cannot say"]))
    assert unjudged.rows == ()
    assert (unjudged.judged, unjudged.cannot_say) == (0, 1)
    assert "1 could not be judged" in next(unjudged.lines())
    assert results.without_figures == ()
    said = "no figures of [Trigger in]: no true answer was judged"
    assert said in list(unjudged.lines())


def test_divided_raters_widen_the_interval() -> None:
    true = stratum(True, 40)
    of = clips(true, *range(40))
    alone = audit([true], of, ["right"] * 40)
    others = audit([true], of, ["wrong"] * 10 + ["right"] * 30, "bob")
    both = replace(alone, verdicts=alone.verdicts + others.verdicts)
    results = estimate(both)
    precision = results.find("trigger", "in", "precision")
    assert precision and precision.value == pytest.approx(35 / 40, abs=0.026)
    assert precision.high - precision.low > 0.05
    (pair,) = results.agreements
    assert (pair.raters, pair.clips, pair.same) == (("anna", "bob"), 40, 30)
    assert results.raters == {"anna": 40, "bob": 40}


def test_kappa_is_that_of_the_textbook() -> None:
    """Two readers of 50 proposals: 20 yes by both, 5 and 10 by one, 15 no by both."""
    one = [True] * 25 + [False] * 25
    other = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert cohens_kappa(one, other) == pytest.approx(0.4)
    assert cohens_kappa([True] * 5, [True] * 5) is None


def test_a_large_figure_has_no_exponent() -> None:
    row = AuditRow(
        group="output", name="light", hour=None, measure="wrong pulses per hour",
        interval=Interval(204.0, 0.0, 1234.5), clips=9,
    )  # fmt: skip
    assert row.texts == ("200", "0", "1200")
    assert "200 wrong pulses per hour (95 %: 0 to 1200), from 9 clips" in str(row)
