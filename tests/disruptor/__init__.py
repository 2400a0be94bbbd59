"""Tests of the rings, the journaler, the sequencer and the pipeline."""
