"""The map of cases in a real browser with the network cut: no request, no word on the console, values stay text."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browser import MISSING, DevTools, find_chromium, open_page

from medcnn.report.page.embedding import embedding_html, write_embedding_page

HOSTILE = "<img src=x onerror=window.hit=1>"
SCRIPTED = "</script><script>window.hit=1</script>"


def cases(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    which = np.arange(n) % 2
    table = pd.DataFrame({
        "case": [f"case_{i:04d}" for i in range(n)],
        "split": np.where(np.arange(n) < n // 2, "train", "test"),
        "label": np.where(which == 1, "pneumonia", "normal"),
        "call": np.where(rng.random(n) < 0.9, which, 1 - which),
        "group/scanner": np.where(rng.random(n) < 0.5, HOSTILE, SCRIPTED),
        "group/age": rng.integers(20, 90, n),
        "group/ward": [None, *["a & b"] * (n - 1)],
    })  # fmt: skip
    for name in ("x", "y", "tsne3d1", "tsne3d2", "tsne3d3", "pca1", "pca2", "pca3"):
        table[name] = rng.normal(size=n) + 4 * which
    return table


VIEW = """(async () => {
  const seen = {};
  const menu = (id, value) => { const m = document.getElementById(id); m.value = value;
    m.dispatchEvent(new Event("change")); };
  const map = document.getElementById("map");
  for (const kind of ["t-SNE", "principal components"]) for (const dims of ["2-D", "3-D"])
    for (const color of dims === "2-D" ? ["label", "call", "split", "scanner", "age", "ward"] : ["label"]) {
      menu("kind", kind); menu("dims", dims); menu("color", color);
      await new Promise((done) => setTimeout(done, 30));
      seen[[kind, dims, color].join("/")] = [map.data[0].type, map.data.reduce((n, t) => n + t.x.length, 0)];
    }
  menu("dims", "2-D"); menu("color", "scanner");
  await new Promise((done) => setTimeout(done, 300));
  Plotly.Fx.hover(map, [{curveNumber: 0, pointNumber: 0}]);
  await new Promise((done) => setTimeout(done, 300));
  return JSON.stringify({seen: seen, hit: window.hit || 0, images: document.querySelectorAll("img").length,
    legend: [...document.querySelectorAll(".legendtext")].map((t) => t.textContent),
    hover: [...document.querySelectorAll(".hovertext")].map((t) => t.textContent).join("")});
})()"""


def awaited(self: DevTools, expression: str) -> Any:
    """As the browser of the tests evaluates, but a promise is waited for: a map is drawn some moments later."""
    answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
    assert "exceptionDetails" not in answer, answer
    return answer["result"].get("value")


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason=MISSING)
def test_every_view_draws_every_case_and_values_stay_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DevTools, "evaluate", awaited)
    page = write_embedding_page(cases(), tmp_path / "embedding.html", f"Map {HOSTILE}", f"Note {HOSTILE}")
    loaded = open_page(page, 1280, 900, VIEW)
    assert loaded.requests == []
    # Software drawing in three dimensions makes the browser speak of its own speed; of the page it has nothing to say.
    assert [line for line in loaded.console if not re.search("Canvas2D|WebGL", line)] == []
    told = json.loads(loaded.value)
    assert (told["hit"], told["images"]) == (0, 0)
    assert set(map(tuple, told["seen"].values())) == {("scatter", 60), ("scatter3d", 60)}
    assert len(told["seen"]) == 14
    assert set(told["legend"]) == {HOSTILE, SCRIPTED}
    assert "case: case_00" in told["hover"]
    assert "scanner: <" in told["hover"]


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason=MISSING)
def test_the_page_fits_a_telephone(tmp_path: Path) -> None:
    loaded = open_page(write_embedding_page(cases(), tmp_path / "embedding.html"), 400, 700)
    assert loaded.scroll_width <= 400
    assert loaded.console == []


def test_the_policy_forbids_all_but_the_scripts_of_the_page() -> None:
    page = embedding_html(cases())
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"('sha256-[\w+/=]{44}' ?){2}", rules["script-src"])
    assert "unsafe-eval" not in policy
    assert HOSTILE not in page
    assert SCRIPTED not in page


def test_a_table_without_a_map_is_refused_and_missing_numbers_are_left_out() -> None:
    with pytest.raises(ValueError, match="needs the columns case"):
        embedding_html(cases()[["case", "label"]])
    table = cases().assign(x=np.nan)
    told = re.search(r'id="told">(.*?)</script>', embedding_html(table))
    assert told is not None
    assert json.loads(told[1])["maps"]["t-SNE"]["2-D"][0] == [None] * 60


def test_a_table_of_three_columns_is_a_map() -> None:
    page = embedding_html(cases()[["case", "pca1", "pca2"]])
    assert '"all cases"' in page
