"""Parties, keys and groups: who may change them, and what nobody may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.execution.worlds import T0, Chain, body, key, make_genesis

from onward.errors import MalformedError
from onward.execution.overlay import StoredState
from onward.ledger.genesis import Genesis, GenesisParty
from onward.system.contracts import active_version, genesis_state
from onward.system.parties import GROUPS_MAX, PartyRecord, pseudonym_of, read_party
from onward.system.registry import (
    REGISTRATIONS_MAX,
    Deactivate,
    PartyRegistry,
    Register,
    Registration,
    RotateKey,
    SetGroups,
)
from onward_chaincode.contract import Party, Refuse
from onward_proto.canonical import encode


class World:
    """A chain whose transactions are all the system's."""

    def __init__(self) -> None:
        self.chain = Chain()
        self._salt = 0

    def send(self, actor: str, kind: str, payload: object, *signers: str) -> str:
        """The code that the transaction gets."""
        self._salt += 1
        data = payload if isinstance(payload, bytes) else encode(payload)
        item = body(actor=actor, contract="sys", kind=kind, payload=data, salt=self._salt)
        envelope = self.chain.envelope(item, signers=signers or (actor,))
        return self.chain.execute(envelope).bodies[0].result.code

    def record(self, party: str) -> PartyRecord:
        found = read_party(StoredState(self.chain.store), party)
        assert found is not None
        return found


def entry(party: str, kind: str = "ORGANISATION", **changes: Any) -> Registration:
    values: dict[str, Any] = {
        "party": party,
        "kind": kind,
        "public_key": key(f"key of {party}").public_key,
        "groups": (),
        "jurisdiction": "",
    }
    return Registration(**{**values, **changes})


def person(name: str, **changes: Any) -> Registration:
    public_key = key(name).public_key
    values: dict[str, Any] = {"party": pseudonym_of(public_key), "public_key": public_key}
    values |= changes
    return entry(values.pop("party"), "PERSON", **values)


def register(*entries: Registration) -> Register:
    return Register(parties=entries)


# ----------------------------------------------------------------------------------- registering


def test_administrator_registers_any_kind_and_the_party_may_then_sign() -> None:
    world = World()
    gamma = entry("gamma", groups=("clients", "partners"), jurisdiction="DE")
    assert world.send("admin", "party.register", register(gamma, entry("aud", "AUDITOR"))) == "OK"
    record = world.record("gamma")
    assert (record.kind, record.groups, record.jurisdiction) == (
        "ORGANISATION",
        ("clients", "partners"),
        "DE",
    )
    assert (
        world.send("gamma", "party.deactivate", Deactivate(party="gamma"), "key of gamma") == "OK"
    )


def test_enroller_registers_persons_under_their_pseudonyms() -> None:
    world = World()
    assert world.send("enroller", "party.register", register(person("a"), person("b"))) == "OK"
    assert world.record(pseudonym_of(key("a").public_key)).kind == "PERSON"


