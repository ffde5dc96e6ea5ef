"""Final stops that a model adds because nearly every sentence of its training text has one."""

from nmt_cli.data.text_profile import STOPS

CONTINUING_MARKS = ",;:"


def drop_added_stop(source: str, translation: str) -> str:
    """The translation without its final stop where the source has none: it ends in a letter or a digit, or in a comma
    or the like, which then takes the place of the stop."""
    last, stop = source.rstrip()[-1:], translation[-1:]
    if stop not in STOPS or not translation[-2:-1].isalnum():
        return translation
    if last and last in CONTINUING_MARKS:
        return translation[:-1] + last
    return translation[:-1] if last.isalnum() else translation
