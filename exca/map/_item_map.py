"""One map: a config and its method over items, with the results that are kept of it."""

from __future__ import annotations

import functools
import os
import shutil
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from exca.cachedict import CacheDict
from exca.errors import InvalidInfra, ResultNotFound, WrongNumberOfResults
from exca.map._calling import results_of, wants_stream
from exca.map._claims import Claims, FolderClaims, MemoryClaims, Registry
from exca.map._drain import Drain, enclosing
from exca.map._here import compute_here, compute_nested, wait_for_others
from exca.map._keys import ItemRules, warn_of_collisions
from exca.map._marks import Marks
from exca.map._opening import open_folder, prepare_folder
from exca.map._progress import progress_of
from exca.map._reading import read
from exca.map._settings import MapSettings
from exca.map._work import Work
from exca.map._workers import compute_elsewhere, temporary_home
from exca.task import Computation, Method

__all__ = ["ItemMap"]

BY_CALLER: Final = frozenset({None, "debug"})
IN_THREADS: Final = "threadpool"


class ItemMap(Computation):
    """A config and its method over items.

    Parameters
    ----------
    config, method, settings, exclude: see `exca.task.Computation`.
    rules: how items are named and stored.
    """

    settings: MapSettings

    def __init__(
        self,
        config: BaseModel,
        method: Method,
        settings: MapSettings,
        exclude: Callable[[], Collection[str]],
        rules: ItemRules,
    ) -> None:
        super().__init__(config, method, settings, exclude)
        self.rules = rules
        self._cache: CacheDict[Any] | None = None
        self._registry = Registry()
        self._renewed: set[str] = set()
        self._checked = False
        self._prepared = False

    # ------------------------------------------------------------------ places

    @functools.cached_property
    def home(self) -> str | None:
        """Folder of this map: results, claims and manifests; None without a folder."""
        return None if self.entry is None else str(self.entry.path)

    @property
    def place(self) -> object:
        """Names where results go: equal for all configs that share it."""
        return self.home or self

    @property
    def has_cache(self) -> bool:
        """Whether results are kept at all."""
        return self.settings.folder is not None or self.settings.keep_in_ram

    @property
    def cache(self) -> CacheDict[Any]:
        """The results, by item uid.

        Raises
        ------
        InvalidInfra
            if none are kept.
        """
        if not self.has_cache:
            raise InvalidInfra(f"{self.method.title} keeps no results: set infra.folder, or infra.keep_in_ram")
        if self._cache is None:
            with self._registry.lock:  # one for all threads: what is in RAM is nowhere else
                if self._cache is None:
                    self._cache = self.cache_in(self.home, keep_in_ram=self.settings.keep_in_ram)
        return self._cache

    def cache_in(self, home: str | None, *, keep_in_ram: bool) -> CacheDict[Any]:
        """A cache of such results in a folder, or in RAM."""
        folder = None if home is None else os.path.join(home, "items")
        return CacheDict(
            folder,
            keep_in_ram=keep_in_ram or folder is None,
            cache_type=self.rules.cache_type,
            permissions=self.settings.permissions,
        )

    def claims_in(self, home: str | None) -> Claims:
        """A new claimant of items."""
        if home is None:
            return MemoryClaims(self._registry)
        return FolderClaims(os.path.join(home, "claims"), self.settings.permissions)

    # ------------------------------------------------------------------ results

    def results(self, items: Iterable[Any]) -> Iterator[Any]:
        """One result for each item, in order. When this returns, all are computed; they are read one by one.

        Raises
        ------
        ResultNotFound
            mode "read-only", and some are missing.
        UnstableIdentity
            an item has no name.
        Exception
            what the method raised.
        """
        self.identity  # noqa: B018 - refuses a config that was changed in place
        items = self._listed(items)
        parent = enclosing(self.place)
        if parent is not None:
            return self._nested(items, parent)
        cluster = self.settings.cluster
        if not self.has_cache:
            self._refuse_read_only_without_cache()
            if cluster in BY_CALLER:
                return self._uncached(items)
        keys = self.rules.keys(items, self.method.title)
        if not self.has_cache:
            return self._in_temporary(dict(zip(keys, items, strict=True)), keys)
        self._check()
        missing = self._missing(keys)
        if missing:
            named = dict(zip(reversed(keys), reversed(items), strict=True))
            if len(named) < len(keys):
                warn_of_collisions(keys, items, named, self.method.title)
            self._compute(missing, named, len(keys))
        return read(self.cache, keys, self.method.title)

    def _listed(self, items: Iterable[Any]) -> Sequence[Any]:
        if isinstance(items, (list, tuple)):
            return items
        # The letters of a text, or the names of a table's columns, are hardly ever what is meant.
        is_one = isinstance(items, (str, bytes)) or hasattr(items, "columns")
        if is_one or not (hasattr(items, "__iter__") or hasattr(items, "__getitem__")):
            raise TypeError(
                f"{self.method.title} takes many items (a list, a generator, ...), not {items!r:.200} of type "
                f"{type(items).__qualname__}: a single one goes into a list, the rows of a table too"
            )
        return list(items)

    def _missing(self, keys: Sequence[str]) -> list[str]:
        if self.settings.mode != "force":
            return self.cache.missing(keys)
        self._renewed.difference_update(self.cache.missing(keys))  # what was deleted since is to be computed as well
        return [key for key in dict.fromkeys(keys) if key not in self._renewed]

    def _compute(self, missing: Sequence[str], items: dict[str, Any], asked: int) -> None:
        if self.settings.mode == "read-only":
            self._await_others(missing)
            return
        if asked == 1 and self.settings.forbid_single_item_computation:
            raise InvalidInfra(
                f"{self.method.title} would compute the single item {missing[0]!r}, which "
                "infra.forbid_single_item_computation does not allow: compute all items in one call first, or look "
                f"why this one is not among them. Results are in {self.home or 'RAM'}"
            )
        if not self._prepared and self.entry is not None:
            prepare_folder(self, self.entry)
            self._prepared = True
        force = self.settings.mode == "force"
        with progress_of(self.method.title, len(missing), len(items) - len(missing)) as advance:
            todo = {key: items[key] for key in missing}
            work = Work(
                self.place, self.home, self.config, self.function, todo, self.cache, force, self._renewed, advance
            )
            cluster = self.settings.cluster
            if cluster in BY_CALLER:
                compute_here(work, self.claims_in(work.home))
            elif self.home is None and cluster != IN_THREADS:
                self._compute_for_ram(work)
            else:
                compute_elsewhere(self, work)

    def _nested(self, items: Sequence[Any], parent: Drain) -> Iterator[Any]:
        """Results for the method itself, while it computes other items: here, and never waiting for anybody."""
        keys = self.rules.keys(items, self.method.title)
        cache = parent.work.cache
        missing = cache.missing(keys)
        if missing:
            named = dict(zip(reversed(keys), reversed(items), strict=True))
            todo = {key: named[key] for key in missing}
            compute_nested(Work(self.place, None, self.config, self.function, todo, cache), parent)
        return read(cache, keys, self.method.title)

    def _await_others(self, missing: Sequence[str]) -> None:
        """Read-only: what others are computing is waited for, anything else is refused."""
        work = Work(self.place, self.home, self.config, self.function, {}, self.cache)
        left = wait_for_others(work, Marks(), self.claims_in(self.home), missing)
        if left:
            shown = ", ".join(map(repr, left[:3])) + (", ..." if len(left) > 3 else "")
            raise ResultNotFound(
                f"{len(left)} items of {self.uid} are not stored in {self.home or 'RAM'}, and mode is 'read-only': "
                f"{shown}"
            )

    # ------------------------------------------------------------------ without a cache

    def _refuse_read_only_without_cache(self) -> None:
        if self.settings.mode == "read-only":
            raise ResultNotFound(f"{self.uid} has no folder to read from; set infra.folder")

    def _uncached(self, items: Sequence[Any]) -> Iterator[Any]:
        """Just call the method; the number of its results is checked on the way."""
        stream = iter(items) if wants_stream(self.function) else list(items)
        count = 0
        for result in results_of(self.function, self.config, stream):
            count += 1
            if count > len(items):
                break
            yield result
        if count != len(items):
            more = "more" if count > len(items) else "fewer"
            raise WrongNumberOfResults(f"{self.method.title} gave {more} results than items: {count} for {len(items)}")

    def _in_temporary(self, items: dict[str, Any], keys: Sequence[str]) -> Iterator[Any]:
        """Results of workers that are kept nowhere: in a folder that is removed when they have been read."""
        with progress_of(self.method.title, len(items), 0) as advance:
            work = self._temporary(items, advance)
            compute_elsewhere(self, work)
        return read(work.cache, keys, self.method.title)

    def _compute_for_ram(self, work: Work) -> None:
        """Results of other processes that are kept in the RAM of this one: they come by a folder."""
        passing = self._temporary(work.items, work.advance)
        try:
            compute_elsewhere(self, passing)
        finally:  # what is there of an incomplete run, too
            missing = frozenset(passing.cache.missing(work.items))
            stored = [key for key in work.items if key not in missing]
            for key, value in zip(stored, passing.cache.iter_many(stored), strict=True):
                work.cache[key] = value
            if work.force:
                work.renewed.update(stored)

    def _temporary(self, items: Mapping[str, Any], advance: Callable[[int], object]) -> Work:
        """Work whose results are kept for this call alone; its folder goes when nobody holds its cache any more."""
        home = None if self.settings.cluster == IN_THREADS else temporary_home()
        cache = self.cache_in(home, keep_in_ram=False)
        if home is not None:
            weakref.finalize(cache, shutil.rmtree, home, ignore_errors=True)
        return Work(self.place, home, self.config, self.function, items, cache, advance=advance)

    # ------------------------------------------------------------------ checks

    def _check(self) -> None:
        """Once: does what is stored belong to this config, these defaults, this code?"""
        if self._checked:
            return
        if self.entry is not None:
            open_folder(self, self.entry, self.claims_in(self.home))
        self._checked = True
