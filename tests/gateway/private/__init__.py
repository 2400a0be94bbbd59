"""Private events against the engine's own readers, and a resumed stream against one that was never interrupted."""
