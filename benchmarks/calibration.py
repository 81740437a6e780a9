"""What the figures of calibration, the guaranteed threshold and the conformal sets promise, and what they hold.

    OMP_NUM_THREADS=1 python benchmarks/calibration.py [--quick]

All data are drawn, so the truth is known: findings come by their true logits, and the planted model says three times
these. Each table quotes its numbers of cases, draws and seeds. No file is read; the table is written beside this one.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.special import softmax
from scipy.stats import norm

from medcnn.metrics.calibration import temperature_of
from medcnn.metrics.conformal import conformal_figures, fit_conformal, selective_accuracy
from medcnn.metrics.decision_curve import decision_curve
from medcnn.metrics.estimate import Estimate
from medcnn.metrics.operating_point import threshold_for_sensitivity, threshold_with_guarantee
from medcnn.metrics.recalibration import probability_of
from medcnn.metrics.reliability import calibration_figures, reliability

RESULTS = Path(__file__).parent / "results" / "calibration.md"
TOO_FAR = 3.0
SHOWN = ("ece", "ece_debiased", "slope", "intercept", "brier", "brier_reliability", "brier_resolution")
CHECKED = ("intercept", "slope", "observed_over_expected", "brier", "ece")


def drawn(count: int, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """True logits and findings; one in three has the finding."""
    logits = chance.normal(-1, 2, count)
    return logits, chance.random(count) < probability_of(logits)


def row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def before_and_after(cases: int, seed: int) -> tuple[float, Iterator[str]]:
    """Figures of the planted model on test cases, as it is and with the temperature of validation cases."""
    chance = np.random.default_rng(seed)
    (val, val_true), (test, true) = drawn(cases, chance), drawn(cases, chance)
    pairs = TOO_FAR * np.stack([np.zeros(cases), val], axis=1)
    temperature = temperature_of(pairs, val_true.astype(int)).value
    before = calibration_figures(probability_of(TOO_FAR * test), true)
    after = calibration_figures(probability_of(TOO_FAR * test / temperature), true)
    ideal = calibration_figures(probability_of(test), true, draws=2)
    return temperature, (row(name, before[name], after[name], f"{ideal[name].value:.3f}") for name in SHOWN)


def coverage(factor: float, cases: int, draws: int) -> str:
    """How many intervals of many samples hold the value of two million cases."""
    logits, positive = drawn(2_000_000, np.random.default_rng(99))
    of_all = calibration_figures(probability_of(factor * logits), positive, draws=2)
    held, errors = dict.fromkeys(CHECKED, 0), []
    for seed in range(draws):
        logits, positive = drawn(cases, np.random.default_rng(seed))
        found = calibration_figures(probability_of(factor * logits), positive, draws=400, seed=seed)
        errors.append((found["ece"].value, found["ece_debiased"].value))
        for name in CHECKED:
            # Two million cases are not all there are: a thousandth beside them counts as held.
            held[name] += found[name].low - 1e-3 <= of_all[name].value <= found[name].high + 1e-3
    plain, less = np.mean(errors, axis=0)
    shares = [f"{100 * held[name] / draws:.1f}" for name in CHECKED]
    return row(f"{factor:g}", cases, *shares, f"{of_all['ece'].value:.3f}", f"{plain:.3f}", f"{less:.3f}")


def guarantee(patients: int, films: int, target: float, draws: int) -> str:
    """How often the true sensitivity falls short, for scores whose distribution is known."""
    chance, owners = np.random.default_rng(1), np.repeat(np.arange(patients), films)
    positive, found = np.ones(patients * films, dtype=bool), []
    for _ in range(draws):
        own, film = chance.normal(size=patients), chance.normal(size=patients * films)
        # Standard normal each; two films of a patient correlate by 0.8.
        scores = np.repeat(own, films) * np.sqrt(0.8) + film * np.sqrt(0.2) if films > 1 else own
        plain = threshold_for_sensitivity(scores, positive, target).threshold
        naive = threshold_with_guarantee(scores, positive, target).threshold
        found.append((plain, naive, threshold_with_guarantee(scores, positive, target, patients=owners).threshold))
    sensitivity = norm.sf(np.array(found))
    short = [f"{100 * share:.1f}" for share in (sensitivity < target).mean(axis=0)]
    return row(patients, films, target, *short, f"{sensitivity[:, 2].mean():.3f}")


def conformal(cases: int, alpha: float, by_class: bool, draws: int) -> str:
    """Coverage of new cases, on average over calibrations; few cases are of the rare class."""
    found = []
    for seed in range(draws):
        chance = np.random.default_rng(seed)
        (val, val_true), (test, true) = of_two_classes(cases, chance), of_two_classes(4000, chance)
        sets = fit_conformal(val, val_true, alpha, by_class).sets(test)
        held, sure = sets[np.arange(4000), true], sets.sum(axis=1) == 1
        found.append((held.mean(), held[true == 0].mean(), held[true == 1].mean(), 1 - sure.mean(), held[sure].mean()))
    shares = [f"{100 * share:.1f}" for share in np.nanmean(found, axis=0)]
    return row(cases, f"{100 * (1 - alpha):g}", "yes" if by_class else "no", *shares)


def of_two_classes(count: int, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    logits = chance.normal(-4, 2, count)
    probabilities = softmax(np.stack([np.zeros(count), TOO_FAR * logits], axis=1), axis=1)
    return probabilities, (chance.random(count) < probability_of(logits)).astype(int)


def one_conformal() -> Iterator[str]:
    """The figures of one test set with their intervals."""
    chance = np.random.default_rng(0)
    (val, val_true), (test, true) = of_two_classes(624, chance), of_two_classes(624, chance)
    figures: dict[str, Estimate] = conformal_figures(fit_conformal(val, val_true).sets(test), true)
    return (row(name, figure, figure.n) for name, figure in figures.items())


def seconds(cases: int) -> Iterator[str]:
    """CPU seconds on one set of so many cases."""
    logits, positive = drawn(cases, np.random.default_rng(0))
    probabilities, labels = probability_of(TOO_FAR * logits), positive.astype(int)
    both = np.stack([1 - probabilities, probabilities], axis=1)
    calls = {
        "calibration_figures, 1,000 draws": lambda: calibration_figures(probabilities, positive),
        "reliability": lambda: reliability(probabilities, positive),
        "decision_curve, 99 thresholds, 200 draws": lambda: decision_curve(probabilities, positive),
        "threshold_with_guarantee": lambda: threshold_with_guarantee(logits, positive, 0.95),
        "fit_conformal": lambda: fit_conformal(both, labels),
        "conformal_figures": lambda: conformal_figures(both > 0.1, labels),
        "selective_accuracy": lambda: selective_accuracy(both.max(axis=1), (probabilities > 0.5) == positive),
    }
    for name, call in calls.items():
        start = time.process_time()
        call()
        yield row(name, f"{time.process_time() - start:.2f}")


def report(quick: bool) -> str:
    draws = 40 if quick else 400
    temperature, figures = before_and_after(2000, 0)
    covered = [coverage(factor, cases, draws) for factor in (1.0, 1.3, TOO_FAR) for cases in (200, 624)]
    guaranteed = [guarantee(*kind, 2 * draws) for kind in ((60, 1, 0.9), (150, 1, 0.95), (400, 1, 0.95), (60, 5, 0.9))]
    conforming = [conformal(n, a, by, draws) for n in (150, 624) for a in (0.1, 0.05) for by in (True, False)]
    rare = 1 / of_two_classes(400_000, np.random.default_rng(0))[1].mean()
    lines = "\n".join
    return f"""# Calibration, a guaranteed threshold, conformal sets

