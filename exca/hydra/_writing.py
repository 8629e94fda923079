"""Configs as the YAML that Hydra writes beside a job, at a part of the cost.

The points of a sweep differ in a few values, and most of their ``hydra.yaml`` is the same text. Each section is
written once for each content it has. What is written is what ``OmegaConf.to_yaml`` writes, to the letter.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import yaml
from omegaconf._utils import get_omega_conf_dumper

__all__ = ["yaml_of"]

_ORDINARY = re.compile(r"(?:[ -\[\]-~]|\\n|\\'|\\\\)*")
"""The text form of data without characters that YAML may have to escape."""

_MOST_TEXTS = 2_000
_texts: dict[tuple[str | None, str], str] = {}


def yaml_of(data: Any, beneath: str | None = None) -> str:
    """Return the YAML of plain data.

    Parameters
    ----------
    data
        Of None, bool, int, float, str, bytes, paths, lists and dicts.
    beneath
        A key to put a dict under.
    """
    if not isinstance(data, dict) or not data:
        return _dumped(data if beneath is None else {beneath: data})
    sections = [_section(key, value, beneath) for key, value in data.items()]
    return "".join(sections if beneath is None else [f"{beneath}:\n", *sections])


def _section(key: Any, value: Any, beneath: str | None) -> str:
    """The lines of one key; where it stands decides how long lines are folded."""
    content = (beneath, repr((key, value)))  # tells 1 from 1.0 and True
    known = _texts.get(content)
    if known is None:
        known = _dumped({key: value} if beneath is None else {beneath: {key: value}})
        if beneath is not None:
            known = known.partition("\n")[2]
        if len(_texts) < _MOST_TEXTS:
            _texts[content] = known
    return known


def _dumped(data: Any) -> str:
    dumper = _dumper() if _ORDINARY.fullmatch(repr(data)) else get_omega_conf_dumper()
    text: str = yaml.dump(data, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=dumper)
    return text


@functools.cache
def _dumper() -> Any:
    """OmegaConf's own dumper, written in C where PyYAML has it; the two differ in what they escape."""
    python = get_omega_conf_dumper()
    if not hasattr(yaml, "CDumper"):
        return python

    class Dumper(yaml.CDumper):
        """Knows which texts OmegaConf puts in quotes."""

    represent_text: Any = python.str_representer  # which takes dumpers of either kind
    Dumper.add_representer(str, represent_text)
    return Dumper
