"""The configuration class of each stage, given as a string because this package must not import the stages."""

from functools import cache
from importlib import import_module
from typing import Any

from dropnas.errors import DropnasError

CONFIGURATIONS = {
    "data": "dropnas.data.config:DatasetConfig",
    "search": "dropnas.search.config:SearchConfig",
    "derive": "dropnas.search.config:DeriveConfig",
    "sample": "dropnas.search.config:SampleConfig",
    "fixed": "dropnas.evaluate.config:FixedConfig",
    "retrain": "dropnas.evaluate.config:RetrainConfig",
    "select": "dropnas.evaluate.config:SelectConfig",
    "transfer": "dropnas.evaluate.config:TransferConfig",
    "variant": "dropnas.analysis.config:VariantConfig",
    "clusters": "dropnas.analysis.config:ClustersConfig",
    "correlation": "dropnas.analysis.config:CorrelationConfig",
    "architectures": "dropnas.evaluate.config:ArchitecturesConfig",
    "table": "dropnas.report.config:TableConfig",
    "published": "dropnas.report.config:PublishedConfig",
    "figure": "dropnas.report.config:FigureConfig",
}


@cache
def configuration(stage: str) -> Any:
    """Import the configuration class of a stage. Raises a DropnasError if there is no such stage."""
    if stage not in CONFIGURATIONS:
        raise DropnasError(f"unknown stage {stage!r}", remedy=f"known: {', '.join(CONFIGURATIONS)}")
    module, _, name = CONFIGURATIONS[stage].partition(":")
    return getattr(import_module(module), name)
