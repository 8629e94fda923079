"""How a method of a config becomes a computation, and how an infra knows the config it belongs to.

Pydantic copies, pickles and compares models by their fields, so nothing here is a field: the task of a config sits in
a slot of its infra, which no copy carries along, and names the config it was made for. Whoever finds a task made for
another config makes a new one; a copy can therefore never answer with the result of its original.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, model_validator

from exca.errors import InvalidInfra
from exca.infra._declared import Applied, method_of, overridden
from exca.infra._fields import BaseInfra
from exca.infra._sealing import forget_derived, guard_assignments
from exca.task import Computation, Method, Task

__all__ = [
    "bound_infra",
    "computation_of",
    "declare",
    "default_infra",
    "install_declared",
    "make_computation",
    "task_of",
]


def computation_of(config: BaseModel, field: str) -> Computation:
    """The computation of a config's infra.

    Raises
    ------
    InvalidInfra
        if there is no infra.
    InfraNotBound
        if no method was applied to it.
    """
    infra = bound_infra(config, field)
    if infra is None:
        raise InvalidInfra(f"{type(config).__qualname__}.{field} is None: give it an infra, {{}} for the defaults")
    computation: Computation = infra.bound()
    return computation


def task_of(config: BaseModel, field: str) -> Task:
    """The task of a config's `TaskInfra`; raises as `computation_of`."""
    task = computation_of(config, field)
    assert isinstance(task, Task), f"{field} is not the infra of a task"
    return task


def bound_infra(config: BaseModel, field: str, *, fresh: bool = False) -> Any:
    """The infra of that config, made its own if it came from a copy, a dict or an assignment.

    Parameters
    ----------
    config: whose infra.
    field: name of the infra's field or private attribute.
    fresh: whether validation made the config just now, so that nobody else holds its infra.
    """
    raw = _read(config, field)
    task = getattr(raw, "_task", None)
    if raw is None or (task is not None and task.config is config):
        return raw
    method = method_of(type(config), field)
    forget_derived(config)
    infra = _own(raw, config, field, shared=task is not None or (method is not None and not fresh))
    if method is not None:
        object.__setattr__(infra, "_task", make_computation(config, infra, method))
    return infra


def make_computation(config: BaseModel, infra: BaseInfra, method: Method) -> Computation:
    """A computation without any state."""
    return infra._make(config, method, functools.partial(_excluded, config, method))


def _own(raw: Any, config: BaseModel, field: str, *, shared: bool) -> BaseInfra:
    """The infra that becomes this config's: a copy if somebody else may hold it, with what the class sets."""
    default = default_infra(type(config), field)
    if not isinstance(raw, BaseInfra):  # somebody assigned a dict
        infra = type(default or BaseInfra()).model_validate(raw)
    else:
        # Pydantic hands out the default itself, as it can be hashed: no config may change it for the others.
        infra = raw.__deepcopy__() if shared or raw is default else raw
    seed(infra, default)
    if infra is not raw:
        _write(config, field, infra)
    return infra


def _excluded(config: BaseModel, method: Method) -> Collection[str]:
    applied = getattr(getattr(method.owner, method.name), "__exca_applied__")  # noqa: B009 - mangling-free and typed
    rule = applied.exclude
    if isinstance(rule, str):
        name = rule.removeprefix("method:")
        if name == rule or not hasattr(config, name):
            raise InvalidInfra(
                f"exclude_from_cache_uid={rule!r} of {method.owner.__qualname__}.{method.name}: a string must be "
                "'method:<name>' of a method of the config; for one field write a list"
            )
        return tuple(getattr(config, name)())
    return tuple(rule(config) if callable(rule) else rule)


# ---------------------------------------------------------------------- classes


def adopt(cls: type[BaseModel]) -> None:
    """What a class needs, and every subclass of it again, before there are configs: unpickling makes them unseen.

    Only the class itself is changed: a mixin may serve models without an infra as well.
    """
    for name, applied in overridden(cls).items():
        setattr(cls, name, applied.wrap())
    guard_assignments(cls)
    if "__pydantic_init_subclass__" in vars(cls):  # it may not call its parent's
        _hook_subclasses(cls)


