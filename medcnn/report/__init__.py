"""Tables of predictions to figures."""
