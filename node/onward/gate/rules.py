"""What the gate refuses in a contract's source: the codes, and what to write instead.

Each code is one way in which two honest replicas come to differ. A code is never renamed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """The codes, with docs/spec/chaincode.md as their table for people."""

    IMPORT = "N01"
    CLOCK = "N02"
    CHANCE = "N03"
    ENVIRONMENT = "N04"
    OUTSIDE = "N05"
    CONCURRENCY = "N06"
    FLOAT = "N07"
    SET_ORDER = "N08"
    IDENTITY = "N09"
    MEMORY = "N10"
    TEXT = "N11"
    SWALLOWED = "N12"
    INTERPRETER = "N13"
    REFLECTION = "N14"


ADVICE: dict[Rule, str] = {
    Rule.IMPORT: "a contract imports what the gate knows to be the same everywhere, nothing else",
    Rule.CLOCK: "the only clock is ctx.time_ms, in whole milliseconds",
    Rule.CHANCE: "derive what must be unpredictable or unique from ctx.tx_id",
    Rule.ENVIRONMENT: "what differs between machines enters as a transaction",
    Rule.OUTSIDE: "a contract reads and writes through ctx alone",
    Rule.CONCURRENCY: "write plain functions: nothing runs beside a contract",
    Rule.FLOAT: "count in whole numbers of a small unit, and divide with //",
    Rule.SET_ORDER: "put sorted(...) around the set before its order can matter",
    Rule.IDENTITY: "compare and key by content; digests come from hashlib",
    Rule.MEMORY: "what has to last stands in state: another replica may have just started",
    Rule.TEXT: "compare exact text, or check it with a pattern under re.ASCII",
    Rule.SWALLOWED: "catch the errors that you expect by name",
    Rule.INTERPRETER: "this depends on how the interpreter was started; raise Refuse instead",
    Rule.REFLECTION: "name what you use, so that it can be read",
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """A place in a contract's source, and what is wrong there. `waived`: why it may stand."""

    file: str
    line: int
    rule: str
    what: str
    waived: str = ""

    @property
    def sentence(self) -> str:
        """What is wrong and what to do."""
        return f"{self.what}; {ADVICE[Rule(self.rule)]}"

    def __str__(self) -> str:
        """For people."""
        return f"{self.file}:{self.line}: {self.rule} {self.sentence}"


ALLOWED_MODULES = frozenset(
    {
        "__future__",
        "abc",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "collections.abc",
        "contextlib",
        "copy",
        "dataclasses",
        "enum",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "struct",
        "types",
        "typing",
        "onward_proto.canonical",
        "onward_proto.documents",
    }
)
CHAINCODE = "onward_chaincode"

# Why a module is refused, by its first part; any other one is refused as unknown.
REFUSED_MODULES: dict[str, Rule] = {
    **dict.fromkeys(("calendar", "datetime", "sched", "time", "zoneinfo"), Rule.CLOCK),
    **dict.fromkeys(("numpy", "random", "secrets", "uuid"), Rule.CHANCE),
    **dict.fromkeys(
        ("getpass", "os", "platform", "posix", "pwd", "resource", "site", "sys", "sysconfig"),
        Rule.ENVIRONMENT,
    ),
    **dict.fromkeys(
        (
            "fileinput",
            "glob",
            "http",
            "io",
            "logging",
            "mmap",
            "onward",
            "pathlib",
            "pickle",
            "shelve",
            "shutil",
            "socket",
            "sqlite3",
            "ssl",
            "subprocess",
            "tempfile",
            "urllib",
        ),
        Rule.OUTSIDE,
    ),
    **dict.fromkeys(
        (
            "_thread",
            "asyncio",
            "concurrent",
            "contextvars",
            "multiprocessing",
            "queue",
            "select",
            "selectors",
            "signal",
            "threading",
        ),
        Rule.CONCURRENCY,
    ),
    **dict.fromkeys(
        ("array", "cmath", "decimal", "fractions", "numbers", "statistics"), Rule.FLOAT
    ),
    **dict.fromkeys(("gettext", "locale", "stringprep", "textwrap", "unicodedata"), Rule.TEXT),
    **dict.fromkeys(
        ("atexit", "builtins", "dis", "faulthandler", "gc", "traceback", "warnings", "weakref"),
        Rule.INTERPRETER,
    ),
    **dict.fromkeys(
        ("ast", "code", "codeop", "ctypes", "imp", "importlib", "inspect", "marshal", "pkgutil"),
        Rule.REFLECTION,
    ),
}

WHOLE_MATH = frozenset({"comb", "factorial", "gcd", "isqrt", "lcm", "perm", "prod"})

REFUSED_BUILTINS: dict[str, Rule] = {
    "__debug__": Rule.INTERPRETER,
    "__import__": Rule.REFLECTION,
    "breakpoint": Rule.OUTSIDE,
    "compile": Rule.REFLECTION,
    "complex": Rule.FLOAT,
    "eval": Rule.REFLECTION,
    "exec": Rule.REFLECTION,
    "exit": Rule.INTERPRETER,
    "float": Rule.FLOAT,
    "globals": Rule.REFLECTION,
    "hash": Rule.IDENTITY,
    "help": Rule.OUTSIDE,
    "id": Rule.IDENTITY,
    "input": Rule.OUTSIDE,
    "locals": Rule.REFLECTION,
    "open": Rule.OUTSIDE,
    "print": Rule.OUTSIDE,
    "quit": Rule.INTERPRETER,
}

# Attributes between double underscores that say nothing of the process.
PLAIN_DUNDERS = frozenset(
    {
        "__class__",
        "__doc__",
        "__init__",
        "__metadata__",
        "__name__",
        "__origin__",
        "__post_init__",
        "__qualname__",
    }
)

# What text becomes here depends on the interpreter's Unicode tables.
UNICODE_METHODS = frozenset(
    {
        "capitalize",
        "casefold",
        "isalnum",
        "isalpha",
        "isdecimal",
        "isdigit",
        "isidentifier",
        "islower",
        "isnumeric",
        "isprintable",
        "isspace",
        "istitle",
        "isupper",
        "lower",
        "swapcase",
        "title",
        "upper",
    }
)

SWALLOWING = frozenset(
    {
        "BaseException",
        "Exception",
        "KeyboardInterrupt",
        "MemoryError",
        "RecursionError",
        "RuntimeError",
        "SystemExit",
    }
)

MUTATING_METHODS = frozenset(
    {
        "add",
        "append",
        "appendleft",
        "clear",
        "difference_update",
        "discard",
        "extend",
        "extendleft",
        "insert",
        "intersection_update",
        "move_to_end",
        "pop",
        "popitem",
        "popleft",
        "remove",
        "reverse",
        "rotate",
        "setdefault",
        "sort",
        "subtract",
        "symmetric_difference_update",
        "update",
    }
)
