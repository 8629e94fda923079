"""JSON Schema of a model's YAML files, by which editors complete and check them.

A file is no whole config: every key may be left out, any value may be an interpolation or ``???``, and a primary
config has a defaults list and a ``hydra`` node.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import CoreRef, GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from exca.discriminated import DiscriminatedModel
from exca.errors import ConfigError

from ._builder import schema_of
from ._fields import all_keys, forbids_extra, tree_keys
from ._forms import Form, classes, field_forms
from ._schema import Site
from ._suggestions import closest

__all__ = ["json_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "Interpolation"
_DEFAULTS = "Defaults"
_LABELS = ("title", "description", "default", "deprecated", "examples")


def json_schema(model: type[BaseModel], group: str | None = None) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the YAML files of an app.

    Parameters
    ----------
    model
        The experiment.
    group
        The config group that the files are of (``model``, ``optim/schedule``); None for primary configs and for
        files with ``# @package _global_``.

    Raises
    ------
    ConfigError
        The model has no such group.

    Examples
    --------
    >>> class Experiment(BaseModel):
    ...     lr: float = 0.1
    >>> list(json_schema(Experiment)["properties"])
    ['lr', 'defaults', 'hydra']
    """
    sites = _sites(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # defaults without a JSON form are not shown
        every = [each.__pydantic_core_schema__ for each in (model, *_families(model))]
        whole = _Generator(by_alias=False).generate(core_schema.tuple_schema(every))
    definitions = whole.pop("$defs", {})
    for definition in definitions.values():
        _loosen(definition)
    node = whole["prefixItems"][0] if group is None else {"anyOf": list(_members(model, group, sites, definitions))}
    definitions[_REFERENCE] = {"type": "string", "pattern": r"\$\{.*\}|^\?\?\?$"}
    definitions[_DEFAULTS] = _defaults_list(sites)
    return {"$schema": _DIALECT, **_as_file(node, definitions, primary=group is None), "$defs": definitions}


class _Generator(GenerateJsonSchema):
    """The schema of values as a tree takes them."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Give the fields by all their keys; forbid others unless the class says otherwise."""
        found, cls = super().model_schema(schema), schema["cls"]
        if found.get("type") != "object" or "properties" not in found:
            return found
        keys = tree_keys(cls)
        properties: dict[str, Any] = {}
        for name, field in found["properties"].items():
            others = all_keys(cls, name) if name in keys else []
            properties |= dict.fromkeys([keys.get(name, name), *others], field)
        found["properties"] = properties
        if forbids_extra(cls):
            found["additionalProperties"] = False
        return found

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        """List the members by value and by name."""
        found = super().enum_schema(schema)
        values = [getattr(member, "value", member) for member in schema["members"]]
        scalars = [value for value in values if isinstance(value, str | int | float)]
        return {"title": found.get("title", ""), "enum": list(dict.fromkeys([*scalars, *schema["cls"].__members__]))}

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        """List enum members by value and by name."""
        names = [value.name for value in schema["expected"] if hasattr(value, "name")]
        found = super().literal_schema(schema)
        return {"enum": [*found.get("enum", [found.get("const")]), *names]} if names else found

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        """Take a number of seconds as well as a text."""
        return {"anyOf": [super().timedelta_schema(schema), {"type": "string"}, {"type": "number"}]}

    def json_schema(self, schema: core_schema.JsonSchema) -> JsonSchemaValue:
        """Take what a field of JSON holds as well as the text of it."""
        held = self.generate_inner(schema["schema"]) if "schema" in schema else {}
        return {"anyOf": [held, {"type": "string"}]}

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """Let a file speak of a member that another names."""
        found = super().tagged_union_schema(schema)
        found.pop("discriminator", None)
        return {"anyOf": found.pop("oneOf"), **found} if "oneOf" in found else found

    def function_wrap_schema(self, schema: core_schema.WrapValidatorFunctionSchema) -> JsonSchemaValue:
        """List the classes of a family."""
        own = self.generate_inner(schema["schema"])
        cls = _class_of(schema["schema"])
        if cls is None or not issubclass(cls, DiscriminatedModel):
            return own
        references = [_reference(each) for each in cls.family().values()]
        return {"anyOf": [self.get_cache_defs_ref_schema(CoreRef(each))[1] for each in references if each is not None]}

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:  # noqa: ARG002
        """Let anything stand for what has no schema (functions, types)."""
        return {}


def _class_of(schema: Mapping[str, Any]) -> type | None:
    while "cls" not in schema and "schema" in schema:
        schema = schema["schema"]
    found = schema.get("cls")
    return found if isinstance(found, type) else None


def _reference(cls: type[BaseModel]) -> str | None:
    """Return pydantic's own name for a class in a schema."""
    schema: Mapping[str, Any] = cls.__pydantic_core_schema__
    while "ref" not in schema and "schema" in schema:
        schema = schema["schema"]
    found = schema.get("ref", schema.get("schema_ref"))
    return found if isinstance(found, str) else None


def _families(model: type) -> Iterator[type[DiscriminatedModel]]:
    """Yield every class of every family that a model, or one of them, has a field of."""
    seen: set[type] = set()
    pending = [Form(records=(model,))]
    while pending:
        form = pending.pop()
        pending += [each for each in (form.item, *form.fixed) if each is not None]
        for record in classes(form.records):
            if record not in seen:
                seen.add(record)
                pending += field_forms(record).values()
                if issubclass(record, DiscriminatedModel):
                    yield record


def _loosen(schema: Any) -> None:
    """Make every key of an object optional, and every value one that may be a reference."""
    if isinstance(schema, list):
        for item in schema:
            _loosen(item)
    if not isinstance(schema, dict):
        return
    schema.pop("uniqueItems", None)  # a set is written as a list
    for key in ("anyOf", "allOf", "oneOf", "prefixItems", "items", "additionalProperties"):
        _loosen(schema.get(key))
    if "properties" in schema:
        schema.pop("required", None)
        _loosen(list(schema["properties"].values()))
        schema["properties"] = {name: _or_reference(item) for name, item in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = _or_reference(schema[key])
    if "prefixItems" in schema:
        schema["prefixItems"] = [_or_reference(item) for item in schema["prefixItems"]]


def _or_reference(schema: dict[str, Any]) -> dict[str, Any]:
    labels = {key: schema[key] for key in _LABELS if key in schema}
    rest = {key: item for key, item in schema.items() if key not in _LABELS}
    return {"anyOf": [rest, {"$ref": f"#/$defs/{_REFERENCE}"}], **labels} if rest else schema


def _as_file(node: dict[str, Any], definitions: dict[str, Any], *, primary: bool) -> dict[str, Any]:
    """Return the schema of a whole file: that of its node, with a defaults list."""
    if "anyOf" in node:
        return {"anyOf": [_as_file(each, definitions, primary=primary) for each in node["anyOf"]]}
    node = dict(definitions[node["$ref"].rpartition("/")[2]]) if "$ref" in node else dict(node)
    properties = {**node.get("properties", {}), "defaults": {"$ref": f"#/$defs/{_DEFAULTS}"}}
    if primary:
        properties["hydra"] = {"type": "object", "description": "Hydra's own settings"}
    return {**node, "type": "object", "properties": properties}


def _members(
    model: type[BaseModel], group: str, sites: Mapping[str, list[Site]], definitions: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the schemas of the classes that an option of a group may be of."""
    if group not in sites:
        match = closest(group, list(sites))
        advice = f"did you mean {match}?" if match else f"it has {', '.join(sites) or 'none'}"
        raise ConfigError(f"{model.__name__} has no config group {group!r}: {advice}")
    names = {each.__name__: each for site in sites[group] for each in site.shape.members.values()}
    for name in names:
        yield {"$ref": f"#/$defs/{name}"} if name in definitions else {}


def _sites(model: type[BaseModel]) -> dict[str, list[Site]]:
    """Return the config groups of a model with their sites (members of a union may each have one of that name)."""
    found: dict[str, list[Site]] = {}
    pending = [schema_of(model).tree]
    while pending:
        for _, site in pending.pop().sites():
            found.setdefault(site.group, []).append(site)
            pending += [option.tree for option in site.options.values() if option.tree is not None]
    return found


def _defaults_list(sites: Mapping[str, list[Site]]) -> dict[str, Any]:
    """Return the schema of a defaults list; the options of the model's groups are offered, others allowed."""
    properties: dict[str, Any] = {}
    for group, found in sites.items():
        options = list(dict.fromkeys(name for site in found for name in site.options))
        choice = {"anyOf": [{"enum": options}, {"type": ["string", "null"]}, {"type": "array"}]}
        properties |= dict.fromkeys([group, f"/{group}", f"override {group}", f"override /{group}"], choice)
    entry = {"type": "object", "properties": properties, "minProperties": 1, "maxProperties": 1}
    return {"type": "array", "items": {"anyOf": [{"type": "string"}, entry]}}
