"""The liars, a small file each. At most f validators of a world lie."""

from __future__ import annotations

from onward.simulation.byzantine.double_voter import DoubleVoter
from onward.simulation.byzantine.equivocator import Equivocator
from onward.simulation.byzantine.garbler import Garbler
from onward.simulation.byzantine.liar import MakeLiar
from onward.simulation.byzantine.silent import Silent
from onward.simulation.byzantine.twins import TWINS
from onward.simulation.byzantine.withholder import Withholder

LIARS: dict[str, MakeLiar] = {
    "double_voter": DoubleVoter,
    "equivocator": Equivocator,
    "garbler": Garbler,
    "silent": Silent,
    "withholder": Withholder,
}
"""By name; twins are two machines and not among them."""

LIAR_KINDS = (*sorted(LIARS), TWINS)
