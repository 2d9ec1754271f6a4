"""When a view is given up. Timers are advice: firing one at any moment endangers nothing.

k, the number of views open since the last finalization, is all that lengthens a timeout, and
nothing else resets it; a timeout reset by other events voids the argument for liveness.
"""

from __future__ import annotations

from onward.ledger.genesis import Parameters
from onward.types import ValidatorSet

NEVER_MS = 2**62
_PATIENT_VIEWS = 3


def view_timeout_ms(parameters: Parameters, open_views: int) -> int:
    """T = min(T0 * 1.5^max(0, k - 3), T_max) in whole milliseconds; k is `open_views`."""
    timeout_ms, longest_ms = parameters.timeout_ms, parameters.timeout_ms_max
    for _ in range(open_views - _PATIENT_VIEWS):
        if timeout_ms >= longest_ms:
            break
        timeout_ms += timeout_ms // 2
    return min(timeout_ms, longest_ms)


class ViewTimer:
    """The deadline of the current view, and who has been heard."""

    def __init__(self, parameters: Parameters, validators: ValidatorSet, me: int) -> None:
        self._parameters = parameters
        self._validators = validators
        self._me = me
        self._heard_ms = [0] * validators.size
        self._entered_ms = 0
        self._hasty_views = 0  # views in a row that were given no time
        self._is_expired = False
        self.deadline_ms = 0

    def start(self, now_ms: int) -> None:
        """Boot: everybody gets the benefit of the doubt."""
        self._heard_ms = [now_ms] * self._validators.size
        self._entered_ms = now_ms

    def hear(self, peer: int, now_ms: int) -> None:
        """Something came from this peer."""
        self._heard_ms[peer] = now_ms

    def enter(self, now_ms: int, *, leader: int, open_views: int, is_pending: bool) -> None:
        """A view begins: set its deadline."""
        left_ms, self._entered_ms, self._is_expired = self._entered_ms, now_ms, False
        if self._is_silent(leader, left_ms, now_ms) and self._hasty_views < self._validators.size:
            self._hasty_views += 1
            self.deadline_ms = now_ms
            return
        self._hasty_views = 0
        idle_ms = 0 if is_pending else self._parameters.heartbeat_ms
        self.deadline_ms = now_ms + idle_ms + view_timeout_ms(self._parameters, open_views)

    def pend(self, now_ms: int, *, open_views: int) -> None:
        """The first work came up in an idle view: its leader now has T and no more."""
        if not self._is_expired:
            deadline_ms = now_ms + view_timeout_ms(self._parameters, open_views)
            self.deadline_ms = min(self.deadline_ms, deadline_ms)

    def expire(self, now_ms: int) -> None:
        """The deadline passed, and the view still stands: come back to repeat what was said."""
        self._is_expired = True
        self.deadline_ms = now_ms + self._parameters.timeout_ms

    def stop(self) -> None:
        """There are no more views."""
        self._is_expired = True
        self.deadline_ms = NEVER_MS

    def _is_silent(self, leader: int, left_ms: int, now_ms: int) -> bool:
        """Whether the leader seems dead while a quorum of the others is alive.

        Unheard for 2 * T0 is not enough: an idle network says nothing for longer than that, and
        then the slowest voter would count as dead. It must also have said nothing in the whole
        view that ended, while q - 1 others did.
        """
        heard_ms = self._heard_ms[leader]
        if leader == self._me or heard_ms >= left_ms:
            return False
        others = sum(
            self._heard_ms[peer] >= left_ms
            for peer in range(self._validators.size)
            if peer not in (leader, self._me)
        )
        is_alone = others < self._validators.quorum - 1
        return not is_alone and now_ms - heard_ms >= 2 * self._parameters.timeout_ms
