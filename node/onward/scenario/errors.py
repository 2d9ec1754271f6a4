"""What is wrong with a scenario file, and where."""

from __future__ import annotations

from onward.errors import MalformedError


class ScenarioError(MalformedError):
    """A scenario that says something unknown, too little, or in the wrong kind.

    The message names the file and the step, what was expected and what came.
    """
