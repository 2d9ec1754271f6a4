"""What a campaign of seeds amounts to, and whether it tried what it claims to try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from onward.simulation.byzantine import LIAR_KINDS
from onward.simulation.faults import FaultKind, Healing
from onward.simulation.plan import AS_DRAWN, Settings
from onward.simulation.run import Result

CAMPAIGN_SEEDS_MIN = 300
"""From this many seeds on, every kind of event must have occurred."""

EXPECTED_KINDS = (
    *sorted(kind.value for kind in FaultKind),
    *(f"healing.{healing}" for healing in sorted(Healing)),
    *(f"liar.{kind}" for kind in LIAR_KINDS),
    "boot.refused",
    "catch_up.page",
    "client.double_submit",
    "client.retry",
    "disk.lost_bytes",
    "disk.lost_database_writes",
    "disk.torn_tails",
    "disk.undone_names",
    "epoch.changed",
    "event.batch_invalid",
    "event.caught_up",
    "event.equivocation",
    "event.evidence",
    "event.lane_forked",
    "event.misbehaved",
    "event.not_voted",
    "fetch",
    "journal.rotated",
    "lie.batch_withheld",
    "lie.block_time",
    "lie.chaos",
    "lie.double_vote",
    "lie.equivocation",
    "lie.false_tips",
    "lie.forged_certificate",
    "lie.garbage_decoded",
    "lie.garbage_refused",
    "lie.invalid_signature",
    "lie.kept_from_some",
    "lie.lane_fork",
    "lie.lane_left_out",
    "lie.page",
    "lie.silence",
    "lie.slander",
    "lie.stale_certificates",
    "lie.unjustified_proposal",
    "lie.votes_withheld",
    "lie.wrong_result",
    "message.cut_off",
    "message.dropped",
    "message.duplicated",
    "peer.disconnected",
    "reboot",
    "verdict.accepted",
    "verdict.recorded",
    "verdict.refused",
    "verdict.void",
    "view.nullified",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The sum over the seeds. `missing`: what should have occurred and never did."""

    seeds: int
    failed: tuple[Result, ...]
    missing: tuple[str, ...]
    seeds_per_second: float
    cpu_seconds_per_seed: float  # of the runs alone, however many processes they are spread over
    totals: dict[str, int]
    settings: Settings
    interrupted: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether all was done, no seed failed, and nothing that should occur was absent."""
        return not self.failed and not self.missing and not self.interrupted

    def as_json(self) -> dict[str, object]:
        """The document that `onward simulate --json` prints."""
        return {
            "seeds": self.seeds,
            "interrupted": self.interrupted,
            "failed": [
                {
                    "seed": item.seed,
                    "failure": item.failure,
                    "replay": self.settings.command(item.seed),
                }
                for item in self.failed
            ],
            "missing": list(self.missing),
            "seeds_per_second": round(self.seeds_per_second, 3),
            "cpu_seconds_per_seed": round(self.cpu_seconds_per_seed, 3),
            "totals": self.totals,
        }


def summarize(results: Sequence[Result], elapsed_s: float, settings: Settings = AS_DRAWN) -> Report:
    """Add up the results of a campaign that took `elapsed_s`."""
    totals: Counter[str] = Counter()
    for result in results:
        totals.update(result.counts)
    named = {
        "runs": len(results),
        "events": sum(result.events for result in results),
        "blocks": sum(result.blocks for result in results),
        "bodies": sum(result.bodies for result in results),
        "simulated_ms": sum(result.simulated_ms for result in results),
    }
    complete = not settings.mutant and len(results) >= CAMPAIGN_SEEDS_MIN
    return Report(
        seeds=len(results),
        failed=tuple(sorted((r for r in results if r.failure), key=lambda item: item.seed)),
        missing=tuple(kind for kind in EXPECTED_KINDS if not totals[kind]) if complete else (),
        seeds_per_second=len(results) / elapsed_s if elapsed_s > 0 else 0,
        cpu_seconds_per_seed=sum(r.cpu_s for r in results) / len(results) if results else 0,
        totals={**named, **{name: totals[name] for name in sorted(totals)}},
        settings=settings,
    )
