"""What verbs over a folder of images share: progress, the device, and how they stop."""

import sys
import time
from typing import TYPE_CHECKING, NoReturn

from medcnn.errors import MedcnnError

if TYPE_CHECKING:
    from medcnn.scoring.tally import Tally

#: Seconds between two lines where standard error is not a terminal.
_EVERY_S = 30.0


class Progress:
    """A bar on a terminal, a line now and then in a log; counts only, for names can be patients' names."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._terminal = sys.stderr.isatty()
        self._bar = tqdm(unit=" files", disable=not self._terminal, dynamic_ncols=True, smoothing=0.1)
        self._next = time.monotonic() + _EVERY_S

    def __call__(self, tally: "Tally") -> None:
        """Show where a run stands."""
        if self._terminal:
            if self._bar.total is None:
                self._bar.reset(total=tally.found)
                self._bar.initial = tally.done
                self._bar.n = tally.done
            self._bar.set_postfix(states_of(tally), refresh=False)
            self._bar.update(tally.done - self._bar.n)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + _EVERY_S
            counts = ", ".join(f"{count} {state}" for state, count in states_of(tally).items())
            print(
                f"{tally.done} of {tally.found} files: {counts}; {tally.rate:.1f} a second", file=sys.stderr, flush=True
            )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def states_of(tally: "Tally") -> dict[str, int]:
    """Files by state, those that have a row."""
    return {state: tally.states[state] for state in ("scored", "skipped", "failed")}


def left_out(tally: "Tally") -> list[str]:
    """Lines on what is neither scored, skipped nor failed: rows of files that are gone, and hidden files."""
    lines = []
    if tally.gone:
        lines.append(f"{tally.gone} rows of files that are not in SOURCE now, listed as gone in skipped.csv")
    if tally.hidden:
        lines.append(f"{tally.hidden} hidden files or folders ignored: their names begin with a dot")
    return lines


def volumes_told(tally: "Tally", done: str, table: str, advice: str, out: str) -> str:
    """What a verb over volumes says at its end.

    Args:
        tally: Counts over all that was found.
        done: What was done to those that it worked for, as ``segmented``.
        table: Where their flags stand.
        advice: A line about the reasons, or "".
        out: What lies in OUT.
    """
    states = ", ".join(f"{count} {done if state == 'scored' else state}" for state, count in states_of(tally).items())
    lines = [f"{tally.found} volumes and other files found: {states}"]
    if tally.flagged:
        lines.append(f"{tally.flagged} of them with flags, see {table}")
    lines += [f"  {count:>7} {reason}" for reason, count in sorted(tally.reasons.items())]
    if advice:
        lines.append(advice)
    if tally.done_now:
        lines.append(f"{tally.done_now} of them now, in {tally.seconds:.1f} s")
    else:
        lines.append("nothing was new or had changed since the last start")
    return "\n".join([*lines, *left_out(tally), f"OUT holds {out}"])


def chosen_device(asked: str) -> str:
    """``cuda`` or ``cpu`` for what was asked for, which may be ``auto``.

    Raises:
        MedcnnError: If a GPU was asked for and there is none.
    """
    import torch

    if asked == "cuda" and not torch.cuda.is_available():
        raise MedcnnError("device is cuda, and torch finds none here: run `medcnn doctor`, or give cpu")
    return "cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu"


def stop(signum: int, frame: object) -> NoReturn:
    """End as after Ctrl-C: a batch system's SIGTERM leaves the tables written."""
    raise KeyboardInterrupt
