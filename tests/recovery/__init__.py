"""Kills, power cuts, lost and damaged files: what was acknowledged is there afterwards, exactly once."""
