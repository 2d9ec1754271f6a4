"""The names under which a node's services are called.

They stand apart from the servers, so that a client does not load what it never serves.
"""

from __future__ import annotations

GATEWAY_SERVICE = "onward_proto.v1.Gateway"
PEER_SERVICE = "onward_proto.v1.Peer"