One run of `OMP_NUM_THREADS=1 python benchmarks/calibration.py`. Findings are drawn by true logits,
normal with mean -1 and deviation 2; the planted model says {TOO_FAR:g} times these. Intervals are of 95 %.

## A planted over-confident model, before and after its temperature

2,000 validation cases for the temperature, 2,000 others to judge by, seed 0. Temperature found {temperature:.3f},
planted {TOO_FAR:g}. Last column: the true probabilities on the same test cases.

| figure | before | after | true probabilities |
|---|---|---|---|
{lines(figures)}

## What the intervals hold, in per cent of {draws} samples

True value: that of 2,000,000 cases (seed 99), in the same ten bins. Seeds 0 to {draws - 1}, 400 draws of patients each.
The last columns are the calibration error: true, and the mean of the plain and of the debiased one over samples.

| logits times | cases | intercept | slope | observed / expected | Brier | ECE | true ECE | plain | debiased |
|---|---|---|---|---|---|---|---|---|---|
{lines(covered)}

## A threshold with a guaranteed sensitivity (confidence 95 %)

{2 * draws} validation sets, seed 1; standard normal scores, so the true sensitivity of a threshold is known. In how
many per cent of sets it is below the target, where at most 5 are promised: with the plain threshold for a sensitivity,
with the guarantee where the patient of a film is not told, and where it is. Films of one patient correlate by 0.8.

| patients with finding | films each | target | plain | patients not told | guarantee | its mean sensitivity |
|---|---|---|---|---|---|---|
{lines(guaranteed)}

## Conformal sets

The planted model, true logits with mean -4: one case in {rare:.0f} has the finding. {draws} calibrations, seeds 0 to
{draws - 1}, 4,000 new cases each. Per cent of cases; sure: sets of one class.

| calibrated on | asked for | by class | covered | without finding | with finding | abstained | right when sure |
|---|---|---|---|---|---|---|---|
{lines(conforming)}

One of these (624 and 624 cases, 90 %, by class, seed 0), as it is reported:

| figure | value | cases |
|---|---|---|
{lines(one_conformal())}

## Time for 100,000 cases

CPU seconds, one thread, each case its own patient.

| figures | s |
|---|---|
{lines(seconds(100_000))}
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="few draws, and nothing is written")
    given = options.parse_args()
    text = report(given.quick)
    print(text)
    if not given.quick:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
