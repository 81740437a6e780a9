"""How often the search through subgroups flags a model without a gap, and how often it finds one of 0.10 AUC.

    python benchmarks/subgroups.py [--draws 200]

Cohorts are drawn: one film a patient or one to four, half of a score's variance between patients, 30 % with the
finding, an AUROC of 0.90. Four columns (sex, age, view, scanner) make fifteen groups, some of them small. A draw counts
as flagged if any gap in it is, in any figure. In the other half of the draws the AUROC of the women is 0.80.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from medcnn.metrics.estimate import Estimate
from medcnn.metrics.rates import share
from medcnn.metrics.subgroups import Subgroups, subgroups

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "metrics"))
from subgroup_cohorts import drawn

#: Films in all, and the most of one patient.
SIZES = ((1000, 1), (2000, 1), (300, 4), (1000, 4), (2000, 4), (4000, 4))


def gap_found(found: Subgroups) -> bool:
    """Whether the AUROC of the women is flagged."""
    return any(gap.flagged for gap in found.gaps if (gap.column, gap.figure) == ("sex", "auroc"))


def told(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def row(cases: int, films: int, draws: int) -> str:
    start = time.process_time()
    null = [subgroups(**drawn(seed, cases, films=films)) for seed in range(draws)]
    flagged = share(np.array([any(gap.flagged for gap in found.gaps) for found in null]))
    # One look with a bare 5 % each: what a report without a correction would show.
    bare = share(np.array([any(gap.p < 0.05 for gap in found.gaps) for found in null]))
    planted = [subgroups(**drawn(seed, cases, weaker=0.80, films=films)) for seed in range(1000, 1000 + draws)]
    power = share(np.array([gap_found(found) for found in planted]))
    looks = np.median([found.looks for found in null])
    each = 1000 * (time.process_time() - start) / (2 * draws)
    return f"| {cases} | {films} | {looks:.0f} | {told(flagged)} | {told(bare)} | {told(power)} | {each:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200, help="cohorts of each kind")
    draws = parser.parse_args().draws
    print("| films | most of a patient | looks | null data flagged | uncorrected | gap of 0.10 found | CPU, ms each |")
    print("|---|---|---|---|---|---|---|")
    for cases, films in SIZES:
        print(row(cases, films, draws), flush=True)


if __name__ == "__main__":
    main()
