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
# # A brain MRI, from a series to a mask
#
# The heads are drawings by ellipsoids: scalp, skull, fluid, gray and white matter, with ventricles of different size.
# What is learned from them says nothing about real heads, but every step is the one that you take with yours.
#
# It takes about two minutes on one core. Everything is written into `tour_mri/` and `mlflow.db` beside this notebook.

# %%
import json
from pathlib import Path

import pandas as pd
from IPython.display import Image

from medcnn.cli.main import main
from medcnn.data.phantom_head import make_phantom_heads

tour = Path("tour_mri")
make_phantom_heads(tour, heads=12, spacing_mm=4.0)

# %% [markdown]
# ## What is in the folder?
# Files of DICOM become series by what their headers say; slices are ordered by where they lie, never by their names.

# %%
main(["inspect", str(tour / "incoming")])

# %% [markdown]
# ## Find the brain
# No weights, no network: thresholds, exact morphology and a surface. Every mask is measured, and one that fails is not
# written.

# %%
main(["skullstrip", str(tour / "incoming"), str(tour / "brains")])
Image(next((tour / "brains").rglob("*.png")))

# %%
pd.read_csv(tour / "brains" / "quality.csv").T

# %% [markdown]
# ## Plan a net for labeled volumes, and train it
# The plan reads the cohort and writes a configuration: patch, depth and widths from size, spacing and memory. Here it
# is cut down to what a minute can do.

# %%
plan = tour / "plan.yaml"
main(["plan", str(tour / "cohort"), str(plan), "--classes", "[background, ventricle]", "--width", "8"])

# %%
short = [
    "--config", str(plan), "--trainer.max_epochs", "8", "--trainer.check_val_every_n_epoch", "4", "--threads", "1",
    "--trainer.enable_progress_bar", "false", "--data.init_args.patches_per_epoch", "48",
    "--data.init_args.patch_size", "[32, 32, 32]", "--model.init_args.optimizer.init_args.lr", "0.01",
    "--tracking.experiment", "tour",
]  # fmt: skip
main(["fit", *short, "--register", "tour-ventricles"])

# %% [markdown]
# ## Segment the series
# The mask is a DICOM Segmentation on the grid of the series; it was read back and compared before it took its name.

# %%
main(["segment", "models:/tour-ventricles@champion", str(tour / "incoming"), str(tour / "masks")])
Image(next((tour / "masks").rglob("*.png")))

# %%
pd.read_csv(tour / "masks" / "volumes.csv").T

# %% [markdown]
# ## Report
# The validation cases also chose the model, and the page says so.

# %%
main(["report", "last", "--split", "val", "--out", str(tour / "report")])
Image(tour / "report" / "pictures" / "dice.png")

# %%
card = json.loads((tour / "report" / "model_card.json").read_text())
pd.DataFrame(card["evaluation"]["figures"]).T[["value", "low", "high", "n", "patients", "method"]]
