"""Changes of the validator set: who may propose, vote and join, and what is refused and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.execution import worlds
from tests.unit.execution.worlds import Chain, body, key

from onward import limits
from onward.errors import MalformedError
from onward.execution.block import StoredHistory
from onward.execution.overlay import StoredState
from onward.ledger.chain import read_block
from onward.ledger.genesis import genesis_document, parse_genesis
from onward.system.validators import (
    Approve,
    Member,
    Members,
    Propose,
    Ready,
    approved_set,
    validator_set,
)
from onward_proto.canonical import encode
from onward_proto.documents import canonical_document

FOUR = ("v0", "v1", "v2", "v3")


def members(*names: str, **organisations: str) -> Members:
    """Validators of these names, each of its own organisation unless said otherwise."""
    return tuple(
        Member(
            name=name,
            organisation=organisations.get(name, f"org-{name}"),
            public_key=key(f"validator {name}").public_key,
        )
        for name in names
    )


class World:
    """A chain of four validators; every transaction is a block of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, current: Members | None = None) -> None:
        self.current = members(*FOUR) if current is None else current
        plain = worlds.make_genesis()
        document = genesis_document(
            network="test",
            time_ms=plain.time_ms,
            parameters=plain.parameters,
            validators=validator_set(0, self.current).members,
            parties=plain.parties,
            contracts=plain.contracts,
        )
        genesis = parse_genesis(canonical_document(document))
        monkeypatch.setattr(worlds, "make_genesis", lambda _height: genesis)
        self.chain = Chain()
        self._salt = 0

    def send(self, kind: str, payload: object, *signers: str) -> tuple[str, bytes, str]:
        """Code, id and message of a transaction that `acme` and these keys sign."""
        self._salt += 1
        item = body(
            actor="acme", contract="sys", kind=kind, payload=encode(payload), salt=self._salt
        )
        envelope = self.chain.envelope(item, signers=("acme", *signers))
        done = self.chain.execute(envelope).bodies[0]
        return done.result.code, done.transaction.tx_hash, done.result.message

    def propose(self, following: Members, by: str = "v0", current: Members | None = None) -> bytes:
        payload = Propose(current=current or self.current, following=following)
        code, proposal, message = self.send("validators.propose", payload, f"validator {by}")
        assert code == "OK", (code, message)
        return proposal

    def refusal(self, following: Members, *, by: str = "v0", current: Members | None = None) -> str:
        payload = Propose(current=current or self.current, following=following)
        return self.send("validators.propose", payload, f"validator {by}")[0]

    def approve(self, proposal: bytes, by: str, of: str = "v0") -> str:
        payload = Approve(organisation=f"org-{of}", proposal=proposal)
        return self.send("validators.approve", payload, f"validator {by}")[0]

    def ready(self, name: str, *, signer: str | None = None, height: int | None = None) -> str:
        at = self.chain.last.height if height is None else height
        stored = read_block(self.chain.store, at)
        assert stored is not None
        payload = Ready(
            public_key=key(f"validator {name}").public_key,
            height=at,
            log_size=stored.log_size,
            log_root=stored.log_root,
        )
        return self.send("validators.ready", payload, signer or f"validator {name}")[0]

    def approved(self, epoch: int) -> Members | None:
        found = approved_set(StoredState(self.chain.store), epoch)
        if found is None:
            return None
        return tuple(
            Member(name=m.name, organisation=m.organisation, public_key=m.public_key)
            for m in found[0].members
        )


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_three_of_four_organisations_approve_a_removal_where_two_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Were half enough, half of the members could throw out the others."""
    world = World(monkeypatch, members(*FOUR, "v4"))
    proposal = world.propose(members(*FOUR))
    assert world.approve(proposal, "v0") == "OK"
    assert world.approve(proposal, "v1") == "OK"
    assert world.approve(proposal, "v2") == "OK"
    assert world.approved(1) is None  # 3 of 5 is less than two thirds
    assert world.approve(proposal, "v4") == "OK"
    assert world.approved(1) == members(*FOUR)


def test_an_organisation_votes_once_with_however_many_validators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise who runs more machines would decide alone."""
    current = members("v0", "v1", "v2", "v3", "v4", v3="org-v0", v4="org-v0")
    world = World(monkeypatch, current)
    proposal = world.propose(current[:4])
    assert world.approve(proposal, "v0") == "OK"
    assert world.approve(proposal, "v3") == "E_DUPLICATE"
    assert world.approve(proposal, "v1") == "OK"
    assert world.approved(1) is None
    assert world.approve(proposal, "v2") == "OK"
    assert world.approved(1) == current[:4]


