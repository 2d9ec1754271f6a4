"""Reading finds what differs between replicas, and leaves alone what only looks like it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from onward.gate.reading import read_source
from onward.gate.rules import ADVICE, Rule

SPEC = Path(__file__).parents[3] / "docs" / "spec" / "chaincode.md"

REFUSED = [
    ("N01", "import yaml"),
    ("N01", "from onward_proto import compiled"),
    ("N02", "from datetime import date"),
    ("N03", "from random import choice as pick"),
    ("N04", "import sys"),
    ("N04", "import struct\ndef f(n): return struct.pack('I', n)"),
    ("N05", "import onward.limits"),
    ("N05", "def f(x): print(x)"),
    ("N06", "async def f(): pass"),
    ("N07", "rate = 0.5"),
    ("N07", "def f(a, b): return a / b"),
    ("N07", "def f(a): return f'{a:.2f}'"),
    ("N07", "def f(a): return '%.1f' % a"),
    ("N07", "def f(a): return 10 ** -2"),
    ("N07", "from math import sqrt"),
    ("N07", "import math\ndef f(a): return math.sin(a)"),
    ("N08", "def f(a):\n    s = set(a)\n    for x in s: pass"),
    ("N08", "def f(a): return [x for x in {*a}]"),
    ("N08", "def f(a: frozenset[str]): return tuple(a)"),
    ("N08", "def f(a: 'set[str] | None'): return list(a)"),
    ("N08", "def f(a, b): return ','.join(set(a) - set(b))"),
    ("N08", "def f(a, b):\n    for k in a.keys() & b.keys(): pass"),
    ("N08", "class A:\n    x: set[str]\ndef f(a):\n    for y in a.x: pass"),
    ("N08", "def g() -> set[str]: ...\ndef f(): return [*g()]"),
    ("N08", "def f(a): return max({*a}, key=len)"),
    ("N08", "def f(a): return f'{set(a)}'"),
    ("N08", "def f(a):\n    x, y = {a, 1}\n    return x"),
    ("N08", "S = {'a', 'b'}\ndef f(): return next(iter(S))"),
    ("N09", "def f(a): return hash(a)"),
    ("N09", "def f(a): return sorted(a, key=id)"),
    ("N10", "N = 0\ndef f():\n    global N\n    N += 1"),
    ("N10", "C = {}\ndef f(k): C[k] = 1"),
    ("N10", "C = []\ndef f(k): C.append(k)"),
    ("N10", "def f(): f.count = 1"),
    ("N10", "import itertools\nI = itertools.count()\ndef f(): return next(I)"),
    ("N10", "class A:\n    n = 0\ndef f(): A.n += 1"),
    ("N10", "class C:\n    def apply(self, ctx, call): self.n = 1"),
    ("N10", "def f(a, b=[]): return b"),
    ("N10", "import functools\n@functools.cache\ndef f(ctx): return ctx.get('k')"),
    ("N11", "def f(a): return a.casefold()"),
    ("N11", "import re\nP = re.compile(r'\\d+')"),
    ("N11", "def f(a): return f'{a:n}'"),
    ("N12", "def f():\n    try: pass\n    except Exception: pass"),
    ("N12", "def f():\n    try: pass\n    except (ValueError, RecursionError): pass"),
    ("N12", "import contextlib\ndef f():\n    with contextlib.suppress(MemoryError): pass"),
    ("N13", "def f(a): assert a"),
    ("N13", "import gc"),
    ("N14", "def f(a): return eval(a)"),
    ("N14", "def f(a): return getattr(a, '__ha' + 'sh__')"),
    ("N14", "def f(a): return a.__globals__"),
]

LEFT_ALONE = [
    "def f(id, hash): return id + hash",
    "def f(a):\n    open = a\n    return open",
    "def f(a): return sorted(set(a))",
    "def f(a): return sorted(x for x in set(a) if x)",
    "def f(a): return sorted(map(str, set(a)))",
    "def f(a): return {x for x in set(a)}",
    "def f(a, b): return len(set(a) & set(b)), set(a) <= set(b), 1 in {1, 2}",
    "def f(a):\n    s = set(a)\n    s = sorted(s)\n    return [x for x in s]",
    "C = {'a': 1}\ndef f(k): return C[k]",
    "def f():\n    C = {}\n    C['k'] = 1\n    return C",
    "class A:\n    def take(self): self.n = 1",
    "import functools\n@functools.cache\ndef f(n): return n * n",
    "import re\nP = re.compile(r'\\d+', re.ASCII)",
    "def f(a): return a.hex().upper()",
    "def f(a, b): return a // b, a % b, 2**8, f'{a:06d}', f'{b:x}', '%d' % a",
    "def f(a):\n    try: return int(a)\n    except (ValueError, KeyError) as e: raise e",
    "from collections.abc import Mapping\nfrom onward_proto.canonical import encode",
]


@pytest.mark.parametrize(("rule", "source"), REFUSED)
def test_what_differs_is_found(rule: str, source: str) -> None:
    assert {finding.rule for finding in read_source(source, "x.py")} == {rule}


@pytest.mark.parametrize("source", LEFT_ALONE)
def test_what_only_looks_like_it_is_left_alone(source: str) -> None:
    assert read_source(source, "x.py") == []


def test_a_waiver_stands_where_it_says_and_for_what_it_says() -> None:
    """A waiver for one rule must not excuse another."""
    text = "C = {}\ndef f(k):\n    # gate: N10 by its bytes\n    C[k] = {}\n"
    assert [item.waived for item in read_source(text, "x.py")] == ["by its bytes"]
    assert [item.waived for item in read_source(text.replace("N10", "N08"), "x.py")] == [""]
    assert [item.waived for item in read_source(text.replace(" by its bytes", ""), "x.py")] == [""]


def test_the_document_lists_every_rule_with_what_to_do() -> None:
    rows = dict(re.findall(r"^\| `(N\d\d)` \|[^|]+\| (.+) \|$", SPEC.read_text(), re.MULTILINE))
    assert rows == {rule.value: advice for rule, advice in ADVICE.items()}
    assert set(ADVICE) == set(Rule)


def test_every_rule_has_a_source_that_it_finds() -> None:
    assert {rule for rule, _ in REFUSED} == {rule.value for rule in Rule}
