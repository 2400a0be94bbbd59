"""The tools that look back: words, replay, inspect, diff, why, audit, over real data directories."""
