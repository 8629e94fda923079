"""Hypothesis without deadlines: a machine under load is slow, not wrong."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("identity", deadline=None)
settings.load_profile("identity")
