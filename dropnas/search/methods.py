"""Every search method, by its name in a parameter file.

Design choices: this module does not import torch, so that `plan` starts fast. An entry holds everything that the
package knows about a method besides its algorithm. A new method therefore needs one file and one entry. The fingerprint
of a search does not cover this module, so a new entry changes no other method's identity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SearchMethod:
    """A search method."""

    code: str  # `module:ATTRIBUTE` of its Strategy
    label: str  # its name in tables and texts
    # its authors' settings where they differ from the defaults of SearchConfig, which are the settings of DropNAS;
    # `cells` and `epochs` apply to the first phase
    settings: Mapping[str, Any] = field(default_factory=dict)
    row: str = ""  # the key of its row in the paper's Tables 1 and 2; empty if it has none
    column: str = ""  # the key of its column in Table 4, if the baselines quote its errors from there
    # if the paper does not quote the method: the numbers that the method's own authors print, by data set and column
    # (`error`, `params`, `days`)
    printed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


_FOLDER = "dropnas.search.strategies"
_DROPOUT = f"{_FOLDER}.grouped_dropout:GroupedDropout"
_AS_DARTS: dict[str, Any] = {  # the settings of DARTS' own search, which many methods share
    "cells": 8,
    "epochs": 50,
    "batch_size": 64,
    "learning_rate": 0.025,
    "learning_rate_min": 0.001,
    "gradient_clip": 5.0,
}

# To add a method, add a file and an entry. The first seven methods are presets, whose options are in `config.py`.
METHODS: dict[str, SearchMethod] = {
    "dropnas": SearchMethod(_DROPOUT, "DropNAS", row="dropnas"),
    "no-alpha-adjust": SearchMethod(_DROPOUT, "no-alpha-adjust"),
    "no-partial-decay": SearchMethod(_DROPOUT, "no-partial-decay"),
    "no-grouping": SearchMethod(_DROPOUT, "no-grouping"),
    "one-level-darts": SearchMethod(_DROPOUT, "one-level DARTS", column="one-level-darts"),
    "drop-rate-0.875": SearchMethod(_DROPOUT, "p_d = 0.875, effective 0.70 (as SNAS)"),
    "drop-rate-0.75": SearchMethod(_DROPOUT, "p_d = 0.75, effective 0.63 (as ProxylessNAS)"),
    "darts-first-order": SearchMethod(f"{_FOLDER}.darts:Darts", "DARTS, first order"),
    "darts-second-order": SearchMethod(f"{_FOLDER}.darts:Darts", "DARTS, second order", row="darts"),
    "p-darts": SearchMethod(
        f"{_FOLDER}.p_darts:PDarts",
        "P-DARTS",
        {
            "cells": 5,
            "epochs": 25,
            "learning_rate": 0.025,
            "learning_rate_min": 0.0,
            "gradient_clip": 5.0,
            "alpha_learning_rate": 6e-4,
        },
        row="p-darts",
    ),
    "pc-darts": SearchMethod(
        f"{_FOLDER}.pc_darts:PcDarts",
        "PC-DARTS",
        {
            "cells": 8,
            "epochs": 50,
            "batch_size": 256,
            "learning_rate": 0.1,
            "learning_rate_min": 0.0,
            "gradient_clip": 5.0,
            "alpha_learning_rate": 6e-4,
        },
        row="pc-darts",
    ),
    "darts-plus": SearchMethod(
        f"{_FOLDER}.darts_plus:DartsPlus", "DARTS+", {**_AS_DARTS, "epochs": 60}, row="darts-plus"
    ),
    "snas": SearchMethod(f"{_FOLDER}.snas:Snas", "SNAS", {**_AS_DARTS, "epochs": 150, "alpha_scale": 0.01}, row="snas"),
    "proxylessnas": SearchMethod(
        f"{_FOLDER}.proxylessnas:ProxylessNas",
        "ProxylessNAS",
        {
            "epochs": 160,  # including 40 epochs of warm-up
            "batch_size": 256,
            "learning_rate": 0.025,
            "learning_rate_min": 0.0,
            "weight_decay": 4e-5,
            "gradient_clip": 1e9,  # none
            "alpha_learning_rate": 1e-3,
            "alpha_beta1": 0.0,
            "alpha_weight_decay": 0.0,
        },
        row="proxylessnas",
    ),
    "asap": SearchMethod(f"{_FOLDER}.asap:Asap", "ASAP", {**_AS_DARTS, "alpha_scale": 0.0}, row="asap"),
    "xnas": SearchMethod(f"{_FOLDER}.xnas:Xnas", "XNAS", _AS_DARTS, printed={"cifar10": {"error": "2.48"}}),
    "stacnas": SearchMethod(
        f"{_FOLDER}.stacnas:StacNas",
        "StacNAS",
        {"epochs": 80, "batch_size": 64, "learning_rate": 0.025, "learning_rate_min": 0.001},
        row="stacnas",
    ),
    "gdas": SearchMethod(
        f"{_FOLDER}.gdas:Gdas",
        "GDAS",
        {**_AS_DARTS, "cells": 6, "epochs": 250, "batch_size": 256, "weight_decay": 5e-4},
    ),
    "random-weight-sharing": SearchMethod(
        f"{_FOLDER}.random_weight_sharing:RandomWeightSharing",
        "random search with weight sharing",
        {**_AS_DARTS, "channels": 24, "epochs": 150, "gradient_clip": 1.0},
        printed={"cifar10": {"error": "2.71 (2.85±0.08)", "params": "4.3"}},
    ),
}


def authors_settings(strategy: str) -> dict[str, Any]:
    """The settings that a method's authors chose; empty for a user's method."""
    return dict(METHODS[strategy].settings) if strategy in METHODS else {}
