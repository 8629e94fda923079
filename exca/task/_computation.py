"""A config and one of its methods: what the computation is called, what describes it, where its results live."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from pydantic import BaseModel

from exca import provenance
from exca.errors import ConfigChanged
from exca.identity import Identity, computation_name, config_digest, dump_yaml, export, identify
from exca.store import Entry, FolderStore, Store
from exca.task._home import absolute
from exca.task._method import Method, Settings

__all__ = ["Computation"]


class Computation:
    """A config and one of its methods.

    Parameters
    ----------
    config: the validated model; sealed once the uid is computed.
    method: which computation.
    settings: where results live and who computes.
    exclude: fields of the config that do not enter the uid.
    """

    def __init__(
        self, config: BaseModel, method: Method, settings: Settings, exclude: Callable[[], Collection[str]]
    ) -> None:
        self.config = config
        self.method = method
        self.settings = settings
        self.function = method.function
        self._exclude = exclude
        self._excluded: tuple[str, ...] | None = None
        self._identity: Identity | None = None
        self._uid: str | None = None
        self._entry: Entry | None = None

    # ------------------------------------------------------------------ names

    @property
    def sealed(self) -> bool:
        """Whether the uid was computed, so that the config must not change any more."""
        return self._identity is not None

    @property
    def identity(self) -> Identity:
        """Digests of the config.

        Raises
        ------
        ConfigChanged
            if a value inside the config was changed in place since the first look.
        """
        known = self._identity
        if known is None:
            known = self._identity = identify(self.config, exclude=self.excluded)
        elif known.mutable:
            self.check_unchanged()
        return known

    @property
    def uid(self) -> str:
        """``module.Class.method,version/readable-hash``."""
        identity = self.identity
        if self._uid is None:
            name = computation_name(self.method.owner, self.method.name, self.settings.version)
            self._uid = f"{name}/{identity.name}"
        return self._uid

    @property
    def excluded(self) -> tuple[str, ...]:
        """Fields that do not enter the uid."""
        if self._excluded is None:
            field = self.method.field
            self._excluded = (*(() if field.startswith("_") else (field,)), *self._exclude())
        return self._excluded

    def check_unchanged(self) -> None:
        """Look again whether the config is what it was when its uid was computed.

        Raises
        ------
        ConfigChanged
            if it is not.
        """
        known = self._identity
        if known is not None and config_digest(self.config, exclude=self.excluded) != known.digest:
            raise ConfigChanged(
                f"a value inside {self.method.owner.__qualname__} was changed in place after its uid was computed "
                f"({known.name}). Build another config instead: infra.clone_obj(...) or model_copy(update=...)."
            )

    def facts(self) -> dict[str, Any]:
        """What is stored beside the result, to be compared with when it is read."""
        identity = self.identity
        code = provenance.code_fingerprint(self.method.owner, self.method.function)
        return {"digest": identity.digest, "full_digest": identity.full_digest, "code": code}

    def manifests(self) -> dict[str, str]:
        """The three YAML files that say what is computed."""
        excluded = self.excluded
        return {
            "config.yaml": dump_yaml(export(self.config)),
            "full-uid.yaml": dump_yaml(export(self.config, uid=True, exclude=excluded)),
            "uid.yaml": dump_yaml(export(self.config, uid=True, exclude_defaults=True, exclude=excluded)),
        }

    # ------------------------------------------------------------------ places

    @property
    def store(self) -> Store | None:
        """Where results live; None without a folder."""
        folder = self.settings.folder
        return None if folder is None else FolderStore(absolute(folder), self.settings.permissions)

    @property
    def entry(self) -> Entry | None:
        """The place of this uid; None without a folder."""
        if self._entry is None:
            store = self.store
            self._entry = None if store is None else store.entry(self.uid)
        return self._entry
