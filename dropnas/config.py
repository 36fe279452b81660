"""Reads a parameter file into frozen, typed configurations.

A parameter file says what is run and how large; which runs that makes, `dropnas.pipeline.plan` decides. The types lie
with their stages; here they are joined, read from YAML, and checked by pydantic: unknown keys, wrong types and values
out of range are rejected with file and field. The JSON Schema in `workflow/schemas/` is made from the same types.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Discriminator, Field, Tag, TypeAdapter

from dropnas.analysis.config import ClustersConfig
from dropnas.choice import OneOf
from dropnas.data.config import DATASETS, ROLES, DatasetConfig
from dropnas.errors import DropnasError
from dropnas.evaluate.config import RetrainConfig, SelectConfig, TransferConfig
from dropnas.extension import is_reference
from dropnas.parsing import parse
from dropnas.report.config import TARGETS, names
from dropnas.search.config import PRESETS, STRATEGIES, DeriveConfig, DropoutOptions, Scalar, SearchConfig
from dropnas.space.published import load_genotype, published
from dropnas.space.spaces import SPACES

DEFAULT_TABLES = tuple(name for name in names("table") if not TARGETS[name].on_request)
VARIED: dict[str, tuple[str, ...]] = {  # options that make the methods of the tables, and what a whole file may set
    "rate_parameterised": (),
    "rate_non_parameterised": (),
    "grouping": (),
    "alpha_adjust": ("released", "equation-3"),
    "decay_scope": ("kept",),
}
RoleName = Annotated[str, OneOf(lambda: ROLES)]
TargetName = Annotated[str, OneOf(lambda: TARGETS)]
TableName = Annotated[str, OneOf(lambda: names("table", "peers"))]
FigureName = Annotated[str, OneOf(lambda: names("figure"))]
PaperSpace = Literal["3-skip", "1-skip", "original"]
RANDOM = "random"  # random search, among the baselines
PeerName = Annotated[str, OneOf(published)]
BASELINES = (RANDOM, *(name for name in STRATEGIES if name not in PRESETS))
BaselineName = Annotated[str, OneOf(lambda: BASELINES)]
OF_BEST = ("table3", "figure3", "figure5")  # whose runs all rest on the best of several seeds
PER_SEARCH = {"space", "strategy", "options", "seed"}  # settings that no entry of `methods` repeats in `search`
LARGEST = 10_000  # values in a parameter file; far more than any has
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"


@dataclass(frozen=True)
class Augmented:
    """The augmented protocol of Tables 1 and 2: as the retraining, with AutoAugment and more epochs.

    Attributes:
        epochs: length of the training.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    epochs: int = field(default=1200, metadata={"ge": 1})


@dataclass(frozen=True)
class Looks:
    """Seeds only where they decide: how many each experiment has when its results are looked at.

    Attributes:
        looks: seeds at each look; they grow.
        most: seeds of what is still undecided, after the last of the looks.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    looks: tuple[int, ...] = field(metadata={"min_length": 1})
    most: int = field(metadata={"ge": 1, "le": 1000})

    @property
    def schedule(self) -> tuple[int, ...]:
        """Seeds at each look, the last one with the most."""
        return self.looks if self.looks[-1] == self.most else (*self.looks, self.most)


Seeds = Annotated[  # the tags keep a mistake in one of the two apart from the other
    Annotated[int, Field(ge=1, le=1000), Tag("[number]")] | Annotated[Looks, Tag("[looks]")],
    Discriminator(lambda value: "[looks]" if isinstance(value, dict | Looks) else "[number]"),
]


@dataclass(frozen=True)
class Method:
    """A search method of the user's own, which gets its rows and columns in the tables.

    Attributes:
        label: its name in the tables.
        strategy: `module:ATTRIBUTE` of its Strategy, or the name of a preset whose options it changes.
        options: keyword options of the strategy.
        search: settings of its searches that differ from those of the file.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    label: str = field(metadata={"min_length": 1})
    strategy: str
    options: dict[str, Scalar] = field(default_factory=dict)
    search: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Space:
    """A search space of the user's own, which gets its rows in Table 4.

    Attributes:
        label: its name in the tables.
        space: `module:ATTRIBUTE` of its SearchSpace, or the name of one of the paper's.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    label: str = field(metadata={"min_length": 1})
    space: str


@dataclass(frozen=True)
class Architecture:
    """An architecture of the user's own, which is retrained, transferred, counted and drawn like a published one.

    Attributes:
        label: its name in the tables.
        genotype: a file, JSON, or the text that repositories of DARTS' family print.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    label: str = field(metadata={"min_length": 1})
    genotype: str = field(metadata={"min_length": 1})


