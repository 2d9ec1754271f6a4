"""The seeded world: n real replicas under faults and liars, judged after every event.

The other driver of `Replica.step`, beside the asyncio node. Everything that a run does follows from
its seed and its options: there is no clock, no thread and no file here.
"""
