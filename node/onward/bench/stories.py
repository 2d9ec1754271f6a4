"""What happens in a benchmark: stories, told one envelope at a time.

A story is a generator of steps; what comes back into it is the hash of the transaction that the
step became (of the first one, where an envelope carries several). Ids derive from that hash, so a
whole story can be signed before any of it is sent. All steps of a story stay in one lane and in
order, and each says which verdict it must get.

`isa` is the mix of one intentcast: it is answered by eight organisations (three accept, four
reject, one counters); under each agreement five shares and their acknowledgements, and every other
one with a priced response; one agreement is revoked. Three of ten intentcasts are on terms under
which data may go on: each of their agreements is passed on by three to three each. One of ten
onward attempts breaks a rule, another one each time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from onward.bench.cast import (
    HOUR_MS,
    PURPOSE,
    Party,
    Setting,
    document_id,
    onward_terms,
    plain_terms,
    schema,
)
from onward.types import Digest
from onward_chaincode.keys import derive_id
from onward_chaincode.opaque import OpaquePut
from onward_chaincode.payloads import (
    AgreementAccept,
    AgreementCounter,
    AgreementOffer,
    AgreementReject,
    AgreementRevoke,
    Grant,
    IntentCast,
    IntentRespond,
    Parcel,
    ShareAck,
    ShareOnward,
    ShareRecord,
)

OK = "OK"
ACCEPT, REJECT, COUNTER = "accept", "reject", "counter"
DECISIONS = (ACCEPT,) * 3 + (REJECT,) * 4 + (COUNTER,)
BRANCHES = 3
SHARES = 5
ORGANISATIONS_MIN = 40
_FIELDS = (1, 2)
_LATER_MS = 20 * HOUR_MS
_OTHER_PURPOSE = "dpv:Marketing"


@dataclass(frozen=True, slots=True)
class Step:
    """An envelope: what its transaction is, who signs it, and the verdict that it must get.

    `more`: payloads of further transactions in the same envelope, alike in everything else.
    """

    type: str
    payload: object
    actor: Party
    cosigner: Party | None = None
    expected: str = OK
    contract: str = "isa"
    more: tuple[object, ...] = ()


Story = Generator[Step, Digest, None]


@dataclass(frozen=True, slots=True)
class Holding:
    """Data in somebody's hands: a share under an agreement."""

    holder: Party
    agreement: bytes
    share: bytes


class Stage:
    """Where the stories of one lane are told: its chance, its persons, everybody's documents."""

    def __init__(self, setting: Setting, lane: int) -> None:
        self.rng = random.Random(f"{setting.seed}/{setting.tag}/{lane}")
        self.setting = setting
        self.lane = lane
        self.persons = 0
        self.plain_terms = document_id(plain_terms(setting.tag))
        self.onward_terms = document_id(onward_terms(setting.tag))
        self.schema = document_id(schema(setting.tag))
        self._organisations = [
            setting.organisation(number) for number in range(setting.organisation_count)
        ]

    def person(self, number: int) -> Party:
        """A person of this lane, from 0; all up to the highest have to be registered."""
        self.persons = max(self.persons, number + 1)
        return self.setting.person(self.lane, number)

    def organisations(self, count: int) -> list[Party]:
        """Different organisations."""
        return self.rng.sample(self._organisations, count)

    def drawn(self) -> bytes:
        """A hash of something that nobody needs to know."""
        return self.rng.randbytes(32)

    def grant(self, terms: bytes, fields: tuple[int, ...] = (1, 2, 3)) -> Grant:
        """What an agreement grants."""
        return Grant(
            terms=terms, schema=self.schema, fields=fields, purposes=(PURPOSE,), notice=self.drawn()
        )

    def parcel(self) -> Parcel:
        """A hand-over of data."""
        return Parcel(fields=_FIELDS, purpose=PURPOSE, commitment=self.drawn())

    @property
    def later_ms(self) -> int:
        """A time after the run."""
        return self.setting.time_ms + _LATER_MS


def made(kind: str, tx_hash: Digest) -> bytes:
    """The id of what a transaction created."""
    return derive_id(kind, tx_hash.hex())


# -- the mix ---------------------------------------------------------------------------------------


