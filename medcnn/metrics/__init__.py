"""From logits and labels to the figures a clinician reads."""
