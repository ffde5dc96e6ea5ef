"""nmt models: every model and every option, explained from the code."""

import pytest

from nmt_cli.errors import UserError
from nmt_cli.models import MODELS
from nmt_cli.recipe.docs import model_options
from nmt_cli.yaml12 import parse_scalar


def test_the_summary_of_every_model_is_one_line() -> None:
    assert all(20 < len(model.summary) < 120 and "\n" not in model.summary for model in MODELS.values())


@pytest.mark.parametrize("name", list(MODELS))
def test_every_option_is_explained_with_its_default_as_a_recipe_writes_it(name: str) -> None:
    fields = MODELS[name].config_class.model_fields
    options = model_options(name)
    assert [key for key, _, _ in options] == [key for key in fields if key != "type"]
    for key, default, meaning in options:
        assert meaning and "\n" not in meaning, key
        value, expected = parse_scalar(default), fields[key].default
        assert value == expected and type(value) is type(expected), key


def test_options_that_are_words_name_them_all() -> None:
    meanings = {key: meaning for key, _, meaning in model_options("rnn")}
    assert meanings["attention"].endswith("none, additive, dot, general, concat, cosine.")
    assert meanings["cell"] == "Recurrent unit. One of: lstm, gru."


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError) as caught:
        model_options("lstm")
    assert str(caught.value) == f"no model 'lstm'; choose from {', '.join(MODELS)}"
