"""How one node is doing, for whoever asks: its place in the chain, and what happened last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from onward.errors import CorruptionError
from onward.ledger.chain import read_block, read_tip
from onward.replica.answers import NodeStatus, PeerStatus, Voter, name_of
from onward.replica.effects import Happened
from onward.replica.epochs import EpochMachine
from onward.rpc.peers import PeerNetwork
from onward.runtime.clock import Clock
from onward.runtime.home import NodeHome
from onward.storage.disk import NodeDisk
from onward.telemetry.events import EventSink, Log
from onward.telemetry.metrics import Metrics
from onward.types import Digest, ValidatorIndex

_REASON_CHARACTERS_MAX = 200
_FINALIZED = frozenset({"finalized", "caught_up"})
"""What a vote and what a page brings: who only follows sees blocks become final by pages alone."""


def _program_version() -> str:
    """The version of the distribution; 0 where it runs without being installed."""
    try:
        return version("onward-ledger")
    except PackageNotFoundError:
        return "0"


VERSION = _program_version()


class RecentEvents(EventSink):
    """The node's sink of events, which remembers when the telling ones came last."""

    def __init__(self, log: Log, metrics: Metrics, monotonic_ms: Callable[[], int]) -> None:
        super().__init__(log, metrics)
        self._monotonic_ms = monotonic_ms
        self._finalized_at_ms: int | None = None
        self._not_voted_at_ms = 0
        self.not_voted = ""

    def happened(self, events: Iterable[Happened]) -> None:
        """Pass the events on, and note those that tell whether this node gets on."""
        taken = tuple(events)
        super().happened(taken)
        for event in taken:
            if event.name in _FINALIZED:
                self._finalized_at_ms = self._monotonic_ms()
            elif event.name == "not_voted":
                self._not_voted_at_ms = self._monotonic_ms()
                self.not_voted = str(dict(event.fields)["reason"])[:_REASON_CHARACTERS_MAX]

    @property
    def finalized_ago_ms(self) -> int | None:
        """Since a block last became final here; None while none has."""
        if self._finalized_at_ms is None:
            return None
        return self._monotonic_ms() - self._finalized_at_ms

    @property
    def not_voted_ago_ms(self) -> int:
        """Since a proposal last got no vote of ours; 0 while all did."""
        return self._monotonic_ms() - self._not_voted_at_ms if self.not_voted else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What each peer says it has delivered, its newest epoch, and when it last spoke: by seat."""

    heights: Mapping[ValidatorIndex, int]
    epochs: Mapping[ValidatorIndex, int]
    at_ms: Mapping[ValidatorIndex, int]


class StatusReport:
    """How one node is doing, put together when somebody asks."""

    def __init__(
        self,
        home: NodeHome,
        replica: EpochMachine,
        disk: NodeDisk,
        peers: PeerNetwork,
        events: RecentEvents,
        *,
        clock: Clock,
        heard: Heard,
    ) -> None:
        """`in_flight` is set once there is a gateway, `accused` once there are evidence files."""
        self._home = home
        self._replica = replica
        self._disk = disk
        self._peers = peers
        self._events = events
        self._clock = clock
        self._heard = heard
        self._began_ms = clock.monotonic_ms()
        self.in_flight: Callable[[], int] = int
        self.accused: Callable[[], tuple[str, ...]] = tuple

    def read(self) -> NodeStatus:
        """The executed tip, consensus and peers, as they are now."""
        tip = read_tip(self._disk.store)
        block = None if tip is None else read_block(self._disk.store, tip.height)
        if tip is None or block is None:
            raise CorruptionError("the database holds no executed block")
        home, replica = self._home, self._replica
        voters = tuple(
            Voter(name=item.name, public_key=item.public_key) for item in replica.validators.members
        )
        names = tuple(name_of(item.public_key, item.name, voters) for item in home.seats.members)
        parameters = home.genesis.parameters
        return NodeStatus(
            network=home.genesis.network,
            chain_id=home.genesis.chain_id,
            validator=names[home.index],
            index=home.index,
            height=tip.height,
            state_root=Digest(block.state_root),
            time_ms=tip.time_ms,
            epoch=replica.epoch,
            view=replica.view,
            finalized_height=replica.finalized_height,
            checkpoint_height=replica.checkpoint_height,
            version=VERSION,
            peers=tuple(
                self._peer(name, ValidatorIndex(index))
                for index, name in enumerate(names)
                if index != home.index
            ),
            now_ms=self._clock.now_ms(),
            uptime_ms=self._clock.monotonic_ms() - self._began_ms,
            finalized_ago_ms=self._events.finalized_ago_ms,
            in_flight=self.in_flight(),
            not_voted=self._events.not_voted,
            not_voted_ago_ms=self._events.not_voted_ago_ms,
            heartbeat_ms=parameters.heartbeat_ms,
            timeout_ms_max=parameters.timeout_ms_max,
            future_ms_max=parameters.future_ms_max,
            past_ms_max=parameters.past_ms_max,
            accused=self.accused(),
            abstains=replica.abstains,
            voters=voters,
        )

    def _peer(self, name: str, index: ValidatorIndex) -> PeerStatus:
        heard_at_ms = self._heard.at_ms.get(index)
        fault, fault_ago_ms = self._peers.fault(index)
        return PeerStatus(
            validator=name,
            index=index,
            up=self._peers.is_up(index),
            height=self._heard.heights.get(index, 0),
            heard_ago_ms=None if heard_at_ms is None else self._clock.monotonic_ms() - heard_at_ms,
            fault=fault,
            fault_ago_ms=fault_ago_ms,
            epoch=self._heard.epochs.get(index, 0),
        )


def validator_names(home: NodeHome) -> tuple[str, ...]:
    """The names of the validators in the genesis' order, then of those it does not name."""
    return tuple(member.name for member in home.seats.members)
