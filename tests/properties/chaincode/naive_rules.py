"""Rules R01 to R28 once more, written from docs/spec/isa.md and not from the contract.

Everything is a plain dict or set that is searched from end to end: slow, and short enough to be
read beside the table of the document. `judge` says what must happen to a step of a story. The rules
stand in the order of the table, each answers a code or "", and the first that answers one decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.properties.chaincode.naive_world import (
    ACCEPTED,
    Judged,
    Row,
    barred,
    clause,
    condition,
    effective,
    ended_at,
    in_force,
    inside_case,
    newest,
    offered_case,
    onward_case,
    path_up,
    root_of,
    share_and_origins,
)

HOUR_MS = 3_600_000
RECORDS_PER_HOUR = 60
DEEPEST = 8
LAST_FIELD = 255
TRANSFORMS = ("NONE", "ANONYMISED", "AGGREGATED")
GRANT_MUST = {"terms", "schema", "fields", "purposes", "notice"}
GRANT_MAY = {"jurisdictions", "lawful_basis", "not_before_ms", "expires_at_ms", "retention_ms"}
PARCEL_MUST = {"fields", "purpose", "commitment"}
PARCEL_MAY = {"transform", "blob"}


def parent_of(case: Row) -> Row:
    """The parent agreement; R08 has seen that it exists."""
    parent: Row = case["world"]["agreements"][case["parent_id"]]
    return parent


def parent_share_of(case: Row) -> Row:
    """The share to pass on; R08 has seen that it exists."""
    share: Row = case["world"]["shares"][case["share_id"]]
    return share


# ---------------------------------------------------------------- R08 to R28


def r08(case: Row) -> str:
    """Parent share and parent agreement are recorded."""
    known = case["share_id"] in case["world"]["shares"]
    known = known and case["parent_id"] in case["world"]["agreements"]
    return "" if known else "E_UNKNOWN_PARENT"


def r09(case: Row) -> str:
    """The share was made under that agreement, or one of its series."""
    agreements = case["world"]["agreements"]
    made_under = agreements[parent_share_of(case)["agreement"]]
    same = made_under["series"] == agreements[case["parent_id"]]["series"]
    return "" if same else "E_PARENT_MISMATCH"


def r10(case: Row) -> str:
    """Sharer = recipient of the share = second party of the agreement."""
    same = case["sharer"] == parent_share_of(case)["to"] == parent_of(case)["second"]
    return "" if same else "E_NOT_RECIPIENT"


def r11(case: Row) -> str:
    """The nearest agreement is in force by itself: the child, where it exists, else the parent."""
    found = condition(case["existing"] or parent_of(case), case["now"])
    return "E_PARENT_" + found if found else ""


def r12(case: Row) -> str:
    """So is every agreement above it."""
    parent_id = case["parent_id"]
    if case["existing"] is None:
        parent_id = newest(case["world"], parent_of(case)["parent"])
    above = parent_id
    ended = above is not None and not effective(case["world"], above, case["now"])
    return "E_ANCESTOR_ENDED" if ended else ""


def r13(case: Row) -> str:
    """Neither the share nor one that it comes from is withdrawn, and nobody has erased it."""
    holding = path_up(case["world"], case["parent_id"])
    holding += [] if case["existing"] is None else [case["existing"]]
    if any(one["attested"] for one in holding):
        return "E_SHARE_WITHDRAWN"
    shares = share_and_origins(case["world"], case["share_id"])
    return "E_SHARE_WITHDRAWN" if any(one["withdrawn"] for one in shares) else ""


def r14(case: Row) -> str:
    """Nothing bars the sharer under this root."""
    root = root_of(case["world"], case["parent_id"])
    return "E_SANCTIONED" if barred(case["world"], case["sharer"], root) else ""


def r15(case: Row) -> str:
    """The terms let data travel on."""
    mode = clause(case["world"], parent_of(case)["terms"], "onward.mode")
    return "E_ONWARD_PROHIBITED" if mode == "PROHIBITED" else ""


def r16(case: Row) -> str:
    """The very same terms."""
    return "" if case["child"]["terms"] == parent_of(case)["terms"] else "E_TERMS_MISMATCH"


def r17(case: Row) -> str:
    """Terms not recalled; deprecated is fine."""
    status = case["world"]["terms"][parent_of(case)["terms"]]["status"]
    return "E_TERMS_RECALLED" if status == "RECALLED" else ""


def r18(case: Row) -> str:
    """An approval of exactly this, where the terms ask for one."""
    mode = clause(case["world"], parent_of(case)["terms"], "onward.mode")
    if mode != "CONSENT_PER_SHARE":
        return ""
    approval = case["world"]["approvals"].get(case["approval"])
    if approval is None or not approval["open"] or case["now"] >= approval["expires_at_ms"]:
        return "E_CONSENT_TOKEN"
    fields, purposes = set(case["child"]["fields"]), set(case["child"]["purposes"])
    if case["existing"] is not None:
        fields, purposes = set(case["parcel"]["fields"]), {case["parcel"]["purpose"]}
    said = (set(approval["fields"]), set(approval["purposes"]), approval["parent_share"])
    same = said == (fields, purposes, case["share_id"])
    same = same and approval["recipient"] == case["recipient"]
    return "" if same and approval["terms"] == case["child"]["terms"] else "E_CONSENT_TOKEN"


def r19(case: Row) -> str:
    """Depth is counted, never read."""
    deepest = clause(case["world"], parent_of(case)["terms"], "onward.max_depth")
    depth = len(path_up(case["world"], case["parent_id"]))  # the root has depth 0
    return "" if depth <= min(deepest, DEEPEST) else "E_DEPTH"


def r20(case: Row) -> str:
    """The share went on fewer than max_count times."""
    bound = clause(case["world"], parent_of(case)["terms"], "onward.max_count")
    shares = case["world"]["shares"].values()
    went_on = sum(one["parent_share"] == case["share_id"] for one in shares)
    return "E_QUOTA" if bound is not None and went_on >= bound else ""


def r21(case: Row) -> str:
    """The same schema."""
    return "" if case["child"]["schema"] == parent_of(case)["schema"] else "E_SCHEMA"


def r22(case: Row) -> str:
    """Fields only narrow: in force, received, and handed over no more than granted."""
    possible = in_force(case["world"], case["parent_id"], "fields")
    possible &= parent_share_of(case)["fields"]
    granted = set(case["child"]["fields"])
    if case["existing"] is not None:
        granted &= possible
    handed = granted if case["parcel"] is None else set(case["parcel"]["fields"])
    return "" if granted and handed and handed <= granted <= possible else "E_FIELDS"


def r23(case: Row) -> str:
    """Purposes only narrow."""
    possible = in_force(case["world"], case["parent_id"], "purposes")
    possible -= set(clause(case["world"], parent_of(case)["terms"], "purposes_forbidden"))
    granted = set(case["child"]["purposes"])
    purpose = granted if case["parcel"] is None else {case["parcel"]["purpose"]}
    return "" if granted and purpose <= granted <= possible else "E_PURPOSE"


def r24(case: Row) -> str:
    """Anonymised only: the transform says so, and no field identifies."""
    mode = clause(case["world"], parent_of(case)["terms"], "onward.mode")
    if mode != "ANONYMISED_ONLY":
        return ""
    schema = case["world"]["schemas"][parent_of(case)["schema"]]
    transform = "ANONYMISED" if case["parcel"] is None else case["parcel"].get("transform", "NONE")
    identifying = any(schema[index] for index in case["child"]["fields"])
    return "E_ANONYMISATION" if identifying or transform != "ANONYMISED" else ""


def r25(case: Row) -> str:
    """Within the time of every ancestor, kept no longer, begun before anything is handed over."""
    child, parent, now = case["child"], parent_of(case), case["now"]
    ends = [one["expires"] for one in path_up(case["world"], case["parent_id"])]
    ends = [one for one in ends if one is not None]
    expires = child["expires_at_ms"]
    if expires is None and ends:
        return "E_WINDOW"
    if expires is not None and not (now < expires <= min([expires, *ends])):
        return "E_WINDOW"
    if expires is not None and child["not_before_ms"] >= expires:
        return "E_WINDOW"
    if child["not_before_ms"] < parent["not_before"]:
        return "E_WINDOW"
    if child["retention_ms"] > parent["retention"]:
        return "E_WINDOW"
    if case["parcel"] is not None and now < child["not_before_ms"]:
        return "E_WINDOW"
    return ""


def r26(case: Row) -> str:
    """The terms admit the recipient; it and the child stay within the jurisdictions."""
    party = case["world"]["parties"][case["recipient"]]
    admitted = clause(case["world"], parent_of(case)["terms"], "onward.recipients")
    if isinstance(admitted, dict):
        in_group = admitted.get("group") in party["groups"]
        in_list = case["recipient"] in admitted.get("list", ())
        if not in_group and not in_list:
            return "E_RECIPIENT"
    allowed, wanted = parent_of(case)["jurisdictions"], case["child"]["jurisdictions"]
    if allowed is not None and (wanted is None or not set(wanted) <= set(allowed)):
        return "E_JURISDICTION"
    outside = wanted is not None and party["jurisdiction"] not in wanted
    return "E_JURISDICTION" if outside else ""


def r27(case: Row) -> str:
    """Nobody who already stands on the path."""
    standing = {case["sharer"]}
    for one in path_up(case["world"], case["parent_id"]):
        standing |= {one["first"], one["second"]}
    return "E_TOPOLOGY" if case["recipient"] in standing else ""


def r28(case: Row) -> str:
    """Commitment and blob are named once; the recipient has not these fields of this share yet."""
    if case["parcel"] is None:
        return ""
    if named_before(case["world"], case["parcel"]):
        return "E_DUPLICATE"
    for one in case["world"]["shares"].values():
        same = one["parent_share"] == case["share_id"] and one["to"] == case["recipient"]
        same = same and one["fields"] == set(case["parcel"]["fields"])
        stands = newest(case["world"], one["agreement"]) or ""
        if same and ended_at(case["world"], stands, case["now"]) is None:
            return "E_DUPLICATE"
    return ""


def named_before(world: Row, parcel: Row) -> bool:
    """Some share has this commitment or names this blob."""
    shares, blob = world["shares"].values(), parcel.get("blob")
    if any(one["commitment"] == parcel["commitment"] for one in shares):
        return True
    return blob is not None and any(one["blob"] == blob for one in shares)


RULES: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("R08", r08),
    ("R09", r09),
    ("R10", r10),
    ("R11", r11),
    ("R12", r12),
    ("R13", r13),
    ("R14", r14),
    ("R15", r15),
    ("R16", r16),
    ("R17", r17),
    ("R18", r18),
    ("R19", r19),
    ("R20", r20),
    ("R21", r21),
    ("R22", r22),
    ("R23", r23),
    ("R24", r24),
    ("R25", r25),
    ("R26", r26),
    ("R27", r27),
    ("R28", r28),
)


def first_failing(case: Row) -> tuple[str, str]:
    """Code and rule of the verdict; ("OK", "") if every rule holds."""
    for rule, check in RULES:
        code = check(case)
        if code:
            return code, rule
    return "OK", ""


# ---------------------------------------------------------------- R01 to R05


def is_hash(value: object) -> bool:
    """32 bytes in hex."""
    return isinstance(value, str) and len(value) == 64 and not set(value) - set("0123456789abcdef")


def is_set(values: list[Any]) -> bool:
    """Ascending, each value once."""
    return values == sorted(set(values))


def well_formed_grant(grant: Row) -> bool:
    """R01 for what an agreement grants."""
    if not GRANT_MUST <= set(grant) <= GRANT_MUST | GRANT_MAY:
        return False
    sets = [grant["fields"], grant["purposes"], grant.get("jurisdictions", [])]
    hashes = [grant[name] for name in ("terms", "schema", "notice")]
    known = all(index <= LAST_FIELD for index in grant["fields"])
    return known and all(map(is_set, sets)) and all(map(is_hash, hashes))


def well_formed_parcel(parcel: Row) -> bool:
    """R01 for one hand-over."""
    if not PARCEL_MUST <= set(parcel) <= PARCEL_MUST | PARCEL_MAY:
        return False
    known = all(index <= LAST_FIELD for index in parcel["fields"])
    known = known and parcel.get("transform", "NONE") in TRANSFORMS
    return known and is_set(parcel["fields"]) and is_hash(parcel["commitment"])


def well_formed(payload: Row) -> bool:
    """R01 for an onward share: no unknown field, none missing, sets ascend, closed words known."""
    must = {"parent_agreement", "parent_share", "recipient", "child", "share"}
    if not must <= set(payload) <= must | {"approval"}:
        return False
    known = is_hash(payload["parent_agreement"]) and is_hash(payload["parent_share"])
    return known and well_formed_grant(payload["child"]) and well_formed_parcel(payload["share"])


def small_enough(grant: Row) -> bool:
    """R02."""
    fits = len(grant["fields"]) <= 256 and len(grant["purposes"]) <= 64
    return fits and len(grant.get("jurisdictions", ())) <= 64


def is_active(world: Row, name: str) -> bool:
    """R04: registered and active."""
    return name in world["parties"] and bool(world["parties"][name]["active"])


# ---------------------------------------------------------------- verdicts


def judge(world: Row, attempt: Row) -> Judged:
    """What must happen to the attempt, or to anything else that the forest does (accepted)."""
    kinds = {
        "share.onward": judge_onward,
        "agreement.offer": judge_offer,
        "agreement.accept": judge_accept,
        "share.record": judge_record,
    }
    found = kinds.get(attempt["kind"])
    return ACCEPTED if found is None else found(world, attempt)


def judge_onward(world: Row, attempt: Row) -> Judged:
    """An onward share: R01 to R05 plainly, R08 to R28 with a record while the quota lasts."""
    if not well_formed(attempt["payload"]):
        return Judged("E_FORMAT", "R01", "refused")
    if not small_enough(attempt["payload"]["child"]):
        return Judged("E_SIZE", "R02", "refused")
    recipient = attempt["payload"]["recipient"]
    if not is_active(world, recipient):
        return Judged("E_PARTY", "R04", "refused")
    if recipient not in (attempt["actor"], *attempt["signed"]):
        return Judged("E_COUNTERSIG", "R05", "refused")
    return record_or_accept(world, attempt, onward_case(world, attempt))


def judge_offer(world: Row, attempt: Row) -> Judged:
    """An offer with parents: R08 to R27, nothing is recorded."""
    payload = attempt["payload"]
    if "parent_share" not in payload:
        return ACCEPTED  # a root: the forest offers only what may be offered
    if not well_formed_grant(payload["grant"]):
        return Judged("E_FORMAT", "R01", "refused")
    if not small_enough(payload["grant"]):
        return Judged("E_SIZE", "R02", "refused")
    if payload["to"] == attempt["actor"]:
        return Judged("E_TOPOLOGY", "", "refused")
    case = offered_case(world, attempt["actor"], payload, attempt["now"])
    if not is_active(world, payload["to"]) or not is_active(world, case["recipient"]):
        return Judged("E_PARTY", "R04", "refused")
    return refuse_or_accept(case)


def judge_accept(world: Row, attempt: Row) -> Judged:
    """Everything is judged again when the offer is accepted."""
    offer = world["offers"].get(attempt["payload"]["offer"])
    if offer is None:
        return Judged("E_UNKNOWN_OFFER", "", "refused")
    if attempt["actor"] != offer["payload"]["to"]:
        return Judged("E_SIGNER", "", "refused")
    if offer["open"] and offer["payload"]["offer_expires_at_ms"] <= attempt["now"]:
        return Judged("E_OFFER_LAPSED", "", "refused")
    if not offer["open"]:
        return Judged("E_STATE", "", "refused")
    if not is_active(world, offer["by"]):
        return Judged("E_PARTY", "R04", "refused")
    if "parent_share" not in offer["payload"]:
        return ACCEPTED
    case = offered_case(world, offer["by"], offer["payload"], attempt["now"])
    if not is_active(world, case["recipient"]):
        return Judged("E_PARTY", "R04", "refused")
    return refuse_or_accept(case)


def judge_record(world: Row, attempt: Row) -> Judged:
    """A further share: in a root R11, R22, R23, R28 plainly; in a child all rules, recorded."""
    payload = attempt["payload"]
    agreement = world["agreements"].get(payload["agreement"])
    if agreement is None:
        return Judged("E_UNKNOWN_AGREEMENT", "", "refused")
    if attempt["actor"] != agreement["first"]:
        return Judged("E_SIGNER", "", "refused")
    if not is_active(world, agreement["second"]):
        return Judged("E_PARTY", "R04", "refused")
    if agreement["parent"] is None:
        return judge_root_record(world, payload, agreement, attempt["now"])
    if "parent_share" not in payload:
        return Judged("E_UNKNOWN_PARENT", "R08", "refused")
    return record_or_accept(world, attempt, inside_case(world, attempt))


def judge_root_record(world: Row, payload: Row, agreement: Row, now: int) -> Judged:
    """The rights holder gives once more."""
    found = condition(agreement, now)
    if found:
        return Judged("E_PARENT_" + found, "R11", "refused")
    if agreement["attested"]:
        return Judged("E_SHARE_WITHDRAWN", "R13", "refused")
    fields, share = in_force(world, payload["agreement"], "fields"), payload["share"]
    if not share["fields"] or not set(share["fields"]) <= fields:
        return Judged("E_FIELDS", "R22", "refused")
    if share["purpose"] not in in_force(world, payload["agreement"], "purposes"):
        return Judged("E_PURPOSE", "R23", "refused")
    if named_before(world, share):
        return Judged("E_DUPLICATE", "R28", "refused")
    return ACCEPTED


def refuse_or_accept(case: Row) -> Judged:
    """The verdict of R08 to R28 where no record is kept."""
    code, rule = first_failing(case)
    return ACCEPTED if code == "OK" else Judged(code, rule, "refused")


def record_or_accept(world: Row, attempt: Row, case: Row) -> Judged:
    """The verdict of R08 to R28, and whether a record of it is kept."""
    code, rule = first_failing(case)
    if code == "OK":
        return ACCEPTED
    actor, hour = attempt["actor"], attempt["now"] // HOUR_MS
    records = sum(one == actor and at // HOUR_MS == hour for one, at in world["records"])
    if records >= RECORDS_PER_HOUR:
        return Judged("E_QUOTA", "R20", "refused")
    return Judged(code, rule, "recorded")
