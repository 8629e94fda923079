"""Secrets are told by their field before anything is composed, and kept out of every config and override.

Hydra writes configs and overrides to files, logs and names of folders. In their place stands the word
``exca-secret-<number>``; the value itself is known to this process, and to workers that a launcher gives
Hydra's singletons.
"""

from __future__ import annotations

import re
from typing import Any

from hydra.core.singleton import Singleton

__all__ = ["MASK", "Secrets", "is_word", "reveal", "without_secrets"]

MASK = "**********"
"""Stands for a secret in every message."""

_WORD = re.compile(r"exca-secret-(\d+)")


class Secrets(metaclass=Singleton):
    """The secrets of a process, numbered."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def keep(self, value: Any) -> str:
        """Return the word that stands for a secret: one for equal ones."""
        for number, known in enumerate(self._values):
            if type(known) is type(value) and known == value:
                return f"exca-secret-{number}"
        self._values.append(value)
        return f"exca-secret-{len(self._values) - 1}"

    def value(self, word: re.Match[str]) -> Any:
        """Return the secret that a word stands for; the word itself where there is none."""
        number = int(word[1])
        return self._values[number] if number < len(self._values) else word[0]


def is_word(text: str) -> bool:
    """Whether a text holds a word that stands for a secret."""
    return "exca-secret-" in text


def reveal(data: Any) -> Any:
    """Return plain data with secrets in the place of the words that stand for them."""
    if isinstance(data, dict):
        return {key: reveal(item) for key, item in data.items()}
    if isinstance(data, list):
        return [reveal(item) for item in data]
    if not isinstance(data, str) or not is_word(data):
        return data
    secrets, whole = Secrets.instance(), _WORD.fullmatch(data)
    return secrets.value(whole) if whole else _WORD.sub(lambda word: str(secrets.value(word)), data)


def without_secrets(text: str) -> str:
    """Return a text for people, with stars for what stands for secrets."""
    return _WORD.sub(MASK, text)