@pytest.mark.parametrize(
    ("actor", "entries", "code"),
    [
        ("acme", (entry("gamma"),), "E_SIGNER"),
        ("registry", (entry("gamma"),), "E_SIGNER"),
        ("enroller", (entry("gamma"),), "E_SIGNER"),
        ("enroller", (person("a"), entry("gamma")), "E_SIGNER"),
        ("enroller", (person("a", groups=("partners",)),), "E_SIGNER"),
        ("admin", (), "E_FORMAT"),
        ("admin", (entry("gamma", "KING"),), "E_FORMAT"),
        ("admin", (entry("Gamma"),), "E_FORMAT"),
        ("admin", (entry("gamma", groups=("b", "a")),), "E_FORMAT"),
        ("admin", (entry("gamma", groups=("a", "a")),), "E_FORMAT"),
        ("admin", (entry("gamma", jurisdiction="de"),), "E_FORMAT"),
        ("admin", (entry("acme"),), "E_DUPLICATE"),
        ("admin", (entry("gamma"), entry("gamma")), "E_DUPLICATE"),
        ("admin", (entry("gamma", public_key=key("acme").public_key),), "E_DUPLICATE"),
        ("admin", (entry("gamma"), entry("delta", public_key=key("key of gamma").public_key)),
         "E_DUPLICATE"),
        ("admin", (person("a", party="alice"),), "E_PARTY"),
        ("enroller", (person("a", party=pseudonym_of(key("b").public_key)),), "E_PARTY"),
        ("admin", (entry("p-" + "0" * 32),), "E_PARTY"),
    ],
    ids=range(18),
)  # fmt: skip
def test_wrong_registrations_are_refused_whole(
    actor: str, entries: tuple[Registration, ...], code: str
) -> None:
    """One wrong entry of a batch drops them all: nobody is registered by half a transaction."""
    world = World()
    assert world.send(actor, "party.register", register(*entries)) == code
    state = StoredState(world.chain.store)
    fresh = [item.party for item in entries if item.party != "acme"]
    assert [party for party in fresh if read_party(state, party)] == []


def test_registrations_are_bounded_by_the_codec() -> None:
    world = World()
    full = [person(f"person {index}") for index in range(REGISTRATIONS_MAX)]
    assert world.send("enroller", "party.register", register(*full)) == "OK"
    one = encode(register(person("one more")))
    beyond = encode(register(*[person(f"p {index}") for index in range(REGISTRATIONS_MAX)])) + one
    assert world.send("enroller", "party.register", beyond) == "E_FORMAT"
    groups = tuple(f"g{index:02d}" for index in range(GROUPS_MAX))
    assert world.send("admin", "party.register", register(entry("gamma", groups=groups))) == "OK"


@pytest.mark.parametrize("kind", ["party.register", "party.rotate_key", "party.deactivate"])
@pytest.mark.parametrize(
    "payload", [b"\xff", b"\x0a\x00", b"\x7a\x01\x01"], ids=["end", "empty", "unknown"]
)
def test_payload_that_is_not_canonical_is_refused(kind: str, payload: bytes) -> None:
    assert World().send("admin", kind, payload) == "E_FORMAT"


# -------------------------------------------------------------------------------------- keys


def test_rotated_key_counts_from_the_next_transaction_on() -> None:
    world = World()
    new = RotateKey(public_key=key("acme 2").public_key)
    assert world.send("acme", "party.rotate_key", new, "acme", "acme 2") == "OK"
    leave = Deactivate(party="acme")
    assert world.send("acme", "party.deactivate", leave, "acme") == "E_PARTY"
    assert world.send("acme", "party.deactivate", leave, "acme 2") == "OK"


def test_key_that_has_not_signed_is_not_taken() -> None:
    """Otherwise a party could claim a key that another holds, and lock it out."""
    world = World()
    new = RotateKey(public_key=key("acme 2").public_key)
    assert world.send("acme", "party.rotate_key", new) == "E_COUNTERSIG"
    assert world.record("acme").public_keys == (key("acme").public_key,)


def test_key_is_used_once_for_ever() -> None:
    world = World()
    second, first = (RotateKey(public_key=key(name).public_key) for name in ("acme 2", "acme"))
    assert world.send("acme", "party.rotate_key", first) == "E_DUPLICATE"
    others = RotateKey(public_key=key("beta").public_key)
    assert world.send("acme", "party.rotate_key", others, "acme", "beta") == "E_DUPLICATE"
    assert world.send("acme", "party.rotate_key", second, "acme", "acme 2") == "OK"
    assert world.send("acme", "party.rotate_key", first, "acme 2", "acme") == "E_DUPLICATE"
    taken = entry("gamma", public_key=key("acme").public_key)
    assert world.send("admin", "party.register", register(taken)) == "E_DUPLICATE"


# -------------------------------------------------------------------------- leaving and groups


