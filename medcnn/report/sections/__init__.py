"""Sections of a page, each from tables and what is known of the run."""
