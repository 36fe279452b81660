"""Experiments: the runs of a method in a search space on a data set, over several seeds.

Tables and figures name experiments. Identical experiments share their runs, because runs with the same identity are
the same run. The functions are pure and do not import torch.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from dropnas.analysis.config import CorrelationConfig, VariantConfig
from dropnas.config import Method, Parameters, slug
from dropnas.data.config import ROLES, SEARCHED, DatasetConfig
from dropnas.evaluate.config import ArchitecturesConfig, FixedConfig
from dropnas.pipeline.effective_options import derive_config, search_config
from dropnas.pipeline.stages import code_of
from dropnas.runs.identity import Run
from dropnas.search.config import SampleConfig, Scalar, SearchConfig
from dropnas.search.methods import METHODS
from dropnas.space.genotype import Genotype
from dropnas.space.names import ZERO
from dropnas.space.published import Published
from dropnas.space.spaces import ORIGINAL


def _preset(name: str) -> Method:
    return Method(METHODS[name].label, name)


DROPNAS, ONE_LEVEL_DARTS = _preset("dropnas"), _preset("one-level-darts")
ABLATIONS = tuple(map(_preset, ("no-alpha-adjust", "no-partial-decay", "no-grouping")))
# p_d = 0, 0.75 and 0.875; the last two share only the drop rate with ProxylessNAS and SNAS (Section 2.3)
EXTREME_METHODS = (ONE_LEVEL_DARTS, _preset("drop-rate-0.75"), _preset("drop-rate-0.875"))
MORE_RETRAININGS = 1000  # the k-th retraining's seed is the search's seed plus k times this number


@dataclass(frozen=True)
class Experiment:
    """One method in one setting, over its seeds."""

    searches: tuple[Run, ...]  # for each seed, the run that finds its architecture (a search or a random draw)
    trainings: tuple[Run, ...]  # the first retraining of each seed, whose errors are compared
    role: str  # the paper's data set


@dataclass
class Experiments:
    """Creates runs; the same configuration and inputs always give the same object."""

    parameters: Parameters
    # the experiments requested so far, by their names in `seeds_at`
    met: dict[str, Experiment] = field(default_factory=dict)
    _runs: dict[str, Run] = field(default_factory=dict)

    @property
    def roles(self) -> list[str]:
        """The roles (`cifar10`, `cifar100`) for which the parameter file names a data set."""
        return [role for role in SEARCHED if role in self.parameters.datasets]

    def seeds(self, target: str, first: Run | None = None) -> range:
        """The search seeds of a table or figure, or of one of its experiments.

        Args:
            first: the first training of the experiment; None means the table or figure as a whole.
        """
        counts: dict[str, int] = {str(name): count for name, count in self.parameters.seeds_of.items()}
        usual = counts.get(target, self.parameters.first_seeds)
        return range(self.parameters.seeds_at.get(folder_key(first), usual) if first else usual)

    def _run(self, stage: str, name: str, config: Any, *inputs: Run) -> Run:
        run = Run(stage, name, config, inputs, code_of(stage, config))
        return self._runs.setdefault(run.id, run)

    def data(self, role: str) -> Run:
        """The run that prepares the data set for a role, such as `cifar10`."""
        config = self.parameters.datasets[role]
        return self._run("data", dataset_name(config), config)

    def search(self, role: str, space: str, method: Method, seed: int) -> Run:
        """The run of one search."""
        config = search_config(self.parameters.search, method, space, seed)
        data = self.data(role)
        return self._run("search", f"{data.name}-{search_name(config)}-seed{seed}", config, data)

    def genotype(self, search: Run) -> Run:
        """The run that derives a search's genotype."""
        config = derive_config(self.parameters.derive, search.config.space)
        return self._run("derive", search.name, config, search)

    def retrainings(self, search: Run) -> list[Run]:
        """All retrainings of a search's genotype."""
        return self._retrain(self.genotype(search), search.inputs[0], search.config.seed, self.parameters.retrainings)

    def _retrain(self, genotype: Run, data: Run, seed: int, count: int) -> list[Run]:
        configs = [replace(self.parameters.retrain, seed=seed + MORE_RETRAININGS * k) for k in range(count)]
        prefix = f"{data.name}-" if genotype.stage in ("sample", "fixed") else ""  # others already have it
        return [self._run("retrain", f"{prefix}{genotype.name}-train{c.seed}", c, data, genotype) for c in configs]

    def experiment(
        self, target: str, role: str, method: Method, space: str = "original"
    ) -> tuple[list[Run], list[Run]]:
        """The searches and retrainings of one method, over the seeds of a table or figure."""
        return self._over_seeds(target, role, partial(self.search, role, space, method), self.retrainings)

    def _over_seeds(
        self, target: str, role: str, search: Callable[[int], Run], train: Callable[[Run], list[Run]]
    ) -> tuple[list[Run], list[Run]]:
        first = train(search(0))[0]
        searches = [search(seed) for seed in self.seeds(target, first)]
        trainings = [train(one) for one in searches]
        name = folder_key(first)
        if name not in self.met or len(self.met[name].searches) < len(searches):
            self.met[name] = Experiment(tuple(searches), tuple(some[0] for some in trainings), role)
        return searches, [run for some in trainings for run in some]

    def best(self, role: str, method: Method) -> Run:
        """The run that chooses the best of the genotypes that a method found with the seeds of Table 1 or 2."""
        searches, retrainings = self.experiment(ROLES[role].table, role, method)
        name = f"{searches[0].name.removesuffix('-seed0')}-best-of-{len(retrainings)}"
        return self._run("select", name, self.parameters.select, *retrainings)

    def augmented(self, role: str, method: Method) -> Run:
        """The run that retrains a method's best genotype under the augmented protocol."""
        best = self.best(role, method)
        config = replace(self.parameters.retrain, autoaugment=True, epochs=self.parameters.augmented.epochs)
        return self._run("retrain", f"{best.name}-augmented-train0", config, self.data(role), best)

    def transfer(self, role: str, method: Method) -> Run:
        """The run that trains a method's best genotype of Table 1 or 2 on ImageNet."""
        best = self.best(role, method)
        data = self.data("imagenet")
        return self._run("transfer", f"{data.name}-from-{best.name}", self.parameters.transfer, data, best)

    def sampled(self, target: str, role: str, space: str) -> list[Run]:
        """The retrainings of random search, which draws one architecture for each seed."""

        def train(drawn: Run) -> list[Run]:
            return self._retrain(drawn, self.data(role), drawn.config.seed, self.parameters.retrainings)

        return self._over_seeds(target, role, partial(self._sample, space), train)[1]

    def _sample(self, space: str, seed: int) -> Run:
        return self._run("sample", f"random-{slug(space.rpartition(':')[2])}-seed{seed}", SampleConfig(space, seed))

    def fixed(self, architecture: Published) -> Run:
        """The run that holds the genotype of a published architecture."""
        return self._run("fixed", slug(architecture.id), _fixed_config(architecture))

    def published_retrainings(self, target: str, role: str, architecture: Published) -> list[Run]:
        """The retrainings of a published architecture under this protocol, one for each seed."""
        genotype, data = self.fixed(architecture), self.data(role)
        return [run for seed in self.seeds(target) for run in self._retrain(genotype, data, seed, 1)]

    def published_transfer(self, architecture: Published) -> Run:
        """The run that trains a published architecture on ImageNet."""
        genotype, data = self.fixed(architecture), self.data("imagenet")
        return self._run("transfer", f"{data.name}-from-{genotype.name}", self.parameters.transfer, data, genotype)

    def architectures(self) -> Run:
        """The run that counts the parameters and multiply-adds of published architectures and of the user's own."""
        own = tuple(_fixed_config(architecture) for architecture in self.own_architectures)
        return self._run("architectures", "published", ArchitecturesConfig(self.parameters.retrain.pool_norm, own))

    @property
    def own_architectures(self) -> list[Published]:
        """The user's own architectures, as `Published` objects."""
        return [
            Published(slug(one.label), one.label, {"form": None}, "", Genotype.of_text(one.genotype, one.label), {}, "")
            for one in self.parameters.architectures
        ]

    def clusters(self, search: Run) -> Run:
        """The run that clusters features in a search's supernet; the search's seed chooses the images."""
        config = replace(self.parameters.clusters, seed=search.config.seed)
        return self._run("clusters", search.name, config, search.inputs[0], search)

    def correlation(self, node: int, predecessor: int) -> Run:
        """The run that correlates stand-alone accuracy with p on an edge of the best normal cell (Section 5.5)."""
        best = self.best("cifar10", DROPNAS)
        operations = tuple(dict.fromkeys(name for name in ORIGINAL.operations if name != ZERO))
        variants = [self._variant(best, node, predecessor, operation) for operation in operations]
        data = self.data("cifar10")
        trained = [self._retrain(variant, data, self.parameters.retrain.seed, 1)[0] for variant in variants]
        searches = [retraining.inputs[1].inputs[0] for retraining in best.inputs]
        name = f"{best.name}-edge-{predecessor}-{node}"
        config = CorrelationConfig(node, predecessor, operations)
        return self._run("correlation", name, config, best, *searches, *trained)

    def _variant(self, best: Run, node: int, predecessor: int, operation: str) -> Run:
        name = f"{best.name}-edge-{predecessor}-{node}-{slug(operation)}"
        return self._run("variant", name, VariantConfig(node, predecessor, operation), best)

    def report(self, stage: str, name: str, config: Any, inputs: list[Run]) -> Run:
        """The run of a table or figure; its inputs are the runs that it reads, each listed once."""
        return self._run(stage, f"{name}-{self.parameters.profile}", config, *inputs)


