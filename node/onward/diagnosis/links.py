"""Who hears whom: links, foreign chains, and the largest group that can finalize a block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from onward.diagnosis.findings import Code, Finding, listed, span
from onward.diagnosis.observations import NodeSeen, Observations
from onward.replica.answers import LinkFault, PeerStatus

_REASONS = {
    LinkFault.NONE: "no connection stands",
    LinkFault.UNREACHABLE: "nobody listens at the address that it dials, or something blocks it",
    LinkFault.SILENT: "a connection is taken, and then nothing comes",
    LinkFault.CERTIFICATE: "who listens there shows a certificate of another key",
    LinkFault.TLS: "the TLS handshake fails: one side may speak plaintext",
    LinkFault.CHAIN: "the other one's genesis is another",
    LinkFault.REFUSED: "the handshake is refused",
}
_ADVICE = {
    LinkFault.CERTIFICATE: "compare the genesis files and the keys of both, and the address",
    LinkFault.TLS: "let both say the same for `plaintext` under [peers] in node.toml",
    LinkFault.SILENT: "see whether the one that is dialed is frozen, or a firewall drops packets",
    LinkFault.REFUSED: "the log of the one that dials has the reason at level debug",
}
_LOOK = "check [peers.addresses] and `listen` in node.toml of both, and firewalls between them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A pair, the one with the lower index first: it dials. `is_up` None where nobody could say."""

    dialer: str
    listener: str
    is_up: bool | None
    fault: LinkFault = LinkFault.NONE
    silent_ms: int = 0  # a connection stands, and nothing has come over it for so long


def links_of(seen: Observations) -> tuple[Link, ...]:
    """Every pair of validators, as far as either of them tells."""
    nodes = {node.name: node for node in seen.nodes}
    return tuple(
        _link(dialer, listener, nodes, seen) for dialer, listener in combinations(seen.names, 2)
    )


def _link(dialer: str, listener: str, nodes: dict[str, NodeSeen], seen: Observations) -> Link:
    told: list[PeerStatus] = []
    for one, other in ((dialer, listener), (listener, dialer)):
        word = nodes[one].peer(other) if one in nodes else None
        if word is not None:
            told.append(word)
    if not told:
        return Link(dialer=dialer, listener=listener, is_up=None)
    is_up = all(word.up for word in told)
    silent_ms = 0
    if is_up and len(told) == 1 and (told[0].heard_ago_ms or 0) > seen.silence_ms:
        # A stream outlives a frozen peer for a while; its silence tells.
        is_up, silent_ms = False, told[0].heard_ago_ms or 0
    # A listener remembers its last caller for ever; only what is tried again and again counts.
    faults = [
        word.fault
        for word in told
        if word.fault is not LinkFault.NONE and word.fault_ago_ms <= seen.silence_ms
    ]
    if LinkFault.CHAIN in faults:
        faults = [LinkFault.CHAIN]
    return Link(
        dialer=dialer,
        listener=listener,
        is_up=is_up,
        fault=faults[0] if faults and not is_up and not silent_ms else LinkFault.NONE,
        silent_ms=silent_ms,
    )


def group(names: Iterable[str], links: Iterable[Link], quorum: int) -> frozenset[str]:
    """The validators that each have links to a quorum, themselves included, within the group.

    Fewer than that cannot finalize anything. Links of which nothing is known count as up.
    """
    left = set(names)
    down = {frozenset((link.dialer, link.listener)) for link in links if link.is_up is False}
    while True:
        weak = {
            name
            for name in left
            if sum(frozenset((name, other)) not in down for other in left if other != name)
            < quorum - 1
        }
        if not weak:
            return frozenset(left)
        left -= weak


def chain_findings(seen: Observations, links: tuple[Link, ...]) -> tuple[Finding, ...]:
    """Validators with another genesis: by their own word, their homes, or their peers' refusal."""
    found = []
    for node in seen.nodes:
        own = None if node.home is None else node.home.chain_id
        theirs = own if node.answer is None else node.answer.chain_id
        if theirs is not None and seen.chain_id is not None and theirs != seen.chain_id:
            by = "it says" if node.answer is not None else "the genesis.json in its home says"
            found.append(_foreign(node.name, f"{by} chain {theirs.hex()[:16]}", seen))
    named = {finding.who[0] for finding in found}
    refused: dict[str, set[str]] = {}
    for link in links:
        if link.fault is LinkFault.CHAIN and not {link.dialer, link.listener} & named:
            refused.setdefault(link.dialer, set()).add(link.listener)
            refused.setdefault(link.listener, set()).add(link.dialer)
    for name, others in refused.items():
        # Who is refused by more than f is the stranger; of two that refuse each other, who knows.
        if len(others) > len(seen.names) - seen.quorum or _is_only_witness(others, seen):
            told = f"{listed(sorted(others))} and {name} have refused each other's chain"
            found.append(_foreign(name, told, seen))
    return tuple(found)


def _is_only_witness(others: set[str], seen: Observations) -> bool:
    """Whether all that is known comes from one node, which then counts as the one that is right."""
    return others == {node.name for node in seen.answering}


