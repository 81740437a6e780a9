"""Files to arrays with a place in the patient, and back."""