def isa(stage: Stage, number: int) -> Story:
    """The mix; see the module."""
    goes_on = number % 10 in (1, 4, 8)
    terms = stage.onward_terms if goes_on else stage.plain_terms
    person = stage.person(number)  # a pseudonym casts one intent in its life
    *answering, stranger = stage.organisations(len(DECISIONS) + 1)
    cast = yield Step("intent.cast", _intent(stage, terms), person)
    agreements = yield from _handshakes(stage, (person, terms), made("intent", cast), answering)
    holdings = []
    for agreement, holder in agreements:
        holding = yield from _shares(stage, person, agreement, holder)
        holdings.append(holding)
    for agreement, holder in agreements[: 1 + number % 2]:
        answer = IntentRespond(
            intent=made("intent", cast),
            agreement=agreement,
            price_minor=stage.rng.randrange(1, 1_000_000),
            valid_until_ms=stage.later_ms,
            commitment=stage.drawn(),
        )
        yield Step("intent.respond", answer, holder)
    if goes_on:
        for index, holding in enumerate(holdings):
            breach = BREACHES[(number + index * 5) % len(BREACHES)]
            yield from _pass_on(stage, holding, breach)
    elif number % 10 in (0, 3, 6):
        attempt = _attempt(stage, stage.plain_terms, holdings[0], stranger)
        yield Step("share.onward", attempt, holdings[0].holder, stranger, "E_ONWARD_PROHIBITED")
    yield from _revoke(person, holdings[0])


def _intent(stage: Stage, terms: bytes) -> IntentCast:
    low = stage.rng.randrange(100_000, 1_000_000)
    return IntentCast(
        terms=terms,
        schema=stage.schema,
        industry="Automotive",
        tags=("4wd", "diesel"),
        brands=("Ford",),
        currency="USD",
        price_low=low,
        price_high=10 * low,
        expires_at_ms=stage.later_ms,
        max_acceptances=DECISIONS.count(ACCEPT),
        commitment=stage.drawn(),
    )


def _handshakes(
    stage: Stage, root: tuple[Party, bytes], intent: bytes, answering: list[Party]
) -> Generator[Step, Digest, list[tuple[bytes, Party]]]:
    """An open offer and the decisions about it; answers the agreements."""
    person, terms = root
    grant = stage.grant(terms)
    offered = AgreementOffer(grant=grant, offer_expires_at_ms=stage.later_ms, intent=intent)
    offer = made("offer", (yield Step("agreement.offer", offered, person)))
    agreements = []
    for decision, party in zip(stage.rng.sample(DECISIONS, len(DECISIONS)), answering, strict=True):
        match decision:
            case "accept":
                accepted = yield Step("agreement.accept", AgreementAccept(offer=offer), party)
                agreements.append((made("agreement", accepted), party))
            case "reject":
                no = AgreementReject(offer=offer, reason="NOT_INTERESTED")
                yield Step("agreement.reject", no, party)
            case _:
                other = AgreementCounter(
                    offer=offer,
                    terms=terms,
                    fields=_FIELDS,
                    purposes=(PURPOSE,),
                    offer_expires_at_ms=stage.later_ms,
                )
                yield Step("agreement.counter", other, party)
    return agreements


def _shares(
    stage: Stage, person: Party, agreement: bytes, holder: Party, count: int = SHARES
) -> Generator[Step, Digest, Holding]:
    """Shares and their acknowledgements; answers the first share."""
    first = b""
    for _ in range(count):
        parcel = ShareRecord(agreement=agreement, share=stage.parcel())
        share = made("share", (yield Step("share.record", parcel, person)))
        yield Step("share.ack", ShareAck(share=share), holder)
        first = first or share
    return Holding(holder, agreement, first)


def _revoke(person: Party, holding: Holding) -> Story:
    yield Step(
        "agreement.revoke", AgreementRevoke(agreement=holding.agreement, scope="ALL"), person
    )


# -- passing on ------------------------------------------------------------------------------------


def _attempt(stage: Stage, terms: bytes, holding: Holding, recipient: Party) -> ShareOnward:
    return ShareOnward(
        parent_agreement=holding.agreement,
        parent_share=holding.share,
        recipient=recipient.party_id,
        child=stage.grant(terms, _FIELDS),
        share=stage.parcel(),
    )


