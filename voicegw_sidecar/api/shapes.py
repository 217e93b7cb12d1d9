"""What the configuration's kinds take, as JSON schema: of a project's settings, of roster entries, of ids.

Made of the very kinds that check a value, so that what is described is what is checked. What one setting says about
another is not in it: that, `config.rule` alone knows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin

from msgspec import Struct, structs

from voicegw_sidecar import addressing
from voicegw_sidecar.config import entry as entries
from voicegw_sidecar.config import kind as kinds
from voicegw_sidecar.config.entry import LOCAL_SPELLINGS, LONGEST_ENTRY, RESERVED, Entry, ProjectId, ProviderId
from voicegw_sidecar.config.kind import Budget, EnvName, Maybe, Number, OneOf, Pattern, Seconds, Text, Whole, YesNo
from voicegw_sidecar.config.managed import FILE_ONLY, KEY_NAME, MOST_ENTRIES
from voicegw_sidecar.config.schema import FROM_KEY, Project, ProviderEntry
from voicegw_sidecar.operating.brands import FIELDS as BRAND_FIELDS
from voicegw_sidecar.terms import Modality

Schema = dict[str, Any]
_NULL: Schema = {"type": "null"}
_CONTROL = r"\u0000-\u001f\u007f-\u009f"
SESSION_ID: Schema = {"type": "string", "pattern": f"^{addressing.SESSION_IDS.pattern}$"}
_ID = entries.ID.pattern


@lru_cache
def new_project() -> Schema:
    """Return what ``POST /v1/projects`` takes: the settings, and the id."""
    found = {"title": "NewProject", **_section(Project, is_patch=False)}
    found["properties"] = {"project_id": of_kind(ProjectId()), **found["properties"]}
    return {**found, "required": ["project_id"]}


@lru_cache
def project_patch() -> Schema:
    """Return what ``PATCH /v1/projects/{id}`` takes: any of the settings, or null, which removes it."""
    found = {"title": "ProjectPatch", **_section(Project, is_patch=True)}
    same = {**of_kind(ProjectId()), "description": "The id in the address: a project cannot be renamed."}
    found["properties"] = {"project_id": same, **found["properties"]}
    return found


@lru_cache
def brand_changes() -> Schema:
    """Return what ``POST /api/projects/{id}/branding`` takes."""
    fields = {name: _NULL if kind is None else _or_null(of_kind(kind)) for name, kind in BRAND_FIELDS.items()}
    return {"title": "BrandChanges", "type": "object", "properties": fields, "additionalProperties": False}


def _section(cls: type[Struct], *, is_patch: bool) -> Schema:
    """Describe a Struct of the schema as the file's check walks it; what only the file may hold is left out."""
    properties: Schema = {}
    for field in structs.fields(cls):
        if FROM_KEY not in get_args(field.type) and (cls, field.name) not in FILE_ONLY:
            properties[field.encode_name] = _value(field.type, is_patch=is_patch)
    if cls is ProviderEntry:
        properties[KEY_NAME] = _or_null(of_kind(EnvName()))
    about = (cls.__doc__ or "").strip()
    return {"type": "object", "description": about, "properties": properties, "additionalProperties": False}


def _value(annotation: object, *, is_patch: bool) -> Schema:
    origin = get_origin(annotation)
    if origin is Annotated:
        leaf = of_kind(get_args(annotation)[1])
        return _or_null(leaf) if is_patch else leaf
    if origin is tuple:
        items = _value(get_args(annotation)[0], is_patch=False)  # a merge patch replaces a list as a whole
        return _or_null({"type": "array", "items": items, "maxItems": MOST_ENTRIES})
    if origin is dict:
        names, value = get_args(annotation)
        return _or_null({
            "type": "object", "propertyNames": of_kind(get_args(names)[1]),
            "additionalProperties": _or_null(_value(value, is_patch=is_patch)), "maxProperties": MOST_ENTRIES,
        })  # fmt: skip
    assert isinstance(annotation, type)
    return _or_null(_section(annotation, is_patch=is_patch))


def of_kind(kind: object) -> Schema:
    """Return what one kind of the configuration takes."""
    match kind:
        case Maybe():
            empty: Schema = {"const": ""}  # no text is nothing set
            return {"anyOf": [of_kind(kind.kind), _NULL, *([empty] if kind.takes_text else [])]}
        case YesNo():
            return {"type": "boolean"}
        case Whole():
            bounds = {"minimum": kind.low, "maximum": kind.high}
            return {"type": "integer", **bounds, "description": _sentence(kind.what)}
        case Number():
            lower = "exclusiveMinimum" if kind.above else "minimum"
            return {"type": "number", lower: kind.low, "maximum": kind.high, "description": _sentence(kind.what)}
        case Seconds() | Budget():
            return of_kind(kind.number)
        case OneOf():
            return {"type": "string", "enum": [word.value for word in kind.choices]}
        case Text():
            return _text(kind)
        case Pattern():
            pattern = f"^(?:{kind.pattern.pattern})$"
            return {"type": "string", "pattern": pattern, "description": _sentence(kind.what)}
        case Entry():
            return entry_schema(kind.modality)
        case EnvName():
            about = "The name of an environment variable of the sidecar."
            return {"type": "string", "pattern": f"^{kinds.ENV_NAME.pattern}$", "description": about}
        case ProjectId():
            return {"type": "string", "pattern": f"^{_ID}$"}
        case ProviderId():
            return {"type": "string", "pattern": f"^{_ID}$", "not": {"enum": sorted(RESERVED)}}
        case _:
            return {"type": "string"}


def _text(kind: Text) -> Schema:
    inside = _CONTROL.replace(r"\u0000-\u001f", r"\u0000-\u0008\u000b-\u001f") if kind.multiline else _CONTROL
    visible = rf"[^\s{_CONTROL}][^{inside}]*" if kind.shortest else ""
    pattern = f"^[^{inside}]*{visible}$"
    return {"type": "string", "minLength": kind.shortest, "maxLength": kind.longest, "pattern": pattern}


def entry_schema(modality: Modality) -> Schema:
    """Return what a roster entry of one modality may be: ``provider``, ``provider/model``, ``provider/model:voice``."""
    black, words = rf"[^\s{_CONTROL}]", "|".join(LOCAL_SPELLINGS)
    plain = rf"[^\s:{_CONTROL}]"
    if modality is Modality.LLM:
        model, local = f"{black}+", f"local/(?:(?:{words})|(?:{words})-{black}*)"
    else:
        model, local = f"(?:{plain}+|{black}+:{plain}+)", f"local/(?:{words})(?:-{plain}*)?(?::{plain}+)?"
    pattern = f"^(?:(?!local(?:/|$)){_ID}(?:/{model})?|{local})$"
    variant = {Modality.STT: "language", Modality.TTS: "voice"}.get(modality)
    about = "A provider, or provider/model" + ("." if variant is None else f", or provider/model:{variant}.")
    return {"type": "string", "maxLength": LONGEST_ENTRY, "pattern": pattern, "description": about}


def _or_null(schema: Schema) -> Schema:
    if _NULL in schema.get("anyOf", ()):
        return schema
    return {"anyOf": [schema, _NULL]}


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
