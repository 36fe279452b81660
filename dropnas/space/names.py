"""Names of operations, and the number of inputs of a cell.

The names are separate from the operations so that a genotype can be checked without torch. They are separate from the
search spaces so that a new space does not change the identity of any retraining.
"""

import difflib

from dropnas.errors import DropnasError
from dropnas.extension import is_reference

ZERO = "none"  # the paper's Zero: no connection at all
INPUTS = 2  # states 0 and 1: the outputs of the cell before the previous one, and of the previous cell
SKIP = "skip_connect"  # the paper's Identity

PARAMETERISED = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")  # O_p, Section 2.3
NON_PARAMETERISED = ("max_pool_3x3", "avg_pool_3x3", SKIP, ZERO)  # O_np
PAPER_GROUP = len(PARAMETERISED)  # |O_p| = |O_np|
GROUP_RATES = ("rate_parameterised", "rate_non_parameterised")  # options of the strategy dropnas
QUOTED = ("sep_conv_7x7", "conv_7x1_1x7")  # used by NASNet-A and AmoebaNet-A, which the tables quote

OPERATION_NAMES = PARAMETERISED + NON_PARAMETERISED + QUOTED


def check_operation(name: str, where: object) -> None:
    """Check that a name is a known operation or a reference `package.module:ATTRIBUTE` (which is not imported here).

    Raises:
        DropnasError: the name is neither; the error lists the known names and suggests a similar one.
    """
    if name in OPERATION_NAMES or is_reference(name):
        return
    close = difflib.get_close_matches(name, OPERATION_NAMES, n=1)
    suggestion = f"did you mean {close[0]!r}? " if close else ""
    known = ", ".join(OPERATION_NAMES)
    raise DropnasError(
        f"unknown operation {name!r}",
        where=where,
        remedy=f"{suggestion}known: {known}, or package.module:ATTRIBUTE",
    )
