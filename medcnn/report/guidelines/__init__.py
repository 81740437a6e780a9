"""Reporting guidelines, and what answers them."""
