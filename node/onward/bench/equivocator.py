"""A validator that lies: the real node with its own key, whose words pass through a liar's hands.

    python -m onward.bench.equivocator --home DIR

It is a program of its own, for benchmark networks: nothing in a node's configuration leads here.
Honest until the signal `BEGIN_LYING` and again after `END_LYING`. In between, as a leader it signs
two blocks of one view and tells one to some peers and the other one to the rest, and it finalizes
and nullifies the same views. How often it lied stands in DIR/lies.json from `END_LYING` on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Protocol

import uvloop

from onward.bench.faults import BEGIN_LYING, END_LYING, LIES_NAME
from onward.consensus.messages import PeerMessage
from onward.crypto.signing import SigningKey
from onward.replica.effects import Boot
from onward.runtime.assembly import Node
from onward.runtime.home import NodeHome, read_home
from onward.runtime.node import Exit, report_end
from onward.runtime.supervisor import Supervisor
from onward.simulation.byzantine.double_voter import DoubleVoter
from onward.simulation.byzantine.equivocator import Equivocator
from onward.simulation.byzantine.liar import LiarKit
from onward.telemetry.events import Log, make_log
from onward.types import ValidatorIndex


class Speaker(Protocol):
    """The links to the other validators."""

    def __call__(self, to: ValidatorIndex | None, message: PeerMessage) -> None:
        """Queue a message for one peer or for all."""


class Lips:
    """What a replica says passes here: unchanged, or while `lying` as the liar would have it."""

    def __init__(self, kit: LiarKit, say: Speaker) -> None:
        self.lying = False
        self.counts = kit.counts
        self._say = say
        self._peers = tuple(
            ValidatorIndex(index) for index in range(kit.size) if index != kit.index
        )
        self._leader = Equivocator(kit)
        self._voter = DoubleVoter(kit)

    def send(self, to: ValidatorIndex | None, message: PeerMessage) -> None:
        """In place of the network's own `send`: to everybody means to each another story."""
        if not self.lying:
            self._say(to, message)
            return
        for peer in self._peers if to is None else (to,):
            for block_lie in self._leader.outgoing(peer, message):
                for lie in self._voter.outgoing(peer, block_lie):
                    self._say(peer, lie)


class LyingSupervisor(Supervisor):
    """Runs the node as ever, but for what leaves it."""

    may_abstain = False

    def __init__(self, home: NodeHome, log: Log, kit: LiarKit) -> None:
        super().__init__(home, log)
        self._kit = kit
        self._file = home.path / LIES_NAME
        self._lips: Lips | None = None

    def begin(self) -> None:
        """Lie from now on."""
        if self._lips is not None:
            self._lips.lying = True

    def end(self) -> None:
        """Be honest from now on, and own up to what was said."""
        if self._lips is not None:
            self._lips.lying = False
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(dict(sorted(self._kit.counts.items()))), encoding="utf-8")
        fresh.replace(self._file)

    async def _run(self, node: Node, boot: Boot) -> None:
        self._lips = Lips(self._kit, node.peers.send)
        node.peers.send = self._lips.send  # type: ignore[method-assign]
        await super()._run(node, boot)


def kit_for(home: NodeHome) -> LiarKit:
    """What the validator of a home lies with."""
    return LiarKit(
        rng=random.Random(f"equivocator/{home.index}"),
        signer=SigningKey(home.seed),
        chain_id=home.genesis.chain_id,
        index=home.index,
        size=home.genesis.validators.size,
        machines=home.genesis.validators.size,
        counts=Counter(),
    )


def run(path: Path) -> int:
    """Run until SIGTERM or SIGINT; answers the exit code, as a node does."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    log = make_log("info")
    try:
        home = read_home(path)
        log = make_log(home.config.log_level, node=home.config.name)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_signalled(home, log))
    except BaseException as error:  # noqa: BLE001  # every way to end gets its line and its code
        return report_end(error, log)
    return Exit.STOPPED


async def _until_signalled(home: NodeHome, log: Log) -> None:
    supervisor = LyingSupervisor(home, log, kit_for(home))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(BEGIN_LYING, supervisor.begin)
    loop.add_signal_handler(END_LYING, supervisor.end)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop, signal.Signals(number).name)
    await supervisor.run()


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="A validator that lies, for benchmarks.")
    parser.add_argument("--home", type=Path, required=True)
    return run(parser.parse_args().home)


if __name__ == "__main__":
    sys.exit(main())