@dataclass(frozen=True)
class Machine:
    """What the runs may use. Changes no identity; recorded with each run.

    Attributes:
        device: `auto` takes a free GPU, or the CPU where there is none; it is an error if the job was given a GPU that
            torch does not see. `cpu`, `cuda` and `cuda:N` accept nothing else.
        threads: CPU threads of one job; fixed, because they change the rounding of sums.
        workers: processes that decode ImageNet's images.
        runs_per_job: how many runs of a stage share one process. Without an entry for `search`, the searches of one
            group (`search.group_seeds`) share a process.
        seeds_at_once: most seeds in one group; 0 takes as many as fit into memory.
        transfer_processes: processes that share one training on ImageNet, each with its GPU, threads and memory.
        checkpoint_seconds: time between two checkpoints, and the most work that a killed run loses.
        memory_mb: memory that a training job requests from a cluster; on a CPU it also bounds `seeds_at_once`.
        runtime_minutes: time that a training job requests from a cluster.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    device: str = field(default="auto", metadata={"pattern": r"^(auto|cpu|cuda(:\d+)?)$"})
    threads: int = field(default=1, metadata={"ge": 1, "le": 1024})
    workers: int = field(default=0, metadata={"ge": 0, "le": 1024})
    runs_per_job: dict[Literal["search", "retrain", "transfer"], int] = field(default_factory=dict)
    seeds_at_once: int = field(default=0, metadata={"ge": 0, "le": 1000})
    transfer_processes: int = field(default=1, metadata={"ge": 1, "le": 64})
    checkpoint_seconds: float = field(default=300.0, metadata={"ge": 0})
    memory_mb: int = field(default=16000, metadata={"ge": 1})
    runtime_minutes: int = field(default=1440, metadata={"ge": 1})


@dataclass(frozen=True)
class Parameters:
    """A parameter file.

    Attributes:
        profile: name of the folder of results, shown in every table.
        description: what this file is for, in a sentence or two.
        reproduction: whether results may be compared with the paper, because protocol and data are the paper's.
        datasets: the data set used for each of the paper's three.
        seeds: how many searches each setting gets, with seeds 0, 1, …; or `{looks: [3, 5], most: 8}`, which gives all
            the first number and what is undecided the next ones (docs/ladder.md).
        seeds_of: another number of seeds for single tables and figures.
        seeds_at: another number of seeds for single experiments, by the folder of their first training.
        look: which look of `seeds.looks` this file is the start of; `run` writes it, with `seeds_at`.
        best_of_seeds: whether the best of the seeds is used further: augmented retrainings, ImageNet, Figures 3 and 5.
        retrainings: how many retrainings each genotype gets. The first has the seed of its search.
        tables: which tables are built. Tables of published cells and the baselines are also
            built on request.
        figures: which figures are built; `trajectories` shows the trajectories of the searches' alphas.
        drop_rates: the drop path rates of Figure 2.
        group_rates: the rates of Table 5, for both groups.
        paper_spaces: the paper's search spaces in Table 4.
        baselines: what the table of baselines compares DropNAS and one-level DARTS with: `random`, and search methods.
        methods: search methods of the user's own.
        spaces: search spaces of the user's own.
        peers: which published architectures are retrained for the tables of peers; all of them if none is named.
        architectures: architectures of the user's own, which the tables of peers add to the published ones.
        search: settings of the searches. One that differs from its default holds for all methods; the others are what
            the authors of each method chose.
        derive: how genotypes are derived.
        retrain: settings of the retrainings on CIFAR.
        clusters: the feature clusters of Figures 1 and 4.
        augmented: what differs in the augmented retrainings of Tables 1 and 2.
        select: how the best of several seeds is chosen.
        transfer: settings of the trainings on ImageNet.
        machine: what the runs may use.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    profile: str = field(metadata={"pattern": f"^{NAME}$"})
    description: str
    datasets: dict[RoleName, DatasetConfig]
    reproduction: bool = False
    seeds: Seeds = 8
    seeds_of: dict[TargetName, int] = field(default_factory=dict)
    seeds_at: dict[str, Annotated[int, Field(ge=1, le=1000)]] = field(default_factory=dict)
    look: Annotated[int, Field(ge=0, le=1000)] = 0
    best_of_seeds: bool = True
    retrainings: int = field(default=1, metadata={"ge": 1, "le": 1000})
    tables: tuple[TableName, ...] = field(default=DEFAULT_TABLES, metadata={"min_length": 1})
    figures: tuple[FigureName, ...] = ()
    drop_rates: tuple[float, ...] = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
    group_rates: tuple[float, ...] = (1e-5, 3e-5, 1e-4)
    paper_spaces: tuple[PaperSpace, ...] = field(default=get_args(PaperSpace), metadata={"min_length": 1})
    baselines: tuple[BaselineName, ...] = ("random", "darts-first-order", "darts-second-order")
    methods: tuple[Method, ...] = ()
    spaces: tuple[Space, ...] = ()
    peers: tuple[PeerName, ...] = ()
    architectures: tuple[Architecture, ...] = ()
    search: SearchConfig = field(default_factory=SearchConfig)
    derive: DeriveConfig = field(default_factory=DeriveConfig)
    retrain: RetrainConfig = field(default_factory=RetrainConfig)
    clusters: ClustersConfig = field(default_factory=ClustersConfig)
    augmented: Augmented = field(default_factory=Augmented)
    select: SelectConfig = field(default_factory=SelectConfig)
    transfer: TransferConfig = field(default_factory=TransferConfig)
    machine: Machine = field(default_factory=Machine)

    @property
    def looks(self) -> tuple[int, ...]:
        """Seeds at each look; none where the number of seeds is fixed."""
        return self.seeds.schedule if isinstance(self.seeds, Looks) else ()

    @property
    def first_seeds(self) -> int:
        """Seeds that every experiment has at least."""
        return self.seeds.looks[0] if isinstance(self.seeds, Looks) else self.seeds


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: `3e-5` is a number, and a duplicate key is an error."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = set()
    for key in (loader.construct_object(key) for key, _ in node.value):
        if key in keys:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} appears twice", node.start_mark)
        keys.add(key)
    return dict(loader.construct_pairs(node, deep=True))


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    """As it is read by a person: YAML would take 010 for 8 and 1:30 for 90."""
    if not re.fullmatch(r"[-+]?(0|[1-9][0-9_]*)", node.value):
        raise yaml.constructor.ConstructorError(None, None, f"{node.value} is no plain number", node.start_mark)
    return int(node.value.replace("_", ""))


