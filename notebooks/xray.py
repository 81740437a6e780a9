# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # An X-ray, from a folder to a report
#
# The films are drawings: two bright lungs, and in some a shadow. What is learned from them says nothing about real
# films, but every step is the one that you take with yours. Each cell is one command of `medcnn`; in a shell it is
# `medcnn audit tour_xray/manifest.csv`, and so on.
#
# It takes about a minute on one core. Everything is written into `tour_xray/` and `mlflow.db` beside this notebook.

# %%
import json
from pathlib import Path

import pandas as pd
from IPython.display import Image

from medcnn.cli.configs import configs_folder
from medcnn.cli.main import main
from medcnn.data.phantom import make_phantom_cohort

tour = Path("tour_xray")
manifest = make_phantom_cohort(tour, patients=120, seed=3)
pd.read_csv(manifest).head()

# %% [markdown]
# ## Is the cohort sound?
# Copies, near-copies, conflicts of labels, patients on two sides of a split, files that do not read. One film was
# damaged on purpose.

# %%
main(["audit", str(manifest)])

# %% [markdown]
# ## Train
# The configuration joins small files: the data, the net, the trainer. Any value of it can be changed by name.

# %%
experiment = ["--config", str(configs_folder() / "experiment" / "demo.yaml"), "--data.init_args.source", str(manifest)]
quiet = ["--trainer.enable_progress_bar", "false", "--tracking.experiment", "tour"]
main(["fit", *experiment, *quiet, "--trainer.max_epochs", "20", "--register", "tour-chest"])

# %% [markdown]
# ## Test, once
# On patients that took no part in training. `test` also examines the model: noise and blur, shortcuts, what a map of
# relevance is worth.

# %%
main(["test", *experiment, *quiet, "--ckpt_path", "models:/tour-chest@champion"])

# %% [markdown]
# ## Report
# What only you know of a model goes into a small file; where you say nothing, the report says "not provided".

# %%
about = tour / "about.yaml"
about.write_text(
    "intended_use: To show a tour of medcnn. For nothing else.\n"
    "data_sources: Drawings by medcnn itself.\n"
    "reference_standard: The drawing knows whether it has a shadow.\n"
)
main(["report", "last", "--about", str(about), "--prevalence", "0.1", "--out", str(tour / "report")])

# %% [markdown]
# `tour_xray/report/report.html` is one file that needs no network: open it in a browser, or send it to somebody. Every
# picture in it is a file beside it, and has a table behind it.

# %%
sorted(path.name for path in (tour / "report" / "pictures").iterdir())

# %%
Image(tour / "report" / "pictures" / "roc.png")

# %%
card = json.loads((tour / "report" / "model_card.json").read_text())
pd.DataFrame(card["evaluation"]["figures"]).T[["value", "low", "high", "n", "patients", "method"]]

# %% [markdown]
# ## Where does it look?

# %%
film = tour / pd.read_csv(tour / "incoming_truth.csv").query("label == 'opacity'")["path"].iloc[0]
main(["explain", "models:/tour-chest@champion", str(film), "--out", str(tour / "explained.png")])
Image(tour / "explained.png")

# %% [markdown]
# ## Score what comes in
# Every file gets a finding or a reason. Some are broken on purpose: the exit code is 3, and nothing stops.

# %%
main(["score", "models:/tour-chest@champion", str(tour / "incoming"), str(tour / "findings")])

# %%
pd.read_csv(tour / "findings" / "skipped.csv")[["path", "state", "reason", "sentence"]]
