"""Words of others, such that they can be shown: letters, and nothing that steers what shows them.

A text from a file or from a node may hold what clears a screen, turns the writing round, passes for
another line, or is half a letter that no stream takes. Whoever reads it must see that it is there.
"""

from __future__ import annotations

import json
import re
from typing import Any

QUOTED_MAX, SENTENCE_MAX = 60, 200
_HALF_LETTER = re.compile("[\ud800-\udfff]")


def spelled(text: str) -> str:
    r"""The text, with each letter spelled out (`\u{1b}`) that a terminal would not just show."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}" for letter in text)


def spelled_lines(text: str) -> str:
    """The text with every line of it spelled out: for words that come with lines of their own."""
    return "\n".join(map(spelled, text.split("\n")))


def spelled_values(value: Any) -> Any:
    """A value out of JSON with every text in it spelled out, keys as well."""
    if isinstance(value, str):
        return spelled(value)
    if isinstance(value, dict):
        return {spelled(key): spelled_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [spelled_values(item) for item in value]
    return value


def start_of(text: str, most: int = QUOTED_MAX) -> str:
    """A text's first `most` letters, spelled out: a refusal as long as the file is no sentence."""
    return spelled(text[:most]) + ("…" if len(text) > most else "")


def quoted(value: object) -> str:
    """How a refusal quotes what it got: the start of it, in quotation marks."""
    return f"'{start_of(str(value))}'"


def has_half_letter(text: str) -> bool:
    """Whether JSON smuggled in a lone surrogate, which nothing can encode."""
    return _HALF_LETTER.search(text) is not None


def json_text(document: Any, *, indent: int | None = None) -> str:
    r"""A document as JSON, letters as they are, and as `\u001b` what a terminal would obey."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(_in_json(letter) for letter in text)


def _in_json(letter: str) -> str:
    """What is not printable stands inside of a string, but for the ends of lines."""
    if letter == "\n" or letter.isprintable():
        return letter
    return json.dumps(letter)[1:-1]
