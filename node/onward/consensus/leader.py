"""Who leads a view."""

from __future__ import annotations

from onward.types import ValidatorIndex, ValidatorSet


def leader_of(validators: ValidatorSet, view: int) -> ValidatorIndex:
    """The validator whose proposal view `view` is about. Rotates by one, shifted by the epoch."""
    return ValidatorIndex((view + validators.epoch) % validators.size)
