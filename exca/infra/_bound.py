"""What every infra with a method does: declaring, the config's names and folder, other configs of its class."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from exca.errors import InfraNotBound, InvalidInfra
from exca.identity import ConfDict
from exca.infra._binding import declare, install_declared, make_computation
from exca.infra._cloning import cloned
from exca.infra._declared import Applied
from exca.infra._fields import BaseInfra
from exca.infra._rebuilding import rebuilt
from exca.store import Entry
from exca.task import Computation

__all__ = ["BoundInfra"]


class BoundInfra(BaseInfra):
    """An infra that is applied to a method of the class that declares it.

    Parameters
    ----------
    **fields: see `exca.infra.BaseInfra` and `exca.infra.ExecutionFields`.
    """

    # ------------------------------------------------------------------ declaring

    def _register(self, applied: Applied) -> Callable[..., Any]:
        """Take note of the method that this infra is applied to, and return what stands in its place.

        Raises
        ------
        InvalidInfra
            if this infra was applied to another method before, or the method cannot be such a computation.
        """
        earlier: Applied | None = getattr(self, "_applied", None)
        if earlier is not None:
            raise InvalidInfra(
                f"this infra was applied to {earlier.function.__qualname__} already; "
                f"{applied.function.__qualname__} needs an infra field of its own"
            )
        applied.check()
        object.__setattr__(self, "_applied", applied)
        return applied.wrap()

    def __set_name__(self, owner: type[BaseModel], name: str) -> None:
        declare(self, owner, name)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        install_declared()
        return handler(source)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        known: Computation | None = getattr(self, "_task", None)
        if known is not None:  # a computation reads its infra once for some things: begin anew
            object.__setattr__(self, "_task", make_computation(known.config, self, known.method))

    # ------------------------------------------------------------------ the config and its names

    def bound(self) -> Computation:
        """The computation of the config that this infra belongs to.

        Raises
        ------
        InfraNotBound
            if it belongs to none.
        """
        known: Computation | None = getattr(self, "_task", None)
        if known is None:
            raise InfraNotBound(
                "this infra belongs to no config: reach it through a config whose class applies it to a method "
                "(config.infra), rather than through the class or on its own"
            )
        return known

    def config(self, uid: bool = True, exclude_defaults: bool = False) -> ConfDict:
        """Export the config.

        Parameters
        ----------
        uid: only what defines the computation (without excluded fields and infra).
        exclude_defaults: without the values that equal their default.
        """
        known = self.bound()
        excluded = known.excluded if uid else ()
        return ConfDict.from_model(known.config, uid=uid, exclude_defaults=exclude_defaults, exclude=excluded)

    def uid(self) -> str:
        """Name of the computation, ``module.Class.method,version/readable-hash``; the config is sealed from now on."""
        return self.bound().uid

    def uid_folder(self, create: bool = False) -> Path | None:
        """Folder of this uid; None without ``folder``. The method may keep checkpoints there.

        Parameters
        ----------
        create: make the folder, with its manifests.
        """
        known = self.bound()
        if known.entry is None:
            return None
        if create:
            known.entry.prepare(known.manifests())
        return known.entry.path

    # ------------------------------------------------------------------ other configs

    def clone_obj(self, *args: Mapping[str, Any], **kwargs: Any) -> Any:
        """A new config with some fields changed; nothing is shared with this one.

        Parameters
        ----------
        *args: mappings of (dotted) field names to values.
        **kwargs: field names to values.

        Examples
        --------
        >>> config.infra.clone_obj({"optim.lr": 0.2}, seed=3)
        """
        updates = ConfDict()
        for mapping in (*args, kwargs):
            updates.update(mapping)
        return cloned(self.bound().config, updates)

    def iter_cached(self) -> Iterator[Any]:
        """All configs of this class, method and version that have something stored in ``folder``.

        Yields
        ------
        config: rebuilt from its ``config.yaml``, with this infra. Configs that cannot be rebuilt from it (a secret,
            an object without a plain form, a class or default that has changed since) are left out, with one warning
            that counts them.
        """
        known = self.bound()
        if known.store is None:
            return
        settings = {name: value for name, value in self if name in self.model_fields_set}
        lost: list[Path | None] = []
        for entry in known.store.entries(known.uid.partition("/")[0]):
            if not self._is_stored(entry):
                continue
            config = rebuilt(known, settings, entry)
            if config is None:
                lost.append(entry.path)
            else:
                yield config
        if lost:
            warnings.warn(
                f"{len(lost)} stored results of {type(known.config).__qualname__} are left out: their folders do not "
                f"give back the config that was computed. The first is {lost[0]}",
                stacklevel=2,
            )

    @abstractmethod
    def _is_stored(self, entry: Entry) -> bool:
        """Whether an entry holds something that this infra would find."""

    def obj_infras(self) -> dict[str, BaseInfra]:
        """All infras of the config, by field name."""
        config = self.bound().config
        names = [*type(config).model_fields, *type(config).__private_attributes__]
        found = {name: getattr(config, name, None) for name in names}
        return {name: infra for name, infra in found.items() if isinstance(infra, BaseInfra)}
