"""Losses: logits and targets to one number."""
