"""How the members of a simulated consortium change its validators: propose, get ready, approve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from onward.execution.overlay import StoredState
from onward.ledger.chain import read_block
from onward.simulation.clients import Clients
from onward.simulation.consortium import (
    GENESIS_TIME_MS,
    ORGANISATIONS,
    Consortium,
    validator_at,
)
from onward.simulation.host import Host
from onward.simulation.workload import SharingWorkload
from onward.system.validators import Approve, Propose, Ready, approved_set, members_of
from onward.types import ValidatorSet
from onward_proto.canonical import encode

_AGAIN_MS = 700


class ChangingWorld(Protocol):
    """What a change needs of the world."""

    hosts: list[Host]
    consortium: Consortium
    clients: Clients
    workload: SharingWorkload
    now_ms: int
    epoch: int

    def host(self, index: int) -> Host:
        """The machine of a validator."""

    def later(self, delay_ms: int, action: Callable[..., None], *arguments: object) -> None:
        """Call later."""


class ValidatorChange:
    """One change, from the proposal to its approval; what is refused for now is tried again."""

    def __init__(
        self, world: ChangingWorld, members: tuple[int, ...], *, is_hasty: bool = False
    ) -> None:
        """`members`: the machines that are to be the validators, in their order.

        `is_hasty`: it is put to the vote before the newcomers are ready.
        """
        self._world = world
        self._members = members
        self._is_hasty = is_hasty
        self._current: ValidatorSet | None = None
        self._proposer = 0
        self._proposal = b""
        self._open: set[int] = set()

    def begin(self) -> None:
        """Propose the set, on the newest one that the chain knows."""
        world = self._world
        self._current = self._newest()
        signers = world.consortium.validators
        following = ValidatorSet(
            epoch=self._current.epoch,
            members=tuple(validator_at(index, signers[index]) for index in self._members),
        )
        payload = Propose(current=members_of(self._current), following=members_of(following))
        self._proposer = self._voters()[0]
        self._send("validators.propose", encode(payload), self._proposer, self._proposed)

    def _newest(self) -> ValidatorSet:
        world, found = self._world, self._world.consortium.genesis.validators
        best = max(world.hosts, key=lambda host: (host.height, -host.index))
        state = StoredState(best.disk.store)
        while (following := approved_set(state, found.epoch + 1)) is not None:
            found = following[0]
        return found

    def _voters(self) -> list[int]:
        """The machines of the set that is to be replaced."""
        current = self._current
        signers = enumerate(self._world.consortium.validators)
        return [
            index
            for index, signer in signers
            if current is not None and current.index_of(signer.public_key) is not None
        ]

    def _proposed(self, tx_id: str, code: str) -> None:
        if code != "OK":
            self._world.later(_AGAIN_MS, self.begin)
            return
        self._proposal = bytes.fromhex(tx_id)
        self._open = set() if self._is_hasty else set(self._members).difference(self._voters())
        for index in sorted(self._open):
            self._ready(index)
        if not self._open:
            self._approve()

    def _ready(self, index: int) -> None:
        """A newcomer shows its newest result."""
        host = self._world.host(index)
        stored = read_block(host.disk.store, host.height)
        if host.machine is None or stored is None or not host.height:
            self._world.later(_AGAIN_MS, self._ready, index)
            return

        def told(tx_id: str, code: str) -> None:
            del tx_id
            if code != "OK":
                self._world.later(_AGAIN_MS, self._ready, index)
                return
            self._open.discard(index)
            if not self._open:
                self._approve()

        key = self._world.consortium.validators[index].public_key
        payload = Ready(
            public_key=key,
            height=host.height,
            log_size=stored.log_size,
            log_root=stored.log_root,
        )
        self._send("validators.ready", encode(payload), index, told)

    def _approve(self) -> None:
        payload = Approve(organisation=f"org{self._proposer}", proposal=self._proposal)
        for index in self._voters():
            self._send("validators.approve", encode(payload), index, self._approved)

    def _approved(self, tx_id: str, code: str) -> None:
        """The last votes come too late to count: the set is approved without them."""
        del tx_id, code

    def _send(
        self, kind: str, payload: bytes, index: int, told: Callable[[str, str], None]
    ) -> None:
        world = self._world
        step = (kind, payload, ORGANISATIONS[0], ())
        key = world.consortium.validators[index]
        order = world.workload.urgent(step, (key,), GENESIS_TIME_MS + world.now_ms, told)
        world.clients.submit(order, world.now_ms)
