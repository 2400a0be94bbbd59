"""The documents against what they describe."""