def test_a_joiner_must_have_shown_that_it_follows_the_chain(world: World) -> None:
    """A validator that is not there yet would be counted, and missed, from its first view on."""
    proposal = world.propose(members(*FOUR, "v4"))
    assert world.approve(proposal, "v0") == "E_NOT_READY"
    assert world.ready("v4") == "OK"
    assert [world.approve(proposal, by) for by in ("v0", "v1", "v2")] == ["OK"] * 3
    assert world.approved(1) == members(*FOUR, "v4")


def test_a_change_that_leaves_fewer_ready_validators_than_a_quorum_is_refused(
    world: World,
) -> None:
    """The network would stand still in the first view of the new epoch, for good."""
    proposal = world.propose(members(*FOUR, "v4", "v5", "v6"))
    assert world.approve(proposal, "v0") == "E_QUORUM"
    assert world.ready("v4") == "OK"
    assert world.approve(proposal, "v0") == "E_NOT_READY"


def test_a_changed_key_must_be_ready_as_a_newcomers(world: World) -> None:
    """A key that nobody holds would take the validator's place."""
    changed = (*members(*FOUR)[:3], replace(members("v9")[0], name="v3", organisation="org-v3"))
    proposal = world.propose(changed)
    assert world.approve(proposal, "v0") == "E_NOT_READY"
    assert world.ready("v9", signer="validator v0") == "E_COUNTERSIG"
    assert world.ready("v9") == "OK"
    assert world.approve(proposal, "v0") == "OK"


