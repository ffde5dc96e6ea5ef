"""The tokenizers of both sides, as a run and prepared data have them. Imports no numpy."""

import hashlib
from pathlib import Path

from nmt_cli.data import SIDES
from nmt_cli.data.tokenization.imported import (
    VOCABULARY_FILE,
    ImportedTokenizer,
    ImportedTokenizerInfo,
    load_imported,
    save_imported,
)
from nmt_cli.data.tokenization.tokenizer import TextTokenizer
from nmt_cli.errors import DataError
from nmt_cli.vocabulary import SPAN_PLACEHOLDERS, Vocabulary


class Tokenizers:
    """The tokenizer of each side: one object if the vocabulary is joint.

    Imported tokenizers may be joint and still cut each language differently, and have other ids for special tokens;
    `imported` describes them.
    """

    def __init__(
        self, source: TextTokenizer, target: TextTokenizer, imported: ImportedTokenizerInfo | None = None
    ) -> None:
        self.source, self.target, self.imported = source, target, imported

    @property
    def joint(self) -> bool:
        """Whether both sides share a tokenizer."""
        return self.source is self.target

    @property
    def have_placeholders(self) -> bool:
        """Whether both have pieces for what must not change."""
        return all(
            tokenizer.backend.token_to_id(SPAN_PLACEHOLDERS[0]) is not None for tokenizer in (self.source, self.target)
        )

    @property
    def vocabulary(self) -> Vocabulary:
        """Sizes and special tokens for a model."""
        if self.imported is not None:
            return self.imported.vocabulary
        return Vocabulary(source_size=self.source.vocab_size, target_size=self.target.vocab_size, joint=self.joint)

    @classmethod
    def load(cls, folder: Path) -> "Tokenizers":
        """Read tokenizer.json, or tokenizer.source.json and tokenizer.target.json."""
        if (folder / VOCABULARY_FILE).exists():
            return cls(*load_imported(folder))
        if (folder / "tokenizer.json").exists():
            joint_tokenizer = TextTokenizer.load(folder / "tokenizer.json")
            return cls(joint_tokenizer, joint_tokenizer)
        paths = [folder / f"tokenizer.{side}.json" for side in SIDES]
        if not paths[0].exists():
            raise DataError(f"{folder}: no tokenizer.json here")
        return cls(TextTokenizer.load(paths[0]), TextTokenizer.load(paths[1]))

    def digest(self) -> str:
        """SHA-256 of both, equal if two runs encode text to the same ids."""
        serialized = [tokenizer.serialize() for tokenizer in (self.source, self.target)]
        return hashlib.sha256("\n".join(serialized).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write them as `load` reads them."""
        if self.imported is not None:
            assert isinstance(self.source, ImportedTokenizer)
            assert isinstance(self.target, ImportedTokenizer)
            save_imported(self.source, self.target, self.imported, folder)
            return
        if self.joint:
            self.source.save(folder / "tokenizer.json")
        else:
            self.source.save(folder / "tokenizer.source.json")
            self.target.save(folder / "tokenizer.target.json")
