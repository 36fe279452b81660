"""Output on a terminal that lacks a sign: another sign is shown instead, here and in what is started from here."""

import io
import locale
import os
import sys


def replace_missing_signs() -> None:
    """Let no character that standard output or error cannot show be an error.

    Files are UTF-8 whatever the terminal shows, those of Snakemake's logs too.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
            if stream.encoding.lower() not in ("utf-8", "utf8"):
                os.environ["PYTHONIOENCODING"] = f"{stream.encoding}:replace"
    if locale.getencoding().lower() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"
