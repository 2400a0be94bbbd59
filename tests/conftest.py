"""What every test shares: the Hypothesis profiles, chosen by HYPOTHESIS_PROFILE (default: ci).

`ci` runs on every change, `dev` while editing, `brief` in the slow kernel modes, `nightly` where time does not matter.
No profile has a deadline: a first call may compile, and no test is judged by a clock.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

for name, examples in {"brief": 20, "dev": 50, "ci": 300, "nightly": 10_000}.items():
    settings.register_profile(
        name,
        max_examples=examples,
        deadline=None,
        derandomize=name in ("brief", "ci"),
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
