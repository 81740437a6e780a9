"""Do the intervals cover the truth, and what do they cost: coverage by simulation, times beside loops and libraries.

    python benchmarks/intervals.py [--cohorts 500] [--draws 2000]

A cohort is a number of patients with five films each. A film's score is the sum of its label times a shift, a
patient's own normal part and a film's own normal part, so films of a patient are correlated, and the true AUROC and
sensitivity are known from the normal distribution. Every cohort has its own seed, 0 to ``cohorts`` - 1.
"""

import argparse
import itertools
import math
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score

from medcnn.metrics.bootstrap import bootstrap_auroc
from medcnn.metrics.delong import auroc_covariance, auroc_interval
from medcnn.metrics.estimate import Estimate
from medcnn.metrics.ranking import auroc
from medcnn.metrics.rates import share

FILMS, PREVALENCE, BETWEEN, VARYING, THRESHOLD = 5, 0.4, 0.6, 0.15, 0.6
EDGE = 1000
Interval = Callable[[np.ndarray, np.ndarray, np.ndarray], Estimate]
RESULTS = Path(__file__).parent / "results" / "intervals.md"


class Population(NamedTuple):
    """Where cohorts come from: what parts the classes, and the share of films with another label than their patient."""

    shift: float
    flips: float = 0.0

    @property
    def auroc(self) -> float:
        """Two films of different patients differ with variance 2."""
        return float(stats.norm.cdf(self.shift / math.sqrt(2)))

    def sensitivity(self, threshold: float) -> float:
        return float(stats.norm.sf(threshold - self.shift))

    def cohort(self, patients: int, seed: int, films: int = FILMS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores, truth and patients of so many films a patient."""
        generator = np.random.default_rng(seed)
        owner = np.repeat(np.arange(patients), films)
        positive = (generator.random(patients) < PREVALENCE)[owner] ^ (generator.random(len(owner)) < self.flips)
        common, own = generator.normal(size=patients)[owner], generator.normal(size=len(owner))
        scores = self.shift * positive + math.sqrt(BETWEEN) * common + math.sqrt(1 - BETWEEN) * own
        return scores, positive, owner


POPULATIONS = {
    "one label a patient": Population(1.2),
    "labels vary": Population(1.2, VARYING),
    "one label, a strong model": Population(2.2),
}


def naive(scores: np.ndarray, positive: np.ndarray, _: np.ndarray) -> Estimate:
    """As if every film were a patient."""
    return auroc_interval(scores, positive)


def coverage(interval: Interval, truth: float, population: Population, patients: int, cohorts: int) -> str:
    """Cells of a row: share of intervals that hold the truth, its own Monte Carlo interval, mean width, how many."""
    found = [interval(*population.cohort(patients, seed)) for seed in range(cohorts)]
    told = [one for one in found if not math.isnan(one.low)]
    held = sum(one.low <= truth <= one.high for one in told)
    low, high = stats.binomtest(held, len(told)).proportion_ci(method="exact")
    width = np.mean([one.high - one.low for one in told])
    return (
        f"{100 * held / len(told):.1f} % | {100 * low:.1f} to {100 * high:.1f} | {width:.3f} | {len(told)} of {cohorts}"
    )


def coverage_table(cohorts: int, draws: int) -> str:
    """Every interval on every population, at 150 and at 30 patients."""
    lines = [
        "| patients | films | figure (true value) | interval | covers | Monte Carlo 95 % | mean width | told |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for patients in (150, 30):
        for name, population in POPULATIONS.items():
            aurocs: dict[str, Interval] = {
                "DeLong, clustered by patient": auroc_interval,
                "bootstrap over patients": lambda s, y, p: bootstrap_auroc(s, y, p, draws=draws),
                "DeLong, as if films were patients": naive,
            }
            shares: dict[str, Interval] = {
                "Wilson, clustered by patient": lambda s, y, p: share((s >= THRESHOLD)[y], p[y]),
                "Wilson, as if films were patients": lambda s, y, p: share((s >= THRESHOLD)[y]),
            }
            for figure, truth, intervals in (
                ("AUROC", population.auroc, aurocs),
                ("sensitivity", population.sensitivity(THRESHOLD), shares),
            ):
                for kind, interval in intervals.items():
                    cells = coverage(interval, truth, population, patients, cohorts)
                    lines.append(f"| {patients} | {name} | {figure} ({truth:.4f}) | {kind} | {cells} |")
                    print(lines[-1], flush=True)
    return "\n".join(lines)


def long_run_table(seeds: range) -> str:
    """The intervals that cost little, over many more cohorts: 500 leave two points of chance to either side."""
    lines = ["| patients | films | AUROC, DeLong by patient | sensitivity, Wilson by patient |", "|---|---|---|---|"]
    for patients in (150, 30):
        for name, population in POPULATIONS.items():
            truths, held = (population.auroc, population.sensitivity(THRESHOLD)), np.zeros(2)
            for seed in seeds:
                scores, positive, owner = population.cohort(patients, seed)
                found = auroc_interval(scores, positive, owner), share((scores >= THRESHOLD)[positive], owner[positive])
                held += [one.low <= truth <= one.high for one, truth in zip(found, truths, strict=True)]
            cells = " | ".join(f"{100 * part / len(seeds):.1f} %" for part in held)
            lines.append(f"| {patients} | {name} | {cells} |")
    return "\n".join(lines)


def edge_table(cohorts: int) -> str:
    """DeLong's interval where few or no patients lose a pair, with and without Newcombe's beside it."""
    lines = ["| patients | films each | AUROC | parted wholly | covers | DeLong alone |", "|---|---|---|---|---|---|"]
    for patients in (12, 30, 60, 150):
        for films, shift in itertools.product((1, FILMS), (2.2, 3.0, 3.6, 4.2)):
            population = Population(shift)
            drawn = [population.cohort(patients, seed, films) for seed in range(cohorts)]
            found = [auroc_interval(*one) for one in drawn]
            alone = [alone_interval(*one) for one in drawn]
            cells = [covers(population.auroc, told) for told in (found, alone)]
            parted = np.mean([one.value in (0, 1) for one in found])
            lines.append(
                f"| {patients} | {films} | {population.auroc:.4f} | {100 * parted:.0f} % | {' | '.join(cells)} |"
            )
            print(lines[-1], flush=True)
    return "\n".join(lines)


def alone_interval(scores: np.ndarray, positive: np.ndarray, owner: np.ndarray) -> Estimate:
    """The logit interval of DeLong's variance, whatever it rests on; none where that is zero."""
    with mock.patch("medcnn.metrics.delong.FEWEST", 0):
        found = auroc_interval(scores, positive, owner)
    return found._replace(low=math.nan) if found.value in (0.0, 1.0) else found


def covers(truth: float, found: list[Estimate]) -> str:
    told = [one for one in found if not math.isnan(one.low)]
    held = np.mean([one.low <= truth <= one.high for one in told]) if told else math.nan
    return f"{100 * held:.1f} % of {len(told)}"


def largest_difference(rounds: int = 200) -> float:
    """Between DeLong's covariances by one sort and by all pairs, on scores full of ties."""
    worst, generator = 0.0, np.random.default_rng(0)
    for _ in range(rounds):
        positive = generator.random(400) < generator.uniform(0.05, 0.95)
        models = np.round(generator.normal(size=(2, 400)) + positive, int(generator.integers(0, 3)))
        wins = [
            (m[positive][:, None] > m[~positive]) + 0.5 * (m[positive][:, None] == m[~positive]) for m in models
        ]  # fmt: skip
        pairs = sum(np.cov(*(one.mean(axis=axis) for one in wins)) / wins[0].shape[1 - axis] for axis in (0, 1))
        worst = max(worst, float(np.abs(auroc_covariance(models, positive) - pairs).max()))
    return worst


def seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """CPU time of one call, the median after a first one that warms up."""
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return float(np.median(times[1:]))


def looped(scores: np.ndarray, positive: np.ndarray, draws: int) -> None:
    """The bootstrap as it is often written."""
    generator = np.random.default_rng(0)
    figures = []
    for _ in range(draws):
        drawn = generator.integers(0, len(scores), len(scores))
        figures.append(roc_auc_score(positive[drawn], scores[drawn]))
    np.percentile(figures, [2.5, 97.5])


def times(n: int, draws: int, loop_draws: int, our_draws: int) -> dict[str, float]:
    """Seconds of every way at ``n`` cases; the bootstraps told for ``draws`` from fewer."""
    from torchmetrics.functional.classification import binary_auroc

    generator = np.random.default_rng(0)
    positive = generator.random(n) < 0.6
    scores = 1 / (1 + np.exp(-generator.normal(size=n) - 1.5 * positive))
    tensors = torch.from_numpy(scores), torch.from_numpy(positive.astype(np.int64))
    loop = seconds(lambda: looped(scores, positive, loop_draws), 1)
    ours = seconds(lambda: bootstrap_auroc(scores, positive, draws=our_draws), 1)
    return {
        "`auroc`": seconds(lambda: auroc(scores, positive)),
        "torchmetrics `binary_auroc`, exact": seconds(lambda: binary_auroc(*tensors)),
        "scikit-learn `roc_auc_score`": seconds(lambda: roc_auc_score(positive, scores)),
        "`auroc_interval` (DeLong)": seconds(lambda: auroc_interval(scores, positive)),
        f"`bootstrap_auroc`, {draws} draws": ours * draws / our_draws,
        f"a loop over `roc_auc_score`, {draws} draws": loop * draws / loop_draws,
    }


def time_table(draws: int) -> str:
    """Seconds at 624 cases, a usual test set, and at a million."""
    torch.set_num_threads(1)
    small, large = times(624, draws, draws, draws), times(1_000_000, draws, 5, 40)
    delong = "`auroc_interval` (DeLong)"
    lines = [
        f"| {name} | {took:.3g} | {took / small[delong]:.3g} | {large[name]:.3g} | {large[name] / large[delong]:.3g} |"
        for name, took in small.items()
    ]
    return "\n".join(["| way | n = 624, s | to DeLong | n = 1e6, s | to DeLong |", "|---|---|---|---|---|", *lines])


def peak_mb(n: int = 1_000_000) -> float:
    """What the bootstrap over a million cases allocates at once."""
    generator = np.random.default_rng(0)
    positive = generator.random(n) < 0.6
    scores = generator.normal(size=n) + positive
    tracemalloc.start()
    bootstrap_auroc(scores, positive, draws=3)
    return tracemalloc.get_traced_memory()[1] / 1e6


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cohorts", type=int, default=500)
    options.add_argument("--draws", type=int, default=2000)
    given = options.parse_args()
    text = f"""# Intervals: do they cover the truth, and what do they cost

`python benchmarks/intervals.py`, one run, one thread. {given.cohorts} cohorts a row, seeds 0 to {given.cohorts - 1},
{FILMS} films a patient; {100 * BETWEEN:.0f} % of a score's variance is the patient's; {100 * PREVALENCE:.0f} % of the
patients have the finding. The true values are known from the normal distribution. Where labels vary,
{100 * VARYING:.0f} % of the films have another label than their patient. The bootstrap has {given.draws} draws a
cohort. Sensitivity is at a score of {THRESHOLD}. The Monte Carlo interval is Clopper and Pearson's for that many
cohorts.

{coverage_table(given.cohorts, given.draws)}

The same over 3000 other cohorts, seeds 10000 to 12999 (chance: 0.8 points to either side):

{long_run_table(range(10_000, 13_000))}

Near an AUROC of 1 ({EDGE} cohorts a row; one label a patient): where fewer than five patients of a class lose a pair,
the interval reaches as far as Newcombe's; DeLong alone has none where the scores part the classes wholly.

{edge_table(EDGE)}

CPU seconds; at a million cases the bootstraps are told from fewer draws (5 of the loop, 40 of ours), times what is
missing. The loop and ours draw cases, each its own patient.

{time_table(given.draws)}

Largest difference between DeLong's covariances by one sort and by all pairs, 200 pairs of models on 400 cases with
ties: {largest_difference():.1e}. The bootstrap over a million cases allocates {peak_mb():.0f} MB at once, whatever the
number of draws.
Load of the machine at the end: {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores.
"""
    print(text)
    RESULTS.write_text(text)


if __name__ == "__main__":
    main()
