"""What the replica can prove, as files beside its data: one for each piece of evidence.

The database is what the node itself goes by. The files are for people: they are there when the node
has halted, and they are what an operator hands on.
"""

from __future__ import annotations

from collections.abc import Callable

from onward.consensus.evidence import offence_of
from onward.consensus.evidence_file import encode_evidence
from onward.consensus.messages import Evidence
from onward.runtime.home import NodeHome
from onward.telemetry.events import Log
from onward.telemetry.metrics import Metrics
from onward.types import ValidatorSet

SUFFIX = ".evidence"


class EvidenceFiles:
    """The files of one home. `held` answers all evidence, in the order in which it came."""

    def __init__(
        self,
        home: NodeHome,
        held: Callable[[], tuple[Evidence, ...]],
        validators_at: Callable[[int], ValidatorSet],
        log: Log,
        metrics: Metrics,
    ) -> None:
        """Write what is missing of what is held. `validators_at`: of an epoch."""
        self._home = home
        self._validators_at = validators_at
        self._held = held
        self._log = log
        self._metrics = metrics
        self._written = 0
        self.update()

    def update(self) -> None:
        """Write what has come since the last time. Raises `OSError`."""
        held = self._held()
        for evidence in held[self._written :]:
            self._write(evidence)
        self._written = len(held)
        for name in self.accused():
            self._metrics.accused.labels(name).set(1)

    def accused(self) -> tuple[str, ...]:
        """The names of those against whom there is evidence, in the genesis' order."""
        places = sorted({(item.epoch, item.signer) for item in self._held()})
        return tuple(dict.fromkeys(self._validators_at(e).members[s].name for e, s in places))

    def texts(self) -> tuple[bytes, ...]:
        """Every file's bytes."""
        return tuple(self._text(evidence) for evidence in self._held())

    def _write(self, evidence: Evidence) -> None:
        offence, at = offence_of(evidence)
        name = self._validators_at(evidence.epoch).members[evidence.signer].name
        epoch = f"epoch-{evidence.epoch}-" if evidence.epoch else ""
        file = self._home.evidence / f"{name}-{epoch}{offence}-{at}{SUFFIX}"
        if file.exists():
            return
        file.parent.mkdir(mode=0o755, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_bytes(self._text(evidence))
        fresh.replace(file)  # nobody finds half of it
        self._log.warning("evidence_kept", validator=name, file=str(file))

    def _text(self, evidence: Evidence) -> bytes:
        validators = self._validators_at(evidence.epoch)
        return encode_evidence(evidence, self._home.genesis.chain_id, validators)
