"""Code of a user's own package, named in a parameter file or a genotype as `package.module:ATTRIBUTE`.

This is the one place of the package that imports by name. Everything so named is found by the code fingerprint in the
configuration itself, so the user's code is part of the identity of each run that uses it.
"""

import importlib
import re
from typing import Any

from dropnas.errors import DropnasError

REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_reference(text: str) -> bool:
    """Whether a name has the form `package.module:ATTRIBUTE`."""
    return REFERENCE.fullmatch(text) is not None


def load(reference: str) -> Any:
    """Import what `package.module:ATTRIBUTE` names.

    Raises:
        DropnasError: the module cannot be imported, or has no such attribute.
    """
    module_name, attribute = reference.split(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except ImportError as error:
        raise DropnasError(
            f"cannot import {module_name!r} ({error})",
            where=reference,
            remedy="start in the folder that holds the package, or install it",
        ) from error
    except AttributeError as error:
        raise DropnasError(f"module {module_name!r} has no {attribute!r}", where=reference) from error
