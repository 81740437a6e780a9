"""Networks: images ``(B, C, *spatial)`` to logits."""
