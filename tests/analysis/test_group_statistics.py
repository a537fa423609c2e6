"""Groups of animals are compared by the test that fits, with n, effect and interval."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from deeplabstream.analysis.group_statistics import compare_groups
from deeplabstream.analysis.study import write_table
from deeplabstream.core.errors import DeepLabStreamError
from utils.CompareGroups import main

NORMAL = scipy.stats.norm.ppf((np.arange(9) + 0.5) / 9)
"""Nine values that no test of normality doubts."""
SKEWED = np.exp(2.5 * NORMAL)


def results(
    groups: Mapping[str, Sequence[float]], column: str = "group", runs: int = 1
) -> pd.DataFrame:
    """Return a table; `column` span: the same animals in each group."""
    return pd.DataFrame(
        {
            "run": f"{name}{number}.{run}",
            "animal": f"{name if column != 'span' else ''}{number}",
            "span": name if column == "span" else "whole",
            column: name,
            "distance_mm": value + (run - (runs - 1) / 2),
        }
        for name, values in groups.items()
        for number, value in enumerate(values)
        for run in range(runs)
    )


def test_two_groups_of_normal_values() -> None:
    table = results({"control": NORMAL, "treated": 2 * NORMAL + 3})
    (row,) = compare_groups(table, ["distance_mm"]).table.to_dict("records")
    expected = scipy.stats.ttest_ind(NORMAL, 2 * NORMAL + 3, equal_var=False)
    assert row["test"] == "Welch's t-test"
    assert row["n"] == "control: 9, treated: 9"
    assert row["difference"] == pytest.approx(-3)
    assert row["p"] == pytest.approx(expected.pvalue)
    assert row["p_holm"] == row["p"]
    assert row["ci_low"] < -3 < row["ci_high"] < 0
    assert row["effect_low"] < row["effect"] < row["effect_high"]


def test_the_animal_is_the_unit_however_many_runs_it_has() -> None:
    groups = {"control": NORMAL, "treated": NORMAL + 1}
    once, thrice = (
        compare_groups(results(groups, runs=runs), ["distance_mm"]).table
        for runs in (1, 3)
    )
    pd.testing.assert_frame_equal(once, thrice)


def test_ranks_are_compared_where_values_are_not_normal() -> None:
    table = results({"control": SKEWED, "treated": 2 * SKEWED})
    (row,) = compare_groups(table, ["distance_mm"]).table.to_dict("records")
    expected = scipy.stats.mannwhitneyu(SKEWED, 2 * SKEWED)
    assert (row["test"], row["of"]) == ("Mann-Whitney U test", "medians")
    assert "control is not normal (Shapiro-Wilk" in row["reason"]
    assert row["p"] == pytest.approx(expected.pvalue)
    assert row["ci_low"] < row["difference"] < row["ci_high"]
    (row,) = compare_groups(table, ["distance_mm"], test="means").table.to_dict(
        "records"
    )
    assert (row["test"], row["reason"]) == ("Welch's t-test", "chosen by the user")


@pytest.mark.parametrize(
    ("test", "paired", "name"),
    [
        ("means", False, "Welch's ANOVA"),
        ("ranks", False, "Kruskal-Wallis test"),
        ("means", True, "repeated-measures ANOVA, Greenhouse-Geisser"),
        ("ranks", True, "Friedman test"),
    ],
)
def test_three_groups_and_their_pairs(test: str, paired: bool, name: str) -> None:
    mixed = np.roll(NORMAL, 4)
    groups = {"a": NORMAL, "b": mixed + 0.5, "c": NORMAL[::-1] + 2}
    column = "span" if paired else "group"
    found = compare_groups(
        results(groups, column), ["distance_mm"], column, paired=paired,
        test=test,  # type: ignore[arg-type]
    ).table  # fmt: skip
    assert list(found["comparison"]) == ["all", "a - b", "a - c", "b - c"]
    assert found["test"][0] == name
    assert found["p"].between(0, 1).all()
    assert (found["p_holm"] >= found["p"] - 1e-12).all()
    if test == "ranks":
        way = scipy.stats.friedmanchisquare if paired else scipy.stats.kruskal
        assert found["p"][0] == pytest.approx(way(*groups.values()).pvalue)


def test_the_same_animals_before_and_after() -> None:
    change = np.linspace(0.5, 1.5, 9)
    table = results({"before": SKEWED, "after": SKEWED + change}, "span")
    table = table[~((table.animal == "3") & (table.span == "after"))]
    found = compare_groups(table, ["distance_mm"], "span", paired=True)
    (row,) = found.table.to_dict("records")
    keep = np.arange(9) != 3
    expected = scipy.stats.ttest_rel(SKEWED[keep], (SKEWED + change)[keep])
    assert row["test"] == "paired t-test", "the differences are normal"
    assert row["n"] == "before: 8, after: 8"
    assert row["p"] == pytest.approx(expected.pvalue)
    assert found.notes == ("distance (mm): not in all groups: 3",)


def test_ranks_are_compared_where_all_values_of_a_group_are_equal() -> None:
    groups = {"a": [0.0] * 4, "b": [1.0, 2, 3, 5], "c": [4.0, 5, 6, 7.5]}
    found = compare_groups(results(groups), ["distance_mm"]).table
    assert (
        found["test"].tolist() == ["Kruskal-Wallis test"] + ["Mann-Whitney U test"] * 3
    )
    assert set(found["reason"]) == {"all values of a are equal"}
    assert found["p"][0] == pytest.approx(scipy.stats.kruskal(*groups.values()).pvalue)
    apart = {"a": [0.0] * 4, "b": [1.0] * 4}
    (row,) = compare_groups(results(apart), ["distance_mm"]).table.to_dict("records")
    expected = scipy.stats.mannwhitneyu(*apart.values()).pvalue
    assert row["p"] == pytest.approx(expected)
    assert row["difference"] == row["ci_low"] == row["ci_high"] == -1


def test_means_are_not_compared_without_a_variance() -> None:
    groups = {
        "a": [0.1] * 4,
        "b": [1.0, 2, 3, 5],
        "c": [4.0, 5, 6, 7.5],
        "d": [9.0] * 4,
    }
    table = results(groups, runs=3)  # equal up to rounding
    found = compare_groups(table, ["distance_mm"], test="means")
    p = dict(zip(found.table["comparison"], found.table["p"], strict=True))
    assert {name for name, value in p.items() if np.isnan(value)} == {"all", "a - d"}
    assert all(0 < value < 1 for value in p.values() if not np.isnan(value))
    why = "not tested: all values of a, d are equal; compare ranks instead"
    assert found.notes == (f"distance (mm), all: {why}", f"distance (mm), a - d: {why}")
    with_one = compare_groups(table, ["distance_mm"], levels=["a", "b"], test="means")
    assert with_one.table["test"][0] == "Welch's t-test"


@pytest.mark.parametrize(
    ("test", "amount", "tested"),
    [("auto", 0.1, 1), ("means", 0.1, 0), ("ranks", 0.1, 1), ("auto", 0.0, 0)],
)
def test_phases_that_differ_by_the_same_amount_have_ranks_only(
    test: str, amount: float, tested: int
) -> None:
    groups = {"a": NORMAL, "b": NORMAL + amount, "c": NORMAL + 3 * amount}
    found = compare_groups(
        results(groups, "span"), ["distance_mm"], "span", paired=True,
        test=test,  # type: ignore[arg-type]
    )  # fmt: skip
    assert found.table["p"].notna().tolist() == [bool(tested), False, False, False]
    assert len(found.notes) == 4 - tested
    assert all("differ by the same amount" in note for note in found.notes)
    if tested:
        assert found.table["test"][0] == "Friedman test"


def test_holm_corrects_for_all_measures() -> None:
    table = results({"a": NORMAL, "b": NORMAL + 1})
    table["speed"] = table["distance_mm"] + 0.1 * np.arange(len(table))
    found = compare_groups(table, ["distance_mm", "speed"]).table
    least = found["p"].min()
    assert found["p_holm"].min() == pytest.approx(min(1, 2 * least))


def test_there_is_no_p_without_animals() -> None:
    few = compare_groups(results({"a": [1.0], "b": [2.0, 3.0]}), ["distance_mm"])
    assert np.isnan(few.table["p"][0])
    assert few.table["n"][0] == "a: 1, b: 2"
    assert few.notes[0].endswith("not tested: fewer than 2 animals in a group")
    same = compare_groups(results({"a": [1.0, 1.0], "b": [1.0, 1.0]}), ["distance_mm"])
    assert np.isnan(same.table["p"][0])
    assert "all values are equal" in same.notes[0]
    phases = results({"a": [0.0, 1.0], "b": [2.0, 5.0], "c": [3.0, 7.0]}, "span")
    two = compare_groups(phases, ["distance_mm"], "span", paired=True)
    assert two.table["p"].notna().tolist() == [False, True, True, True]
    assert "all: not tested: fewer than 3 animals in a group" in two.notes[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"measures": ["weight"]}, "no column weight; the table has: run, animal"),
        ({"measures": ["run"]}, "column run does not contain numbers"),
        ({"by": "sex"}, "no column sex"),
        ({"levels": ["a", "z"]}, "column group: no z; it contains a, b"),
        ({"levels": ["a"]}, "fewer than two groups"),
    ],
)
def test_a_mistake_is_named(words: dict[str, object], message: str) -> None:
    table = results({"a": NORMAL, "b": NORMAL})
    with pytest.raises(DeepLabStreamError, match=message):
        compare_groups(table, **{"measures": ["distance_mm"], **words})  # type: ignore[arg-type]


def test_an_animal_in_two_groups_is_not_compared_as_two_animals() -> None:
    table = results({"before": NORMAL, "after": NORMAL}, "span")
    with pytest.raises(DeepLabStreamError, match="animal 0 is in several groups"):
        compare_groups(table, ["distance_mm"], "span")


def test_the_program_prints_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, written = tmp_path / "all.csv", tmp_path / "stats.csv"
    write_table(path, results({"control": NORMAL, "treated": NORMAL + 3}))
    words = [str(path), "--measures", "distance_mm", "--output", str(written)]
    assert main([*words, "--levels", "treated", "control"]) == 0
    said = capsys.readouterr().out
    assert "distance (mm), treated - control (n = treated: 9, control: 9)" in said
    assert "Welch's t-test: p = " in said
    assert pd.read_csv(written)["difference"][0] == pytest.approx(3)
    assert main(words) == 2, "it is there"
    assert main([str(tmp_path / "no.csv"), *words[1:3]]) != 0
    assert "Can't read" in capsys.readouterr().err
