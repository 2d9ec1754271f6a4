"""The demo's doing: a real network of processes, real transactions, one validator killed.

It does and reports; what people read is made from the reports by `demo.tell`. Whatever happens, no
process that was started here outlives it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from onward.audit.receipt_verifier import ReceiptError, verify_receipt
from onward.crypto.signing import Signer
from onward.demo.script import Scene, Script
from onward.errors import RejectedError, Unavailable
from onward.ledger.transaction import seal_envelope
from onward.network.access import (
    NodeReport,
    connect,
    now_ms,
    reports,
    wait_level,
    wait_ready,
)
from onward.network.definition import FOUNDERS, Network, NodePlace, create_network
from onward.network.ending import in_order
from onward.network.processes import kill, start, stop
from onward.replica.effects import Verdict
from onward.rpc.client import Client, ReadingParty
from onward.scenario.format import CONTRACT, Step
from onward.scenario.runner import differs
from onward.scenario.story import Draft, Story
from onward_proto.canonical import encode
from onward_proto.documents import canonical_document, parse_document

VALIDATORS = 4
RECEIPTS_NAME = "receipts"
TAMPERED_NAME = "tampered.receipt"
VALIDITY_MS = 3_600_000
CATCH_UP_S_MAX = 40
LEVEL_S_MAX = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What became of a step or of a transaction of the setting: "" rule and message if none."""

    step: str
    type: str
    code: str
    rule: str
    message: str
    outcome: int
    height: int
    expected: str
    complaint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the offline verification came to. `refused_as`: the code that the tampered one got."""

    verified: int
    total: int
    tampered: Path
    tampered_step: str
    refused_as: str
    complaint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The whole demo."""

    validators: int
    height: int
    transactions: int
    played: tuple[Played, ...]
    state_roots: tuple[str, ...]
    receipts_verified: int
    tampered_rejected: bool
    restarted_caught_up: bool
    elapsed_s: float
    complaints: tuple[str, ...]


class Teller(Protocol):
    """Who is told what happens, as it happens."""

    def opening(self, network: Network, ready_s: float) -> None:
        """The network stands."""

    def setting(self, played: tuple[Played, ...]) -> None:
        """Parties are registered, terms and schemas published."""

    def scene(self, scene: Scene, number: int) -> None:
        """A scene begins."""

    def killed(self, node: NodePlace) -> None:
        """A validator was killed."""

    def restarted(self, node: NodePlace, missed: int, took_s: float) -> None:
        """A validator came back and caught up over `missed` blocks."""

    def step(self, step: Step, played: Played) -> None:
        """A step was played."""

    def level(self, found: tuple[NodeReport, ...]) -> None:
        """All validators stand at one height."""

    def receipts(self, checked: Checked, network: Network) -> None:
        """The network is stopped, and the receipts were verified."""


class _WalletCast:
    """The story's parties, with keys of the network's wallet."""

    def __init__(self, network: Network, script: Script) -> None:
        wallet = network.wallet
        for name, entry in script.scenario.parties.items():
            if name not in FOUNDERS:
                wallet.create(name, entry.kind)
        self.identities = {name: wallet.load(name) for name in wallet.names()}

    def party_id(self, name: str) -> str:
        return self.identities[name].party_id

    def public_key(self, name: str, number: int) -> bytes:
        if number != 1:
            raise Unavailable(f"{name} has one key, the story asks for number {number}")
        return self.identities[name].signer.public_key

    def signer(self, name: str) -> Signer:
        return self.identities[name].signer


