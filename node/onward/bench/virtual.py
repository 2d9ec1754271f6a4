"""n validators in one process, on a clock of their own, with a wire of a fixed delay.

Every validator has a core to itself: what its turns take of this machine's CPU passes on the
virtual clock, and what comes meanwhile waits for its next turn. A message arrives a fixed delay
after it left; what a step promises leaves a sync later. Nothing is lost and nobody lies: this
measures, and `onward.simulation` breaks things.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from onward.bench.seat import Arrival, Said, Seat, Turn, Wire
from onward.replica.effects import PeerUp, Verdict
from onward.types import ValidatorIndex

SYNC_US = 1_000
SECOND_US = 1_000_000

Told = Callable[[int, int, tuple[Verdict, ...]], None]
"""(validator, virtual microseconds, verdicts that clients may hear of there and then)"""


class VirtualNetwork:
    """The validators and their wires. Times are virtual microseconds since the start."""

    def __init__(
        self,
        seats: Sequence[Seat],
        *,
        epoch_ms: int,
        delay_us: int,
        told: Told,
        witness: int | None = None,
    ) -> None:
        """`epoch_ms`: UTC at the start. `witness`: whose turns are written down."""
        self.seats = tuple(seats)
        self.now_us = 0
        self.recording: list[Turn] = []
        self._witness = witness
        self._epoch_ms = epoch_ms
        self._delay_us = delay_us
        self._told = told
        self._heap: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []
        self._sequence = 0
        self._arrived: list[list[Arrival]] = [[] for _ in seats]
        self._free_us = [0] * len(self.seats)  # when each has ended its turn
        self._released_us = [0] * len(self.seats)  # what left before leaves before
        self._wake_us: list[int | None] = [None] * len(self.seats)
        for seat in self.seats:
            self._wake(seat.index, 0)
            for peer in range(len(self.seats)):
                if peer != seat.index:
                    self._arrive(seat.index, PeerUp(peer=ValidatorIndex(peer)))

    @property
    def heights(self) -> list[int]:
        """How far each has executed."""
        return [seat.replica.height for seat in self.seats]

    def later(self, at_us: int, action: Callable[..., None], *arguments: object) -> None:
        """Call `action(*arguments)` at a moment, now if that has passed."""
        self._sequence += 1
        heapq.heappush(self._heap, (max(at_us, self.now_us), self._sequence, action, arguments))

    def hand(self, index: int, item: Arrival) -> None:
        """Something comes to a validator now."""
        self._arrive(index, item)

    def run_until(self, at_us: int, reached: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass up to a moment, or until `reached`; answers whether it was."""
        while self._heap and self._heap[0][0] <= at_us:
            if reached():
                return True
            self.now_us, _, action, arguments = heapq.heappop(self._heap)
            action(*arguments)
        if reached():
            return True
        self.now_us = at_us
        return False

    def _arrive(self, index: int, item: Arrival) -> None:
        self._arrived[index].append(item)
        self._wake(index, self.now_us)

    def _wake(self, index: int, at_us: int) -> None:
        """A turn at this moment, or when the one under way has ended; the earliest wish counts."""
        at_us = max(at_us, self._free_us[index], self.now_us)
        known = self._wake_us[index]
        if known is None or at_us < known:
            self._wake_us[index] = at_us
            self.later(at_us, self._turn, index, at_us)

    def _turn(self, index: int, at_us: int) -> None:
        if self._wake_us[index] != at_us:
            return  # an earlier wish came after this one
        self._wake_us[index] = None
        seat = self.seats[index]
        now_ms = self._epoch_ms + self.now_us // 1_000
        if self._arrived[index] or seat.has_work(now_ms):
            turn = Turn(now_ms=now_ms, arrived=tuple(self._arrived[index]))
            self._arrived[index] = []
            if index == self._witness:
                self.recording.append(turn)
            self._perform(index, seat.turn(turn))
        if seat.has_work(now_ms):
            self._wake(index, self._free_us[index])
        elif seat.wake_at_ms is not None:
            self._wake(index, 1_000 * (seat.wake_at_ms - self._epoch_ms))

    def _perform(self, index: int, said: Said) -> None:
        self._free_us[index] = free_us = self.now_us + said.spent_ns // 1_000
        left_us = max(self._released_us[index], free_us + (SYNC_US if said.persisted else 0))
        self._released_us[index] = left_us
        for peer, data in said.wires:
            item = Wire(peer=ValidatorIndex(index), data=data)
            self.later(left_us + self._delay_us, self._arrive, int(peer), item)
        if said.verdicts:
            self.later(left_us, self._tell, index, said.verdicts)

    def _tell(self, index: int, verdicts: tuple[Verdict, ...]) -> None:
        self._told(index, self.now_us, verdicts)
