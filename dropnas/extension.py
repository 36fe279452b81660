"""Code of a user's own package, named in a parameter file or a genotype as `package.module:ATTRIBUTE`.

No other module imports code by such a name. The code fingerprint of a run includes the code that is named, so the
user's code is part of the identity of each run that uses it.
"""

import importlib
import re
import traceback
from typing import Any

from dropnas.errors import DropnasError

REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
OWN_PACKAGE = __name__.partition(".")[0]
_packages: set[str] = set()  # users' packages from which code was loaded


def is_reference(text: str) -> bool:
    """Whether a name has the form `package.module:ATTRIBUTE`."""
    return REFERENCE.fullmatch(text) is not None


def load(reference: str) -> Any:
    """Import `package.module:ATTRIBUTE`.

    Raises a DropnasError if the module cannot be imported, or has no such attribute.
    """
    module_name, attribute = reference.split(":")
    _packages.update({module_name.partition(".")[0]} - {OWN_PACKAGE})
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, SyntaxError) as error:
        raise DropnasError(
            f"cannot import {module_name!r} ({error})",
            where=reference,
            remedy="start in the folder that holds the package, or install it",
        ) from error
    except AttributeError as error:
        raise DropnasError(f"module {module_name!r} has no {attribute!r}", where=reference) from error


def blamed(error: BaseException) -> str:
    """Locate the user's code that raised an exception: `package.module:Class.method at file, line`.

    The text is empty if the traceback contains no user code. The method is the last one in the users' packages that was
    called from outside of these packages. The line is the last one inside of these packages.
    """
    found, is_inside = "", False
    for frame, line in traceback.walk_tb(error.__traceback__):
        was_inside, module = is_inside, str(frame.f_globals.get("__name__"))
        is_inside = module.partition(".")[0] in _packages
        if is_inside and not was_inside:
            method = f"{module}:{frame.f_code.co_qualname}"
        if is_inside:
            found = f"{method} at {frame.f_code.co_filename}, line {line}"
    return found
