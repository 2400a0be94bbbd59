"""People, their keys, and the operator's commands."""
