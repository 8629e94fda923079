"""Command line arguments of the form ``--key=value``."""

from __future__ import annotations

from collections.abc import Iterable

from exca.errors import InvalidConfig


def parse_arguments(arguments: Iterable[str]) -> dict[str, str]:
    """Keys and values of ``--key=value`` and ``--key value``; of a key given twice, the last.

    Raises
    ------
    InvalidConfig
        an argument without ``--`` before it, or without a value after it.

    Example
    -------
    >>> parse_arguments(["--optim.lr=0.1", "--name", "x"])
    {'optim.lr': '0.1', 'name': 'x'}
    """
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        key, equals, value = argument.partition("=")
        if not key.startswith("--") or len(key) == len("--"):
            raise InvalidConfig(f"Expected --key=value or --key value, found '{argument}'.")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise InvalidConfig(f"{key} has no value: write {key}=value or {key} value.")
            value = rest.pop(0)
        found[key.removeprefix("--")] = value
    return found
