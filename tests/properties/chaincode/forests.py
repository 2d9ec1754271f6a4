"""Random forests of agreements, and attempts on them that miss one or two rules at most.

A forest lives in the naive world: it reads there who holds what, so that most attempts are right
but for what `near_misses` spoils. Everything comes from the seed. `life` yields steps without end;
who plays it writes down what each step leaves behind before asking for the next.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

from tests.properties.chaincode.forest_duties import (
    accusation,
    amendment,
    approval,
    as_approved,
    attestation,
    child_field,
    fitting_approval,
    one_of_series,
    overdue,
    suspension,
)
from tests.properties.chaincode.naive_rules import judge
from tests.properties.chaincode.naive_world import (
    Row,
    clause,
    condition,
    document_id,
    id_of,
    in_force,
    new_world,
    newest,
    path_up,
)
from tests.properties.chaincode.near_misses import INSIDE_MISSES, ONWARD_MISSES, ROOT_MISSES, Miss

T0 = 1_750_000_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 24 * 3_600_000
COUNTRIES = ("DE", "FR", "US")
PURPOSES = [f"test:P{number}" for number in range(6)]
FIELDS = 8
PERSONS = ("alice", "bob")
ORGANISATIONS = tuple(f"org-{letter}" for letter in "abcdefghijklm")


class Forest:
    """One seed's forest: who is in it, what grew, and what happens next."""

    def __init__(self, seed: int, *, on_time: bool = False) -> None:
        """In a forest `on_time` much is tried in the very millisecond in which something ends."""
        self.chance = random.Random(f"forest {seed}")
        self.name = f"forest {seed}" + " on time" * on_time
        self.on_time, self.focus = on_time, ""
        self.world = new_world()
        self.now = T0
        self.count = 0
        # Some forests hurry: so many attempts in an hour that the quota of records is used up.
        # Some grow as tall as the contract lets them.
        drawn = self.chance.random()
        self.hurried, self.tall = drawn < 0.06, drawn > 0.94

    def step(self, kind: str, actor: str, payload: Row, signed: tuple[str, ...] = ()) -> Row:
        """A step at the present moment."""
        self.count += 1
        tx = hashlib.sha256(f"{self.name} {self.count}".encode()).hexdigest()
        return {
            "kind": kind,
            "actor": actor,
            "signed": signed,
            "payload": payload,
            "now": self.now,
            "tx": tx,
        }

    def some(self, values: Sequence[Any]) -> list[Any]:
        """A part of the values, ascending; not empty unless they are."""
        if not values:
            return []
        return sorted(self.chance.sample(values, self.chance.randint(1, len(values))))

    def fresh_hash(self) -> str:
        """32 bytes that nobody has seen."""
        return self.chance.randbytes(32).hex()

    def fresh_names(self) -> Row:
        """A commitment, and for one share in four a blob."""
        names = {"commitment": self.fresh_hash()}
        return names if self.chance.random() < 0.75 else {**names, "blob": self.fresh_hash()}

    # ------------------------------------------------------------ how a forest lives

    def life(self) -> Iterator[Row]:
        """Planting, then attempts among which things happen."""
        yield self.step("party", "", party("registry", "REGISTRY", "DE"))
        for name in PERSONS:
            yield self.step("party", "", party(name, "PERSON", "DE"))
        for name in ORGANISATIONS:
            yield self.step("party", "", self.organisation(name))
        yield self.step("party", "", party("admin", "ADMINISTRATOR", "DE"))
        yield self.step("party", "", party("auditor", "AUDITOR", "DE"))
        yield self.step("mandate.grant", "admin", {"auditor": "auditor", "scope": "ALL"})
        for label in ("one", "two"):
            yield self.step("schema.publish", "registry", {"document": self.schema(label)})
        for _ in range(self.chance.randint(3, 5)):
            yield self.step("terms.publish", "registry", {"document": self.terms()})
        for _ in range(self.chance.randint(2, 4)):
            yield from self.plant()
        while True:
            self.wait()
            if self.on_time and self.chance.random() < 0.1:
                yield from self.plant()
            if self.chance.random() < (0.03 if self.tall else 0.12):
                yield from self.something_happens()
            else:
                yield from self.attempt()

    def wait(self) -> None:
        """Time passes: minutes mostly, days sometimes, now and then to the edge of a window."""
        if self.on_time and self.wait_for_an_edge():
            return
        drawn = self.chance.random()
        if self.hurried and drawn > 0.01:
            return
        if drawn < 0.02:
            self.now += self.chance.randint(1, 6) * DAY
        elif drawn < 0.05 and self.world["agreements"]:
            one = self.chance.choice(list(self.world["agreements"].values()))
            edges = [one["expires"], one["not_before"], one["terminated_at"]]
            edge = self.chance.choice([edge for edge in edges if edge is not None])
            self.now = max(self.now + 1, min(edge, self.now + 8 * DAY) - self.chance.randint(0, 1))
        else:
            self.now += self.chance.randint(1, 12 * MINUTE)

    def wait_for_an_edge(self) -> bool:
        """Go to where some agreement soon begins or ends; the next attempt is about that one."""
        self.focus = ""
        edges = [
            (edge, agreement_id)
            for agreement_id, one in self.world["agreements"].items()
            for edge in (one["expires"], one["not_before"], one["terminated_at"])
            if edge is not None and edge > self.now + 1
        ]
        if not edges or self.chance.random() < 0.6:
            return False
        edge, self.focus = self.chance.choice(sorted(edges)[:2])
        self.now = edge + self.chance.choice([-1, 0, 0, 1])
        return True

    def organisation(self, name: str) -> Row:
        """An organisation: most are in Germany, half are partners."""
        country = self.chance.choice(["DE", "DE", "DE", "FR", "FR", "US"])
        groups = ["partners"] if self.chance.random() < 0.5 else []
        return party(name, "ORGANISATION", country, groups)

    def schema(self, label: str) -> Row:
        """A schema in which a quarter of the fields identify somebody."""
        fields = [
            {
                "index": index,
                "name": f"field-{index}",
                "category": "test:Category",
                "sensitivity": "NONE",
                "identifying": self.chance.random() < 0.25,
            }
            for index in range(FIELDS)
        ]
        return {**document("schema", label), "fields": fields}

    def terms(self) -> Row:
        """Terms of any kind. All have one label: only the hash tells them apart."""
        draw = self.chance
        mode = draw.choices(
            ["SAME_TERMS", "ANONYMISED_ONLY", "PROHIBITED", "CONSENT_PER_SHARE"], [56, 20, 9, 15]
        )[0]
        clauses: Row = {
            "onward.mode": mode,
            "onward.max_depth": draw.choice([1, 2, 2, 3, 5, 8]),
            "onward.recipients": draw.choice(["ANY_MEMBER"] * 3 + [{"group": "partners"}]),
            "duration": draw.choice(
                [
                    {"from_accept_ms": draw.randint(8, 60) * DAY},
                    {"until_ms": self.now + draw.randint(8, 80) * DAY},
                    "UNLIMITED",
                ]
            ),
            "purposes_allowed": self.some(PURPOSES[:5]),
            "purposes_forbidden": draw.choice([[], [], [PURPOSES[4]], [PURPOSES[5]]]),
            "retention_after_end_ms": draw.choice([0, DAY, 30 * DAY, None]),
            "notice_ms": draw.choice([0, 0, DAY]),
            "revocable_by": draw.choice(["FIRST", "FIRST", "FIRST", "BOTH", "NONE"]),
            "deletion": draw.choice(["REQUIRED", "ON_REQUEST", "NOT_REQUIRED"]),
            "attest_within_ms": draw.choice([0, 0, HOUR, DAY]),
        }
        if set(clauses["purposes_allowed"]) <= set(clauses["purposes_forbidden"]):
            del clauses["purposes_forbidden"]
        if draw.random() < 0.2:
            listed = self.some(list(ORGANISATIONS))
            clauses["onward.recipients"] = {"list": listed}
        if draw.random() < 0.3:
            clauses["onward.max_count"] = draw.randint(1, 4)
        if draw.random() < 0.35:
            clauses["jurisdictions"] = draw.choice([["DE"], ["DE", "FR"]])
        if self.tall:
            clauses |= {"onward.mode": "SAME_TERMS", "onward.max_depth": 8}
            clauses |= {"onward.recipients": "ANY_MEMBER", "duration": "UNLIMITED"}
            clauses.pop("jurisdictions", None)
        elif draw.random() < 0.1:
            for name in ("onward.mode", "onward.recipients", "onward.max_depth"):
                del clauses[name]
        return {**document("terms", "T"), "version": str(self.count), "clauses": clauses}

    # ------------------------------------------------------------ roots

    def plant(self) -> Iterator[Row]:
        """A root agreement, and a share or two under it."""
        terms = self.usable_terms()
        if terms is None:
            made = self.terms()
            yield self.step("terms.publish", "registry", {"document": made})
            terms = document_id(made)
        person, second = self.chance.choice(PERSONS), self.within(terms)
        offer: Row = {"to": second, "grant": self.root_grant(terms)}
        offer["offer_expires_at_ms"] = self.now + DAY
        step = self.step("agreement.offer", person, offer)
        yield step
        step = self.step("agreement.accept", second, {"offer": id_of("offer", step)})
        yield step
        for _ in range(self.chance.randint(1, 2)):
            if not condition(self.world["agreements"][id_of("agreement", step)], self.now):
                yield self.root_share(id_of("agreement", step))

    def usable_terms(self) -> str | None:
        """Terms under which a root may begin now, if some are left."""
        usable = []
        for terms, entry in self.world["terms"].items():
            duration = clause(self.world, terms, "duration")
            lasting = duration == "UNLIMITED" or duration.get("until_ms", 1e15) > self.now + 3 * DAY
            if entry["status"] == "PUBLISHED" and lasting:
                usable.append(terms)
        return self.chance.choice(usable) if usable else None

    def within(self, terms: str) -> str:
        """An organisation that may be second party under these terms."""
        allowed = clause(self.world, terms, "jurisdictions") or COUNTRIES
        parties = self.world["parties"]
        fit = [name for name in ORGANISATIONS if parties[name]["jurisdiction"] in allowed]
        fit = [name for name in fit if parties[name]["active"]]
        return self.chance.choice(fit)

    def root_grant(self, terms: str) -> Row:
        """What a rights holder may grant under these terms."""
        draw, world = self.chance, self.world
        allowed = set(clause(world, terms, "purposes_allowed"))
        allowed -= set(clause(world, terms, "purposes_forbidden"))
        kept = clause(world, terms, "retention_after_end_ms")
        grant: Row = {
            "terms": terms,
            "schema": draw.choice(sorted(world["schemas"])),
            "fields": sorted(draw.sample(range(FIELDS), draw.randint(3, FIELDS))),
            "purposes": self.some(sorted(allowed)),
            "notice": self.fresh_hash(),
            "retention_ms": draw.choice([0, 2 * DAY]) if kept is None else draw.choice([0, kept]),
        }
        duration = clause(world, terms, "duration")
        if draw.random() < 0.4 and duration != "UNLIMITED":
            last = duration.get("until_ms", self.now + duration.get("from_accept_ms", 0))
            grant["expires_at_ms"] = draw.choice([last, draw.randint(self.now + 2 * DAY, last)])
        elif draw.random() < 0.5 and duration == "UNLIMITED":
            grant["expires_at_ms"] = self.now + draw.randint(5, 50) * DAY
        if draw.random() < 0.1:
            grant["not_before_ms"] = self.now + draw.choice([-DAY, 1, DAY])
        if draw.random() < 0.2 and clause(world, terms, "jurisdictions") is None:
            grant["jurisdictions"] = list(COUNTRIES)
        return grant

    def root_share(self, agreement_id: str) -> Row:
        """A share that the rights holder may give now, if anything is left."""
        fields = sorted(in_force(self.world, agreement_id, "fields"))
        purposes = sorted(in_force(self.world, agreement_id, "purposes"))
        share = {
            "fields": self.some(fields),
            "purpose": self.chance.choice(purposes) if purposes else "",
            **self.fresh_names(),
        }
        first = self.world["agreements"][agreement_id]["first"]
        return self.step("share.record", first, {"agreement": agreement_id, "share": share})

    # ------------------------------------------------------------ what happens among the attempts

    def something_happens(self) -> Iterator[Row]:
        """One thing that the rules of later attempts look at."""
        drawn = self.chance.random()
        if self.chance.random() < 0.4:
            yield from self.supervise()
        elif drawn < 0.25:
            yield from self.plant()
        elif drawn < 0.46:
            yield from self.revocation()
        elif drawn < 0.57:
            yield from self.termination()
        elif drawn < 0.76:
            yield from self.withdrawal()
        elif drawn < 0.86:
            yield from self.terms_end()
        elif drawn < 0.94:
            name = self.chance.choice(ORGANISATIONS)
            changed = {**self.organisation(name), "active": self.chance.random() < 0.7}
            changed["jurisdiction"] = self.world["parties"][name]["jurisdiction"]
            yield self.step("party", "", changed)
        else:
            yield self.step("terms.publish", "registry", {"document": self.terms()})

    def living(self) -> str | None:
        """An agreement that has not ended by itself."""
        agreements = self.world["agreements"]
        found = [
            one for one in agreements if condition(agreements[one], self.now) in ("", "NOT_YET")
        ]
        return self.chance.choice(found) if found else None

    def revocation(self) -> Iterator[Row]:
        """All of it, or some fields or purposes; by the first party or the rights holder."""
        agreement_id = self.living()
        if agreement_id is None:
            return
        agreement = self.world["agreements"][agreement_id]
        root = path_up(self.world, agreement_id)[-1]
        by = self.chance.choice([agreement["first"], root["first"]])
        what = self.chance.choice(["fields", "purposes", ""])
        named = one_of_series(self, agreement_id)
        payload: Row = {"agreement": named, "scope": what.upper() or "ALL"}
        if what:
            left = sorted(in_force(self.world, agreement_id, what))
            if not left:
                return
            payload[what] = self.some(left)[:2]
        if clause(self.world, agreement["terms"], "revocable_by") != "NONE":
            yield self.step("agreement.revoke", by, payload)

    def termination(self) -> Iterator[Row]:
        """The second party gives notice, sometimes for a later moment."""
        agreement_id = self.living()
        if agreement_id is None:
            return
        agreement = self.world["agreements"][agreement_id]
        if agreement["terminated_at"] is not None:
            return
        notice = clause(self.world, agreement["terms"], "notice_ms") or 0
        at = self.now + notice + self.chance.choice([0, DAY, 15 * DAY])
        payload = {"agreement": one_of_series(self, agreement_id), "effective_at_ms": at}
        yield self.step("agreement.terminate", agreement["second"], payload)

    def withdrawal(self) -> Iterator[Row]:
        """A share is taken back."""
        shares = self.world["shares"]
        found = [one for one in shares if not shares[one]["withdrawn"]]
        if found:
            share_id = self.chance.choice(found)
            root = path_up(self.world, shares[share_id]["agreement"])[-1]
            by = self.chance.choice([shares[share_id]["from"], root["first"]])
            yield self.step("share.withdraw", by, {"share": share_id})

    def terms_end(self) -> Iterator[Row]:
        """Terms are deprecated, or then recalled."""
        in_use = {one["terms"] for one in self.world["agreements"].values()}
        terms = self.chance.choice(sorted(in_use))
        status = self.world["terms"][terms]["status"]
        kind = {"PUBLISHED": "terms.deprecate", "DEPRECATED": "terms.recall"}.get(status)
        if kind is not None:
            yield self.step(kind, "registry", {"terms": terms})

    def supervise(self) -> Iterator[Row]:
        """What is done about duties, by auditors and by both parties."""
        kinds = (attestation, overdue, suspension, accusation, amendment, amendment, child_field)
        yield from self.chance.choice(kinds)(self)

    # ------------------------------------------------------------ attempts

    def attempt(self) -> Iterator[Row]:
        """One attempt: an onward share mostly."""
        drawn = self.chance.random()
        if not self.world["shares"]:
            yield from self.plant()
        elif drawn < 0.08:
            yield self.spoiled(self.root_attempt(), ROOT_MISSES)
        elif drawn < 0.18 and len(self.world["agreements"]) > len(self.roots()):
            yield self.spoiled(self.likely_inside(), INSIDE_MISSES)
        elif drawn < 0.25 and self.world["offers"]:
            yield self.acceptance()
        elif drawn < 0.30:
            yield from approval(self)
        else:
            step = self.spoiled(self.likely(), ONWARD_MISSES)
            yield self.as_offer(step) if drawn > 0.9 else step

    def roots(self) -> list[str]:
        """The root agreements."""
        agreements = self.world["agreements"]
        return [one for one in agreements if agreements[one]["parent"] is None]

    def spoiled(self, step: Row, misses: Sequence[Miss]) -> Row:
        """The step with none, one or two of the near misses."""
        if self.focus:
            return step
        for _ in range(self.chance.choices([0, 1, 2], [30, 55, 15])[0]):
            self.chance.choice(misses)(self, step)
        return step

    def likely(self) -> Row:
        """An honest attempt; mostly one that would be accepted, if one is found soon."""
        shares, tries = list(self.world["shares"]), 1 if self.chance.random() < 0.3 else 7
        if self.hurried:
            shares = shares[:2]
        if self.focus:
            focused = self.world["agreements"][self.focus]
            on_path = [one for one in shares if focused in self.path_of(one)]
            shares, tries = on_path or shares, 1
        picked = self.chance.sample(shares, min(len(shares), tries))
        if self.tall or self.chance.random() < 0.4:
            picked.sort(key=self.depth_of, reverse=True)
        step = self.honest(picked[0])
        for share_id in picked[1:]:
            if judge(self.world, step).code == "OK":
                break
            step = self.honest(share_id)
        return step

    def depth_of(self, share_id: str) -> int:
        """How far from the rights holder a share lies."""
        return len(self.path_of(share_id))

    def path_of(self, share_id: str) -> list[Row]:
        """The agreement of a share and all above it."""
        return path_up(self.world, self.world["shares"][share_id]["agreement"])

    def honest(self, share_id: str) -> Row:
        """What the holder of a share would do who reads the rules."""
        world, draw = self.world, self.chance
        share = world["shares"][share_id]
        parent_id = share["agreement"]
        if draw.random() < 0.85:
            parent_id = newest(world, parent_id) or parent_id
        parent, path = world["agreements"][parent_id], path_up(world, parent_id)
        fields = in_force(world, parent_id, "fields") & share["fields"]
        anonymous = clause(world, parent["terms"], "onward.mode") == "ANONYMISED_ONLY"
        if anonymous:
            fields = {one for one in fields if not world["schemas"][parent["schema"]][one]}
        granted = self.some(sorted(fields))
        purposes = sorted(in_force(world, parent_id, "purposes"))
        purposes = self.some(purposes)
        child: Row = {
            "terms": parent["terms"],
            "schema": parent["schema"],
            "fields": granted,
            "purposes": purposes,
            "notice": self.fresh_hash(),
            "retention_ms": draw.choice([0, parent["retention"]]),
        }
        ends = [one["expires"] for one in path if one["expires"] is not None]
        if ends:
            child["expires_at_ms"] = draw.choice([min(ends), max(min(ends) - DAY, self.now + 1)])
        if draw.random() < 0.1:
            child["not_before_ms"] = max(parent["not_before"], self.now - draw.randint(0, DAY))
        recipient = self.fitting(parent, path)
        if draw.random() < 0.2:
            child["jurisdictions"] = [world["parties"][recipient]["jurisdiction"]]
        parcel: Row = {
            "fields": self.some(granted),
            "purpose": draw.choice(purposes) if purposes else "",
            **self.fresh_names(),
        }
        if draw.random() < (0.85 if anonymous else 0.1):
            parcel["transform"] = "ANONYMISED"
        payload = {
            "parent_agreement": parent_id,
            "parent_share": share_id,
            "recipient": recipient,
            "child": child,
            "share": parcel,
        }
        if clause(world, parent["terms"], "onward.mode") == "CONSENT_PER_SHARE":
            recipient = as_approved(self, payload)
        return self.step("share.onward", share["to"], payload, (recipient,))

    def fitting(self, parent: Row, path: list[Row]) -> str:
        """Somebody whom terms, jurisdictions and path admit, if there is one."""
        on_path = {one["second"] for one in path}
        admitted = clause(self.world, parent["terms"], "onward.recipients")
        fit = []
        for name in ORGANISATIONS:
            entry = self.world["parties"][name]
            allowed = parent["jurisdictions"] or COUNTRIES
            if name in on_path or not entry["active"] or entry["jurisdiction"] not in allowed:
                continue
            if isinstance(admitted, dict):
                listed = name in admitted.get("list", ())
                if not listed and admitted.get("group") not in entry["groups"]:
                    continue
            fit.append(name)
        return self.chance.choice(fit or ORGANISATIONS)

    def as_offer(self, step: Row) -> Row:
        """The same child agreement as an offer: by the sharer, or asked for by the recipient."""
        payload, sharer = step["payload"], step["actor"]
        offer = {
            "to": payload["recipient"],
            "grant": payload["child"],
            "offer_expires_at_ms": self.now + self.chance.choice([10 * MINUTE, DAY, 30 * DAY]),
            "parent_agreement": payload["parent_agreement"],
            "parent_share": payload["parent_share"],
        }
        if "approval" in payload:
            offer["approval"] = payload["approval"]
        if self.chance.random() < 0.3:
            offer |= {"to": sharer, "first_party": sharer}
            return {
                **step,
                "kind": "agreement.offer",
                "actor": payload["recipient"],
                "payload": offer,
            }
        return {**step, "kind": "agreement.offer", "payload": offer}

    def acceptance(self) -> Row:
        """An offer is accepted: by the addressee mostly, in time mostly."""
        offers = self.world["offers"]
        open_ones = [one for one in offers if offers[one]["open"]]
        found = self.chance.choice(open_ones[-3:] or list(offers))
        by = offers[found]["payload"]["to"]
        drawn = self.chance.random()
        if drawn < 0.05:
            by = self.chance.choice(ORGANISATIONS)
        elif drawn < 0.10:
            found = self.fresh_hash()
        elif drawn < 0.15:
            found = self.chance.choice(list(offers))
            by = offers[found]["payload"]["to"]
        return self.step("agreement.accept", by, {"offer": found})

    def root_attempt(self) -> Row:
        """One more share of a rights holder."""
        roots = self.roots()
        return self.root_share(self.focus if self.focus in roots else self.chance.choice(roots))

    def likely_inside(self) -> Row:
        """As `likely`, for one more share inside a child."""
        step = self.inside_attempt()
        for _ in range(1 if self.chance.random() < 0.3 else 7):
            if judge(self.world, step).code == "OK":
                break
            step = self.inside_attempt()
        return step

    def inside_attempt(self) -> Row:
        """One more share inside a child, of one of the shares that its first party holds."""
        world = self.world
        children = [one for one in world["agreements"] if world["agreements"][one]["parent"]]
        child_id = self.chance.choice(children)
        child = world["agreements"][child_id]
        series = {one: row["series"] for one, row in world["agreements"].items()}
        held = [
            one
            for one, share in world["shares"].items()
            if series[share["agreement"]] == child["parent"]
        ]
        origin = self.chance.choice(held)
        step = self.root_share(child_id)
        step["payload"]["parent_share"] = origin
        common = in_force(world, child_id, "fields") & world["shares"][origin]["fields"]
        step["payload"]["share"]["fields"] = self.some(sorted(common))
        if clause(world, child["terms"], "onward.mode") == "ANONYMISED_ONLY":
            step["payload"]["share"]["transform"] = "ANONYMISED"
        if clause(world, child["terms"], "onward.mode") == "CONSENT_PER_SHARE":
            fitting_approval(self, step["payload"], child["second"])
        return step


def party(name: str, kind: str, country: str, groups: list[str] | None = None) -> Row:
    """A party of the registry."""
    return {
        "name": name,
        "kind": kind,
        "active": True,
        "groups": groups or [],
        "jurisdiction": country,
    }


def document(kind: str, label: str) -> Row:
    """What every document says of itself."""
    common = {"label": label, "version": "1", "title": "Drawn by chance", "source": "a seed"}
    return {"format": f"onward/{kind}/1", **common}
