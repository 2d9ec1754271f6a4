"""What the clients do: real agreements, handed on, refused and revoked.

A story is one person's agreement with an organisation and what becomes of her data: offer,
acceptance, share, acknowledgement, two onward shares (and one that a rule refuses), revocation, and
an attempt after it. Each step waits for the verdict of the one before, so stories cross each other
at all validators. A story begins with the registration of its person under a new pseudonym.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from onward.ledger.transaction import BODY_FORMAT, Body, body_hash, seal_envelope
from onward.simulation.clients import Order
from onward.simulation.consortium import ENROLLER, ORGANISATIONS, REGISTRY, Consortium
from onward.simulation.signing import KeyedSigner
from onward.system.parties import NAMESPACE, PartyKind, pseudonym_of
from onward.system.registry import Register, Registration
from onward.types import Digest
from onward_chaincode.drafts import draft, ids_of, published_id
from onward_proto.canonical import encode

CONTRACT = "isa"
_VALID_FOR_MS = 24 * 3_600_000
_PURPOSE = "dpv:ServiceProvision"
_SCHEMA: dict[str, Any] = {
    "format": "onward/schema/1",
    "label": "simulated",
    "version": "1",
    "title": "Contact data of the simulated",
    "source": "simulation",
    "fields": [
        {
            "index": index,
            "name": name,
            "category": "dpv-pd:Contact",
            "sensitivity": "NONE",
            "identifying": index < 2,
        }
        for index, name in enumerate(("name", "email", "postcode", "price"))
    ],
}
_TERMS: dict[str, Any] = {
    "format": "onward/terms/1",
    "label": "simulated-p2b",
    "version": "1",
    "title": "Onward under the same terms, two hops",
    "source": "simulation",
    "clauses": {
        "onward.mode": "SAME_TERMS",
        "onward.max_depth": 2,
        "onward.recipients": "ANY_MEMBER",
        "duration": "UNLIMITED",
        "purposes_allowed": [_PURPOSE],
    },
}

Step = tuple[str, dict[str, Any] | bytes, str, tuple[str, ...]]
"""Transaction type, draft (or payload of the system's), actor, co-signers."""
Story = Iterator[Step]


class SharingWorkload:
    """An endless supply of orders, decided by the seed and by the verdicts so far."""

    def __init__(self, rng: random.Random, consortium: Consortium) -> None:
        """`consortium` holds everyone's keys."""
        self._rng = rng
        self._consortium = consortium
        self._waiting: dict[Digest, Callable[[str, str], None]] = {}
        self._ready: deque[tuple[_Teller, Step]] = deque()
        self._enrolled = 0
        self._prologue: deque[Step] = deque(
            (
                ("terms.publish", {"document": _TERMS}, REGISTRY, ()),
                ("schema.publish", {"document": _SCHEMA}, REGISTRY, ()),
            )
        )

    def next_order(self, time_ms: int) -> Order:
        """The next envelope: a story's step, the beginning of a story, or a registration."""
        if self._prologue:
            step = self._prologue.popleft()
            return self._order(step, time_ms, _nothing)
        if self._ready and self._rng.random() < 0.85:
            teller, step = self._ready.popleft()
            return self._order(step, time_ms, teller.on_verdict)
        teller = _Teller(self._tell(time_ms), self._ready)
        return self._order(next(teller.story), time_ms, teller.on_verdict)

    def urgent(
        self,
        step: Step,
        keys: tuple[KeyedSigner, ...],
        time_ms: int,
        told: Callable[[str, str], None],
    ) -> Order:
        """An order out of turn, which these keys sign beside the parties."""
        return self._order(step, time_ms, told, keys)

    def ballast(self, time_ms: int, *, bodies: int = 1, payload_bytes: int = 16) -> Order:
        """An envelope that weighs as much and says nothing: every body of it is refused."""
        made = tuple(
            encode(
                Body(
                    format=BODY_FORMAT,
                    contract=NAMESPACE,
                    type="ballast",
                    actor=ENROLLER,
                    cosigners=(),
                    valid_until_ms=time_ms + _VALID_FOR_MS,
                    salt=self._rng.randbytes(16),
                    payload=bytes(payload_bytes),
                )
            )
            for _ in range(bodies)
        )
        return self._signed(made, (ENROLLER,), ())

    def on_verdict(self, tx_hash: Digest, code: str) -> None:
        """Let the story that waits for this go on."""
        waiting = self._waiting.pop(tx_hash, None)
        if waiting is not None:
            waiting(tx_hash.hex(), code)

    def _tell(self, time_ms: int) -> Story:
        """One story. Each `yield` is a step; what comes back is its transaction id."""
        rng = self._rng
        # Whoever checks the key of a newcomer at another time than execution sees another answer.
        person = yield from self._newcomer()
        first, second, third = rng.sample(ORGANISATIONS, 3)
        terms, schema = published_id(_TERMS), published_id(_SCHEMA)
        grant = {
            "terms": terms,
            "schema": schema,
            "fields": [1, 2, 3],
            "purposes": [_PURPOSE],
            "notice": _drawn(rng),
        }
        later_ms = time_ms + _VALID_FOR_MS
        offer = yield from _step(
            "agreement.offer",
            {"to": first, "grant": grant, "offer_expires_at_ms": later_ms},
            person,
        )
        agreement = yield from _step("agreement.accept", {"offer": offer["offer_id"]}, first)
        parcel = {"fields": [1, 2], "purpose": _PURPOSE, "commitment": _drawn(rng)}
        share = yield from _step(
            "share.record", {"agreement": agreement["agreement_id"], "share": parcel}, person
        )
        yield from _step("share.ack", {"share": share["share_id"]}, first)
        # Once is enough: refused, and nothing but the verdict is kept.
        yield from _step("share.ack", {"share": share["share_id"]}, first)
        hop = yield from _onward(rng, grant, agreement, share, (first, second))
        # Back to whom it came from: refused, and the refusal is kept (R27).
        yield from _onward(rng, grant, hop, hop, (second, first))
        last = yield from _onward(rng, grant, hop, hop, (second, third))
        yield from _step(
            "agreement.revoke", {"agreement": agreement["agreement_id"], "scope": "ALL"}, person
        )
        yield from _onward(rng, grant, last, last, (third, first))

    def _newcomer(self) -> Any:
        self._enrolled += 1
        signer = KeyedSigner(f"enrolled/{self._enrolled}")
        person = pseudonym_of(signer.public_key)
        self._consortium.parties[person] = signer
        registration = Registration(
            party=person,
            kind=PartyKind.PERSON,
            public_key=signer.public_key,
            groups=(),
            jurisdiction="",
        )
        payload = encode(Register(parties=(registration,)))
        yield ("party.register", payload, ENROLLER, ())
        return person

    def _order(
        self,
        step: Step,
        time_ms: int,
        told: Callable[[str, str], None],
        keys: tuple[KeyedSigner, ...] = (),
    ) -> Order:
        kind, fields, actor, cosigners = step
        if isinstance(fields, bytes):
            contract, payload = NAMESPACE, fields
        else:
            contract, payload = CONTRACT, draft(kind, fields)
        body = Body(
            format=BODY_FORMAT,
            contract=contract,
            type=kind,
            actor=actor,
            cosigners=cosigners,
            valid_until_ms=time_ms + _VALID_FOR_MS,
            salt=self._rng.randbytes(16),
            payload=payload,
        )
        order = self._signed((encode(body),), (actor, *cosigners), keys)
        self._waiting[order.tx_hashes[0]] = told
        return order

    def _signed(
        self, bodies: tuple[bytes, ...], signers: tuple[str, ...], keys: tuple[KeyedSigner, ...]
    ) -> Order:
        consortium = self._consortium
        parties = [consortium.parties[name] for name in signers]
        envelope = seal_envelope(consortium.genesis.chain_id, bodies, [*parties, *keys])
        return Order(envelope, tuple(body_hash(body) for body in bodies))


class _Teller:
    """Keeps a story's place."""

    def __init__(self, story: Story, ready: deque[tuple[_Teller, Step]]) -> None:
        self.story = story
        self._ready = ready

    def on_verdict(self, tx_id: str, code: str) -> None:
        """Queue the next step, if there is one; refused steps do not end a story."""
        del code
        try:
            step = self.story.send(tx_id)  # type: ignore[attr-defined]
        except StopIteration:
            return
        self._ready.append((self, step))


def _nothing(tx_id: str, code: str) -> None:
    """No story waits for this."""
    del tx_id, code


def _step(kind: str, fields: dict[str, Any], actor: str, *cosigners: str) -> Any:
    """Yield a step; answers the ids that its transaction gives."""
    tx_id = yield (kind, fields, actor, cosigners)
    return ids_of(tx_id)


def _onward(
    rng: random.Random,
    grant: dict[str, Any],
    agreement: dict[str, str],
    share: dict[str, str],
    hop: tuple[str, str],
) -> Any:
    sharer, recipient = hop
    fields = {
        "parent_agreement": agreement["agreement_id"],
        "parent_share": share["share_id"],
        "recipient": recipient,
        "child": {**grant, "fields": [1, 2], "notice": _drawn(rng)},
        "share": {"fields": [1, 2], "purpose": _PURPOSE, "commitment": _drawn(rng)},
    }
    answer = yield from _step("share.onward", fields, sharer, recipient)
    return answer


def _drawn(rng: random.Random) -> str:
    return rng.randbytes(32).hex()
