"""Which file systems belong to other machines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exca.store import _mounts as mounts

ROOT = "20 1 0:999 / / rw - ext4 /dev/root rw"


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., bool]]:
    """Whether a file is remote, given the lines of mountinfo."""

    def asked(*lines: str) -> bool:
        monkeypatch.setattr(Path, "read_text", lambda self: "\n".join(lines))
        mounts._is_remote.cache_clear()
        return mounts.is_remote(str(tmp_path / "file"))

    yield asked
    mounts._is_remote.cache_clear()


def test_by_the_number_of_the_device(tmp_path: Path, remote: Callable[..., bool]) -> None:
    device = os.stat(tmp_path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    assert remote(ROOT, f"21 20 {number} / /mnt rw shared:1 - nfs4 server:/home rw")
    assert remote(ROOT, f"21 20 {number} / /mnt rw - fuse.sshfs server:/home rw")
    assert not remote("19 1 0:9 / / rw - nfs4 server:/ rw", f"21 20 {number} / /mnt rw - xfs /dev/b rw")


def test_by_the_place_where_the_number_is_not_listed(tmp_path: Path, remote: Callable[..., bool]) -> None:
    btrfs = f"21 20 0:998 / {tmp_path.parent} rw - btrfs /dev/b rw"
    assert not remote(ROOT)
    assert not remote("19 1 0:9 / / rw - nfs4 server:/ rw", btrfs)
    assert remote(ROOT, btrfs.replace("btrfs", "lustre"))
    assert not remote(ROOT, f"22 20 0:9 / {str(tmp_path)[:-1]} rw - nfs4 server:/ rw")  # another folder's name
    assert remote("23 20 0:9 / /elsewhere rw - ext4 /dev/x rw")


def test_what_cannot_be_asked_may_be_remote(tmp_path: Path) -> None:
    assert mounts.is_remote(str(tmp_path / "missing" / "file"))