def _foreign(name: str, because: str, seen: Observations) -> Finding:
    ours = "" if seen.chain_id is None else f", this network is {seen.chain_id.hex()[:16]}"
    return Finding(
        code=Code.OTHER_CHAIN,
        who=(name,),
        sentence=f"{name} runs on another genesis, and so on another chain",
        because=(f"{because}{ours}",),
        advice=f"stop {name}; give it this network's genesis.json and the home that belongs to it "
        "(its data were made for the other chain)",
    )


def link_findings(
    seen: Observations, links: tuple[Link, ...], explained: frozenset[str]
) -> tuple[Finding, ...]:
    """Links that are down between validators of which nothing else explains it.

    A validator with too few links loses its vote; a single missing link is only told.
    """
    down = [
        link
        for link in links
        if link.is_up is False and not {link.dialer, link.listener} & explained
    ]
    if seen.is_alone:
        return _unheard(seen, down)
    found = []
    told: set[Link] = set()
    for name in _most_cut(seen, down):
        mine = [link for link in down if name in {link.dialer, link.listener}]
        if set(mine) <= told:
            continue
        told.update(mine)
        found.append(_cut(name, mine, seen, costs_vote=len(mine) > len(seen.names) - seen.quorum))
    return tuple(found)


def _unheard(seen: Observations, down: list[Link]) -> tuple[Finding, ...]:
    """Only one node was asked: the missing ones are named, and not the one that told of them."""
    asked = {node.name for node in seen.answering}
    found = []
    for link in down:
        name, other = (
            (link.dialer, link.listener) if link.listener in asked else (link.listener, link.dialer)
        )
        found.append(
            Finding(
                code=Code.UNHEARD,
                who=(name,),
                sentence=f"{other} does not hear {name}",
                because=(_reason(link),),
                advice=f"look at {name} on its machine: it may be frozen, or its packets lost"
                if link.silent_ms
                else _advice(link.fault),
            )
        )
    return tuple(found)


def _most_cut(seen: Observations, down: list[Link]) -> list[str]:
    """Those with missing links, the one with most of them first."""
    counts = {
        name: sum(name in {link.dialer, link.listener} for link in down) for name in seen.names
    }
    chosen = [name for name in seen.names if counts[name]]
    return sorted(chosen, key=lambda name: (-counts[name], seen.names.index(name)))


def _cut(name: str, mine: list[Link], seen: Observations, *, costs_vote: bool) -> Finding:
    others = [link.listener if link.dialer == name else link.dialer for link in mine]
    wrong = [words for link in mine if (words := _misdirected(link, seen))]
    faults = [link.fault for link in mine if link.fault is not LinkFault.NONE]
    correct = "correct what node.toml says there, and restart that validator"
    return Finding(
        code=Code.LINK_DOWN,
        who=(name,),
        sentence=f"{name} has no link with {listed(others)}",
        because=(*dict.fromkeys(wrong), *_reasons(name, mine)),
        advice=correct if wrong else _advice(faults[0] if faults else LinkFault.NONE),
        costs_vote=costs_vote,
    )


def _reasons(name: str, mine: list[Link]) -> tuple[str, ...]:
    """Who dials whom in vain, and what comes of it; one line for each kind."""
    lines = []
    for fault in dict.fromkeys(link.fault for link in mine):
        alike = [link for link in mine if link.fault is fault]
        dialed = [link.listener for link in alike if link.dialer == name]
        callers = [link.dialer for link in alike if link.listener == name]
        if dialed:
            lines.append(f"{name} dials {listed(dialed)}: {_REASONS[fault]}")
        if callers:
            dial = "dial" if len(callers) > 1 else "dials"
            lines.append(f"{listed(callers)} {dial} {name}: {_REASONS[fault]}")
    return tuple(lines)


def _reason(link: Link) -> str:
    if link.silent_ms:
        return f"the connection stands, and for {span(link.silent_ms)} nothing has come over it"
    return f"{link.dialer} dials {link.listener}: {_REASONS[link.fault]}"


def _advice(fault: LinkFault) -> str:
    return _ADVICE.get(fault, _LOOK)


def _misdirected(link: Link, seen: Observations) -> str:
    """What the dialer's configuration says against what the listener's home says."""
    homes = {node.name: node.home for node in seen.nodes}
    dialer, listener = homes.get(link.dialer), homes.get(link.listener)
    if dialer is None or listener is None or not listener.listens:
        return ""
    address = dict(dialer.peers).get(link.listener, "")
    if address and _port(address) != _port(listener.listens):
        return (
            f"{link.dialer}'s node.toml says that {link.listener} listens at {address}; "
            f"{link.listener}'s own says {listener.listens}"
        )
    if dialer.peers and dialer.is_plaintext != listener.is_plaintext:
        plain = link.dialer if dialer.is_plaintext else link.listener
        return f"{plain}'s node.toml says plaintext = true under [peers], and others' does not"
    return ""


def _port(address: str) -> str:
    return address.rpartition(":")[2]
