"""What an engine worker does: open runs, and translate batches with them."""

import os
from dataclasses import dataclass, field, replace

from nmt_cli.inference.output import Translation
from nmt_cli.inference.translator import Translator
from nmt_cli.reporting import Reporter
from nmt_cli.serving.jobs import JobOptions, OpenRun, TranslateBatch
from nmt_cli.translation.opening import TranslatorSpec


@dataclass
class EngineWork:
    """The work of a worker, which keeps every run that it has opened."""

    specs: dict[str, TranslatorSpec]
    reporter: Reporter
    translators: dict[JobOptions, Translator] = field(default_factory=dict)

    def __call__(self, task: OpenRun | TranslateBatch) -> list[Translation]:
        """The translations of a batch; none for a run that is opened."""
        if isinstance(task, OpenRun):
            self._translator(JobOptions(task.run)).translate(["1"])  # a copied text: nothing is searched
            return []
        return self._translator(task.options).translate(task.texts)

    def _translator(self, options: JobOptions) -> Translator:
        """The translator of a run, whose search is as the options say; variants share its engine."""
        if options not in self.translators:
            plain = JobOptions(options.run)
            if plain == options:
                opened = self.specs[options.run].open(self.reporter)
                self.translators[options._replace(assess=True)] = opened
                self.translators[options] = opened.with_search()
                self.translators[options].assess = False
            else:
                self.translators[options] = self._variant(self._translator(plain), options)
        return self.translators[options]

    def _variant(self, translator: Translator, options: JobOptions) -> Translator:
        changes: dict[str, object] = {}
        if options.candidates > 1:
            beam = max(translator.config.beam, options.candidates)
            changes |= {"n_best": options.candidates, "beam": beam}
            changes |= {"sampling": False, "top_k": None, "top_p": None}
        if not options.split:
            changes["split"] = "long"
        variant = translator.with_search(**changes)
        variant.assess = options.assess
        return variant


def open_engine_work(specs: dict[str, TranslatorSpec], threads: int, quiet: bool, worker_index: int) -> EngineWork:
    """The work of a worker that computes in so many threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    return EngineWork({run: replace(spec, workers=threads) for run, spec in specs.items()}, Reporter(quiet=quiet))
