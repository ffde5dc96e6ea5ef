"""Final stops that a model adds because nearly every sentence of its training text has one."""

from nmt_cli.data.final_marks import without_full_stop
from nmt_cli.data.text_profile import ends_in_mark, ends_in_word


def drop_added_stop(source: str, translation: str, *, keeps_marks: bool = True) -> str:
    """The translation without its final stop where the source has none: it ends in a letter or a digit, or, with
    `keeps_marks`, in a comma or the like, which then takes the place of the stop."""
    source, stem = source.rstrip(), without_full_stop(translation)
    if stem == translation or not ends_in_word(stem):
        return translation
    if keeps_marks and ends_in_mark(source):
        return stem + source[-1]
    return stem if ends_in_word(source) else translation
