"""The deterministic engine: integers in, integers out. Imports nothing outside core but numpy and numba."""

import exchange.core.compile  # noqa: F401  the kernel cache is set up before any kernel is defined
