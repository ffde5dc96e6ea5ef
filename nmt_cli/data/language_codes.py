"""Codes of languages: ISO 639 with a script or region, if any, as in de, pt-BR and zh_Hant."""

import re
from functools import lru_cache

# The two-letter code of each language that has one, with its others: of ISO 639-2 and 639-3, of the commonest of its
# languages where it has several, and former ones
_SYNONYMS = """\
aa aar|ab abk|ae ave|af afr|ak aka|am amh|an arg|ar ara arb|as asm|av ava|ay aym|az aze azj|ba bak|be bel|bg bul|bh \
bih|bi bis|bm bam|bn ben|bo bod tib|br bre|bs bos|ca cat|ce che|ch cha|co cos|cr cre|cs ces cze|cu chu|cv chv|cy cym \
wel|da dan|de deu ger|dv div|dz dzo|ee ewe|el ell gre|en eng|eo epo|es spa|et est ekk|eu eus baq|fa fas per pes|ff \
ful|fi fin|fj fij|fo fao|fr fra fre|fy fry|ga gle|gd gla|gl glg|gn grn gug|gu guj|gv glv|ha hau|he heb iw|hi hin|ho \
hmo|hr hrv|ht hat|hu hun|hy hye arm|hz her|ia ina|id ind in|ie ile|ig ibo|ii iii|ik ipk|io ido|is isl ice|it ita|iu \
iku ike|ja jpn|jv jav jw|ka kat geo|kg kon|ki kik|kj kua|kk kaz|kl kal|km khm|kn kan|ko kor|kr kau|ks kas|ku kur kmr|\
kv kom kpv|kw cor|ky kir|la lat|lb ltz|lg lug|li lim|ln lin|lo lao|lt lit|lu lub|lv lav lvs|mg mlg plt|mh mah|mi mri \
mao|mk mkd mac|ml mal|mn mon khk|mr mar|ms msa may zsm|mt mlt|my mya bur|na nau|nb nob|nd nde|ne nep npi|ng ndo|nl \
nld dut|nn nno|no nor|nr nbl|nv nav|ny nya|oc oci|oj oji|om orm gaz|or ori ory|os oss|pa pan|pi pli|pl pol|ps pus \
pbt|pt por|qu que quy quz|rm roh|rn run|ro ron rum mo|ru rus|rw kin|sa san|sc srd|sd snd|se sme|sg sag|sh hbs|si sin|\
sk slk slo|sl slv|sm smo|sn sna|so som|sq sqi alb als|sr srp scc|ss ssw|st sot|su sun|sv swe|sw swa swh|ta tam|te \
tel|tg tgk|th tha|ti tir|tk tuk|tl tgl|tn tsn|to ton|tr tur|ts tso|tt tat|tw twi|ty tah|ug uig|uk ukr|ur urd|uz uzb \
uzn|ve ven|vi vie|vo vol|wa wln|wo wol|xh xho|yi yid ydd ji|yo yor|za zha|zh zho chi cmn|zu zul"""
_SHORT_CODES = {other: short for short, *others in map(str.split, _SYNONYMS.split("|")) for other in others}
LANGUAGE_CODE = re.compile(r"[A-Za-z]{2,3}(?:[-_]\w+)*")


def normal_code(code: str) -> str:
    """The code in lower case, with hyphens."""
    return code.lower().replace("_", "-")


@lru_cache(maxsize=256)  # asked for each word
def base_code(code: str | None) -> str:
    """The code of the language alone, without script and region; empty where it is not known."""
    return normal_code(code or "").partition("-")[0]


def short_code(code: str) -> str:
    """The two-letter code of the language alone, or the code that it is called by where there is none."""
    base = base_code(code)
    return _SHORT_CODES.get(base, base)