def perform(folder: Path, script: Script, teller: Teller) -> Result:
    """Play the demo in `folder`, which is new or empty. Raises `OnwardError` where it cannot."""
    began = time.monotonic()
    network = create_network(folder, validators=VALIDATORS, time_ms=now_ms(), name="demo")
    try:
        show = _Show(network, script, teller)
        found = in_order(show.play(began))
        kill(stop(network.nodes))
    except BaseException:
        kill(network.nodes)
        raise
    checked = _check_receipts(network, show.receipts)
    teller.receipts(checked, network)
    complaints = [f"{item.step}: {item.complaint}" for item in show.played if item.complaint]
    complaints += [checked.complaint] if checked.complaint else []
    complaints += [] if show.caught_up else ["the restarted validator did not catch up"]
    heights = [item.status.height for item in found if item.status is not None]
    return Result(
        validators=VALIDATORS,
        height=max(heights),
        transactions=show.transactions,
        played=tuple(show.played),
        state_roots=tuple(
            item.status.state_root.hex() for item in found if item.status is not None
        ),
        receipts_verified=checked.verified,
        tampered_rejected=bool(checked.refused_as),
        restarted_caught_up=show.caught_up,
        elapsed_s=round(time.monotonic() - began, 1),
        complaints=tuple(complaints),
    )


class _Show:
    """One performance while its network runs."""

    def __init__(self, network: Network, script: Script, teller: Teller) -> None:
        self._network = network
        self._script = script
        self._teller = teller
        self._cast = _WalletCast(network, script)
        self._story = Story(script.scenario, self._cast, t0_ms=now_ms())
        self._hashes: list[tuple[str, str, bytes]] = []  # step, actor, transaction
        self.played: list[Played] = []
        self.receipts: list[tuple[str, Path]] = []
        self.transactions = 0
        self.caught_up = False

    async def play(self, began: float) -> tuple[NodeReport, ...]:
        network, teller = self._network, self._teller
        for node in network.nodes:
            start(network, node)
        async with connect(network) as client:
            await wait_ready(network, client, nodes=network.nodes, progress=lambda _: None)
            teller.opening(network, time.monotonic() - began)
            setting = [await self._setup(client, draft) for draft in self._story.setup()]
            teller.setting(tuple(setting))
            for number, scene in enumerate(self._script.scenes, 1):
                await self._scene(client, scene, number)
            await self._fetch_receipts(client)
            found = await wait_level(
                network,
                client,
                height=max(item.height for item in self.played),
                timeout_s=LEVEL_S_MAX,
            )
            teller.level(found)
            return found

    async def _setup(self, client: Client, draft: Draft) -> Played:
        verdict = await self._submit(client, draft)
        return self._note(draft.name, draft.type, verdict, expected="OK")

    async def _scene(self, client: Client, scene: Scene, number: int) -> None:
        self._teller.scene(scene, number)
        if scene.kill:
            node = self._network.node(scene.kill)
            kill([node])
            self._teller.killed(node)
        if scene.restart:
            await self._restart(client, self._network.node(scene.restart))
        for step in scene.steps:
            played = await (self._ask(client, step) if step.ask else self._do(client, step))
            self._teller.step(step, played)

    async def _restart(self, client: Client, node: NodePlace) -> None:
        """Start a validator again, and wait until it stands where the others stand."""
        began = time.monotonic()
        top = await self._heights(client)
        start(self._network, node)
        while time.monotonic() - began < CATCH_UP_S_MAX:
            found = await self._heights(client)
            own = found.pop(node.name, None)
            if own is not None and own >= max(found.values(), default=0):
                self.caught_up = True
                took_s = time.monotonic() - began
                self._teller.restarted(node, max(top.values()) - self._killed_at, took_s)
                return
            await asyncio.sleep(0.05)

    @property
    def _killed_at(self) -> int:
        """The height of the last verdict before the scene in which a validator was killed."""
        scenes = self._script.scenes
        fallen = next(index for index, scene in enumerate(scenes) if scene.kill)
        before = {step.name for scene in scenes[:fallen] for step in scene.steps}
        return max(item.height for item in self.played if item.step in before)

    async def _heights(self, client: Client) -> dict[str, int]:
        return {
            item.node.name: item.status.height
            for item in await reports(self._network, client)
            if item.status is not None
        }

    async def _do(self, client: Client, step: Step) -> Played:
        draft = self._story.draft(step, now_ms())
        verdict = await self._submit(client, draft)
        self._story.executed(step, verdict.tx_hash, accepted=verdict.code == "OK")
        return self._note(step.name, step.do, verdict, expected=step.expect, rule=step.rule)

    async def _submit(self, client: Client, draft: Draft) -> Verdict:
        """Sign and submit. A door's refusal ends the demo: no step of the story means one."""
        body = encode(
            draft.body(valid_until_ms=now_ms() + VALIDITY_MS, salt=secrets.token_bytes(16))
        )
        signers = [self._cast.signer(name) for name, _ in draft.signers]
        envelope = seal_envelope(self._network.genesis.chain_id, [body], signers)
        submission = await client.submit(envelope)
        self.transactions += 1
        self._hashes.append((draft.name, draft.actor, submission.tx_hashes[0]))
        return submission.verdicts[0]

    async def _ask(self, client: Client, step: Step) -> Played:
        question = self._story.question(step, now_ms())
        reader = ReadingParty(party=question.reader_id, signer=self._cast.signer(step.by))
        arguments = canonical_document(dict(question.arguments))
        try:
            data, height = await client.query(CONTRACT, question.query, arguments, reader)
        except RejectedError as error:
            return self._judge(step.name, step.what, str(error.code), error.rule, str(error))
        complaint = differs(question.answer or {}, parse_document(data), "answer")
        return self._judge(step.name, step.what, "OK", "", complaint, height=height)

    def _judge(
        self, name: str, what: str, code: str, rule: str, complaint: str, *, height: int = 0
    ) -> Played:
        return self._keep(
            Played(
                step=name,
                type=what,
                code=code,
                rule=rule,
                message="",
                outcome=0,
                height=height,
                expected="OK",
                complaint=complaint,
            )
        )

    def _note(
        self, name: str, kind: str, verdict: Verdict, *, expected: str, rule: str = ""
    ) -> Played:
        complaint = ""
        if verdict.code != expected:
            complaint = f"expected {expected}, got {verdict.code}: {verdict.message}"
        elif rule and verdict.rule != rule:
            complaint = f"expected rule {rule}, got {verdict.rule or 'none'}"
        return self._keep(
            Played(
                step=name,
                type=kind,
                code=verdict.code,
                rule=verdict.rule,
                message=verdict.message,
                outcome=verdict.outcome,
                height=verdict.height,
                expected=expected,
                complaint=complaint,
            )
        )

    def _keep(self, played: Played) -> Played:
        self.played.append(played)
        return played

    async def _fetch_receipts(self, client: Client) -> None:
        """The receipts of all transactions, each asked for by the party that acted."""
        folder = self._network.folder / RECEIPTS_NAME
        folder.mkdir()
        for number, (name, actor, tx_hash) in enumerate(self._hashes, 1):
            reader = ReadingParty(party=self._cast.party_id(actor), signer=self._cast.signer(actor))
            text = await client.receipt(tx_hash, reader)
            file = folder / f"{number:02}-{name.replace('/', '-')}.receipt"
            file.write_bytes(text)
            self.receipts.append((name, file))


