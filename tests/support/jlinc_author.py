"""Writes JLINC records with keys of its own, after the protocol's schema, for the importer.

Version 6 spells `rightsHolderDID` and `dataCustodianDID`, version 7 `…Did`. Nothing here is taken
from JLINC's own code or samples.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from onward.crypto.signing import SigningKey

TEXT = "The custodian keeps what it is given to itself."
T0 = "2026-01-02T03:04:05.678Z"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


class Side:
    """A rights holder or a data custodian: a key, a secret for its JWTs, a DID."""

    def __init__(self, role: str, seed: int) -> None:
        self.role = role
        self.key = SigningKey(bytes([seed]) * 32)
        self.secret = bytes([seed + 1]) * 32
        self.did = f"did:jlinc:{encoded(self.key.public_key)}"

    def jwt(self, content: object) -> str:
        head = encoded(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        text = f"{head}.{encoded(json.dumps(content, separators=(',', ':')).encode())}"
        return f"{text}.{encoded(hmac.digest(self.secret, text.encode(), 'sha256'))}"

    def signed(self, message: bytes, version: int) -> dict[str, Any]:
        did = "DID" if version == 6 else "Did"
        return {
            f"{self.role}SigType": "sha256:ed25519",
            f"{self.role}{did}": self.did,
            f"{self.role}PublicKey": encoded(self.key.public_key),
            f"{self.role}Sig": encoded(self.key.sign(message)),
        }


class Author:
    """A rights holder, a custodian, and the agreement and events between them."""

    def __init__(self, version: int = 7) -> None:
        self.version = version
        self.context = f"https://protocol.jlinc.org/context/jlinc-v{version}.jsonld"
        self.holder = Side("rightsHolder", 1)
        self.custodian = Side("dataCustodian", 11)
        self.agreement: dict[str, Any] = {
            "@context": self.context,
            "jlincId": "ab" * 32,
            "agreementURI": f"https://example.org/sisa/{hashlib.sha256(TEXT.encode()).hexdigest()}",
        }
        self.sisa = self.accepted()
        self.events: list[dict[str, Any]] = []

    def accepted(self, **changes: Any) -> dict[str, Any]:
        """The agreement; `changes` replace what offer and acceptance say, where they have it."""
        agreement_jwt = self.custodian.jwt(self.agreement)
        offered = {
            "@context": self.context,
            "agreementJwt": agreement_jwt,
            **self.custodian.signed(digest(agreement_jwt), self.version),
            "createdAt": T0,
        }
        offered |= {key: changes[key] for key in changes if key in offered}
        offered_jwt = self.holder.jwt(offered)
        accepted = {
            "@context": self.context,
            "offeredSisaJwt": offered_jwt,
            **self.holder.signed(digest(offered_jwt), self.version),
            "createdAt": T0,
        }
        accepted |= {key: changes[key] for key in changes if key in accepted}
        accepted_jwt = self.holder.jwt(accepted)
        return {
            "@context": self.context,
            "acceptedSisaJwt": accepted_jwt,
            "sisaId": encoded(digest(accepted_jwt)),
        }

    def event(
        self,
        kind: str,
        content: dict[str, Any],
        *,
        acknowledged: bool = True,
        signer: Side | None = None,
    ) -> dict[str, Any]:
        """The next event, signed by the rights holder and, if acknowledged, by the custodian."""
        previous = self.events[-1]["audit"]["eventId"] if self.events else None
        event_jwt = self.holder.jwt(content)
        created_at = f"2026-01-02T03:05:{len(self.events) % 60:02}.000Z"
        link = "null" if previous is None else previous
        event_id = digest(f"{self.sisa['sisaId']}.{event_jwt}.{link}.{created_at}")
        audit = {
            "eventType": kind,
            "sisaId": self.sisa["sisaId"],
            "eventId": encoded(event_id),
            "createdAt": created_at,
            "previousId": previous,
            **(signer or self.holder).signed(event_id, self.version),
        }
        if acknowledged:
            audit |= self.custodian.signed(event_id, self.version)
        event = {"@context": self.context, "audit": audit, "eventJwt": event_jwt}
        self.events.append(event)
        return event

    def record(self) -> dict[str, Any]:
        return {"sisa": self.sisa, "events": self.events}

    def text(self) -> bytes:
        return json.dumps(self.record()).encode()


def written(version: int = 7) -> Author:
    """An agreement with three events, the last of them not acknowledged."""
    author = Author(version)
    author.event("dataEvent", {"email": "commitment only in tests"})
    author.event("permissionEvent", {"consents": {"Brand Marketing": False}})
    author.event("statusEvent", {"status": "paused"}, acknowledged=False)
    return author