def folder_key(first: Run) -> str:
    """The key of an experiment in `seeds_at`, given the first training of the experiment."""
    return first.folder.name


def _fixed_config(architecture: Published) -> FixedConfig:
    return FixedConfig(architecture.id, architecture.genotype.values())


def dataset_name(config: DatasetConfig) -> str:
    """A readable name for a prepared data set. If only some of its images are used, the name states how many."""
    size = f"-{config.train_images or 'all'}-{config.test_images or 'all'}"
    return config.name + (size if config.train_images or config.test_images else "")


def search_name(config: SearchConfig) -> str:
    """A readable name for a search: its space, strategy and options."""
    parts = [config.space, config.strategy, *_option_names(dict(config.options))]
    return "-".join(slug(part.rpartition(":")[2]) for part in parts)


def _option_names(options: dict[str, Scalar]) -> list[str]:
    groups = {"rp": "rate_parameterised", "rnp": "rate_non_parameterised"}
    rates = {key: options.pop(name, None) for key, name in groups.items()}
    if rates["rp"] == rates["rnp"]:
        rates = {"r": rates["rp"]}
    named = [f"{key}{rate:g}" for key, rate in rates.items() if rate is not None]
    return named + [f"{key}-{value}" for key, value in sorted(options.items())]


def at_rates(parameterised: float, non_parameterised: float) -> Method:
    """DropNAS with these drop path rates."""
    rates: dict[str, Scalar] = {"rate_parameterised": parameterised, "rate_non_parameterised": non_parameterised}
    return Method("DropNAS", "dropnas", rates)