def test_party_leaves_by_itself_or_is_removed_by_an_administrator() -> None:
    world = World()
    assert world.send("acme", "party.deactivate", Deactivate(party="beta")) == "E_SIGNER"
    assert world.send("acme", "party.deactivate", Deactivate(party="acme")) == "OK"
    assert world.send("admin", "party.deactivate", Deactivate(party="beta")) == "OK"
    assert world.record("beta").inactive
    assert world.send("admin", "party.deactivate", Deactivate(party="beta")) == "E_STATE"
    assert world.send("admin", "party.deactivate", Deactivate(party="nobody")) == "E_PARTY"
    assert world.send("acme", "party.deactivate", Deactivate(party="acme")) == "E_PARTY"


def test_only_administrators_set_groups() -> None:
    world = World()
    wanted = SetGroups(party="acme", groups=("clients", "partners"))
    assert world.send("acme", "party.set_groups", wanted) == "E_SIGNER"
    assert world.send("admin", "party.set_groups", wanted) == "OK"
    assert world.record("acme").groups == ("clients", "partners")
    for groups in (("b", "a"), ("a", "a")):
        wrong = SetGroups(party="acme", groups=groups)
        assert world.send("admin", "party.set_groups", wrong) == "E_FORMAT"
    unknown = SetGroups(party="nobody", groups=())
    assert world.send("admin", "party.set_groups", unknown) == "E_PARTY"
    assert world.send("admin", "party.set_groups", SetGroups(party="acme", groups=())) == "OK"
    assert world.record("acme").groups == ()


# ------------------------------------------------------------------------- genesis and queries


def test_genesis_with_an_unknown_kind_of_party_is_refused() -> None:
    """A misspelt ADMINISTRATOR would leave a network that nobody can administer."""
    genesis = _with_party(GenesisParty(party_id="x", kind="ADMIN", public_key=key("x").public_key))
    with pytest.raises(MalformedError, match="kind 'ADMIN'"):
        genesis_state(genesis)


def test_genesis_in_which_two_parties_hold_one_key_is_refused() -> None:
    twin = GenesisParty(party_id="twin", kind="ORGANISATION", public_key=key("acme").public_key)
    with pytest.raises(MalformedError, match="twin"):
        genesis_state(_with_party(twin))


def _with_party(party: GenesisParty) -> Genesis:
    genesis = make_genesis()
    return replace(genesis, parties=(*genesis.parties, party))


def test_contract_versions_apply_from_their_heights() -> None:
    world = World()
    state = StoredState(world.chain.store)
    assert active_version(state, "puppet", 0) is None
    assert active_version(state, "puppet", 1) == 1
    assert active_version(state, "other", 1) is None


class _View:
    time_ms, height, reader = T0, 0, "acme"

    def __init__(self, world: World) -> None:
        self._state = StoredState(world.chain.store)

    def get(self, key: str) -> bytes | None:
        return self._state.get(f"sys/{key}")

    def scan(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        return self._state.scan(f"sys/{start}", f"sys/{end}", limit)

    def party(self, party_id: str) -> Party | None:
        return None

    def projected(self, start: str, end: str, limit: int) -> list[tuple[str, bytes]]:
        return []


def test_registry_answers_who_a_party_is() -> None:
    view = _View(World())
    assert PartyRegistry().query(view, "party", {"party": "acme"}) == {
        "party": "acme",
        "kind": "ORGANISATION",
        "active": True,
        "public_keys": [key("acme").public_key.hex()],
        "groups": [],
        "jurisdiction": "",
    }
    for name, arguments, code in (
        ("party", {"party": "nobody"}, "E_NOT_FOUND"),
        ("party", {}, "E_FORMAT"),
        ("party", {"party": 1}, "E_FORMAT"),
        ("party", {"party": "acme", "more": 1}, "E_FORMAT"),
        ("parties", {"party": "acme"}, "E_FORMAT"),
    ):
        with pytest.raises(Refuse) as caught:
            PartyRegistry().query(view, name, arguments)
        assert caught.value.code == code
