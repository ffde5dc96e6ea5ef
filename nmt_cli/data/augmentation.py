"""Training text changed as people type it, so that a model is not surprised by capitals, typos and missing stops.

It happens while data are prepared: the changed text is tokenized once, and the training loop reads ids as ever. What is
done to a pair depends on corpus.seed, the copy and the pair alone.
"""

import random
from collections.abc import Collection, Sequence

from pydantic import Field

from nmt_cli.config import Section
from nmt_cli.data.config import CorpusConfig
from nmt_cli.data.language_tags import leading_tag
from nmt_cli.data.letter_case import capitalize_words, is_titled, upper_case
from nmt_cli.data.normalization import Normalizer
from nmt_cli.data.perturbation import KINDS

TextPair = tuple[str, str]
Columns = tuple[Sequence[str], Sequence[str]]  # sources and targets
MAX_JOINED = 3  # sentences


class AugmentConfig(Section):
    """training.augment: shares of the training pairs that are changed, each way drawn by itself."""

    upper: float = Field(default=0.0, ge=0, le=1)
    """Both sides in capitals, which search.case undoes anyhow where fewer than 5 % of the pairs have them."""
    title: float = Field(default=0.0, ge=0, le=1)
    """Source with a capital on every word; the target, too, if it is English, which writes headlines so."""
    no_stop: float = Field(default=0.01, ge=0, le=1)
    """Both sides without final punctuation."""
    typos: float = Field(default=0.02, ge=0, le=1)
    """Source with typos in a tenth of its words."""
    spaces: float = Field(default=0.01, ge=0, le=1)
    """Source with some spaces doubled; nothing changes where corpus.normalization makes one space of them again."""
    join: float = Field(default=0.005, ge=0, le=1)
    """The pair joined with the next one or two of the text."""
    copies: int = Field(default=4, ge=1, le=16)
    """Differently changed copies of the training text, one per epoch in turn; each takes as much disk as the text."""

    def errors(self) -> list[str]:
        """Shares that cannot be."""
        return ["upper: more than 1 together with title: lower one of them"] if self.upper + self.title > 1 else []


class Augmenter:
    """Changes pairs of training text for one copy of it."""

    def __init__(self, config: AugmentConfig, corpus: CorpusConfig, tags: Collection[str] = ()) -> None:
        """Pairs whose sources begin with the same one of the `tags` may be joined, the tag written once."""
        self.config, self.corpus, self.tags = config, corpus, tags
        self._normalize = Normalizer(corpus.normalization)
        self._title_target = capitalize_words if is_titled(corpus.target) else str

    def __call__(self, block: Columns, copy: int) -> dict[int, TextPair]:
        """The pairs of a block that are changed in this copy, by index, normalised; the last ones of a block have
        fewer neighbours to be joined with."""
        changed = {}
        for index, pair in enumerate(zip(*block, strict=True)):
            rng = random.Random(f"{self.corpus.seed}:{copy}:{pair[0]}\n{pair[1]}")
            augmented = self._augment(block, index, rng)
            if augmented != pair:
                changed[index] = (self._normalize(augmented[0]), self._normalize(augmented[1]))
        return changed

    def _augment(self, block: Columns, index: int, rng: random.Random) -> TextPair:
        config = self.config
        draw = {kind: rng.random() for kind in ("join", "case", "no_stop", "typos", "spaces")}
        count = rng.randint(2, MAX_JOINED) if draw["join"] < config.join else 1
        sources, targets = (side[index : index + count] for side in block)
        tag = leading_tag(sources[0])
        if {leading_tag(source) for source in sources} != {tag} or (tag and tag not in self.tags):
            sources, targets = sources[:1], targets[:1]  # another language, or markup
        first, *others = (source.removeprefix(tag) for source in sources)
        source, target = " ".join([first, *map(str.lstrip, others)]), " ".join(targets)
        if draw["case"] < config.upper:
            source, target = upper_case(source, self.corpus.source), upper_case(target, self.corpus.target)
        elif draw["case"] < config.upper + config.title:
            source, target = capitalize_words(source), self._title_target(target)
        if draw["no_stop"] < config.no_stop:
            source, target = (KINDS["no-stop"](text, rng) for text in (source, target))
        if draw["typos"] < config.typos:
            source = KINDS["typos"](source, rng)
        if draw["spaces"] < config.spaces:
            source = KINDS["spaces"](source, rng)
        return tag + source, target
