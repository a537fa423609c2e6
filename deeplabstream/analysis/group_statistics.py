"""Group statistics: tests of differences by pingouin, with n, effect size and interval.

The animal is the unit of observation: several runs of one animal are averaged first. Every
row names its test and why it was chosen; there is no p-value without the numbers of animals.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from deeplabstream.analysis.measures import label_of_column
from deeplabstream.core.errors import DeepLabStreamError, package_missing
from deeplabstream.settings.option_fields import option, program_options

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Kind = Literal["auto", "means", "ranks"]
_ALPHA = 0.05
"""Significance level of the test of normality."""
_FEWEST = 2
_FEWEST_SHAPIRO = 3
_FEWEST_REPEATED = 3
"""Fewest animals for three or more phases; with two, the test of sphericity divides by 0."""
_ROUNDING = 1e-12
"""Relative difference below which values count as equal."""
_SEED = 0
"""Seed of the bootstrap, so that equal data give equal intervals."""
_RESAMPLES = 5000
_TESTS: Mapping[tuple[bool, bool, bool], str] = {
    (True, False, True): "Welch's t-test",
    (True, True, True): "paired t-test",
    (False, False, True): "Mann-Whitney U test",
    (False, True, True): "Wilcoxon signed-rank test",
    (True, False, False): "Welch's ANOVA",
    (True, True, False): "repeated-measures ANOVA, Greenhouse-Geisser",
    (False, False, False): "Kruskal-Wallis test",
    (False, True, False): "Friedman test",
}
"""Names of tests, by means or ranks, paired or not, two groups or more."""


@program_options
class StudyOptions:
    """Options of a comparison: measures of groups of animals."""

    option_group: ClassVar[str] = "what is compared"
    measures: tuple[str, ...] = option(default=(), metavar="COLUMN")
    """Columns of the table of results, such as `region_time_s.left`; empty: distance, mean
    speed, immobile and freezing time, time in and entries to each region, stimulations."""
    by: str = option(default="group", metavar="COLUMN")
    """Column of the groups."""
    levels: tuple[str, ...] = option(default=(), metavar="NAME")
    """Groups, in this order; empty: all."""
    paired: bool = option(default=False)
    """Whether the same animals are in all groups."""
    test: Kind = option(default="auto")
    """Tests of means or of ranks; auto: by a test of normality."""


@dataclass(frozen=True, eq=False)
class GroupComparison:
    """Groups compared in several measures.

    Attributes
    ----------
    table : pandas.DataFrame
        A row per measure and test. `comparison`: "all" for the test of three or more groups,
        else the two groups, the difference being the first minus the second. `n`: animals of
        each group. `difference` (of means or medians, see `of`) with its 95 % interval;
        `effect` (named in `effect_size`) with its interval where there is one; `statistic`,
        `df`, `p`, and `p_holm`, corrected by Holm for the tests of all measures, or for the
        pairs of groups. NaN: not tested, or not defined.
    notes : tuple of str
        What was left out, and what could not be tested, a sentence each.
    """

    table: "DataFrame"
    notes: tuple[str, ...]


def compare_groups(
    table: "DataFrame",
    measures: Sequence[str],
    by: str = "group",
    levels: Sequence[str] = (),
    paired: bool = False,
    test: Kind = "auto",
) -> GroupComparison:
    """Compare groups of animals, or phases of the same animals.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of `RunResults.table` or of a `Study`. Unless `by` is `span`, the rows of whole
        runs count.
    measures : sequence of str
        Columns to compare, such as `distance_mm`.
    by : str
        Column that names the groups: `group`, `experiment`, `span` and so on.
    levels : sequence of str
        Its words to compare, in this order; empty: all.
    paired : bool
        Whether the same animals are in all groups. Animals that are not are left out.
    test : {"auto", "means", "ranks"}
        Tests of means or of ranks. auto: of ranks where a Shapiro-Wilk test finds that a
        group (paired: a difference of two groups) is not normally distributed, p < 0.05, or
        where all its values are equal.

    Returns
    -------
    GroupComparison
        A row per measure and test, and notes.

    Raises
    ------
    DeepLabStreamError
        A column is missing, fewer than two groups, no pingouin, or an animal is in two groups
        that are not paired.
    """
    import pandas as pd

    rows = _rows_of(table, by, measures)
    levels = list(levels) or [word for word in dict.fromkeys(rows[by]) if word]
    missing = [level for level in levels if level not in set(rows[by])]
    if missing or len(set(levels)) < 2:
        groups = ", ".join(dict.fromkeys(rows[by].replace("", "(empty)"))) or "nothing"
        what = f"no {', '.join(missing)}" if missing else "fewer than two groups"
        raise DeepLabStreamError(f"column {by}: {what}; it contains {groups}")
    rows = rows[rows[by].isin(levels)]
    notes: list[str] = []
    found: list[dict[str, Any]] = []
    for measure in measures:
        wide = _by_animal(rows, measure, by, levels)
        _check_pairing(wide, by, paired)
        if paired:
            whole = wide.dropna()
            if out := [
                str(animal) for animal in wide.index if animal not in whole.index
            ]:
                label = label_of_column(measure)
                notes.append(f"{label}: not in all groups: {', '.join(out)}")
            wide = whole
        found += _Measure(measure, wide, paired, test, notes).rows()
    return GroupComparison(_corrected(pd.DataFrame(found)), tuple(dict.fromkeys(notes)))


def results_sentence(row: Mapping[str, object]) -> str:
    """Return a row of a comparison as in the results section of a paper."""
    label = label_of_column(str(row["measure"]))
    sentence = f"{label}, {row['comparison']} (n = {row['n']}): "
    if not row["test"]:
        return f"{sentence}not tested"
    if row["of"]:
        sentence += (
            f"difference of {row['of']} {row['difference']:.4g} "
            f"[{row['ci_low']:.4g}, {row['ci_high']:.4g}], "
        )
    sentence += f"{row['effect_size']} {row['effect']:.3g}, {row['test']}: "
    return (
        f"{sentence}p = {row['p']:.3g}, p (Holm) = {row['p_holm']:.3g}; {row['reason']}"
    )


def _rows_of(table: "DataFrame", by: str, measures: Sequence[str]) -> "DataFrame":
    for name in ("animal", "span", by, *measures):
        if name not in table:
            columns = ", ".join(str(column) for column in table.columns)
            raise DeepLabStreamError(f"no column {name}; the table has: {columns}")
    for name in measures:
        if table[name].dtype.kind not in "fiu":
            raise DeepLabStreamError(f"column {name} does not contain numbers")
    rows = table if by == "span" else table[table["span"] == "whole"]
    return rows.assign(**{by: rows[by].fillna("").astype(str)})


def _by_animal(
    rows: "DataFrame", measure: str, by: str, levels: Sequence[str]
) -> "DataFrame":
    """Return the mean of each animal (row) in each group (column); NaN: none."""
    mean = rows.groupby(["animal", by])[measure].mean().unstack(by)
    return mean.reindex(columns=levels).dropna(how="all")


def _check_pairing(wide: "DataFrame", by: str, paired: bool) -> None:
    several = wide.index[wide.notna().sum(axis=1) > 1]
    if len(several) and not paired:
        raise DeepLabStreamError(
            f"animal {several[0]} is in several groups of {by}: compare the same animals "
            "with --paired, or give each animal one group"
        )


class _Measure:
    """The tests of one measure."""

    def __init__(
        self,
        name: str,
        wide: "DataFrame",
        paired: bool,
        test: Kind,
        notes: list[str],
    ) -> None:
        self.name, self.wide, self.paired, self.notes = name, wide, paired, notes
        self.values = {
            str(level): wide[level].dropna().to_numpy(np.float64) for level in wide
        }
        every = np.abs(np.concatenate([*self.values.values()]))
        self.rounding = _ROUNDING * float(every.max(initial=0))
        self.is_means, self.reason = self._chosen(test)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for all groups, where there are three or more, and one per pair."""
        pairs = list(combinations(self.values, 2))
        if len(self.values) == 2:
            return [self._pair(*pairs[0])]
        return [self._all(), *(self._pair(*pair) for pair in pairs)]

    def _chosen(self, test: Kind) -> tuple[bool, str]:
        if test != "auto":
            return test == "means", "chosen by the user"
        samples = dict(self.values)
        if self.paired:
            samples = {
                f"{a} - {b}": self.values[a] - self.values[b]
                for a, b in combinations(self.values, 2)
            }
        if equal := [
            name for name, sample in samples.items() if self._are_equal(sample)
        ]:
            return False, f"all values of {equal[0]} are equal"
        tested = {
            name: sample
            for name, sample in samples.items()
            if len(sample) >= _FEWEST_SHAPIRO
        }
        if not tested:
            return True, "too few animals for a test of normality"
        import scipy.stats

        for name, sample in tested.items():
            p = float(scipy.stats.shapiro(sample).pvalue)
            if p < _ALPHA:
                return False, f"{name} is not normal (Shapiro-Wilk, p = {p:.3g})"
        return True, "no deviation from normality (Shapiro-Wilk)"

    def _are_equal(self, values: NDArray[np.float64]) -> bool:
        """Return whether several animals have the same value, up to rounding."""
        return len(values) >= _FEWEST and bool(np.ptp(values) <= self.rounding)

    def _change_equally(self, values: Sequence[NDArray[np.float64]]) -> bool:
        """Return whether all animals change by the same amount, and can't be tested.

        The ranks of three or more phases can, unless the amount is 0.
        """
        changes = [a - b for a, b in combinations(values, 2)]
        if not all(self._are_equal(change) for change in changes):
            return False
        is_zero = bool((np.abs(changes) <= self.rounding).all())
        return self.is_means or len(values) == 2 or is_zero

    def _row(self, comparison: str, groups: Sequence[str]) -> dict[str, Any]:
        counts = ", ".join(f"{group}: {len(self.values[group])}" for group in groups)
        row: dict[str, Any] = {"measure": self.name, "comparison": comparison}
        row |= {"n": counts, "test": "", "reason": ""}
        numbers = (
            "difference", "ci_low", "ci_high", "effect", "effect_low", "effect_high",
            "statistic", "df", "p",
        )  # fmt: skip
        row |= {"of": "", "effect_size": "", **dict.fromkeys(numbers, np.nan)}
        return row

    def _can_be_tested(self, comparison: str, groups: Sequence[str]) -> bool:
        values = [self.values[group] for group in groups]
        equal = [group for group in groups if self._are_equal(self.values[group])]
        # Welch's ANOVA divides by each variance, Welch's t-test by their sum.
        most_equal = 1 if len(groups) == 2 else 0
        is_repeated = self.paired and self.is_means and len(groups) > 2
        fewest = _FEWEST_REPEATED if is_repeated else _FEWEST
        if any(len(sample) < fewest for sample in values):
            why = f"fewer than {fewest} animals in a group"
        elif self._are_equal(np.concatenate(values)):
            why = "all values are equal"
        elif self.paired and self._change_equally(values):
            why = "all animals differ by the same amount"
        elif self.is_means and not self.paired and len(equal) > most_equal:
            why = f"all values of {', '.join(equal)} are equal; compare ranks instead"
        else:
            return True
        label = label_of_column(self.name)
        self.notes.append(f"{label}, {comparison}: not tested: {why}")
        return False

    def _all(self) -> dict[str, Any]:
        """Return the test of three or more groups."""
        groups = [*self.values]
        row = self._row("all", groups)
        if not self._can_be_tested("all", groups):
            return row
        row |= {
            "test": _TESTS[self.is_means, self.paired, False],
            "reason": self.reason,
        }
        long = (
            self.wide.rename_axis(columns="level")
            .stack()
            .rename("value")
            .reset_index()
            .dropna()
        )
        pingouin = _pingouin()
        data: dict[str, Any] = {"data": long, "dv": "value"}
        data["within" if self.paired else "between"] = "level"
        if self.paired:
            data["subject"] = long.columns[0]
        with _quiet():
            if self.is_means and self.paired:
                done = pingouin.rm_anova(**data, correction=True, effsize="ng2").iloc[0]
                row |= _numbers(done, "F", "ddof1", "p_GG_corr", "ng2")
                row["effect_size"] = "generalised eta squared"
            elif self.is_means:
                done = pingouin.welch_anova(**data).iloc[0]
                row |= _numbers(done, "F", "ddof1", "p_unc", "np2")
                row["effect_size"] = "partial eta squared"
            elif self.paired:
                done = pingouin.friedman(**data).iloc[0]
                row |= _numbers(done, "Q", "ddof1", "p_unc", "W")
                row["effect_size"] = "Kendall's W"
            else:
                done = pingouin.kruskal(**data).iloc[0]
                row |= _numbers(done, "H", "ddof1", "p_unc", "")
                row["effect"] = row["statistic"] / (len(long) - 1)
                row["effect_size"] = "epsilon squared"
        return row

    def _pair(self, first: str, second: str) -> dict[str, Any]:
        """Return the test of two groups."""
        comparison = f"{first} - {second}"
        row = self._row(comparison, (first, second))
        if not self._can_be_tested(comparison, (first, second)):
            return row
        a, b = self.values[first], self.values[second]
        row |= {
            "test": _TESTS[self.is_means, self.paired, True],
            "reason": self.reason,
        }
        pingouin = _pingouin()
        with _quiet():
            if self.is_means:
                done = pingouin.ttest(a, b, paired=self.paired, correction=True).iloc[0]
                row |= _numbers(done, "T", "dof", "p_val", "")
                low, high = _mean_interval(a, b, self.paired)
                row |= {"of": "means", "difference": a.mean() - b.mean()}
                effect = pingouin.compute_effsize(
                    a, b, paired=self.paired, eftype="hedges"
                )
                effect_low, effect_high = pingouin.compute_esci(
                    stat=effect, nx=len(a), ny=len(b), paired=self.paired, decimals=6
                )
                row |= {"effect": effect, "effect_size": "Hedges' g"}
                row |= {"effect_low": effect_low, "effect_high": effect_high}
            else:
                rank = pingouin.wilcoxon if self.paired else pingouin.mwu
                done = rank(a, b).iloc[0]
                statistic = "W_val" if self.paired else "U_val"
                row |= _numbers(done, statistic, "", "p_val", "RBC")
                low, high = _median_interval(a, b, self.paired)
                row |= {"of": "medians", "effect_size": "rank-biserial correlation"}
                row["difference"] = _median_difference(a, b, self.paired)
            row |= {"ci_low": low, "ci_high": high}
        return row


