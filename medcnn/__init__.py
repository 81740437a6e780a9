"""From a folder of scans and a table of labels to a model that a hospital can trust, and back into its systems."""

__version__ = "0.1.0"
