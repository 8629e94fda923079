"""What a ``workdir`` may say, beyond the name of a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from exca.execution import CodeCopy

__all__ = ["WorkDir"]


def _several(value: Any) -> Any:
    """One name is a list of one."""
    return [value] if isinstance(value, str | Path) else value


Patterns = Annotated[list[str], BeforeValidator(_several)]


class WorkDir(BaseModel):
    """Code that is copied at submission, and that the jobs run.

    Parameters
    ----------
    copied: folders, files, and names of packages that are installed in editable mode or lie on the import path.
        Relative paths keep their place in the copy, which is the current folder of the jobs; what is named by an
        absolute path, or as a package, lies at its top.
    includes: patterns of the files to copy, such as ``"*.py"``; for names, or for paths below what is copied. Empty:
        all that is code, which is what git tracks or does not ignore.
    excludes: patterns of files and folders that are left out.
    folder: where copies are kept, a disk that the workers see; None: beside the logs.

    Examples
    --------
    >>> infra = {"cluster": "slurm", "workdir": {"copied": ["mypackage", "scripts"], "excludes": ["*.ipynb"]}}
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    copied: Annotated[list[str | Path], BeforeValidator(_several), Field(min_length=1)]
    includes: Patterns = []
    excludes: Patterns = []
    folder: Path | None = None

    def to_code_copy(self) -> CodeCopy:
        """The same for the executors, hashable."""
        folder = None if self.folder is None else str(self.folder)
        return CodeCopy(_texts(self.copied), _texts(self.includes), _texts(self.excludes), folder)


def _texts(values: Iterable[str | Path]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
