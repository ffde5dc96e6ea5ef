"""The scripts that languages are written in, and those of the letters of a text."""

import unicodedata
from collections import Counter
from functools import lru_cache

from nmt_cli.data.language_codes import normal_code

# Scripts without spaces between words, each for a class of a pattern
PHRASED_SCRIPTS = r"\u0e00-\u109f\u1780-\u17ff"  # Thai, Lao, Tibetan, Burmese, Khmer: with spaces between phrases
UNSPACED_SCRIPTS = rf"{PHRASED_SCRIPTS}\u2e80-\ua4cf"  # and Chinese and Japanese
OTHER_IDEOGRAPHS = r"\uf900-\ufaff\U00020000-\U0003347f"  # that are rare, or another form of one of those
# Those in use, by CLDR's languageData
_SCRIPTS = """\
CYRILLIC ab abk ady av ava az aze ba bak be bel bg bos bs bul ce che chv cu cv inh kaz kbd kir kk kom krc ku kum kur \
ky lez mdf mhr mk mkd mn mon mrj myv os oss ru rus sah sr srp tat tg tgk tk tt tuk tyv udm ug uig uk ukr uz uzb|LATIN \
az aze bam bm bos bs cr cre ff ful ha hau iku iu kir ku kur ky may ms msa oj oji sr srp tg tgk tk tuk uz uzb|ARABIC \
apc ar ara ary arz az azb aze ckb fa fas ha hau kas kaz kir kk ks ku kur ky may ms msa pa pan per pnb prs ps pus sd \
snd tg tgk tk tuk ug uig ur urd uz uzb|DEVANAGARI awa bh bho hi hin kas ks mag mai mar mr ne nep sa san sd snd|HEBREW \
he heb yi yid|ETHIOPIC am amh ti tir|BENGALI as asm ben bn mni|TIBETAN bo bod dz dzo tib|THAANA div dv|GREEK el ell \
gre|GUJARATI gu guj|ARMENIAN arm hy hye|CANADIAN cr cre iku iu oj oji|HIRAGANA ja jpn|KATAKANA ja jpn|CJK chi cmn ja \
jpn yue zh zho|BOPOMOFO zh zho|GEORGIAN geo ka kat|KHMER khm km|KANNADA kan kn|HANGUL ko kor|LAO lao lo|MALAYALAM mal \
ml|MONGOLIAN mn mon|MYANMAR bur my mya shn|ORIYA or ori ory|GURMUKHI pa pan|SINHALA si sin|TAMIL ta tam|TELUGU te tel|\
THAI th tha|OL sat|TIFINAGH zgh|ADLAM ff ful|NKO bam bm|MEETEI mni"""
# ISO 15924, as in sr-Latn and zho_Hant
_SUBTAGS = """\
latn LATIN|cyrl CYRILLIC|arab ARABIC|deva DEVANAGARI|hebr HEBREW|ethi ETHIOPIC|beng BENGALI|tibt TIBETAN|thaa THAANA|\
grek GREEK|gujr GUJARATI|armn ARMENIAN|cans CANADIAN|jpan HIRAGANA KATAKANA CJK|hani CJK|hans CJK|hant CJK BOPOMOFO|\
geor GEORGIAN|khmr KHMER|knda KANNADA|hang HANGUL|kore HANGUL CJK|laoo LAO|mlym MALAYALAM|mong MONGOLIAN|mymr MYANMAR|\
orya ORIYA|guru GURMUKHI|sinh SINHALA|taml TAMIL|telu TELUGU|thai THAI|olck OL|tfng TIFINAGH|nkoo NKO|syrc SYRIAC|\
adlm ADLAM|mtei MEETEI"""
_LANGUAGES = {script: set(codes) for script, *codes in map(str.split, _SCRIPTS.split("|"))}
_BY_SUBTAG = {code: set(scripts) for code, *scripts in map(str.split, _SUBTAGS.split("|"))}


def scripts_of(language: str) -> set[str]:
    """The scripts of a language, by its code (en, sr-Latn, rus_Cyrl): the first words of the Unicode names of their
    letters. Empty where the code has three letters and is not known; Latin for others that are not."""
    base, *subtags = normal_code(language).split("-")
    for subtag in subtags:
        if subtag in _BY_SUBTAG:
            return _BY_SUBTAG[subtag]
    scripts = {script for script, codes in _LANGUAGES.items() if base in codes}
    return scripts or (set() if len(base) == 3 else {"LATIN"})


def letter_scripts(text: str) -> Counter[str]:
    """How many letters of a text are of each script."""
    scripts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if character.isalpha():
            scripts[script_of(character)] += count
    return scripts


@lru_cache(maxsize=1 << 16)
def script_of(character: str) -> str:
    """The script of a letter, or of a mark that is named after one."""
    return unicodedata.name(character, "UNKNOWN").removeprefix("FULLWIDTH ").split(" ")[0].split("-")[0]
