"""Whose blob."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a blob belongs: a contract's name, and the 32-byte id of a record of it."""

    contract: str
    record: bytes
