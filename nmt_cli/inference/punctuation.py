"""Final stops that a model adds because nearly every sentence of its training text has one."""

from nmt_cli.data.text_profile import STOPS, ends_in_word

CONTINUING_MARKS = (",", ";", ":")


def drop_added_stop(source: str, translation: str) -> str:
    """The translation without its final stop where the source has none: it ends in a letter or a digit, or in a comma
    or the like, which then takes the place of the stop."""
    source = source.rstrip()
    if translation[-1:] not in STOPS or not ends_in_word(translation[:-1]):
        return translation
    if source.endswith(CONTINUING_MARKS):
        return translation[:-1] + source[-1]
    return translation[:-1] if ends_in_word(source) else translation