def test_readiness_grows_old(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was there a thousand blocks ago may be gone."""
    proposal = world.propose(members(*FOUR, "v4"))
    assert world.ready("v4") == "OK"
    shown = world.chain.last.height - 1
    monkeypatch.setattr(limits, "READY_BLOCKS_MAX", world.chain.last.height + 1 - shown)
    assert world.approve(proposal, "v0") == "OK"
    assert world.approve(proposal, "v1") == "E_NOT_READY"
    assert world.ready("v4", height=shown) == "E_STATE"


def test_who_has_computed_another_result_is_not_ready(world: World) -> None:
    """It would stop at the first block that it compares."""
    world.propose(members(*FOUR, "v4"))
    stored = read_block(world.chain.store, 1)
    assert stored is not None
    new_key = key("validator v4").public_key
    claim = Ready(public_key=new_key, height=1, log_size=stored.log_size, log_root=bytes(32))
    assert world.send("validators.ready", claim, "validator v4")[0] == "E_STATE"
    unknown = replace(claim, public_key=key("validator v5").public_key)
    assert world.send("validators.ready", unknown, "validator v5")[0] == "E_VALIDATORS"


@pytest.mark.parametrize(
    "following",
    [
        pytest.param(members("v0", "v1", "v2"), id="fewer than tolerate a liar"),
        pytest.param((*members(*FOUR), members("v0")[0]), id="one twice"),
        pytest.param(
            (*members(*FOUR), replace(members("v0")[0], name="v5")), id="one key, two names"
        ),
        pytest.param((*members(*FOUR), replace(members("v5")[0], name="v0")), id="one name twice"),
        pytest.param((*members(*FOUR), replace(members("v5")[0], name="V 5")), id="no name"),
        pytest.param(members(*FOUR), id="no change"),
        pytest.param((*members(*FOUR[:3]), replace(members("v3")[0], name="x")), id="renamed"),
    ],
)
def test_what_cannot_be_a_set_is_refused(world: World, following: Members) -> None:
    """An approved set cannot be taken back: it must be one that consensus can run on."""
    assert world.refusal(following) == "E_VALIDATORS"


def test_only_validators_keys_speak_about_validators(world: World) -> None:
    """A party is registered by an administrator, who must not gain votes by that."""
    assert world.refusal(members(*FOUR, "v4"), by="v7") == "E_SIGNER"
    proposal = world.propose(members(*FOUR, "v4"))
    assert world.ready("v4") == "OK"
    assert world.approve(proposal, "v4") == "E_SIGNER"
    payload = Approve(organisation="org-v0", proposal=proposal)
    both = ("validator v1", "validator v2")
    assert world.send("validators.approve", payload, *both)[0] == "E_SIGNER"


def test_a_proposal_names_the_set_that_it_replaces(world: World) -> None:
    """Two changes that were thought out apart must not add up to one that nobody wanted."""
    assert world.refusal(members(*FOUR, "v4"), current=members(*FOUR[:3])) == "E_STATE"
    first = world.propose(members(*FOUR, "v4"))
    late = world.propose(members(*FOUR, "v5"), by="v1")
    assert world.ready("v4") == world.ready("v5") == "OK"
    assert [world.approve(first, by) for by in ("v0", "v1", "v2")] == ["OK"] * 3
    assert world.approve(late, "v0", of="v1") == "E_NOT_FOUND"
    assert world.refusal(members(*FOUR)) == "E_STATE"
    again = world.propose(members(*FOUR), current=members(*FOUR, "v4"))
    assert [world.approve(again, by) for by in ("v0", "v1", "v2", "v4")] == ["OK"] * 4
    assert world.approved(2) == members(*FOUR)


def test_a_vote_is_for_one_proposal_and_not_for_what_takes_its_place(world: World) -> None:
    """Who may replace its proposal must not take the votes along."""
    first = world.propose(members(*FOUR, "v4"))
    world.propose(members(*FOUR, "v5"))
    assert world.approve(first, "v1") == "E_NOT_FOUND"


def test_history_is_below_the_block_that_is_executed(world: World) -> None:
    """Its own result is not known while it is being computed."""
    world.propose(members(*FOUR, "v4"))
    history = StoredHistory(world.chain.store, 1)
    assert history.log_at(0) == (0, read_block(world.chain.store, 0).log_root)  # type: ignore[union-attr]
    assert history.log_at(1) is None


FAR = "\U0001f9ed"
"""A character behind all that texts of before 1996 could hold; a genesis may name by it."""


def test_a_proposal_of_whatever_organisation_is_void_once_another_is_approved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is left over would be approved by validators of a set that is none any more."""
    current = members(*FOUR, v1=FAR)
    world = World(monkeypatch, current)
    stale = world.propose(members(*FOUR, "v4", v1=FAR), by="v1")
    first = world.propose(members("v0", "v2", "v3", "v5"))
    assert world.ready("v4") == world.ready("v5") == "OK"
    assert [world.approve(first, by) for by in ("v0", "v2", "v3")] == ["OK"] * 3
    vote = Approve(organisation=FAR, proposal=stale)
    codes = [world.send("validators.approve", vote, f"validator {by}")[0] for by in FOUR]
    assert codes == ["E_NOT_FOUND"] * 4
    assert world.approved(1) == members("v0", "v2", "v3", "v5")


@pytest.mark.parametrize("organisation", ["\x1b[2J", "two\nlines", "\x7f", "\x9b1A"])
def test_a_name_that_would_command_a_terminal_is_no_organisations(
    world: World, organisation: str
) -> None:
    """Everybody's terminal shows the names of the proposed; nobody asked for their colours."""
    following = (*members(*FOUR), replace(members("v4")[0], organisation=organisation))
    assert world.refusal(following) == "E_VALIDATORS"


@pytest.mark.parametrize("organisation", ["o" * 65, "\u00e9" * 33, "\x1b[2J"])
def test_genesis_whose_validators_could_never_be_replaced_is_none(
    monkeypatch: pytest.MonkeyPatch, organisation: str
) -> None:
    """A proposal names the set that it replaces: what no proposal can hold must not be in a set."""
    with pytest.raises(MalformedError, match="organisation of v0"):
        World(monkeypatch, (replace(members("v0")[0], organisation=organisation), *members("v1")))
    longest = replace(members("v0")[0], organisation=organisation[:1].replace("\x1b", "o") * 32)
    assert World(monkeypatch, (longest, *members(*FOUR[1:]))).propose(members(*FOUR))
