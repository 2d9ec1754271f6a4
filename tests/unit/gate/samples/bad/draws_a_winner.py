"""Draws one of the participants."""
import random

TYPES = ("lottery.draw",)


def apply(ctx, call):
    winner = random.choice(["alice", "bob", "carol", "dave", "erin"])
    ctx.put("winner", winner.encode())
    ctx.emit("lottery.draw", {"winner": winner}, (ctx.caller,))