def _content(text: str) -> Any:
    """The values in a YAML text.

    Raises:
        ValueError: they are more than any parameter file has, as nested aliases make from a few lines.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is not None and _size(node, {}) > LARGEST:
            raise ValueError(f"more than {LARGEST} values")
        return loader.construct_document(node) if node is not None else None
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node holds, an alias counted at each use; a node that contains itself counts as too large."""
    if id(node) not in known:
        known[id(node)] = LARGEST + 1
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        inner = parts if isinstance(node, yaml.CollectionNode) else ()
        known[id(node)] = 1 + sum(_size(part, known) for part in inner)
    return known[id(node)]


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_parameters(file: Path) -> Parameters:
    """Read and check a parameter file.

    Raises:
        DropnasError: the file is missing, is no YAML, or a key or value is wrong; names file and field.
    """
    if file.exists() and not file.is_file():
        raise DropnasError("is no file", where=file, remedy="name a parameter file such as params/smoke.yaml")
    try:
        content = _content(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DropnasError(
            "cannot be read", where=file, remedy="name a parameter file such as params/smoke.yaml"
        ) from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise DropnasError(f"is no YAML that can be read ({error})", where=file) from error
    for key_path, number in _numbers(content):
        if not math.isfinite(number):
            raise DropnasError(f"{key_path}: is not finite", where=file, remedy="write a number")
    parameters: Parameters = parse(Parameters, content, file)
    _check(parameters, file)
    return replace(parameters, architectures=tuple(_read_in(one, file) for one in parameters.architectures))


def _read_in(architecture: Architecture, file: Path) -> Architecture:
    """An architecture with its genotype as JSON instead of the file that holds it, found relative to this one."""
    beside = file.parent / architecture.genotype
    try:
        exists = beside.exists()
    except (OSError, ValueError):  # too long for a name, or with a NUL: no file
        exists = False
    try:
        genotype = load_genotype(str(beside) if exists else architecture.genotype)
    except DropnasError as error:
        where = f"{file}: architectures ({architecture.label}).genotype"
        raise DropnasError(str(error), where=where) from error
    return replace(architecture, genotype=json.dumps(genotype.values()))


def _numbers(content: Any, key_path: str = "") -> Iterator[tuple[str, float]]:
    """Every fraction in nested values, with the keys that lead to it."""
    if isinstance(content, float):
        yield key_path, content
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, item in items:
        yield from _numbers(item, f"{key_path}.{key}" if key_path else str(key))


def _check(parameters: Parameters, file: Path) -> None:
    """What types cannot say."""

    def require(condition: bool, fieldname: str, message: str, remedy: str = "") -> None:
        if not condition:
            raise DropnasError(f"{fieldname}: {message}", where=file, remedy=remedy)

    _check_datasets(parameters, require)
    _check_seeds(parameters, require)
    _check_methods(parameters, require, file)
    for name in ("space", "strategy", "seed"):
        untouched = getattr(parameters.search, name) == getattr(SearchConfig(), name)
        require(untouched, f"search.{name}", "is set by the tables", "use methods, spaces or seeds")
    require(parameters.retrain.seed == 0, "retrain.seed", "is set by the seeds")
    require(parameters.transfer.seed == 0, "transfer.seed", "is set by the seeds")
    chosen = parameters.select.criterion != "held-out" or parameters.retrain.held_out > 0
    require(chosen, "select.criterion", "held-out needs images that are held out", "set retrain.held_out")
    whole = not (parameters.reproduction and parameters.retrain.held_out)
    require(whole, "retrain.held_out", "the paper held no images out", "set reproduction: false")
    batches = parameters.transfer.batch_size % parameters.transfer.micro_batch == 0
    require(batches, "transfer.micro_batch", "must divide transfer.batch_size")
    machine, micro_batches = parameters.machine, parameters.transfer.batch_size // parameters.transfer.micro_batch
    shared = micro_batches % machine.transfer_processes == 0
    require(shared, "machine.transfer_processes", f"must divide the {micro_batches} micro-batches of a step")
    free = machine.transfer_processes == 1 or ":" not in machine.device
    require(free, "machine.device", f"{machine.device} is one GPU, transfer_processes are several", "use cuda")
    for stage in ("search", "retrain"):
        settings = getattr(parameters, stage)
        falls = settings.learning_rate >= settings.learning_rate_min
        require(falls, f"{stage}.learning_rate", f"is below learning_rate_min, {settings.learning_rate_min:g}")
    for name in ("drop_rates", "group_rates"):
        rates = getattr(parameters, name)
        require(all(0 <= rate < 1 for rate in rates), name, "rates lie in [0, 1)")
        require(len(set(rates)) == len(rates), name, "a rate appears twice")
    counts = [(f"seeds_of.{name}", count) for name, count in parameters.seeds_of.items()]
    counts += [(f"machine.runs_per_job.{stage}", count) for stage, count in parameters.machine.runs_per_job.items()]
    for name, count in counts:
        require(1 <= count <= 1000, name, f"must be from 1 to 1000, not {count}")


def _check_seeds(parameters: Parameters, require: Callable[..., None]) -> None:
    seeds = parameters.seeds
    if isinstance(seeds, Looks):
        grow = all(before < after for before, after in pairwise((0, *seeds.looks)))
        require(grow, "seeds.looks", f"{list(seeds.looks)} do not grow", "name more seeds at each look")
        message = f"has looks beyond most, {seeds.most}"
        require(seeds.looks[-1] <= seeds.most, "seeds.looks", message, "raise most, or leave them out")
        require(not parameters.seeds_of, "seeds_of", "cannot be used with looks", "remove it")
        require(bool(parameters.look) or not parameters.seeds_at, "seeds_at", "cannot be used with looks", "remove it")
    require(not parameters.look or isinstance(seeds, Looks), "look", "has no effect without seeds.looks", "remove it")
    if not parameters.best_of_seeds:
        further = [name for name in OF_BEST if name in (*parameters.tables, *parameters.figures)]
        require(not further, ", ".join(further), "rest on the best of the seeds", "set best_of_seeds: true")
    require(len(set(parameters.peers)) == len(parameters.peers), "peers", "a name appears twice")


def _check_datasets(parameters: Parameters, require: Callable[..., None]) -> None:
    for role, dataset in parameters.datasets.items():
        sources = DATASETS[dataset.name].sources
        message = f"dataset {dataset.name!r} has no source {dataset.source!r}"
        require(dataset.source in sources, f"datasets.{role}.source", message, f"its sources: {', '.join(sources)}")
        require(dataset.train_images != 1, f"datasets.{role}.train_images", "one image is no data set", "0 takes all")
        require("\0" not in dataset.path, f"datasets.{role}.path", "holds a NUL", "write the path again")
    targets = [*parameters.tables, *parameters.figures]
    require(len(set(targets)) == len(targets), "tables, figures", "a name appears twice")
    needed = {role for target in targets for role in TARGETS[target].needs}
    missing = sorted(needed - set(parameters.datasets))
    require(not missing, "datasets", f"no {' and no '.join(missing)}", "name a data set for it")


def _check_methods(parameters: Parameters, require: Callable[..., None], file: Path) -> None:
    own = parameters.methods, parameters.spaces, parameters.architectures
    named = [item.label for items in own for item in items]
    keys = {slug(label) for label in named}  # of rows and columns
    where = "methods, spaces, architectures"
    require(len(keys) == len(named), where, "a label appears twice")
    taken = {"dropnas", RANDOM, *STRATEGIES, *SPACES, *map(slug, published())} & keys
    require(not taken, where, f"the label {', '.join(sorted(taken))} is taken", "choose another")
    require(all(keys), where, "a label has no letter and no digit")
    require(len(set(parameters.baselines)) == len(parameters.baselines), "baselines", "a name appears twice")
    parse(DropoutOptions, dict(parameters.search.options), f"{file}: search.options")
    for name, value in parameters.search.options.items():
        varied = name in VARIED and value not in VARIED[name]
        require(not varied, f"search.options.{name}", f"{value!r} is what the tables compare", "name it in methods")
    for method in parameters.methods:
        where = f"methods ({method.label}).strategy"
        hint = f"known: {', '.join(STRATEGIES)}; or package.module:ATTRIBUTE"
        known = method.strategy in STRATEGIES or is_reference(method.strategy)
        require(known, where, f"no strategy {method.strategy!r}", hint)
        if method.strategy in PRESETS:
            parse(DropoutOptions, dict(method.options), f"{file}: methods ({method.label}).options")
        fixed = sorted(PER_SEARCH & set(method.search))
        require(not fixed, f"methods ({method.label}).search", f"{', '.join(fixed)} is set elsewhere", "remove it")
        parse(SearchConfig, dict(method.search), f"{file}: methods ({method.label}).search")
    for item in parameters.spaces:
        known = item.space in SPACES or is_reference(item.space)
        hint = f"known: {', '.join(SPACES)}; or package.module:ATTRIBUTE"
        require(known, f"spaces ({item.label}).space", f"no space {item.space!r}", hint)


def slug(text: str) -> str:
    """Letters, digits and a few signs: names become folders, and labels keys of rows and columns."""
    return re.sub(r"[^a-z0-9.+]+", "-", text.lower()).strip("-")


def schema() -> dict[str, Any]:
    """The JSON Schema of a parameter file."""
    return TypeAdapter(Parameters).json_schema()
