"""A uid folder."""

from __future__ import annotations

import pathlib

import pytest

from exca.store import FolderEntry, FolderStore


@pytest.fixture
def entry(tmp_path: pathlib.Path) -> FolderEntry:
    entry = FolderStore(tmp_path / "cache").entry("m/a")
    entry.prepare({"uid.yaml": "x: 1\n"})
    return entry