def _check_receipts(network: Network, receipts: list[tuple[str, Path]]) -> Checked:
    """Verify every receipt with the genesis alone, and one in which a byte was changed."""
    genesis = (network.folder / "genesis.json").read_bytes()
    verified, complaint = 0, ""
    for name, file in receipts:
        try:
            verify_receipt(file.read_bytes(), genesis)
            verified += 1
        except ReceiptError as error:
            complaint = complaint or f"receipt of {name}: {error.code}: {error}"
    step, file = next((item for item in receipts if item[0] == "acme-passes-it-on"), receipts[-1])
    tampered = file.with_name(TAMPERED_NAME)
    tampered.write_bytes(change_one_byte(file.read_bytes()))
    refused_as = ""
    try:
        verify_receipt(tampered.read_bytes(), genesis)
        complaint = complaint or "a receipt with one byte changed was verified"
    except ReceiptError as error:
        refused_as = str(error.code)
    return Checked(
        verified=verified,
        total=len(receipts),
        tampered=tampered,
        tampered_step=step,
        refused_as=refused_as,
        complaint=complaint,
    )


def change_one_byte(receipt: bytes) -> bytes:
    """The receipt with one character of its verdict's line replaced by another of its alphabet."""
    place = receipt.index(b"\nleaf ") + len(b"\nleaf ") + 20
    other = b"B" if receipt[place : place + 1] == b"A" else b"A"
    return receipt[:place] + other + receipt[place + 1 :]