def _hook_subclasses(owner: type[BaseModel]) -> None:
    """Have `adopt` called for subclasses, after what the owner defines or inherits for them."""
    own = vars(owner).get("__pydantic_init_subclass__")
    if hasattr(getattr(own, "__func__", None), "__exca_hook__"):
        return

    def __pydantic_init_subclass__(cls: type[BaseModel], /, **kwargs: Any) -> None:
        if own is None:
            super(owner, cls).__pydantic_init_subclass__(**kwargs)  # type: ignore[misc]
        else:
            own.__get__(None, cls)(**kwargs)
        adopt(cls)

    __pydantic_init_subclass__.__exca_hook__ = True  # type: ignore[attr-defined]
    owner.__pydantic_init_subclass__ = classmethod(__pydantic_init_subclass__)  # type: ignore[assignment]


def declare(infra: BaseInfra, owner: type[BaseModel], field: str) -> None:
    """Called while the class that declares an infra is made: prepare it before pydantic builds its schema.

    Raises
    ------
    InvalidInfra
        if the class is no pydantic model. Python 3.11 shows it as the cause of a RuntimeError.
    """
    if not issubclass(owner, BaseModel):
        raise InvalidInfra(
            f"{owner.__qualname__}.{field} is an infra, and {owner.__qualname__} is not a pydantic model: a uid is "
            "made of a model's fields. Make it a subclass of pydantic.BaseModel"
        )
    applied: Applied | None = getattr(infra, "_applied", None)
    if applied is not None:
        applied.field = field
    owner.model_config.setdefault("extra", "forbid")
    guard_assignments(owner)
    _hook_subclasses(owner)

    def prepare(self: BaseModel) -> BaseModel:
        """After validation: the infra belongs to this config, with what the class's infra sets and it does not."""
        install_declared()
        bound_infra(self, field, fresh=True)
        return self

    setattr(owner, f"_exca_prepare_{field}", model_validator(mode="after")(prepare))
    _DECLARED.append((owner, field))


_DECLARED: list[tuple[type[BaseModel], str]] = []


def install_declared() -> None:
    """Give classes whose fields pydantic has collected the access that binds.

    Pydantic takes a field's default from the class right after ``__set_name__``, and asks for the schema of the infra
    right after that: this is called then. A private attribute has no schema: for it, before the first instance is
    handed out.
    """
    while _DECLARED:
        owner, field = _DECLARED.pop()
        setattr(owner, field, _InfraAccess(field))


class _InfraAccess:
    """``config.infra``: a data descriptor, so that it comes before the instance's own value.

    On the class it behaves as if it were not there, as pydantic expects of a field.
    """

    def __init__(self, field: str) -> None:
        self.field = field

    def __get__(self, config: BaseModel | None, owner: type | None = None) -> Any:
        if config is None:
            raise AttributeError(self.field)
        try:
            return bound_infra(config, self.field)
        except KeyError:
            raise AttributeError(self.field) from None

    def __set__(self, config: BaseModel, value: Any) -> None:
        _write(config, self.field, value)


def seed(infra: BaseInfra, default: BaseInfra | None) -> None:
    """Copy the fields that were set on the class's default infra and not on this one."""
    if default is None or not isinstance(infra, type(default)):
        return
    for name in default.__pydantic_fields_set__ - infra.__pydantic_fields_set__:
        infra.__dict__[name] = default.__dict__[name]
        infra.__pydantic_fields_set__.add(name)


def default_infra(cls: type[BaseModel], field: str) -> BaseInfra | None:
    if field.startswith("_"):
        default = cls.__private_attributes__[field].get_default()
    else:
        default = cls.__pydantic_fields__[field].default
    return default if isinstance(default, BaseInfra) else None


def _read(config: BaseModel, field: str) -> Any:
    if field.startswith("_"):
        return (config.__pydantic_private__ or {})[field]
    return config.__dict__[field]


def _write(config: BaseModel, field: str, value: Any) -> None:
    if field.startswith("_"):
        assert config.__pydantic_private__ is not None
        config.__pydantic_private__[field] = value
    else:
        config.__dict__[field] = value
