"""The scripts that languages are written in, and those of the letters of a text."""

import unicodedata
from collections import Counter
from collections.abc import Collection
from functools import lru_cache
from typing import Literal

from nmt_cli.data.language_codes import normal_code, short_code

# Scripts without spaces between words, each for a class of a pattern
PHRASED_SCRIPTS = r"\u0e00-\u109f\u1780-\u17ff"  # Thai, Lao, Tibetan, Burmese, Khmer: with spaces between phrases
UNSPACED_SCRIPTS = rf"{PHRASED_SCRIPTS}\u2e80-\ua4cf"  # and Chinese and Japanese
OTHER_IDEOGRAPHS = r"\uf900-\ufaff\U00020000-\U0003347f"  # that are rare, or another form of one of those
# Those in use, by CLDR's likelySubtags and languageData: of languages that have a two-letter code by that
_SCRIPTS = """\
CYRILLIC ab ady agx alt aqc av az ba be bg bs bua bxr ce chm ckt crh cu cv dar eve evn gag inh kbd kca kjh kk koi \
krc ku kum kv ky lbe lez mdf mhr mk mn mns mrj myv nog os ru rue rut sah sel sh sr tab tg tk tkr tly tt tyv udm ug \
uk uz xal yrk|LATIN az ban bbc bla blt bm bs bsq btx bug cdo chp cjm cr crh ctg ff gag ha hak hmn ikt iu jv kab kok \
ku ky lad lzz mak men ms mww nan oj osa pi rhg rif sat sh shi shy sr su syl taq tg thv tk tl tly tzm uz wal|ARABIC \
acm acq aeb ajp apc apd ar arq ars ary arz ayl ayn az azb bal bft bgn bqi brh cja ckb fa glk ha hac haz hnd hno khw \
kk ks ku ky lah lrc luz ms mvy mzn ota pa phr pnb prs ps rhg sd sdh skr tg tk tly trw ug ur uz|DEVANAGARI anp awa \
bfy bgc bh bho bhb brx doi dty gom gon hi hne hoc kfy kok ks lif mag mai mr mwr ne new pi raj sa sat sck sd thl unr \
xnr|HEBREW arc he jpr jrb lad yi|SYRIAC aii arc cld syc syr tru|MANDAIC mid|SAMARITAN smp|ETHIOPIC am bcq byn gez \
har sgw ti tig wal|BENGALI as bn bpy ccp ctg mni rkt sat syl|TIBETAN adx bft bo dz khg lbj sip|THAANA dv|GREEK el \
grc pnt tsd|COPTIC cop|GOTHIC got|GLAGOLITIC cu|AVESTAN ae|GUJARATI gjk gu kfr|ARMENIAN hy hyw|CANADIAN bla chp cr \
crj crk crl crm crx csw cwd ikt iu nsk oj ojb ojc ojs ojw|CHEROKEE chr|OSAGE osa|HIRAGANA ja|KATAKANA ja|CJK cdo cjy \
gan hak hsn ja lzh nan wuu yue zh|BOPOMOFO zh|YI ii|LISU lis|MIAO hmd|PAHAWH hmn mww|NYIAKENG hnj|GEORGIAN ka lzz \
sva xmf|KHMER km|KANNADA kn kok tcy|HANGUL jje ko okm|LAO lo|MALAYALAM ml|MONGOLIAN mn mnc mvf xal|MYANMAR blk csh \
kht ksw kyu mnw my pwo rhg rki shn|ORIYA or sat|GURMUKHI pa|SINHALA pi si|TAMIL saz ta|TELUGU gon te|THAI kxm mfa \
nod sou th tts|TAI blt khb nod tdd|NEW khb|OL sat|MEETEI mni|CHAKMA ccp|NEWA new|LEPCHA lep|LIMBU lif|SYLOTI syl|\
SAURASHTRA saz|WARANG hoc|NAG unr|SORA srb|WANCHO nnp|MRO mro|GUNJALA gon|MASARAM gon|KAYAH eky kyu|CHAM cja cjm|\
JAVANESE jv|BALINESE ban|SUNDANESE su|BUGINESE bug|MAKASAR mak|BATAK bbc btx|REJANG rej|TAGALOG tl|HANUNOO hnn|BUHID \
bku|TAGBANWA tbw|HANIFI rhg|TIFINAGH kab rif shi shy taq thv tzm zgh|ADLAM ff|NKO bm nqo|VAI vai|BAMUM bax|BASSA bsq|\
MENDE men"""
# ISO 15924, as in sr-Latn and zho_Hant
_SUBTAGS = """\
latn LATIN|latf LATIN|latg LATIN|cyrl CYRILLIC|cyrs CYRILLIC|arab ARABIC|aran ARABIC|deva DEVANAGARI|hebr HEBREW|\
ethi ETHIOPIC|beng BENGALI|tibt TIBETAN|thaa THAANA|grek GREEK|gujr GUJARATI|armn ARMENIAN|cans CANADIAN|jpan \
HIRAGANA KATAKANA CJK|hrkt HIRAGANA KATAKANA|hira HIRAGANA|kana KATAKANA|hani CJK|hans CJK|hant CJK BOPOMOFO|bopo \
BOPOMOFO|geor GEORGIAN|geok GEORGIAN|khmr KHMER|knda KANNADA|hang HANGUL|kore HANGUL CJK|laoo LAO|mlym MALAYALAM|\
mong MONGOLIAN|mymr MYANMAR|orya ORIYA|guru GURMUKHI|sinh SINHALA|taml TAMIL|telu TELUGU|thai THAI|olck OL|tfng \
TIFINAGH|nkoo NKO|syrc SYRIAC|syre SYRIAC|syrj SYRIAC|syrn SYRIAC|mand MANDAIC|samr SAMARITAN|adlm ADLAM|rohg HANIFI|\
mtei MEETEI|cher CHEROKEE|osge OSAGE|vaii VAI|bamu BAMUM|bass BASSA|medf MEDEFAIDRIN|copt COPTIC|goth \
GOTHIC|glag GLAGOLITIC|runr RUNIC|ogam OGHAM|avst AVESTAN|cakm CHAKMA|newa NEWA|lepc LEPCHA|limb LIMBU|sylo SYLOTI|\
saur SAURASHTRA|wara WARANG|nagm NAG|sora SORA|wcho WANCHO|mroo MRO|gong GUNJALA|gonm MASARAM|kali KAYAH|cham CHAM|\
java JAVANESE|bali BALINESE|sund SUNDANESE|bugi BUGINESE|maka MAKASAR|batk BATAK|rjng REJANG|tglg TAGALOG|hano \
HANUNOO|buhd BUHID|tagb TAGBANWA|lana TAI|tale TAI|tavt TAI|talu NEW|ahom AHOM|lisu LISU|plrd MIAO|hmng PAHAWH|hmnp \
NYIAKENG|yiii YI|phag PHAGS|kthi KAITHI|gran GRANTHA|sidd SIDDHAM|modi MODI|shrd SHARADA|takr TAKRI|tirh TIRHUTA|\
khoj KHOJKI|sind KHUDAWADI|mahj MAHAJANI|brah BRAHMI|dsrt DESERET|shaw SHAVIAN|osma OSMANYA"""
_RIGHT_TO_LEFT = frozenset(
    ("ARABIC", "HEBREW", "SYRIAC", "MANDAIC", "SAMARITAN", "THAANA", "NKO", "ADLAM", "HANIFI", "MENDE", "AVESTAN")
)
_LANGUAGES = {script: set(codes) for script, *codes in map(str.split, _SCRIPTS.split("|"))}
_BY_SUBTAG = {code: set(scripts) for code, *scripts in map(str.split, _SUBTAGS.split("|"))}


def scripts_of(language: str) -> set[str]:
    """The scripts of a language, by its code (en, sr-Latn, rus_Cyrl): the first words of the Unicode names of their
    letters. Empty where the code has three letters and is not known; Latin for others that are not."""
    base = short_code(language)
    for subtag in normal_code(language).split("-")[1:]:
        if subtag in _BY_SUBTAG:
            return _BY_SUBTAG[subtag]
    scripts = {script for script, codes in _LANGUAGES.items() if base in codes}
    return scripts or (set() if len(base) == 3 else {"LATIN"})


def direction(scripts: Collection[str]) -> Literal["ltr", "rtl", "auto"]:
    """Which way text in any of these scripts is written, as in HTML; auto: each of them another way."""
    if _RIGHT_TO_LEFT.isdisjoint(scripts):
        return "ltr"
    return "rtl" if _RIGHT_TO_LEFT.issuperset(scripts) else "auto"


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
