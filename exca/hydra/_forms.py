"""What an annotation says about the plain data of a value, however deep: enums, secrets, models in lists and dicts.

Where a tree ends, in the value of one field, pydantic takes over. What it does not do is known here: take enum
members by name, notice a mistyped key of a model in a list, tell a secret before it is validated.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin
from weakref import WeakKeyDictionary

from pydantic import BaseModel, RootModel, Secret, SecretBytes, SecretStr

from exca.discriminated import DiscriminatedModel

from ._fields import all_keys, alternatives

__all__ = ["NO_FORM", "Form", "candidates", "classes", "field_forms", "form_of", "is_secret"]

_SECRETS = (SecretStr, SecretBytes, Secret)


@dataclass(frozen=True, slots=True)
class Form:
    """The form of plain data.

    Parameters
    ----------
    given
        Enum members by the type and value of what stands for them, where pydantic would not take that.
    secret
        Whether the value is a secret.
    records
        The classes with named fields (models, dataclasses, typed dicts) it may be.
    free
        Whether it may also be a dict of any keys.
    item
        The form of elements of a list or set, or of values of a dict.
    fixed
        The forms of the elements of a tuple.
    key
        The form of keys of a dict.
    """

    given: Mapping[tuple[type, Any], enum.Enum] = field(default_factory=dict)
    secret: bool = False
    records: tuple[type, ...] = ()
    free: bool = False
    item: Form | None = None
    fixed: tuple[Form, ...] = ()
    key: Form | None = None

    def at(self, index: int) -> Form:
        """Return the form of an element of a list."""
        return self.fixed[index] if index < len(self.fixed) else self.item or NO_FORM

    def below(self, key: str) -> Iterator[Form]:
        """Yield the forms that what stands under a key may have."""
        for record in classes(self.records):
            found = field_forms(record).get(key)
            if found is not None:
                yield found
        if self.item is not None:
            yield self.item
        if key.isdecimal() and int(key) < len(self.fixed):
            yield self.fixed[int(key)]


NO_FORM = Form()
"""The form of which nothing is known."""


def form_of(annotation: Any) -> Form:
    """Return the form of an annotation.

    Examples
    --------
    >>> form_of(dict[str, SecretStr]).item.secret
    True
    """
    return _form(annotation, frozenset())


def is_secret(annotation: Any) -> bool:
    """Whether a type is one of pydantic's secrets."""
    origin = get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, _SECRETS)


_fields: WeakKeyDictionary[type, dict[str, Form]] = WeakKeyDictionary()


def field_forms(record: type) -> dict[str, Form]:
    """Return the forms of the fields of a class, by every key that it may take them by."""
    known = _fields.get(record)
    if known is None:
        known = _fields[record] = {}  # a class may contain itself
        if issubclass(record, BaseModel):
            for name, info in record.model_fields.items():
                found = form_of(info.annotation)
                known.update(dict.fromkeys(all_keys(record, name), found))
        else:
            known.update({name: form_of(hint) for name, hint in typing.get_type_hints(record).items()})
    return known


def candidates(records: Iterable[type], data: Mapping[str, Any]) -> list[type]:
    """Return the classes that a dict may become: by the values of ``Literal`` fields, then by its keys."""
    tagged = [record for record in classes(records) if _agrees(record, data)]
    known = [record for record in tagged if all(key in field_forms(record) for key in data)]
    return known or tagged or list(classes(records))


def classes(records: Iterable[type]) -> Iterator[type]:
    """Yield some classes with those of their families, defined up to now."""
    for record in records:
        if issubclass(record, DiscriminatedModel) and record is not DiscriminatedModel:
            yield from record.family().values()
        else:
            yield record


def _agrees(record: type, data: Mapping[str, Any]) -> bool:
    """Whether the values that a class has fixed are those of a dict."""
    for name, info in record.model_fields.items() if issubclass(record, BaseModel) else ():
        if get_origin(info.annotation) is Literal:
            values = [getattr(value, "value", value) for value in get_args(info.annotation)]
            names = [value.name for value in get_args(info.annotation) if isinstance(value, enum.Enum)]
            if any(key in data and data[key] not in (*values, *names) for key in all_keys(record, name)):
                return False
    return True


def _form(annotation: Any, seen: frozenset[int]) -> Form:
    if id(annotation) in seen:  # a type alias that contains itself
        return NO_FORM
    seen |= {id(annotation)}
    kinds = [kind for kind, _ in alternatives(annotation)]
    forms = [found for kind in kinds if (found := _one(kind, seen)) != NO_FORM]
    if len(forms) <= 1 and not (forms and forms[0].given):
        return forms[0] if forms else NO_FORM
    texts = str in kinds
    return Form(
        given={} if texts else {key: member for each in reversed(forms) for key, member in each.given.items()},
        secret=any(each.secret for each in forms),
        records=tuple(dict.fromkeys(record for each in forms for record in each.records)),
        free=any(each.free for each in forms),
        item=_merged([each.item for each in forms]),
        fixed=next((each.fixed for each in forms if each.fixed), ()),
        key=_merged([each.key for each in forms]),
    )


def _merged(forms: Iterable[Form | None]) -> Form | None:
    return next((each for each in forms if each is not None and each != NO_FORM), None)


def _one(kind: Any, seen: frozenset[int]) -> Form:
    """Return the form of one type, no union."""
    origin, args = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        return Form(given=_of_literals(args))
    if origin in (Any, object):
        return Form(free=True)
    if not isinstance(origin, type):
        return NO_FORM
    if is_secret(kind):
        return Form(secret=True)
    if issubclass(origin, enum.Enum):
        return Form(given=_of_enum(origin))
    if issubclass(origin, RootModel):
        return _form(origin.model_fields["root"].annotation, seen)
    if issubclass(origin, BaseModel) or dataclasses.is_dataclass(origin) or typing.is_typeddict(origin):
        return Form(records=(origin,))
    if issubclass(origin, tuple) and args and args[-1] is not Ellipsis:
        return Form(fixed=tuple(_form(arg, seen) for arg in args))
    if issubclass(origin, Mapping):
        key, item = (_form(arg, seen) for arg in args) if len(args) == 2 else (NO_FORM, NO_FORM)
        return Form(free=True, key=key, item=item)
    if issubclass(origin, Iterable) and args:
        return Form(item=_form(args[0], seen))
    return NO_FORM


def _of_enum(kind: type[enum.Enum]) -> dict[tuple[type, Any], enum.Enum]:
    """Return the members by name, aliases too; a text that is a member's value is that member."""
    values = {member.value for member in kind if isinstance(member.value, str)}
    return {(str, name): member for name, member in kind.__members__.items() if name not in values}


def _of_literals(values: Iterable[Any]) -> dict[tuple[type, Any], enum.Enum]:
    """Return the enum members that a ``Literal`` lists, by value and by name: pydantic takes the member alone."""
    values = list(values)
    members = [value for value in values if isinstance(value, enum.Enum)]
    given = {(str, member.name): member for member in members}
    given |= {(type(member.value), member.value): member for member in members if _is_scalar(member.value)}
    return {key: member for key, member in given.items() if key not in [(type(value), value) for value in values]}


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)
