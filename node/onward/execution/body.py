"""One ordered body: who may act, which contract, what it says, what stays of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from onward import limits
from onward.errors import CorruptionError, OnwardError, RejectCode, RejectedError
from onward.execution.context import Namespace, TransactionContext, of_kind
from onward.execution.overlay import Overlay
from onward.ledger.leaf import CODE_OK, LedgerEvent, Outcome
from onward.ledger.transaction import Body, Transaction
from onward.system.contracts import active_version
from onward.system.parties import NAMESPACE, read_party
from onward.system.registry import PartyRegistry
from onward.system.validators import ChainHistory
from onward_chaincode.contract import Call, Contract, Event, Recorded, Refuse

ContractFor = Callable[[str, int], Contract | None]
"""(name, version) -> the contract, or None where this node does not have it."""

MESSAGE_BYTES_MAX = 512
RULE_BYTES_MAX = 64
_SYSTEM = PartyRegistry()
_CODE = re.compile(r"E_[A-Z0-9_]{1,46}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyResult:
    """What became of one body. `outcome` None is void: no leaf, no effect.

    `writes` are state writes by full key, `rows` projection rows by `<contract>/<row>`.
    """

    code: str
    rule: str
    message: str
    outcome: Outcome | None
    writes: dict[str, bytes | None]
    event: LedgerEvent | None
    rows: dict[str, bytes]


def judge_void(state: Overlay, transaction: Transaction, time_ms: int) -> tuple[str, str] | None:
    """Why a body is no statement of the parties that it names, as (code, message), or None.

    These are the checks that need state and come before every contract (R04, R06 and R07 of the
    rules for onward shares); replay is judged by the caller, who knows what has been executed.
    """
    body = transaction.body
    if body.valid_until_ms <= time_ms:
        return RejectCode.EXPIRED, f"valid until {body.valid_until_ms}, block time {time_ms}"
    if body.valid_until_ms > time_ms + limits.VALIDITY_MS_MAX:
        return (
            RejectCode.VALIDITY,
            f"valid for more than {limits.VALIDITY_MS_MAX} ms after block time {time_ms}",
        )
    for party_id in (body.actor, *body.cosigners):
        record = read_party(state, party_id)
        if record is None:
            return RejectCode.PARTY, f"no party {party_id}"
        if record.inactive:
            return RejectCode.PARTY, f"party {party_id} is inactive"
        if not any(key in transaction.signers for key in record.public_keys):
            return RejectCode.PARTY, f"no valid key of {party_id} signed"
    return None


def execute_body(
    state: Overlay,
    transaction: Transaction,
    *,
    height: int,
    time_ms: int,
    contract_for: ContractFor,
    history: ChainHistory | None = None,
) -> BodyResult:
    """Execute one body on `state`, which is left as it was: the result carries the writes.

    `history`: the chain below the block, which only the system's own contract is shown.
    """
    void = judge_void(state, transaction, time_ms)
    if void is not None:
        return _dropped(None, void[0], "", void[1])
    body = transaction.body
    try:
        contract = _contract(state, body, height, contract_for)
        overlay = Overlay(state)
        seen = history if body.contract == NAMESPACE else None
        context = TransactionContext(overlay, transaction, time_ms, seen)
        recorded = contract.apply(context, Call(type=body.type, payload=body.payload))
        if context.event is None:
            return _dropped(Outcome.REFUSED, RejectCode.FAULT, "", "contract emitted no event")
        if recorded is not None and not _CODE.fullmatch(recorded.code):
            return _dropped(Outcome.REFUSED, RejectCode.FAULT, "", "contract: no code")
        return _kept(contract, context.event, transaction, recorded, state=state, overlay=overlay)
    except (Refuse, RejectedError) as refusal:
        # A code that is none would not fit into a leaf, or pass a refusal off as an acceptance.
        if not (of_kind(refusal.code, str) and of_kind(refusal.rule, str)):
            return _dropped(Outcome.REFUSED, RejectCode.FAULT, "", "contract: code or rule no text")
        if not _CODE.fullmatch(refusal.code):
            return _dropped(Outcome.REFUSED, RejectCode.FAULT, "", "contract: no code")
        return _dropped(Outcome.REFUSED, refusal.code, refusal.rule, str(refusal))
    except (MemoryError, RecursionError, OnwardError):
        # They depend on this process or its disk, not on the chain: stop rather than differ.
        raise
    except Exception as error:  # noqa: BLE001 - a contract's bug refuses, alike at every replica
        return _dropped(Outcome.REFUSED, RejectCode.FAULT, "", f"contract: {type(error).__name__}")


def _contract(
    state: Overlay, body: Body, height: int, contract_for: ContractFor
) -> Contract | PartyRegistry:
    """The contract that the body names. Raises `RejectedError` E_CONTRACT or E_TYPE."""
    if body.contract == NAMESPACE:
        contract: Contract | PartyRegistry | None = _SYSTEM
    else:
        version = active_version(state, body.contract, height)
        contract = None if version is None else contract_for(body.contract, version)
        if version is not None and contract is None:
            # The others have it: executing on would fork this node from them.
            raise MissingContractError(body.contract, version)
    if contract is None:
        raise RejectedError(RejectCode.CONTRACT, f"no contract {body.contract} at height {height}")
    if body.type not in contract.types:
        raise RejectedError(RejectCode.TYPE, f"contract {body.contract} has no type {body.type}")
    return contract


class MissingContractError(CorruptionError):
    """The chain activated a contract version that this node's software does not have."""

    def __init__(self, name: str, version: int) -> None:
        """The contract that is missing."""
        super().__init__(f"the chain runs contract {name} version {version}, this node lacks it")


