"""The liars, a small file each. At most f validators of a world lie."""

from __future__ import annotations

from onward.simulation.byzantine.bad_sealer import BadSealer
from onward.simulation.byzantine.boaster import Boaster
from onward.simulation.byzantine.censor import Censor
from onward.simulation.byzantine.chaos import Chaos
from onward.simulation.byzantine.double_voter import DoubleVoter
from onward.simulation.byzantine.equivocator import Equivocator
from onward.simulation.byzantine.forger import Forger
from onward.simulation.byzantine.garbler import Garbler
from onward.simulation.byzantine.lane_forker import LaneForker
from onward.simulation.byzantine.liar import Liar, LiarKit, MakeLiar
from onward.simulation.byzantine.misreporter import Misreporter
from onward.simulation.byzantine.page_liar import PageLiar
from onward.simulation.byzantine.selective import Selective
from onward.simulation.byzantine.silent import Silent
from onward.simulation.byzantine.slanderer import Slanderer
from onward.simulation.byzantine.stale import Stale
from onward.simulation.byzantine.time_liar import TimeLiar
from onward.simulation.byzantine.twins import TWINS
from onward.simulation.byzantine.unjustified import Unjustified
from onward.simulation.byzantine.withholder import Withholder

_SINGLE_MINDED: dict[str, MakeLiar] = {
    "bad_sealer": BadSealer,
    "boaster": Boaster,
    "censor": Censor,
    "double_voter": DoubleVoter,
    "equivocator": Equivocator,
    "forger": Forger,
    "garbler": Garbler,
    "lane_forker": LaneForker,
    "misreporter": Misreporter,
    "page_liar": PageLiar,
    "selective": Selective,
    "silent": Silent,
    "slanderer": Slanderer,
    "stale": Stale,
    "time_liar": TimeLiar,
    "unjustified": Unjustified,
    "withholder": Withholder,
}


def _chaos(kit: LiarKit) -> Liar:
    return Chaos(kit, tuple(_SINGLE_MINDED.values()))


LIARS: dict[str, MakeLiar] = {**_SINGLE_MINDED, "chaos": _chaos}
"""By name; twins are two machines and not among them."""

LIAR_KINDS = (*sorted(LIARS), TWINS)
