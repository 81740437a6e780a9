"""Pictures of an evaluation, drawn from arrays and tables."""