def _hop(stage: Stage, holding: Holding, recipient: Party) -> Generator[Step, Digest, Holding]:
    attempt = _attempt(stage, stage.onward_terms, holding, recipient)
    tx_hash = yield Step("share.onward", attempt, holding.holder, recipient)
    return Holding(recipient, made("agreement", tx_hash), made("share", tx_hash))


def _pass_on(stage: Stage, holding: Holding, breach: Breach | None) -> Story:
    """Three take it, and three more from each of them; then somebody tries what is not allowed."""
    others = [
        party
        for party in stage.organisations(BRANCHES + BRANCHES**2 + 2)
        if party is not holding.holder
    ]
    stranger = others.pop()
    last = holding
    first = holding
    for _ in range(BRANCHES):
        child = yield from _hop(stage, holding, others.pop())
        first = child
        for _ in range(BRANCHES):
            last = yield from _hop(stage, child, others.pop())
    if breach is not None:
        yield from breach(stage, (holding, first, last), stranger)


Line = tuple[Holding, Holding, Holding]
"""The root's holder, one it passed on to, and one at the greatest depth allowed."""
Breach = Callable[[Stage, Line, Party], Story]


def _changed(code: str, change: Callable[[Stage, Line, ShareOnward], ShareOnward]) -> Breach:
    """The root's holder passes on what would be in order but for one change."""

    def breach(stage: Stage, line: Line, stranger: Party) -> Story:
        attempt = _attempt(stage, stage.onward_terms, line[0], stranger)
        yield Step(
            "share.onward", change(stage, line, attempt), line[0].holder, stranger, expected=code
        )

    return breach


def _unknown_parent(stage: Stage, _line: Line, attempt: ShareOnward) -> ShareOnward:
    return replace(attempt, parent_share=stage.drawn())


def _mismatched_parent(_stage: Stage, line: Line, attempt: ShareOnward) -> ShareOnward:
    return replace(attempt, parent_agreement=line[1].agreement)


def _other_terms(stage: Stage, _line: Line, attempt: ShareOnward) -> ShareOnward:
    return replace(attempt, child=replace(attempt.child, terms=stage.plain_terms))


def _other_schema(stage: Stage, _line: Line, attempt: ShareOnward) -> ShareOnward:
    return replace(attempt, child=replace(attempt.child, schema=stage.drawn()))


def _more_fields(_stage: Stage, _line: Line, attempt: ShareOnward) -> ShareOnward:
    return replace(attempt, child=replace(attempt.child, fields=(0, 1, 2)))


def _more_purposes(_stage: Stage, _line: Line, attempt: ShareOnward) -> ShareOnward:
    purposes = tuple(sorted((PURPOSE, _OTHER_PURPOSE)))
    return replace(attempt, child=replace(attempt.child, purposes=purposes))


def _kept_longer(_stage: Stage, _line: Line, attempt: ShareOnward) -> ShareOnward:
    return replace(attempt, child=replace(attempt.child, retention_ms=1))


def _by_stranger(stage: Stage, line: Line, stranger: Party) -> Story:
    attempt = _attempt(stage, stage.onward_terms, line[0], line[1].holder)
    yield Step("share.onward", attempt, stranger, line[1].holder, expected="E_NOT_RECIPIENT")


def _too_deep(stage: Stage, line: Line, stranger: Party) -> Story:
    attempt = _attempt(stage, stage.onward_terms, line[2], stranger)
    yield Step("share.onward", attempt, line[2].holder, stranger, expected="E_DEPTH")


def _back_again(stage: Stage, line: Line, _stranger: Party) -> Story:
    above = line[0].holder
    attempt = _attempt(stage, stage.onward_terms, line[1], above)
    yield Step("share.onward", attempt, line[1].holder, above, expected="E_TOPOLOGY")


def _twice(stage: Stage, line: Line, _stranger: Party) -> Story:
    again = line[1].holder
    attempt = _attempt(stage, stage.onward_terms, line[0], again)
    yield Step("share.onward", attempt, line[0].holder, again, expected="E_DUPLICATE")


BREACHES: tuple[Breach, ...] = (
    _changed("E_UNKNOWN_PARENT", _unknown_parent),
    _changed("E_PARENT_MISMATCH", _mismatched_parent),
    _by_stranger,
    _changed("E_TERMS_MISMATCH", _other_terms),
    _too_deep,
    _changed("E_SCHEMA", _other_schema),
    _changed("E_FIELDS", _more_fields),
    _changed("E_PURPOSE", _more_purposes),
    _changed("E_WINDOW", _kept_longer),
    _back_again,
    _twice,
)
"""One for each rule that can be broken without waiting for anything."""