def _dropped(outcome: Outcome | None, code: str, rule: str, message: str) -> BodyResult:
    return BodyResult(
        code=str(code),
        rule=bounded(rule, RULE_BYTES_MAX),
        message=bounded(message),
        outcome=outcome,
        writes={},
        event=None,
        rows={},
    )


def _kept(
    contract: Contract | PartyRegistry,
    event: LedgerEvent,
    transaction: Transaction,
    recorded: Recorded | None,
    *,
    state: Overlay,
    overlay: Overlay,
) -> BodyResult:
    name = contract.name
    rows = contract.project(
        Event(name=event.name, payload=event.payload, readers=event.readers),
        transaction.tx_hash.hex(),
        Namespace(state, name),
        Namespace(overlay, name),
    )
    _check_rows(rows)
    return BodyResult(
        code=CODE_OK if recorded is None else recorded.code,
        rule="" if recorded is None else bounded(recorded.rule, RULE_BYTES_MAX),
        message="" if recorded is None else bounded(recorded.message),
        outcome=Outcome.ACCEPTED if recorded is None else Outcome.RECORDED,
        writes=overlay.writes,
        event=event,
        rows={f"{name}/{key}": value for key, value in rows.items()},
    )


def _check_rows(rows: dict[str, bytes]) -> None:
    """Rows that the store can take. Raises `RejectedError` E_FAULT.

    They are outside the state root, but one that does not encode would stop every node at this
    block, and one without a bound would fill every disk.
    """
    written = 0
    for key, value in rows.items():
        size = len(key.encode())  # a key that is no text is the contract's fault, too
        if not of_kind(value, bytes) or not 0 < len(value) <= limits.STATE_VALUE_BYTES_MAX:
            raise RejectedError(RejectCode.FAULT, "contract: a projection row is empty or too long")
        if not 0 < size <= limits.STATE_KEY_BYTES_MAX:
            raise RejectedError(RejectCode.FAULT, f"contract: a projection key of {size} bytes")
        written += size + len(value)
    if len(rows) > limits.WRITES_PER_BODY_MAX or written > limits.WRITTEN_BYTES_PER_BODY_MAX:
        raise RejectedError(RejectCode.FAULT, f"contract: {len(rows)} rows of {written} bytes")


def bounded(message: str, maximum: int = MESSAGE_BYTES_MAX) -> str:
    """A message cut to `maximum` bytes of UTF-8."""
    data = message.encode(errors="replace")[:maximum]
    return data.decode(errors="ignore")
