"""The records of ``result.json`` and ``failure.json``: what must be in one, so that nothing read is taken on trust."""

from __future__ import annotations

import json
from typing import Any, Final

from exca.store._entry import Outcome

__all__ = ["FORMAT", "parse_record"]

FORMAT: Final = 1
_VALUE_FORMATS: Final = ("json", "json-file", "pickle")


def parse_record(text: bytes) -> Outcome:
    """The outcome that a record tells of.

    Raises
    ------
    ValueError
        saying what is wrong with it; also KeyError for what is missing.
    """
    record = json.loads(text)
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    if record["exca"] != FORMAT:
        raise ValueError(f"its format is {record['exca']!r}, and this version of exca reads {FORMAT}")
    _require(isinstance(record["facts"], dict), "facts")
    files = record["files"]
    _require(isinstance(files, list) and all(isinstance(name, str) for name in files), "files")
    status = record["status"]
    if status == "completed":
        _check_value(record)
    elif status == "failed":
        _check_error(record["error"])
    else:
        raise ValueError(f"its status is {status!r}")
    return Outcome(status, record["facts"], record)


def _check_value(record: dict[str, Any]) -> None:
    _require(record["format"] in _VALUE_FORMATS, "format")
    value = record["value"]
    _require(record["format"] == "json" or isinstance(value, str), "value")


def _check_error(error: Any) -> None:
    _require(isinstance(error, dict), "error")
    _require(all(isinstance(error[key], str) for key in ("type", "message", "traceback")), "error")
    _require(isinstance(error.get("notes", []), list), "error")


def _require(condition: bool, key: str) -> None:
    if not condition:
        raise ValueError(f"its {key!r} is not what was written")
