"""A model and a folder to findings and a ledger."""
