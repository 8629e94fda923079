"""MapInfra: a method over many items, each computed once for each config."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar, cast

from pydantic import BaseModel

from exca.cachedict import CacheDict
from exca.errors import CorruptResult, InvalidInfra
from exca.infra._binding import computation_of
from exca.infra._bound import BoundInfra
from exca.infra._declared import Applied, ExcludeRule
from exca.infra._fields import PositiveInt
from exca.map import MIN_LENGTH, ItemMap, ItemRules, check_map_method, items_parameter
from exca.store import Entry
from exca.task import Method

__all__ = ["MapInfra"]

M = TypeVar("M", bound=Callable[..., Any])


class MapInfra(BoundInfra):
    """Runs a method over items, and keeps the result of each item: what was computed once is never computed again.

    Calling the method computes, here or elsewhere, those items that nobody has computed yet; when it returns, all are
    there. What it returns reads them one by one, in the order of the items.

    Parameters
    ----------
    keep_in_ram: also keep results in this process, for this config object.
    max_jobs: upper bound of workers, or jobs, that share the items of a call; None: no bound but ``max_workers``.
    min_samples_per_job: fewest items worth a worker of its own.
    forbid_single_item_computation: refuse to compute in a call for one item alone: a sign that results are asked for
        one by one which should have been computed together.
    **fields: see `exca.infra.BaseInfra` and `exca.infra.ExecutionFields`. Failures of items are not stored, so mode
        ``"retry"`` does what ``"cached"`` does. ``"force"`` computes each item again once per config.

    Examples
    --------
    >>> class Features(pydantic.BaseModel):
    ...     size: int = 12
    ...     infra: MapInfra = MapInfra(version="1")
    ...
    ...     @infra.apply(item_uid=str)
    ...     def process(self, paths: typing.Iterable[str]) -> typing.Iterator[np.ndarray]:
    ...         for path in paths:
    ...             yield extract(path, self.size)
    >>> for array in Features(infra={"folder": "cache"}).process(["a.wav", "b.wav"]):
    ...     print(array.shape)
    """

    keep_in_ram: bool = True
    max_jobs: PositiveInt | None = 128
    min_samples_per_job: PositiveInt = 1
    forbid_single_item_computation: bool = False

    def apply(
        self,
        method: Any = None,
        /,
        *,
        item_uid: Callable[[Any], str] | None = None,
        item_uid_max_length: int = 256,
        exclude_from_cache_uid: ExcludeRule = (),
        cache_type: str | None = None,
    ) -> Callable[[M], M]:
        """Decorate the method that computes the items.

        It takes the items, as its only argument, and yields (or returns in a list) one result for each, in order.
        Annotated as taking an ``Iterable`` or ``Iterator``, it is given a stream of items, and started once for as
        many as there are; annotated otherwise, or not at all, it is given lists.

        Parameters
        ----------
        item_uid: gives each item's name, under which its result is stored; ``str`` for numbers and strings.
        item_uid_max_length: longest name, in characters; longer ones are cut, and end in a hash of 128 bits.
        exclude_from_cache_uid: fields that do not change the results: a list of (dotted) names, a function of the
            config that returns one, or ``"method:<name>"`` of a method that does.
        cache_type: format of the results, see `exca.cachedict`; None: chosen by the type of each.

        Raises
        ------
        InvalidInfra
            if this infra was applied to another method before, the method cannot be a map, or `item_uid` is missing.
        """
        if method is not None or not callable(item_uid):
            raise InvalidInfra(
                "a map needs to know what its items are called: @infra.apply(item_uid=str), or another function that "
                "gives a string for an item"
            )
        if item_uid_max_length < MIN_LENGTH:
            raise InvalidInfra(
                f"item_uid_max_length={item_uid_max_length}: names need {MIN_LENGTH} characters or more"
            )
        rules = ItemRules(item_uid, item_uid_max_length, cache_type)

        def decorate(function: M) -> M:
            return cast("M", self._register(AppliedMap(function, exclude_from_cache_uid, rules=rules)))

        return decorate

    def bound_map(self) -> ItemMap:
        """The map of the config that this infra belongs to.

        Raises
        ------
        InfraNotBound
            if it belongs to none.
        """
        items = self.bound()
        assert isinstance(items, ItemMap)
        return items

    @property
    def cache_dict(self) -> CacheDict[Any]:
        """The stored results by item uid, in ``uid_folder()/items``, or in RAM without a folder.

        Raises
        ------
        InvalidInfra
            if there is no folder, and ``keep_in_ram`` is off.
        """
        return self.bound_map().cache

    def _make(self, config: BaseModel, method: Method, exclude: Callable[[], Collection[str]]) -> ItemMap:
        applied: AppliedMap = getattr(method.owner, method.name).__exca_applied__
        return ItemMap(config, method, self, exclude, applied.rules)

    def _is_stored(self, entry: Entry) -> bool:
        if entry.path is None:
            return False
        try:
            return bool(CacheDict(entry.path / "items"))  # items, not files: deleted ones leave some
        except CorruptResult:
            return True  # whoever reads it is told
        except PermissionError:
            return False  # somebody else's, and private


@dataclass(slots=True)
class AppliedMap(Applied):
    """What ``@infra.apply`` of a map was told."""

    rules: ItemRules = field(default_factory=lambda: ItemRules(str))

    kind: ClassVar[str] = "map"

    def check(self) -> None:
        # docstring inherited
        check_map_method(self.function)

    def wrap(self) -> Callable[..., Any]:
        # docstring inherited
        return _wrap(self)


def _wrap(applied: AppliedMap) -> Callable[..., Any]:
    """The user's method, answered from the cache; a plain function, see `exca.infra._task`."""
    function, name = applied.function, items_parameter(applied.function)

    @functools.wraps(function)
    def method(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        if len(args) == 1 and not kwargs:
            items = args[0]
        elif not args and kwargs.keys() == {name}:
            items = kwargs[name]
        else:
            return function(self, *args, **kwargs)  # type: ignore[no-any-return] # a TypeError in Python's own words
        found = computation_of(self, applied.field)
        assert isinstance(found, ItemMap)
        # super().process(items) in an override: the parent's code as a part of the computation, not a second one
        return found.results(items) if found.function is function else function(self, items)

    method.__exca_applied__ = applied  # type: ignore[attr-defined]
    return method