def _pingouin() -> Any:
    try:
        import pingouin
    except ImportError as error:
        missing = package_missing(error.name or "pingouin")
        raise DeepLabStreamError(f"The comparison of groups {missing}") from error
    return pingouin


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide warnings of pingouin and SciPy that need no action.

    pingouin uses what a later pandas will not have: it is pinned. SciPy warns of
    a group with equal values, whose variance is 0.
    """
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        yield


def _numbers(
    row: "Series", statistic: str, df: str, p: str, effect: str
) -> dict[str, float]:
    """Return the numbers of a pingouin row under the names of this program."""
    names = {"statistic": statistic, "df": df, "p": p, "effect": effect}
    if p not in row:  # a single test needs no correction
        names["p"] = "p_unc"
    return {ours: float(row[theirs]) for ours, theirs in names.items() if theirs}


def _mean_interval(
    a: NDArray[np.float64], b: NDArray[np.float64], paired: bool
) -> tuple[float, float]:
    """Return the 95 % interval of a difference of means, unrounded."""
    import scipy.stats

    test = partial(scipy.stats.ttest_ind, equal_var=False)
    done = scipy.stats.ttest_rel(a, b) if paired else test(a, b)
    low, high = done.confidence_interval(0.95)
    return float(low), float(high)


def _median_difference(
    a: NDArray[np.float64], b: NDArray[np.float64], paired: bool
) -> float:
    """Return the difference of medians; paired: the median difference."""
    return float(np.median(a - b) if paired else np.median(a) - np.median(b))


def _median_interval(
    a: NDArray[np.float64], b: NDArray[np.float64], paired: bool
) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a difference of medians."""
    draw = np.random.default_rng(_SEED)
    if paired:
        medians = np.median(
            draw.choice(a - b, (_RESAMPLES, len(a)), replace=True), axis=1
        )
    else:
        medians = np.median(draw.choice(a, (_RESAMPLES, len(a))), axis=1) - np.median(
            draw.choice(b, (_RESAMPLES, len(b))), axis=1
        )
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


def _corrected(table: "DataFrame") -> "DataFrame":
    """Add `p_holm`: over measures, and in each measure over the pairs of three groups."""
    table["p_holm"] = np.nan
    counts = table.groupby("measure")["comparison"].transform("count")
    family = np.where(
        (counts > 1) & (table["comparison"] != "all"), table["measure"], ""
    )
    for name in dict.fromkeys(family):
        own = (family == name) & table["p"].notna()
        if own.any():
            p = table.loc[own, "p"].to_numpy(np.float64)
            table.loc[own, "p_holm"] = _holm(p)
    return table


def _holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values corrected by Holm (1979), in their order."""
    return np.asarray(_pingouin().multicomp(p, method="holm")[1])
