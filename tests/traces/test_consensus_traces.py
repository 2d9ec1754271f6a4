"""What n cores say to each other in cases that a person can follow line by line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import datadriven
from tests.support.consensus_world import START_MS, World

from onward.consensus.effects import (
    Broadcast,
    CoreEffect,
    Deliver,
    EvidenceFound,
    LaneEffect,
    SendTo,
)
from onward.consensus.messages import Certificate, Packet, Vote, VoteKind

TRACES = sorted(Path(__file__).parent.glob("consensus_*.txt"))


class Transcript:
    """Performs the commands of a trace on a world, and says what left the nodes."""

    def __init__(self) -> None:
        self.world = World()
        self.names: dict[bytes, str] = {}
        self.seen = 0

    def perform(self, step: datadriven.Step) -> str:
        world, arguments = self.world, step.arguments
        match step.command:
            case "network":
                twins = tuple(
                    map(int, arguments.get("twins", "").split(",")[: "twins" in arguments])
                )
                self.world = World(int(arguments["size"]), twins=twins)
            case "submit":
                world.submit(int(arguments["at"]), arguments["tx"].encode())
            case "run":
                world.run_ms(int(arguments["ms"]))
            case "crash":
                world.crash(int(arguments["node"]))
            case "boot":
                world.boot(int(arguments["node"]))
            case "isolate":
                world.isolate(int(arguments["node"]))
            case "partition":
                groups = [tuple(map(int, part)) for part in arguments["groups"].split("|")]
                world.partition(*groups)
            case "heal":
                world.heal()
            case "heights":
                return " ".join(map(str, world.heights()))
            case _:
                raise ValueError(step.command)
        lines = [self.line(*item) for item in self.world.log[self.seen :]]
        self.seen = len(self.world.log)
        return "\n".join(line for line in lines if line)

    def line(self, now_ms: int, slot: int, effect: CoreEffect | LaneEffect) -> str:
        match effect:
            case Broadcast():
                said = self.packet(effect.packet)
            case SendTo():
                said = f"to {effect.peer}: {self.packet(effect.packet)}"
            case Deliver():
                heights = " ".join(str(block.height) for block in effect.blocks)
                said = f"delivers height {heights} by {self.certificate(effect.final)}"
            case EvidenceFound():
                said = f"evidence: {self.vote(effect.first)} and {self.vote(effect.second)}"
            case _:
                return ""
        return f"{now_ms - START_MS:5} node {slot}: {said}"

    def packet(self, packet: Packet) -> str:
        parts = [f"status {packet.status}"] if packet.status else []
        parts += [f"block {block.view} on {block.parent_view}" for block in packet.blocks]
        parts += [self.certificate(item) for item in packet.certificates]
        parts += [self.vote(item) for item in packet.votes]
        return ", ".join(parts) or "nothing new"

    def vote(self, vote: Vote) -> str:
        kind = VoteKind(vote.kind).name
        return f"{kind} {vote.view}{self.name(vote.digest)} of {vote.signer}"

    def certificate(self, item: Certificate) -> str:
        signers = "".join(str(signature.signer) for signature in item.signatures)
        return f"cert {VoteKind(item.kind).name} {item.view}{self.name(item.digest)} by {signers}"

    def name(self, digest: bytes) -> str:
        """A letter for each block, in the order in which they were first spoken of."""
        if not any(digest):
            return ""
        return self.names.setdefault(digest, chr(ord("a") + len(self.names)))


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_trace_is_what_was_approved(path: Path, request: pytest.FixtureRequest) -> None:
    datadriven.run(path, Transcript().perform, rewrite=request.config.getoption("--rewrite"))


def test_there_are_traces() -> None:
    assert len(TRACES) >= 4
