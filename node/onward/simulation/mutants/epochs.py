"""Planted bugs about epochs: how one ends, how the next one begins, who may take part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onward.consensus.core import Core
from onward.consensus.effects import Deliver
from onward.consensus.messages import Packet, PeerMessage
from onward.execution.block import BlockExecution
from onward.ledger.block import Batch, Block
from onward.replica.effects import Effects, Event
from onward.replica.epochs import EpochMachine
from onward.replica.last_checkpoint import LastCheckpoint
from onward.replica.succession import Succession
from onward.simulation.mutants.mutant import Mutant, planted
from onward.system import validators

_CALM = "changing calmly"
_ROUGH = "changing"
_FILLED = "changing by fillers"


class _FillersDelivered(Core):
    """What is finalized behind the epoch's last block is delivered."""

    def _deliver(self) -> bool:
        top = self._known.top
        if top.view <= self._known.final.view or not self._tree.is_valid(top.digest):
            return False
        blocks = self._tree.chain_to(top.digest)
        self._out.add(Deliver(blocks=blocks, final=top, records=((),) * len(blocks)))
        self._tree.advance(blocks[-1], top.digest)
        self._known.learn_final(top)
        self._forget()
        return True


class _LastRepeated(Succession):
    """The blocks behind the last one say once more that they are the last."""

    __slots__ = ()

    def demanded(self, parent: Block, executed_height: int) -> tuple[bool, bytes]:
        _, set_id = super().demanded(parent, executed_height)
        return set_id != self.set_id, set_id


class _FillersOrder(Succession):
    """The blocks behind the last one order batches, which nobody will deliver."""

    __slots__ = ()

    def may_order(self, parent: Block) -> bool:
        del parent
        return True


class _NeverLast(Succession):
    """An approved change is never carried out."""

    __slots__ = ()

    def demanded(self, parent: Block, executed_height: int) -> tuple[bool, bytes]:
        del parent, executed_height
        return False, self.set_id


class _Machine(Mutant):
    """What carries replicas over epochs has a bug."""

    trial = _CALM
    bug: type[EpochMachine] = EpochMachine

    def on_machine(self, machine: Any) -> None:
        """It is of another class from now on."""
        machine.__class__ = self.bug


class OtherEpochsHeard(_Machine):
    """Packets and batches are taken in whatever epoch they are of."""

    class bug(EpochMachine):  # noqa: N801
        """See the mutant."""

        def _concerns(self, seat: int, message: PeerMessage) -> bool:
            is_any = isinstance(message, Packet | Batch) and seat in self._places
            return is_any or super()._concerns(seat, message)


class StragglerNotServed(_Machine):
    """Who is still in an ended epoch is not told how it ended."""

    trial = "away"

    class bug(EpochMachine):  # noqa: N801
        """See the mutant."""

        def _attend(self, *arguments: Any) -> Any:
            del arguments
            return []


class JournalNotBegunAnew(_Machine):
    """The votes of the new epoch go into the old segment, which does not say whose they are."""

    trial = "dark at the change"

    class bug(EpochMachine):  # noqa: N801
        """See the mutant."""

        def _begin_journal(self, held: tuple[Event, ...], now_ms: int) -> Effects:
            return replace(super()._begin_journal(held, now_ms), rotate=None)


class LastCheckpointByTheNewSet(_Machine):
    """The result of an epoch's last block is signed by the validators of the next one."""

    trial = "replaced"

    class bug(EpochMachine):  # noqa: N801
        """See the mutant."""

        def _last_checkpoint(self, epoch: int) -> LastCheckpoint | None:
            last = super()._last_checkpoint(epoch)
            if last is not None and self._floor is not None:
                after = validators.approved_set(_State(self._store), epoch + 1)
                last._checkpoints._validators = after[0] if after else last._validators  # noqa: SLF001
                last._validators = last._checkpoints._validators  # noqa: SLF001
            return last


class _State:
    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: str) -> bytes | None:
        """The value of a state key."""
        found: bytes | None = self._store.get(b"s/" + key.encode())
        return found


class ReadinessNotAsked(Mutant):
    """Newcomers are voted in that have never been heard of."""

    trial = "hasty"

    def on_config(self, config: Any) -> Any:
        """The rule is gone while a block is executed."""
        return replace(config, begin_block=_Careless)


class _Careless(BlockExecution):
    __slots__ = ()

    def run(self, bodies_max: int) -> bool:
        room: Any = validators
        rule, room._check_ready = room._check_ready, _nothing  # noqa: SLF001
        try:
            return super().run(bodies_max)
        finally:
            room._check_ready = rule  # noqa: SLF001


def _nothing(*arguments: object) -> None:
    """Nothing is asked."""
    del arguments


def _succession(bug: type[Succession], trial: str) -> type[Mutant]:
    """The rules and the proposals of a replica share one object."""
    return planted("_proposals._succession", bug, trial)


EPOCHS: dict[str, type[Mutant]] = {
    "fillers-delivered": planted("_core", _FillersDelivered, _FILLED),
    "last-repeated": _succession(_LastRepeated, _FILLED),
    "fillers-order": _succession(_FillersOrder, _FILLED),
    "change-never-carried-out": _succession(_NeverLast, _CALM),
    "other-epochs-heard": OtherEpochsHeard,
    "straggler-not-served": StragglerNotServed,
    "journal-not-begun-anew": JournalNotBegunAnew,
    "last-checkpoint-by-the-new-set": LastCheckpointByTheNewSet,
    "readiness-not-asked": ReadinessNotAsked,
}
