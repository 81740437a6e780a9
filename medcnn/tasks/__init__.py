"""Training and evaluation procedure, and the checkpoint as a product."""
