"""``medcnn learning-curve``: the same training on more and more of the cases."""

import argparse
import json
import math
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from medcnn.errors import ConfigError
from medcnn.library_output import child_streams
from medcnn.spreadsheet import original_frame, write_frame

if TYPE_CHECKING:
    import pandas as pd

    from medcnn.metrics.estimate import Estimate
    from medcnn.report.facts import RunFacts

STOPPED = 130
#: What a figure rises by before it is worth more cases, and half an interval within which that could be seen.
SLIGHT, NARROW = 0.01, 0.02
#: Words of fit that would mix the runs of a curve up, and why.
_REFUSED = {
    "--ckpt_path": "every share is trained from the start",
    "--register": "a curve is no product; register the model of an ordinary fit",
    "--trainer.logger": "the curve is read from the runs",
    "--tracking.tags": "the runs of a curve are found by their own tags",
    "--data.init_args.train_share": "it is set by --shares",
}
Fit = Callable[[list[str]], int]


class Asked(NamedTuple):
    """What was typed.

    Attributes:
        shares: Of the training cases, the smallest first.
        out: Folder for the table.
        curve: What the runs are tagged with.
        words: The words of fit.
    """

    shares: list[float]
    out: Path
    curve: str
    words: list[str]


class Point(NamedTuple):
    """A run of a curve.

    Attributes:
        share: Of the training cases.
        cases: That it was trained on.
        patients: They belong to; None where nothing tells patients apart.
        figure: By which its best model was kept.
        estimate: That figure of that model on the validation cases, which are the same for every share.
        run: Its id.
        falls: Whether a lower figure is the better one.
    """

    share: float
    cases: int
    patients: int | None
    figure: str
    estimate: "Estimate"
    run: str
    falls: bool = False


def run(words: list[str], fit: "Fit | None" = None) -> int:
    """Fit once for every share, and lay the figures side by side.

    A share that has a finished run under the same ``--id`` is not trained again, so a stopped curve goes on.

    Args:
        words: The verb, and what was typed after it.
        fit: How to run one fit; a process of its own by default, so that nothing of one is left in the next, and
            several devices start as in any other fit.

    Returns:
        The exit code; that of the fit that failed, if one did.

    Raises:
        ConfigError: Shares that are none, or words that do not go with a curve.
    """
    asked = _asked(words[1:])
    from medcnn.tracking.learning import runs_of_curve

    store = _value_of("--tracking.tracking_uri", asked.words)
    for share in asked.shares:
        if f"{share:g}" in runs_of_curve(asked.curve, store):
            continue
        print(f"\nshare      {share:g} of the training cases", flush=True)
        code = (fit or _fit)(_words_of_fit(asked, share))
        if code:
            return _told_stop(asked, code)
    return _conclude(asked, store)


