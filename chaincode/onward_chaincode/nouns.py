"""What transactions make and what keys point to, for everybody who writes names in place of ids."""

from __future__ import annotations

# The kinds of record that a transaction of a type makes.
MAKES: dict[str, tuple[str, ...]] = {
    "agreement.accept": ("agreement",),
    "agreement.amend": ("agreement",),
    "agreement.counter": ("offer",),
    "agreement.offer": ("offer",),
    "breach.notify": ("breach",),
    "campaign.open": ("campaign",),
    "intent.cast": ("intent",),
    "intent.respond": ("response",),
    "onward.approve": ("approval",),
    "share.onward": ("agreement", "share"),
    "share.record": ("share",),
    "violation.flag": ("violation",),
}

# What a key of 32 bytes points to: the kind of the record that an earlier transaction made.
REFERENCES = {
    "agreement": "agreement",
    "agreements": "agreement",
    "approval": "approval",
    "breach": "breach",
    "campaign": "campaign",
    "intent": "intent",
    "offer": "offer",
    "parent_agreement": "agreement",
    "parent_share": "share",
    "response": "response",
    "share": "share",
    "violation": "violation",
}
