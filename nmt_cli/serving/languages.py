"""The languages that are served: their names, which runs lead from one to another, and which one a text is in."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nmt_cli.data.language_codes import base_code, normal_code
from nmt_cli.data.scripts import letter_scripts, scripts_of
from nmt_cli.serving.errors import RequestError, quote
from nmt_cli.serving.settings import ServedRun

AUTO = "auto"
MAX_DETECTION_CHARACTERS = 2_000
_NAMES = """\
aa Afar|ab Abkhazian|af Afrikaans|ak Akan|am Amharic|an Aragonese|ar Arabic|as Assamese|ast Asturian|av Avaric|\
ay Aymara|az Azerbaijani|ba Bashkir|be Belarusian|bg Bulgarian|bh Bihari|bi Bislama|bm Bambara|bn Bengali|bo Tibetan|\
br Breton|bs Bosnian|ca Catalan|ce Chechen|ceb Cebuano|ch Chamorro|co Corsican|cr Cree|cs Czech|cv Chuvash|cy Welsh|\
da Danish|de German|dv Divehi|dz Dzongkha|ee Ewe|el Greek|en English|eo Esperanto|es Spanish|et Estonian|eu Basque|\
fa Persian|ff Fulah|fi Finnish|fil Filipino|fj Fijian|fo Faroese|fr French|fy Western Frisian|ga Irish|\
gd Scottish Gaelic|gl Galician|gn Guarani|gu Gujarati|gv Manx|ha Hausa|he Hebrew|hi Hindi|hr Croatian|\
hsb Upper Sorbian|ht Haitian Creole|hu Hungarian|hy Armenian|ia Interlingua|id Indonesian|ig Igbo|is Icelandic|\
it Italian|iu Inuktitut|ja Japanese|jv Javanese|ka Georgian|kab Kabyle|kk Kazakh|kl Greenlandic|km Khmer|kn Kannada|\
ko Korean|ku Kurdish|kw Cornish|ky Kyrgyz|la Latin|lb Luxembourgish|lg Ganda|li Limburgish|ln Lingala|lo Lao|\
lt Lithuanian|lv Latvian|mg Malagasy|mh Marshallese|mi Maori|mk Macedonian|ml Malayalam|mn Mongolian|mr Marathi|\
ms Malay|mt Maltese|my Burmese|nb Norwegian Bokmål|ne Nepali|nl Dutch|nn Norwegian Nynorsk|no Norwegian|nv Navajo|\
ny Chichewa|oc Occitan|om Oromo|or Odia|os Ossetian|pa Punjabi|pl Polish|ps Pashto|pt Portuguese|qu Quechua|\
rm Romansh|rn Kirundi|ro Romanian|ru Russian|rw Kinyarwanda|sa Sanskrit|sc Sardinian|sd Sindhi|se Northern Sami|\
sg Sango|si Sinhala|sk Slovak|sl Slovenian|sm Samoan|sn Shona|so Somali|sq Albanian|sr Serbian|ss Swati|\
st Southern Sotho|su Sundanese|sv Swedish|sw Swahili|ta Tamil|te Telugu|tg Tajik|th Thai|ti Tigrinya|tk Turkmen|\
tl Tagalog|tn Tswana|to Tongan|tr Turkish|ts Tsonga|tt Tatar|tw Twi|ty Tahitian|ug Uyghur|uk Ukrainian|ur Urdu|\
uz Uzbek|vi Vietnamese|vo Volapük|wa Walloon|wo Wolof|xh Xhosa|yi Yiddish|yo Yoruba|za Zhuang|zh Chinese|zu Zulu|\
zh-hans Chinese (simplified)|zh-hant Chinese (traditional)|pt-br Portuguese (Brazil)"""
NAMES = dict(entry.split(" ", 1) for entry in _NAMES.split("|"))
Familiarity = Callable[[str, str], float | None]
"""From a text and a language to how familiar it is to the runs of that language, of 1; None: unknown."""


@dataclass(frozen=True)
class Route:
    """The runs that lead from one language to another, one after the other; none from a language to itself."""

    source: str
    target: str
    runs: tuple[ServedRun, ...]

    @property
    def via(self) -> list[str]:
        """The languages between the two."""
        return [run.target for run in self.runs[:-1]]


@dataclass(frozen=True)
class Detection:
    """A language that a text may be in."""

    language: str
    confidence: float  # of 100

    def record(self) -> dict[str, object]:
        """As LibreTranslate writes it."""
        return {"confidence": self.confidence, "language": self.language}


class Languages:
    """The languages of the served runs."""

    def __init__(self, runs: Sequence[ServedRun]) -> None:
        self.runs = {run.name: run for run in runs}
        self.codes = list(dict.fromkeys(code for run in runs for code in (run.source, run.target)))
        self.sources = list(dict.fromkeys(run.source for run in runs))
        self._direct: dict[tuple[str, str], ServedRun] = {}
        for run in runs:
            self._direct.setdefault((run.source, run.target), run)

    def records(self) -> list[dict[str, object]]:
        """All languages, with what they can be translated to."""
        return [{"code": code, "name": language_name(code), "targets": self.targets(code)} for code in self.codes]

    def targets(self, source: str) -> list[str]:
        """The languages that a language can be translated to, directly or through a third one."""
        return [code for code in self.codes if code != source and self._runs_between(source, code)]

    def match(self, code: str) -> str | None:
        """The served language that a code means: itself, whatever its case, its language for a
        variant (en-GB), or the only variant for a language."""
        requested = normal_code(code.strip())
        by_code = {normal_code(served): served for served in self.codes}
        subtags = requested.split("-")
        for length in range(len(subtags), 0, -1):
            language = by_code.get("-".join(subtags[:length]))
            if language is not None:
                return language
        variants = [served for lower, served in by_code.items() if requested and lower.startswith(f"{requested}-")]
        return variants[0] if len(variants) == 1 else None

    def route(self, source: str, target: str, run_name: str | None = None) -> Route:
        """How to translate between two served languages; RequestError 400 where nothing leads there.

        `run_name` asks for one run, which must be of these languages.
        """
        if run_name is not None:
            run = self.runs.get(run_name)
            if run is None:
                raise RequestError(400, f"No run {quote(run_name)} is served; there are {', '.join(self.runs)}")
            if (run.source, run.target) != (source, target):
                raise RequestError(
                    400, f"Run {run.name} translates from {run.source} to {run.target}, not from {source} to {target}"
                )
            return Route(source, target, (run,))
        if source == target:
            return Route(source, target, ())
        runs = self._runs_between(source, target)
        if not runs:
            raise RequestError(
                400, f"{language_name(target)} ({target}) is not available as a target language from "
                f"{language_name(source)} ({source})"
            )  # fmt: skip
        return Route(source, target, runs)

    def _runs_between(self, source: str, target: str) -> tuple[ServedRun, ...]:
        """The run of this pair, or two runs through a third language; none where there is no way."""
        direct = self._direct.get((source, target))
        if direct is not None:
            return (direct,)
        for (first_source, third), first in self._direct.items():
            if first_source == source and third != target and (third, target) in self._direct:
                return (first, self._direct[third, target])
        return ()

    def sources_for(self, target: str, run_name: str | None = None) -> list[str]:
        """The languages that a text to be translated may be in: those that lead to the target, by one run or any, and
        the target itself; all languages where none does."""
        sources = [code for code in self.sources if code == target or self._runs_between(code, target)]
        if run_name in self.runs:
            sources = [self.runs[run_name].source]
        return sources if sources != [target] else self.sources

    def detect(self, text: str, familiarity: Familiarity, sources: Sequence[str] | None = None) -> list[Detection]:
        """The languages that can be translated from, or these, the likeliest for this text first.

        By the scripts of its letters and, among languages of the same script, by what runs were trained on.
        """
        sources = sources or self.sources
        scripts = letter_scripts(text[:MAX_DETECTION_CHARACTERS])
        letters = sum(scripts.values())
        likelihoods = {}
        for code in sources:
            share = _script_share(code, scripts) / letters if letters else 0.0
            is_asked = share and len(sources) > 1
            familiar = familiarity(text[:MAX_DETECTION_CHARACTERS], code) if is_asked else None
            likelihoods[code] = share * (0.5 if familiar is None else 0.02 + 0.98 * familiar)
        total = sum(likelihoods.values())
        ranked = sorted(sources, key=lambda code: -likelihoods[code])
        return [Detection(code, float(round(100 * likelihoods[code] / total)) if total else 0.0) for code in ranked]


def language_name(code: str) -> str:
    """The English name of a language, or the code itself."""
    return NAMES.get(normal_code(code)) or NAMES.get(base_code(code)) or code


def _script_share(code: str, scripts: Counter[str]) -> float:
    """How many letters a text has of the scripts of a language; Chinese has no kana."""
    base = base_code(code)
    letters = sum(scripts[script] for script in scripts_of(code) or {"LATIN"})
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    if base == "zh" and kana:
        return 0.0
    return 0.1 * letters if base == "ja" and not kana else float(letters)
