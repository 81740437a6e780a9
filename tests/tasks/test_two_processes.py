"""Two processes give the figures of one, on an odd number of cases."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import finished

SCRIPT = Path(__file__).with_name("two_processes.py")


def run(out, processes, script=SCRIPT):
    command = [sys.executable, str(script), str(out), str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    finished(command, check=True, env=environment)
    return [json.loads(out.with_suffix(f".{rank}").read_text()) for rank in range(processes)]


@pytest.mark.slow
def test_two_processes_give_the_figures_of_one(tmp_path):
    [alone], both = run(tmp_path / "one", 1), run(tmp_path / "two", 2)
    for kind, expected in alone.items():
        assert expected["cases"] == list(range(31))
        for found in (rank[kind] for rank in both):
            assert found["cases"] == expected["cases"]
            assert found["validated"]["val/auroc"] == expected["validated"]["val/auroc"]
            assert found["validated"] == pytest.approx(expected["validated"], rel=1e-6)
            assert found["tested"] == pytest.approx(expected["tested"], rel=1e-6)
        # Every process holds the same figures, so each keeps the same checkpoint and stops in the same epoch.
        assert both[0][kind]["fitted"] == both[1][kind]["fitted"]


@pytest.mark.slow
def test_two_processes_judge_a_segmentation_as_one(tmp_path):
    script = SCRIPT.with_name("two_processes_segmentation.py")
    [alone], both = run(tmp_path / "one", 1, script), run(tmp_path / "two", 2, script)
    for found in both:
        assert found["table"]["cases"] == [0, 1, 2, 3, 4]
        np.testing.assert_allclose(found["table"]["dice"], alone["table"]["dice"], rtol=1e-9)
        np.testing.assert_allclose(found["table"]["hd95_mm"], alone["table"]["hd95_mm"], rtol=1e-9)
        assert found["validated"] == pytest.approx(alone["validated"], rel=1e-6, nan_ok=True)
    assert both[0]["fitted"]["val/dice"] == both[1]["fitted"]["val/dice"]
