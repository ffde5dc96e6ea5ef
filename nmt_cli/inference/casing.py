"""Text in capitals or without any, for a model that hardly knows such text: translated as it is usually written.

The translation is then written likewise; a capital on every word only if the target language writes headlines so.
"""

from collections.abc import Sequence
from typing import Literal

from nmt_cli.data.letter_case import (
    LetterCase,
    Truecaser,
    capitalize_start,
    capitalize_words,
    is_titled,
    share_of_words,
    upper_case,
)
from nmt_cli.data.sentences.splitter import SentenceSplitter
from nmt_cli.data.text_profile import TextProfile

MIN_KNOWN_SHARE = 0.05  # of the training lines must be written in a case for a model to know it
MIN_CAPITALS_SHARE = 0.2  # of the words of a text must be known in capitals alone for it to be like the training lines


class CaseHandler:
    """Brings text into the usual case for a run that does not know another, and its translation back."""

    def __init__(self, profile: TextProfile, mode: Literal["auto", "none"]) -> None:
        self.profile = profile
        self._source_splitter, self._target_splitter = profile.source_splitter(), profile.target_splitter()
        self._capitals_words = frozenset(profile.capitals_words)
        shares = profile.source_case._asdict()
        self._handled = {case for case, share in shares.items() if mode == "auto" and share < MIN_KNOWN_SHARE}

    def case_of(self, text: str) -> LetterCase | None:
        """The case of a source text that the model does not know; None where it is translated as it is."""
        if not self._handled:
            return None
        case = self.profile.truecaser.case_of(text)
        if case == "upper" and share_of_words(text, self._capitals_words) >= MIN_CAPITALS_SHARE:
            return None  # in small letters it would have words that the model never saw
        return case if case in self._handled else None

    def model_form(self, text: str) -> str:
        """A source text as the model is given it."""
        case, language = self.case_of(text), self.profile.source_language
        if self._handled and case in (None, "lower"):
            text = self.profile.truecaser.without_slips(text)
        if case is None:
            return text
        if case == "lower" and any(map(str.isupper, text)):
            return capitalize_start(text, language)
        return _usual_case(text, self.profile.truecaser, self._source_splitter, language)

    def written_form(self, source: str, translation: str) -> str:
        """A translation as the model writes it, before `restore`."""
        case, language = self.case_of(source), self.profile.target_language
        if case == "lower":
            sentences = [translation] if any(map(str.isupper, source)) else self._target_splitter.split(translation)
            return "".join(capitalize_start(sentence, language) for sentence in sentences)
        truecaser = self.profile.target_truecaser
        if case is None or not truecaser.forms:
            return translation
        return _usual_case(translation, truecaser, self._target_splitter, language)

    def restore_words(self, source: str, words: Sequence[str], prefix: str = "") -> list[str]:
        """The words of a translation as `restore` writes them."""
        restored = iter(self.restore(source, " ".join(words), prefix).split(" "))
        return [" ".join(next(restored) for _ in word.split(" ")) for word in words]

    def restore(self, source: str, translation: str, prefix: str = "") -> str:
        """The translation in the case of its source; a `prefix` at its beginning stays as it is."""
        case, language = self.case_of(source), self.profile.target_language
        if case is None or (case == "title" and not is_titled(language)):
            return translation
        start = len(prefix) if translation.startswith(prefix) else 0
        rest = translation[start:]
        if case == "lower":
            sentences = self._target_splitter.split(rest)
            first = 1 if prefix else 0
            end = 1 if any(map(str.isupper, source)) else len(sentences)
            lower_start = self.profile.target_truecaser.lower_start
            sentences[first:end] = [lower_start(sentence, language) for sentence in sentences[first:end]]
            return translation[:start] + "".join(sentences)
        return translation[:start] + (upper_case(rest, language) if case == "upper" else capitalize_words(rest))


def _usual_case(text: str, truecaser: Truecaser, splitter: SentenceSplitter, language: str | None) -> str:
    """Sentences in the usual case of their words."""
    return "".join(truecaser.usual_case(sentence, language) for sentence in splitter.split(text))
