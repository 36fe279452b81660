"""Replaces characters that a terminal cannot show, in the output of this program and of programs that it starts."""

import io
import locale
import os
import sys


def replace_missing_signs() -> None:
    """Replace characters that standard output or error cannot show, instead of raising an error.

    Files, including Snakemake's logs, are always UTF-8.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
            if stream.encoding.lower() not in ("utf-8", "utf8"):
                os.environ["PYTHONIOENCODING"] = f"{stream.encoding}:replace"
    if locale.getencoding().lower() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"
