"""Hashes with domain tags, and Ed25519."""
