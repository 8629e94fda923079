"""Takes the secrets of one model out of overrides and configs, before Hydra writes them anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import OverrideParseException
from omegaconf import AnyNode, DictConfig, ListConfig, Node, OmegaConf, read_write
from pydantic import BaseModel

from ._forms import Form, classes, field_forms
from ._grammar import text_of
from ._parsing import key_path, parse
from ._problems import Problem, raise_problems
from ._schema import Schema
from ._secrets import Secrets, is_word
from ._suggestions import closest
from ._text import MISSING, UNSHOWN

__all__ = ["Guard"]


class Guard:
    """Takes the secrets of one model out of what Hydra is given.

    Parameters
    ----------
    schema
        The schema of the model.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._root = (Form(records=(schema.model,)),)
        self._names = sorted(set(_secret_names(schema.model, set())))
        self._known: dict[str, tuple[Form, ...]] = {}

    def overrides(self, texts: Sequence[str]) -> list[str]:
        """Return overrides without the secrets that they set.

        Raises
        ------
        InvalidConfig
            The value of a secret is no value of the override grammar.
        """
        return [self._override(text) for text in texts] if self._names else list(texts)

    def config(self, cfg: DictConfig) -> None:
        """Take the secrets out of a composed config, and of what its sweeper varies."""
        if not self._names:
            return
        self._node(cfg, self._root)
        params = OmegaConf.select(cfg, "hydra.sweeper.params")
        for key, node in params.items_ex(resolve=False) if isinstance(params, DictConfig) else ():
            if isinstance(node, str) and isinstance(key, str):
                with read_write(params):
                    params[key] = self._override(f"{key}={node}").partition("=")[2]

    def _override(self, text: str) -> str:
        key, assigned, _ = text.partition("=")
        forms = self._at(key)
        if not assigned or not forms:
            return text
        try:
            (override,) = parse([text])
        except OverrideParseException:
            path = tuple(key.lstrip("+~").split("."))
            hint = f"""quote it: {key}="'...'\""""
            raise_problems(self._schema.model.__name__, [Problem(path, "Hydra cannot read this value", hint=hint)])
        if key_path(override) is None or override.is_delete():
            return text
        values = _values(override)
        hidden = [self._hidden(value, forms) for value in values or ()]
        return f"{key}={','.join(map(text_of, hidden))}" if values is not None and hidden != values else text

    def _at(self, key: str) -> tuple[Form, ...]:
        """Return the forms of what an override's key names, if there may be a secret in it."""
        known = self._known.get(key)
        if known is None:
            forms: Iterable[Form] = self._root
            path = key.lstrip("+~").split(".")
            for step in path:
                forms = _below(forms, step)
                if any(form.secret for form in forms):
                    break  # a key below a secret is a mistake, its value is none the less
            if not forms and closest(path[-1], self._names) is not None:
                forms = (Form(secret=True),)  # a mistyped name of a secret
            known = self._known[key] = tuple(form for form in forms if _holds_secret(form))
        return known

    def _hidden(self, value: Any, forms: Iterable[Form]) -> Any:
        forms = list(forms)
        if any(form.secret for form in forms) and self._is_secret(value):
            return Secrets.instance().keep(value)
        if isinstance(value, dict):
            return {key: self._hidden(item, _below(forms, str(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [self._hidden(item, [form.at(index) for form in forms]) for index, item in enumerate(value)]
        return value

    def _is_secret(self, value: Any) -> bool:
        """Whether a value is one, rather than a reference to it, the default, or none."""
        if isinstance(value, str):
            return not (is_word(value) or "${" in value or value in (MISSING, UNSHOWN, *self._schema.objects))
        return value is not None

    def _node(self, node: DictConfig | ListConfig, forms: Iterable[Form]) -> None:
        content = node._value()
        items: Iterable[tuple[Any, Node]] = ()
        if isinstance(content, dict | list):
            items = content.items() if isinstance(content, dict) else enumerate(content)
        for key, item in list(items):
            below = [form.at(key) for form in forms] if isinstance(key, int) else _below(forms, str(key))
            if not any(map(_holds_secret, below)):
                continue
            if isinstance(item, AnyNode):
                item._set_value(self._hidden(item._value(), below))
            elif isinstance(item, DictConfig | ListConfig):
                self._node(item, below)


def _below(forms: Iterable[Form], key: str) -> list[Form]:
    return [below for form in forms for below in form.below(key)]


def _values(override: Override) -> list[Any] | None:
    """Return the values of an override that sets one, or lists several; None for others."""
    if not override.is_sweep_override():
        return [override.value()]
    sweep = override._value
    if isinstance(sweep, ChoiceSweep) and not sweep.shuffle and not sweep.tags:
        return [Override._convert_value(item) for item in sweep.list]
    return None


def _holds_secret(form: Form) -> bool:
    """Whether a secret is a value of a form, or in one."""
    return _holds(form, frozenset())


def _holds(form: Form, seen: frozenset[type]) -> bool:
    if form.secret or any(_holds(each, seen) for each in (form.item, *form.fixed) if each is not None):
        return True
    records = [record for record in classes(form.records) if record not in seen]
    return any(_holds(each, seen | {*records}) for record in records for each in field_forms(record).values())


def _secret_names(model: type, seen: set[type]) -> Iterator[str]:
    """Yield the keys, anywhere in a model, that lead to secrets."""
    seen.add(model)
    for key, form in field_forms(model).items():
        parts = [form]
        for part in parts:
            parts += [each for each in (part.item, *part.fixed) if each is not None]
            if part.secret:
                yield key
            for record in classes(part.records):
                if record not in seen and issubclass(record, BaseModel):
                    yield from _secret_names(record, seen)
