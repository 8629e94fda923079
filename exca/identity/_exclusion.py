"""Which fields are left out of an identity: dotted names, and what a class says about itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from exca.errors import ConfigError

EXCLUDE_ATTRIBUTE = "_exclude_from_cls_uid"


@dataclass(frozen=True, slots=True, eq=False)
class Exclusion:
    """Names left out at one level, and exclusions for the levels below.

    Attributes
    ----------
    names:
        fields left out altogether.
    below:
        what to leave out inside other fields.
    prefix:
        dotted path of this level with a dot at its end, for messages.
    """

    names: frozenset[str] = frozenset()
    below: Mapping[str, Exclusion] = field(default_factory=dict)
    prefix: str = ""

    def __bool__(self) -> bool:
        return bool(self.names or self.below)

    def paths(self) -> list[str]:
        """The dotted names this exclusion was made of, relative to its level."""
        inner = [f"{name}.{path}" for name, below in self.below.items() for path in below.paths()]
        return [*self.names, *inner]

    def joined(self, other: Exclusion) -> Exclusion:
        """Leave out what either of the two leaves out."""
        if not self or not other:
            return self or other
        return parse(tuple(sorted({*self.paths(), *other.paths()})), self.prefix or other.prefix)


NOTHING = Exclusion()


def parse_exclude(exclude: Collection[str]) -> Exclusion:
    """The exclusion meant by field names and dotted paths."""
    if not exclude:
        return NOTHING
    return parse((exclude,) if isinstance(exclude, str) else tuple(exclude))


@functools.lru_cache(maxsize=512)
def parse(paths: tuple[str, ...], prefix: str = "") -> Exclusion:
    """The exclusion meant by dotted paths; a whole field wins over parts of it."""
    names = frozenset(path for path in paths if "." not in path)
    deeper: dict[str, list[str]] = {}
    for path in paths:
        head, dot, rest = path.partition(".")
        if dot and head not in names:
            deeper.setdefault(head, []).append(rest)
    below = {head: parse(tuple(rest), f"{prefix}{head}.") for head, rest in deeper.items()}
    return Exclusion(names, below, prefix)


def check_names(exclusion: Exclusion, known: Collection[str], owner: str) -> None:
    """Refuse names that no field has: a misspelt exclusion would exclude nothing.

    Raises
    ------
    ConfigError
        with the closest existing name.
    """
    for name in (*exclusion.names, *exclusion.below):
        if name in known:
            continue
        import difflib  # only needed on the way to an error

        close = difflib.get_close_matches(name, list(known), n=1)
        hint = f" Did you mean '{exclusion.prefix}{close[0]}'?" if close else ""
        fields = ", ".join(sorted(known)) or "none"
        raise ConfigError(
            f"Cannot exclude '{exclusion.prefix}{name}' from the uid: {owner} has no field '{name}'.{hint} "
            f"Its fields: {fields}."
        )


def depends_on_instance(cls: type[BaseModel]) -> bool:
    """Whether the exclusions of a class may differ from instance to instance."""
    if (
        EXCLUDE_ATTRIBUTE in cls.__private_attributes__
    ):  # assigned without ClassVar: pydantic made it a private attribute
        return True
    hook = inspect.getattr_static(cls, EXCLUDE_ATTRIBUTE, None)
    return inspect.isfunction(hook) or isinstance(hook, property)


def own_exclusion(source: BaseModel | type[BaseModel]) -> Exclusion:
    """What a class (or one instance, where it depends on it) excludes from its own identity."""
    hook: object = getattr(source, EXCLUDE_ATTRIBUTE, ())
    names = hook() if callable(hook) else hook
    if isinstance(names, str) or not isinstance(names, Iterable):
        owner = source if isinstance(source, type) else type(source)
        raise ConfigError(
            f"{owner.__qualname__}.{EXCLUDE_ATTRIBUTE} must be (or return) a sequence of field names, not {names!r}."
        )
    return parse(tuple(names))
