"""Write the quickstart corpus into the package: python -m tools.quickstart_grammar."""

import hashlib

import zstandard

from nmt_cli.data.sources.quickstart import QUICKSTART_FILE
from tools.quickstart_grammar.corpus import corpus, to_tsv


def main() -> None:
    """Write the compressed file and print the SHA-256 that the package checks."""
    text = to_tsv(corpus()).encode()
    QUICKSTART_FILE.write_bytes(zstandard.ZstdCompressor(level=19).compress(text))
    print(f"{QUICKSTART_FILE}: QUICKSTART_SHA256 = {hashlib.sha256(text).hexdigest()}")


if __name__ == "__main__":
    main()
