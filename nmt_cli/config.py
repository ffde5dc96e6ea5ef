"""What every section of a recipe has in common: frozen, strict, and no unknown keys."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section of a recipe.

    Values are never converted (a string is no number) and unknown keys are refused. The text under
    each field is its documentation: `nmt models show` and docs/recipes.md are made from it.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def non_default(self, *keys: str) -> list[str]:
        """Those of the keys whose value is not the default."""
        return [key for key in keys if getattr(self, key) != type(self).model_fields[key].default]

    def warnings(self) -> list[str]:
        """Options that do nothing, or hardly what was meant, each as `key: why`."""
        return []
