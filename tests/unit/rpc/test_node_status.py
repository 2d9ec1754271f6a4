"""A node's status on the wire, between nodes and clients of different versions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onward.replica.answers import LinkFault, NodeStatus, PeerStatus, Voter
from onward.rpc import convert
from onward.types import Digest, PublicKey
from onward_proto.v1 import gateway_pb2

OLD = NodeStatus(
    network="local",
    chain_id=Digest(bytes([7]) * 32),
    validator="v1",
    index=0,
    height=41,
    state_root=Digest(bytes([8]) * 32),
    time_ms=1_750_000_000_000,
    epoch=0,
    view=43,
    finalized_height=42,
    checkpoint_height=40,
    version="0",
    peers=(PeerStatus(validator="v2", index=1, up=True, height=41),),
)
FULL = replace(
    OLD,
    peers=(
        PeerStatus(
            validator="v2",
            index=1,
            up=False,
            height=41,
            heard_ago_ms=0,
            fault=LinkFault.CHAIN,
            fault_ago_ms=70,
            epoch=2,
        ),
    ),
    now_ms=1_750_000_000_500,
    uptime_ms=9_000,
    finalized_ago_ms=0,
    in_flight=3,
    not_voted="90000 ms ahead of this clock",
    not_voted_ago_ms=12,
    heartbeat_ms=5_000,
    timeout_ms_max=3_000,
    future_ms_max=2_000,
    past_ms_max=30_000,
    voters=(Voter(name="v2", public_key=PublicKey(bytes(32))),),
)


@pytest.mark.parametrize("status", [OLD, FULL], ids=["older node", "all of it"])
def test_status_arrives_as_it_was_told(status: NodeStatus) -> None:
    """ "Never" and "just now" must not become each other: one is a fault, the other is health."""
    assert convert.status_in(convert.status_out(status)) == status


def test_reason_that_only_a_newer_node_knows_is_a_refusal() -> None:
    reply = gateway_pb2.StatusReply(peers=[gateway_pb2.PeerStatus(fault="bewitched")])
    (peer,) = convert.status_in(reply).peers
    assert peer.fault is LinkFault.REFUSED
