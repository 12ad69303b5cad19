"""What the unit tests share: repeatable property tests, and data files as parameters."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# The same examples in each run; HYPOTHESIS_PROFILE=search looks for new ones, and for longer.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=100)
settings.register_profile(
    "search",
    deadline=None,
    max_examples=3000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
