"""What operators do to the venue."""
