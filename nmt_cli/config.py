"""The base class of a recipe's sections, and how their keys changed between versions."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Precision = Literal["auto", "fp32", "bf16"]
"""Type to compute in; auto: what the machine is fast with."""


class Section(BaseModel):
    """One section of a recipe.

    Values are never converted (a string is no number) and unknown keys are refused. The text under
    each field is its documentation: `nmt models show` and docs/recipes.md are made from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    def non_default(self, *keys: str) -> list[str]:
        """The keys whose value is not the default."""
        return [key for key in keys if getattr(self, key) != type(self).model_fields[key].default]

    def warnings(self) -> list[str]:
        """Options that do nothing, or hardly what was meant, each as `key: why`."""
        return []


RENAMED_KEYS: dict[str, dict[str, str]] = {
    "corpus": {"join": "concatenate"},
    "tokenizer": {"variants": "subword_samples", "sampling": "subword_sampling"},
    "training": {
        "accumulate": "gradient_accumulation",
        "warmup": "warmup_updates",
        "average": "average_checkpoints",
        "average_decay": "ema_decay",
    },
    "search": {"guard": "repair_degenerate"},
}
"""Per section, each old name of a key that recipes may still use, and its name now."""

ADDED_KEYS: dict[str, dict[str, Any]] = {
    "corpus": {"max_bad_rows": 0.01, "placeholders": 0.0, "drop_overlap": "none", "filters": None},
    "training": {"augment": None, "export": True},
    "search": {"keep": "auto", "keep_patterns": [], "case": "auto", "unknown": "copy", "correct_typos": False},
}
"""Per section, each key that came later, and the value with which everything is as it was without the key."""

FORMER_VALUES: dict[str, dict[str, dict[str, Any]]] = {"search": {"split": {"sentences": True, "none": False}}}
"""Per section and key, values that were written in another way before."""


def present_form(section: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a section of any version under the present names of its keys, with those of added keys."""
    names = RENAMED_KEYS.get(section, {})
    present = {names.get(key, key): value for key, value in values.items()}
    return present | {key: value for key, value in ADDED_KEYS.get(section, {}).items() if key not in present}


def original_form(section: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a section under the first names of its keys, without added keys that change nothing.

    Fingerprints and hashes are taken of this form, so that a renamed or added key leaves them as they were.
    """
    added_keys, former_values = ADDED_KEYS.get(section, {}), FORMER_VALUES.get(section, {})
    first_names = {new: old for old, new in RENAMED_KEYS.get(section, {}).items()}
    return {
        first_names.get(key, key): former_values.get(key, {}).get(value, value) if isinstance(value, str) else value
        for key, value in values.items()
        if key not in added_keys or value != added_keys[key]
    }
