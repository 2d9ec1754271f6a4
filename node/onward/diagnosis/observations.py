"""What was seen of a network, from wherever somebody looked: the diagnosis' only input.

Everything may be missing. A network's folder shows all validators with their processes and homes; a
home shows one of them; an address shows what one node says of itself and of its peers. What could
not be seen is None, and no finding is ever drawn from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from onward.replica.answers import NodeStatus, PeerStatus
from onward.types import quorum_of


class Reach(StrEnum):
    """What came of asking a node's gateway."""

    NOT_ASKED = "not asked"
    ANSWERED = "yes"
    NOBODY_LISTENS = "nobody listens"
    SILENT = "silent"  # it takes the connection and says nothing
    STRANGER = "somebody else"  # with another key than the genesis names
    NO_TLS = "no TLS"  # it speaks, but not what a node with a certificate speaks
    REFUSED = "refuses"  # it is a node, and will not say how it does
    UNREACHABLE = "unreachable"  # no way to that address


class ProcessState(StrEnum):
    """A node's process, where the machine on which somebody looks can tell."""

    NONE = "none"
    RUNS = "runs"
    STOPPED = "stopped"  # by a signal or a debugger: it exists and does nothing
    WAITS_FOR_DISK = "waits for the disk"


class Ending(StrEnum):
    """How a node's last process ended, by the last of its words."""

    NEVER_BEGAN = "never began"
    ASKED = "asked"
    FAILED = "failed"
    WITHOUT_A_WORD = "without a word"


class HomeFault(StrEnum):
    """Why no node could start from a home."""

    NONE = ""
    MISSING = "missing"
    UNREADABLE = "unreadable"  # for who looks; it may be readable for the node
    FOREIGN_KEY = "foreign key"
    CONFIGURATION = "configuration"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSeen:
    """A process, and its id where there is one. `age_ms`: since its start, None where unknown."""

    state: ProcessState
    pid: int | None = None
    age_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSeen:
    """A process' end. `code` and `reason` are those of its last line, where it failed."""

    ending: Ending
    code: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeSeen:
    """A node's home on this machine. `reason` explains `fault`; `chain_id` is its genesis'.

    `peers`: by name, where its configuration says that the others listen; `listens`: where it says
    that they reach it.
    """

    path: str
    fault: HomeFault = HomeFault.NONE
    reason: str = ""
    chain_id: bytes | None = None
    listens: str = ""
    peers: tuple[tuple[str, str], ...] = ()
    is_plaintext: bool = False
    free_bytes: int | None = None
    lock_pid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSeen:
    """One validator. `answer` is what it said of itself; None where it did not.

    `clock_ahead_ms`: its clock minus that of who asked. `height_before`: how far it had finalized
    at the first look. `stranger`: whom the key at its address belongs to, for people.
    `unproved_after`: it may still be a validator, of a later epoch than this one, which is the last
    that is proved; None where no proof could make it one.
    """

    name: str
    gateway: str = ""
    reach: Reach = Reach.NOT_ASKED
    answer: NodeStatus | None = None
    clock_ahead_ms: int | None = None
    height_before: int | None = None
    stranger: str = ""
    unproved_after: int | None = None
    process: ProcessSeen | None = None
    end: EndSeen | None = None
    home: HomeSeen | None = None
    log: str = ""

    def peer(self, name: str) -> PeerStatus | None:
        """What it says of a peer."""
        peers = () if self.answer is None else self.answer.peers
        return next((peer for peer in peers if peer.validator == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The genesis' parameters that say how long is long, in milliseconds."""

    heartbeat_ms: int = 5_000
    timeout_ms_max: int = 3_000
    future_ms_max: int = 2_000
    past_ms_max: int = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """All that was seen. `names`: the validators of the newest epoch; `nodes`: who was looked at.

    The names stand in the order in which nodes number them: of a pair the first one dials. Among
    the nodes may be machines that are no validators, and some validators may be missing.

    `chain_id` is None where no genesis was at hand. `rise`: by how many blocks the highest
    finalized height grew in `watched_ms`. `is_last_look`: there is no more time to look again.
    `start_command`: what starts what is not running, "" where that cannot be said.
    """

    place: str
    names: tuple[str, ...]
    nodes: tuple[NodeSeen, ...]
    times: Times
    chain_id: bytes | None = None
    epoch: int = 0
    rise: int = 0
    watched_ms: int = 0
    is_last_look: bool = True
    start_command: str = ""

    @property
    def quorum(self) -> int:
        """How many validators must vote."""
        return quorum_of(len(self.names))

    @property
    def answering(self) -> tuple[NodeSeen, ...]:
        """The nodes that said how they do."""
        return tuple(node for node in self.nodes if node.answer is not None)

    @property
    def is_whole(self) -> bool:
        """Whether every validator was looked at, and not only heard of."""
        return {node.name for node in self.nodes} >= set(self.names)

    @property
    def is_alone(self) -> bool:
        """Whether one node was looked at, of several."""
        return len(self.nodes) == 1 and len(self.names) > 1

    @property
    def silence_ms(self) -> int:
        """Who says nothing for longer is not only idle: every block and every timeout is a vote."""
        return self.times.heartbeat_ms + self.times.timeout_ms_max

    @property
    def calm_ms(self) -> int:
        """The longest time without a block when f validators in a row fail as leaders."""
        faulty = len(self.names) - self.quorum
        return self.times.heartbeat_ms + (faulty + 1) * self.times.timeout_ms_max + 1_000
