"""The languages that are served: their names, which runs lead from one to another, and which one a text is in."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from nmt_cli.data.language_codes import base_code, normal_code, short_code
from nmt_cli.data.letter_case import Truecaser
from nmt_cli.data.scripts import direction, letter_scripts, scripts_of
from nmt_cli.data.text_profile import TRUECASE_FILES
from nmt_cli.serving.errors import RequestError, quote
from nmt_cli.serving.settings import ServedRun

AUTO = "auto"
MAX_DETECTION_CHARACTERS = 2_000
MIN_SCRIPT_SHARE = 0.1  # of the letters of a text: others are of names and loans
_NAMES = """\
aa Afar|ab Abkhazian|ace Acehnese|ach Acoli|acm Mesopotamian Arabic|acq Ta’izzi-Adeni Arabic|ady Adyghe|ae Avestan|\
aeb Tunisian Arabic|af Afrikaans|aii Assyrian Neo-Aramaic|ajp South Levantine Arabic|ak Akan|alt Southern Altai|am \
Amharic|an Aragonese|ang Old English|apc Levantine Arabic|ar Arabic|arc Aramaic|arn Mapuche|ars Najdi Arabic|ary \
Moroccan Arabic|arz Egyptian Arabic|as Assamese|ast Asturian|av Avaric|awa Awadhi|ay Aymara|az Azerbaijani|azb South \
Azerbaijani|ba Bashkir|bal Baluchi|ban Balinese|bar Bavarian|bax Bamum|bbc Batak Toba|be Belarusian|bem Bemba|bg \
Bulgarian|bh Bihari|bho Bhojpuri|bi Bislama|bjn Banjar|bla Siksiká|bm Bambara|bn Bengali|bo Tibetan|bpy Bishnupriya|\
br Breton|brh Brahui|brx Bodo|bs Bosnian|bua Buriat|bug Buginese|bxr Russia Buriat|ca Catalan|cab Garifuna|cak \
Kaqchikel|ccp Chakma|ce Chechen|ceb Cebuano|ch Chamorro|chk Chuukese|chm Mari|cho Choctaw|chr Cherokee|chy Cheyenne|\
cjk Chokwe|cjm Eastern Cham|ckb Central Kurdish|co Corsican|cop Coptic|cr Cree|crh Crimean Tatar|crk Plains Cree|cs \
Czech|csb Kashubian|cu Church Slavic|cv Chuvash|cy Welsh|da Danish|dag Dagbani|dar Dargwa|de German|dik Southwestern \
Dinka|din Dinka|dje Zarma|doi Dogri|dsb Lower Sorbian|dty Dotyali|dv Divehi|dyu Dyula|dz Dzongkha|ee Ewe|efi Efik|el \
Greek|en English|eo Esperanto|es Spanish|et Estonian|eu Basque|ewo Ewondo|ext Extremaduran|fa Persian|ff Fulah|fi \
Finnish|fil Filipino|fj Fijian|fo Faroese|fon Fon|fr French|frp Arpitan|frr Northern Frisian|fur Friulian|fuv \
Nigerian Fulfulde|fy Western Frisian|ga Irish|gag Gagauz|gan Gan Chinese|gd Scottish Gaelic|gez Geez|gl Galician|glk \
Gilaki|gn Guarani|gom Goan Konkani|gor Gorontalo|got Gothic|grc Ancient Greek|gsw Swiss German|gu Gujarati|guc Wayuu|\
guz Gusii|gv Manx|ha Hausa|hak Hakka Chinese|haw Hawaiian|he Hebrew|hi Hindi|hif Fiji Hindi|hil Hiligaynon|hmn Hmong|\
hne Chhattisgarhi|hnj Hmong Njua|ho Hiri Motu|hr Croatian|hsb Upper Sorbian|ht Haitian Creole|hu Hungarian|hy \
Armenian|hyw Western Armenian|hz Herero|ia Interlingua|iba Iban|id Indonesian|ie Interlingue|ig Igbo|ii Sichuan Yi|\
ik Inupiaq|ikt Western Canadian Inuktitut|ilo Iloko|inh Ingush|io Ido|is Icelandic|it Italian|iu Inuktitut|ja \
Japanese|jam Jamaican Creole English|jv Javanese|ka Georgian|kab Kabyle|kac Kachin|kam Kamba|kbd Kabardian|kbp \
Kabiyè|kea Kabuverdianu|kg Kongo|kha Khasi|ki Kikuyu|kj Kuanyama|kjh Khakas|kk Kazakh|kl Greenlandic|km Khmer|kmb \
Kimbundu|kn Kannada|ko Korean|kok Konkani|kpe Kpelle|kr Kanuri|krc Karachay-Balkar|kri Krio|krl Karelian|ks Kashmiri|\
ksw S’gaw Karen|ku Kurdish|kum Kumyk|kv Komi|kw Cornish|ky Kyrgyz|la Latin|lad Ladino|lb Luxembourgish|lez Lezghian|\
lg Ganda|li Limburgish|lij Ligurian|lis Lisu|liv Livonian|lkt Lakota|lmo Lombard|ln Lingala|lo Lao|lrc Northern Luri|\
lt Lithuanian|ltg Latgalian|lu Luba-Katanga|luo Luo|lus Mizo|luy Luyia|lv Latvian|lzh Literary Chinese|mad Madurese|\
mag Magahi|mai Maithili|mak Makasar|mam Mam|man Mandingo|mas Masai|mdf Moksha|men Mende|mfe Morisyen|mg Malagasy|mh \
Marshallese|mhr Eastern Mari|mi Maori|mic Mi'kmaw|min Minangkabau|mk Macedonian|ml Malayalam|mn Mongolian|mni \
Manipuri|mnk Mandinka|mnw Mon|moh Mohawk|mos Mossi|mr Marathi|mrj Western Mari|ms Malay|mt Maltese|mus Muscogee|mwl \
Mirandese|mww Hmong Daw|my Burmese|myv Erzya|mzn Mazanderani|na Nauru|nah Nahuatl|nan Min Nan Chinese|nap Neapolitan|\
nb Norwegian Bokmål|nd North Ndebele|nds Low German|ne Nepali|new Newari|ng Ndonga|nhn Central Nahuatl|nia Nias|niu \
Niuean|nl Dutch|nn Norwegian Nynorsk|no Norwegian|nog Nogai|nov Novial|nqo N’Ko|nr South Ndebele|nso Northern Sotho|\
nus Nuer|nv Navajo|ny Chichewa|nyn Nyankole|oc Occitan|oj Ojibwa|om Oromo|or Odia|os Ossetian|osa Osage|ota Ottoman \
Turkish|oto Otomi|pa Punjabi|pag Pangasinan|pam Pampanga|pap Papiamento|pau Palauan|pcm Nigerian Pidgin|pdc \
Pennsylvania German|pi Pali|pl Polish|pms Piedmontese|pnb Western Panjabi|pnt Pontic|prs Dari|ps Pashto|pt \
Portuguese|qu Quechua|quc Kʼicheʼ|raj Rajasthani|rap Rapanui|rar Rarotongan|rhg Rohingya|rif Riffian|rm Romansh|rn \
Kirundi|ro Romanian|rom Romany|ru Russian|rue Rusyn|rup Aromanian|rw Kinyarwanda|sa Sanskrit|sah Yakut|sat Santali|\
sc Sardinian|scn Sicilian|sco Scots|sd Sindhi|sdh Southern Kurdish|se Northern Sami|sg Sango|sgs Samogitian|sh \
Serbo-Croatian|shi Tachelhit|shn Shan|si Sinhala|sk Slovak|skr Saraiki|sl Slovenian|sm Samoan|sma Southern Sami|smj \
Lule Sami|smn Inari Sami|sms Skolt Sami|sn Shona|snk Soninke|so Somali|sq Albanian|sr Serbian|srn Sranan Tongo|ss \
Swati|st Southern Sotho|stq Saterland Frisian|su Sundanese|sv Swedish|sw Swahili|syl Sylheti|syr Syriac|szl Silesian|\
ta Tamil|taq Tamasheq|tcy Tulu|te Telugu|tet Tetum|tg Tajik|th Thai|ti Tigrinya|tig Tigre|tk Turkmen|tl Tagalog|tn \
Tswana|to Tongan|tpi Tok Pisin|tr Turkish|trv Taroko|ts Tsonga|tt Tatar|tum Tumbuka|tvl Tuvalu|tw Twi|ty Tahitian|\
tyv Tuvinian|tzm Central Atlas Tamazight|udm Udmurt|ug Uyghur|uk Ukrainian|umb Umbundu|ur Urdu|uz Uzbek|vai Vai|ve \
Venda|vec Venetian|vep Veps|vi Vietnamese|vls West Flemish|vmf Main-Franconian|vo Volapük|vot Votic|vro Võro|wa \
Walloon|wal Wolaytta|war Waray|wo Wolof|wuu Wu Chinese|xal Kalmyk|xh Xhosa|xmf Mingrelian|yap Yapese|yi Yiddish|yo \
Yoruba|yua Yucatec Maya|yue Cantonese|za Zhuang|zea Zeelandic|zgh Standard Moroccan Tamazight|zh Chinese|zu Zulu|zza \
Zaza|zh-hans Chinese (simplified)|zh-hant Chinese (traditional)|pt-br Portuguese (Brazil)"""
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
        self._scripts: dict[str, Collection[str]] = {}

    def records(self) -> list[dict[str, object]]:
        """All languages, with what they can be translated to, and which way they are written."""
        return [
            {
                "code": code,
                "name": language_name(code),
                "targets": self.targets(code),
                "direction": direction(self.scripts(code)),
            }
            for code in self.codes
        ]

    def scripts(self, code: str) -> Collection[str]:
        """The scripts of a language: of those that it is known to have, the ones that the runs were trained on."""
        if code not in self._scripts:
            possible = scripts_of(code)
            trained = set[str]().union(*(_trained_scripts(run, code) for run in self.runs.values()))
            self._scripts[code] = possible & trained or possible | trained or {"LATIN"}
        return self._scripts[code]

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
            share = _script_share(code, self.scripts(code), scripts) / letters if letters else 0.0
            is_asked = share and len(sources) > 1
            familiar = familiarity(text[:MAX_DETECTION_CHARACTERS], code) if is_asked else None
            likelihoods[code] = share * (0.5 if familiar is None else 0.02 + 0.98 * familiar)
        total = sum(likelihoods.values())
        ranked = sorted(sources, key=lambda code: -likelihoods[code])
        return [Detection(code, float(round(100 * likelihoods[code] / total)) if total else 0.0) for code in ranked]


def language_name(code: str) -> str:
    """The English name of a language, or the code itself."""
    return NAMES.get(normal_code(code)) or NAMES.get(base_code(code)) or NAMES.get(short_code(code)) or code


def _trained_scripts(run: ServedRun, language: str) -> set[str]:
    """The scripts of the commonest words of a run's training text in a language."""
    sides = [side for side, code in (("source", run.source), ("target", run.target)) if code == language]
    forms = (form for side in sides for form in Truecaser.load(run.path / TRUECASE_FILES[side]).forms)
    counts = letter_scripts("".join(forms))
    return {script for script, count in counts.items() if count >= MIN_SCRIPT_SHARE * counts.total()}


def _script_share(code: str, own: Collection[str], scripts: Counter[str]) -> float:
    """How many letters a text has of a language's `own` scripts; Chinese has no kana."""
    base = short_code(code)
    letters = sum(scripts[script] for script in own)
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    if base == "zh" and kana:
        return 0.0
    return 0.1 * letters if base == "ja" and not kana else float(letters)