# -- the others ------------------------------------------------------------------------------------


def onward(stage: Stage, number: int) -> Story:
    """One agreement, one share, twelve onward shares, and four attempts for each three stories."""
    person, holder = _acquainted(stage, number)
    agreement = yield from _handshake(stage, person, holder, stage.onward_terms)
    holding = yield from _shares(stage, person, agreement, holder, count=1)
    yield from _pass_on(stage, holding, BREACHES[number % len(BREACHES)])
    if number % 3 == 0:
        _, stranger = _acquainted(stage, number)
        if stranger.party_id != holder.party_id:
            breach = _changed("E_FIELDS", _more_fields)
            yield from breach(stage, (holding, holding, holding), stranger)


def handshake(stage: Stage, number: int) -> Story:
    """An offer to one organisation and its acceptance."""
    person, holder = _acquainted(stage, number)
    yield from _handshake(stage, person, holder, stage.plain_terms)


def opaque(stage: Stage, number: int) -> Story:
    """512 bytes that mean nothing, under a new key."""
    (actor,) = stage.organisations(1)
    payload = OpaquePut(key=f"{stage.lane}-{number}", value=stage.rng.randbytes(512))
    yield Step("opaque.put", payload, actor, contract="opaque")


BULK_ENVELOPES = 10
BULK_BODIES = 10


def bulk(stage: Stage, number: int) -> Story:
    """One agreement and a hundred shares under it, ten to an envelope: ten for one signature."""
    person, holder = _acquainted(stage, number)
    agreement = yield from _handshake(stage, person, holder, stage.plain_terms)
    for _ in range(BULK_ENVELOPES):
        first, *more = (
            ShareRecord(agreement=agreement, share=stage.parcel()) for _ in range(BULK_BODIES)
        )
        yield Step("share.record", first, person, more=tuple(more))


STORIES_PER_PERSON = 8


def _acquainted(stage: Stage, number: int) -> tuple[Party, Party]:
    """A person, the same for some stories, and an organisation."""
    (holder,) = stage.organisations(1)
    return stage.person(number // STORIES_PER_PERSON), holder


def _handshake(
    stage: Stage, person: Party, holder: Party, terms: bytes
) -> Generator[Step, Digest, bytes]:
    offered = AgreementOffer(
        to=holder.party_id, grant=stage.grant(terms), offer_expires_at_ms=stage.later_ms
    )
    offer = yield Step("agreement.offer", offered, person)
    accepted = yield Step("agreement.accept", AgreementAccept(offer=made("offer", offer)), holder)
    return made("agreement", accepted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A kind of story, of `mean_length` envelopes.

    `refusal_share`: of all its transactions, those that leave a refusal. `bodies_max`: how many
    transactions an envelope carries at most.
    """

    name: str
    story: Callable[[Stage, int], Story]
    mean_length: int
    refusal_share: float
    queries_per_write: int = 0
    contract: str = "isa"
    bodies_max: int = 1


WORKLOADS: dict[str, Workload] = {
    item.name: item
    for item in (
        Workload(name="isa", story=isa, mean_length=54, refusal_share=0.022),
        Workload(name="onward", story=onward, mean_length=17, refusal_share=0.08),
        Workload(name="handshake", story=handshake, mean_length=2, refusal_share=0),
        Workload(name="opaque", story=opaque, mean_length=1, refusal_share=0, contract="opaque"),
        Workload(
            name="bulk",
            story=bulk,
            mean_length=2 + BULK_ENVELOPES,
            refusal_share=0,
            bodies_max=BULK_BODIES,
        ),
        Workload(name="read", story=isa, mean_length=54, refusal_share=0.022, queries_per_write=20),
    )
}


def organisations_for(workload: Workload, transactions: int) -> int:
    """So many that nobody comes near the bound on refusals in an hour of block time (R20)."""
    refusals = transactions * workload.refusal_share
    return max(ORGANISATIONS_MIN, int(refusals / _REFUSALS_PER_PARTY) + 1)


_REFUSALS_PER_PARTY = 25