def _asked(words: list[str]) -> Asked:
    parser = argparse.ArgumentParser(
        "medcnn learning-curve",
        description="Train on nested shares of the cases, each a run of its own, and tell the figure of each on the "
        "same validation cases: whether more cases would help. All other words are those of medcnn fit.",
        allow_abbrev=False,
    )
    parser.add_argument("--shares", default="[0.1,0.25,0.5,1.0]", help="shares of the training cases (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("learning_curve"), help="folder for the table (%(default)s)")
    parser.add_argument("--id", default=None, help="name of a curve that was stopped, to go on with it")
    found, rest = parser.parse_known_args(words)
    for word in rest:
        if (name := word.split("=")[0]) in _REFUSED:
            raise ConfigError(f"{name} does not go with a learning curve: {_REFUSED[name]}")
    curve = found.id or secrets.token_hex(4)
    if not curve.isalnum():
        raise ConfigError(f"--id is {curve!r}; expected the letters and digits that a stopped curve told")
    if found.out.exists() and not found.out.is_dir():
        raise ConfigError(f"out is {found.out.name}, which is a file: give a folder with --out")
    return Asked(_shares(found.shares), found.out, curve, rest)


def _shares(text: str) -> list[float]:
    try:
        shares = sorted({float(part) for part in text.strip("[] ").split(",")})
    except ValueError as error:
        raise ConfigError(f"--shares is {text!r}; expected numbers like [0.1,0.25,0.5,1.0]") from error
    if not all(0 < share <= 1 for share in shares):
        raise ConfigError(f"--shares is {text!r}; expected shares above 0 and up to 1")
    return shares


def _value_of(name: str, words: list[str]) -> str | None:
    """What a word of fit is set to on the command line."""
    for place, word in enumerate(words):
        if word == name and place + 1 < len(words):
            return words[place + 1]
        if word.startswith(f"{name}="):
            return word.removeprefix(f"{name}=")
    return None


def _words_of_fit(asked: Asked, share: float) -> list[str]:
    from medcnn.tracking.learning import CURVE_TAG, SHARE_TAG

    tags = json.dumps({CURVE_TAG: asked.curve, SHARE_TAG: f"{share:g}"})
    return ["fit", *asked.words, "--data.init_args.train_share", f"{share:g}", "--tracking.tags", tags]


def _fit(words: list[str]) -> int:
    """A fit in a process of its own. Ctrl-C reaches it too: it is waited for until it has closed its run."""
    with subprocess.Popen([sys.executable, "-m", "medcnn", *words], **child_streams()) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            return STOPPED


def _told_stop(asked: Asked, code: int) -> int:
    if code == STOPPED:
        told = f"stopped; the same command goes on with --id {asked.curve}"
        print(f"medcnn learning-curve: {told}", file=sys.stderr)
    return code


def _conclude(asked: Asked, store: str | None) -> int:
    """Gather the runs, say and write the table, and put it into the run of the largest share."""
    from medcnn.tracking.learning import log_curve, runs_of_curve

    runs = runs_of_curve(asked.curve, store)
    missing = [f"{share:g}" for share in asked.shares if f"{share:g}" not in runs]
    if missing:
        raise ConfigError(
            f"no finished run for the shares {', '.join(missing)}: the curve is read from the runs, so track them, and "
            "name the store by MLFLOW_TRACKING_URI or --tracking.tracking_uri"
        )
    points = [_point(share, runs[f"{share:g}"], store) for share in asked.shares]
    print("\n" + "\n".join(filter(None, [_shown(points), verdict(points)])))
    asked.out.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = asked.out / "learning_curve.csv"
    write_frame(path, _table(points))
    log_curve(points[-1].run, path, store)
    print(f"\ntable      {path}, and in run {points[-1].run}")
    print("           a report shows the curve of the run it is of: medcnn report runs:/" + points[-1].run)
    return 0


def _point(share: float, run_id: str, store: str | None) -> Point:
    from medcnn.tracking.runs import fetch_run

    facts = fetch_run(run_id, store)
    trained = facts.data.get("splits", {}).get("train", {})
    kept = facts.config.get("checkpoint", {})
    figure = str(kept.get("monitor", "val/loss"))
    estimate, falls = _figure_of(facts, figure), kept.get("mode") == "min" or figure.endswith("loss")
    return Point(share, trained.get("cases", 0), trained.get("patients"), figure, estimate, run_id, falls)


def _figure_of(facts: "RunFacts", figure: str) -> "Estimate":
    """The run's figure on the validation cases: with the patients where their table is there, as logged otherwise."""
    from medcnn.metrics.estimate import Estimate

    table = None if facts.folder is None else facts.folder / "val" / "predictions.csv"
    if figure == "val/auroc" and table is not None and table.is_file():
        import pandas as pd

        from medcnn.report.intervals import auroc_intervals
        from medcnn.report.outcome_table import outcome_from_table

        found = auroc_intervals(
            outcome_from_table(
                original_frame(pd.read_csv(table, keep_default_na=False, na_values=[""])),
                facts.model.get("classes"),
                split="val",
            )
        )
        if "auroc" in found:
            return found["auroc"]
    value, low, high = (facts.metrics.get(f"{figure}{end}", math.nan) for end in ("", "_low", "_high"))
    n = int(facts.data.get("splits", {}).get("val", {}).get("cases", 0))
    return Estimate(value, low, high, n, reason="" if math.isfinite(value) else f"the run logged no {figure}")


def _table(points: list[Point]) -> "pd.DataFrame":
    import pandas as pd

    rows = [
        {**point._asdict(), **{name: getattr(point.estimate, name) for name in ("value", "low", "high", "n", "reason")}}
        for point in points
    ]
    return pd.DataFrame(rows).drop(columns=["estimate", "falls"])


def verdict(points: list[Point]) -> str:
    """Whether more cases would help, by the last step of the curve, in one line; "" for a single point.

    More would help where the figure rose and the intervals lie apart, and hardly where it rose by no more than
    ``SLIGHT`` and the last interval reaches no farther than ``NARROW`` to either side. In between it is not known.
    """
    if len(points) < 2:
        return ""
    before, last = points[-2:]
    one, other = before.estimate, last.estimate
    rise = (one.value - other.value) if last.falls else (other.value - one.value)
    if math.isnan(rise):
        return "more cases: whether they would help is not known, a figure is missing"
    moved = f"{last.figure} got {'better' if rise >= 0 else 'worse'} by {abs(rise):.3f}"
    head = f"from {100 * before.share:g} to {100 * last.share:g} % of the cases {moved}"
    if any(map(math.isnan, (one.low, one.high, other.low, other.high))):
        return f"{head}; without intervals that may be chance: whether more cases would help is not known"
    if one.high < other.low or other.high < one.low:
        return f"{head} (the intervals lie apart): {_beyond(rise)}"
    if rise <= SLIGHT and (other.high - other.low) / 2 <= NARROW:
        return f"{head} (the intervals overlap): more cases of the same kind would hardly help"
    return f"{head} (the intervals overlap): more cases may help; {other.n:,} validation cases cannot tell"


def _beyond(rise: float) -> str:
    return "more cases would probably help" if rise > 0 else "look at the training before more cases"


def _shown(points: list[Point]) -> str:
    lines = [f"{'share':>6} {'cases':>7} {'patients':>9}  {points[-1].figure}"]
    for point in points:
        told = f"{point.estimate} {point.estimate.reason}".rstrip()
        patients = "not told" if point.patients is None else point.patients
        lines.append(f"{point.share:>6g} {point.cases:>7} {patients:>9}  {told}")
    return "\n".join(lines)
