"""Reads a parameter file into frozen, typed configurations.

A parameter file says what to run, and at what size; `dropnas.pipeline.plan` determines the runs. The configuration
classes are declared with their stages. This module combines them, reads them from YAML, and has pydantic check them:
unknown keys, wrong types and values out of range raise an error that names the file and the field. The JSON Schema in
`workflow/schemas/` is made from the same classes.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
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
from dropnas.runs.files import write_text
from dropnas.search.config import PRESETS, STRATEGIES, DeriveConfig, DropoutOptions, Scalar, SearchConfig
from dropnas.space.published import load_genotype, published
from dropnas.space.spaces import SPACES

DEFAULT_TABLES = tuple(name for name in names("table") if not TARGETS[name].on_request)
# options that differ between the methods of the tables, with the values that `search.options` may set for all methods
VARIED: dict[str, tuple[str, ...]] = {
    "rate_parameterised": (),
    "rate_non_parameterised": (),
    "grouping": (),
    "alpha_adjust": ("released", "equation-3"),
    "decay_scope": ("kept",),
}
Count = Annotated[int, Field(ge=1, le=1000)]
Rate = Annotated[float, Field(ge=0, lt=1)]
RoleName = Annotated[str, OneOf(lambda: ROLES)]
TargetName = Annotated[str, OneOf(lambda: TARGETS)]
TableName = Annotated[str, OneOf(lambda: names("table", "published"))]
FigureName = Annotated[str, OneOf(lambda: names("figure"))]
PaperSpace = Literal["3-skip", "1-skip", "original"]
RANDOM = "random"  # the name of random search among the baselines
PublishedName = Annotated[str, OneOf(published)]
BASELINES = (RANDOM, *(name for name in STRATEGIES if name not in PRESETS))
BaselineName = Annotated[str, OneOf(lambda: BASELINES)]
OF_BEST = ("table3", "figure3", "figure5")  # targets whose runs all depend on the best of several seeds
PER_SEARCH = {"space", "strategy", "options", "seed"}  # settings that the `search` of a method cannot contain
Fault = tuple[str, str, str]  # a field, what is wrong with it, and the remedy
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]*"


@dataclass(frozen=True)
class Augmented:
    """The augmented protocol of Tables 1 and 2: the protocol of the retraining, with AutoAugment and more epochs.

    Attributes:
        epochs: number of epochs of the training.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    epochs: int = field(default=1200, metadata={"ge": 1})


@dataclass(frozen=True)
class Looks:
    """A schedule of seeds: after each look at the results, only undecided experiments get more seeds.

    Attributes:
        looks: number of seeds at each look, in increasing order.
        most: final number of seeds of experiments that are still undecided after all of these looks.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    looks: tuple[int, ...] = field(metadata={"min_length": 1})
    most: int = field(metadata={"ge": 1, "le": 1000})

    @property
    def schedule(self) -> tuple[int, ...]:
        """The number of seeds at each look; the last one is `most`."""
        return self.looks if self.looks[-1] == self.most else (*self.looks, self.most)


Seeds = Annotated[  # with the tags, pydantic reports errors only for the form that the file uses
    Annotated[Count, Tag("[number]")] | Annotated[Looks, Tag("[looks]")],
    Discriminator(lambda value: "[looks]" if isinstance(value, dict | Looks) else "[number]"),
]


@dataclass(frozen=True)
class Method:
    """A user's own search method, which gets rows and columns in the tables.

    Attributes:
        label: name of the method in the tables.
        strategy: `module:ATTRIBUTE` of its Strategy, or the name of a preset to which `options` apply.
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
    """A user's own search space, which gets rows in Table 4.

    Attributes:
        label: name of the space in the tables.
        space: `module:ATTRIBUTE` of its SearchSpace, or the name of one of the paper's spaces.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    label: str = field(metadata={"min_length": 1})
    space: str


@dataclass(frozen=True)
class Architecture:
    """A user's own architecture, which is retrained, transferred, measured and drawn like a published one.

    Attributes:
        label: name of the architecture in the tables.
        genotype: a file, JSON, or the text `Genotype(normal=…)` that DARTS and its descendants print.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    label: str = field(metadata={"min_length": 1})
    genotype: str = field(metadata={"min_length": 1})


@dataclass(frozen=True)
class Machine:
    """The resources that runs may use. They are recorded with each run, but are not part of its identity.

    Attributes:
        device: `auto` takes a free GPU, or the CPU if there is none. It fails if the job has a GPU that torch does not
            see. `cpu`, `cuda` and `cuda:N` require that device.
        threads: number of CPU threads of one job. The default does not depend on the machine's number of cores, because
            the number of threads changes the rounding of sums.
        workers: number of processes that decode ImageNet's images.
        runs_per_job: number of runs that share one process, for each stage. Without an entry for `search`, the searches
            of one group (`search.group_seeds`) share a process.
        seeds_at_once: largest number of seeds in one group; 0 takes as many as fit into memory.
        transfer_processes: number of processes that share one training on ImageNet, each with its own GPU, threads and
            memory.
        checkpoint_seconds: time between two checkpoints. A killed run loses at most this much work.
        memory_mb: memory that a training job requests from a cluster; on a CPU it also limits `seeds_at_once`.
        runtime_minutes: time that a training job requests from a cluster.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    device: str = field(default="auto", metadata={"pattern": r"^(auto|cpu|cuda(:\d+)?)$"})
    threads: int = field(default=1, metadata={"ge": 1, "le": 1024})
    workers: int = field(default=0, metadata={"ge": 0, "le": 1024})
    runs_per_job: dict[Literal["search", "retrain", "transfer"], Count] = field(default_factory=dict)
    seeds_at_once: int = field(default=0, metadata={"ge": 0, "le": 1000})
    transfer_processes: int = field(default=1, metadata={"ge": 1, "le": 64})
    checkpoint_seconds: float = field(default=300.0, metadata={"ge": 0})
    memory_mb: int = field(default=16000, metadata={"ge": 1})
    runtime_minutes: int = field(default=1440, metadata={"ge": 1})


@dataclass(frozen=True)
class Parameters:
    """A parameter file.

    Attributes:
        profile: name of the results folder; it is shown in every table.
        description: the purpose of this file, in a sentence or two.
        reproduction: whether protocol and data are the paper's, so that results may be compared with the paper.
        datasets: for each of the paper's data sets (`cifar10`, `cifar100`, `imagenet`), the data set to use.
        seeds: number of searches for each setting; their seeds are 0, 1, …. With `{looks: [3, 5], most: 8}`, every
            setting starts with 3 seeds. As long as it is undecided, it is extended to 5 and then to 8 (docs/ladder.md).
        seeds_of: maps the name of a table or figure to its number of seeds, if this differs from `seeds`.
        seeds_at: maps the folder of an experiment's first training to its number of seeds, if this differs from
            `seeds`.
        look: the look of `seeds.looks` to start. `run` sets this key, together with `seeds_at`.
        best_of_seeds: whether to perform the runs that need the best of several seeds: augmented retrainings, ImageNet,
            Figures 3 and 5.
        retrainings: number of retrainings of each genotype. The first one uses the seed of the search.
        tables: tables to build. Tables of published cells and of the baselines can also be built on request.
        figures: figures to build; `trajectories` shows the searches' alphas over the epochs.
        drop_rates: the drop path rates of Figure 2.
        group_rates: the rates of Table 5, for both groups.
        paper_spaces: the paper's search spaces in Table 4.
        baselines: methods that the table of baselines compares with DropNAS and one-level DARTS: `random`, and search
            methods.
        methods: the user's own search methods.
        spaces: the user's own search spaces.
        published: published architectures that are retrained as baselines; empty means all.
        architectures: the user's own architectures, which are retrained in addition to the published ones.
        search: settings of the searches. A setting that differs from its default applies to all methods. For a
            setting that keeps its default, each method uses the value that its authors chose.
        derive: settings of the derivation of genotypes.
        retrain: settings of the retrainings on CIFAR.
        clusters: settings of the feature clusters of Figures 1 and 4.
        augmented: settings of the augmented retrainings of Tables 1 and 2.
        select: how to choose the best of several seeds.
        transfer: settings of the trainings on ImageNet.
        machine: resources that the runs may use.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    profile: str = field(metadata={"pattern": f"^{NAME_PATTERN}$"})
    description: str
    datasets: dict[RoleName, DatasetConfig]
    reproduction: bool = False
    seeds: Seeds = 8
    seeds_of: dict[TargetName, Count] = field(default_factory=dict)
    seeds_at: dict[str, Count] = field(default_factory=dict)
    look: Annotated[int, Field(ge=0, le=1000)] = 0
    best_of_seeds: bool = True
    retrainings: Count = 1
    tables: tuple[TableName, ...] = field(default=DEFAULT_TABLES, metadata={"min_length": 1})
    figures: tuple[FigureName, ...] = ()
    drop_rates: tuple[Rate, ...] = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
    group_rates: tuple[Rate, ...] = (1e-5, 3e-5, 1e-4)
    paper_spaces: tuple[PaperSpace, ...] = field(default=get_args(PaperSpace), metadata={"min_length": 1})
    baselines: tuple[BaselineName, ...] = ("random", "darts-first-order", "darts-second-order")
    methods: tuple[Method, ...] = ()
    spaces: tuple[Space, ...] = ()
    published: tuple[PublishedName, ...] = ()
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
        """The number of seeds at each look; empty if the number of seeds is fixed."""
        return self.seeds.schedule if isinstance(self.seeds, Looks) else ()

    @property
    def first_seeds(self) -> int:
        """The number of seeds at the first look, or the fixed number of seeds."""
        return self.seeds.looks[0] if isinstance(self.seeds, Looks) else self.seeds


class _Loader(yaml.SafeLoader):
    """A YAML loader that reads `3e-5` as a number, and rejects likely mistakes.

    It rejects duplicate keys, numbers that are not finite, and whole numbers such as 010 and 1:30, which YAML reads as
    8 and 90. It also rejects aliases, because nested aliases can make a few lines very large.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="has an alias: write the value itself", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(str(self.construct_object(key, deep=True)) for key, _ in node.value)
        for key in (key for key, times in keys.items() if times > 1):
            raise yaml.MarkedYAMLError(problem=f"key {key!r} appears twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)

    def whole_number(self, node: yaml.ScalarNode) -> int:
        if not re.fullmatch(r"[-+]?(0|[1-9][0-9_]*)", node.value):
            raise yaml.MarkedYAMLError(problem=f"{node.value} is not a plain number", problem_mark=node.start_mark)
        return int(node.value.replace("_", ""))

    def finite_number(self, node: yaml.ScalarNode) -> float:
        number = self.construct_yaml_float(node)
        if not math.isfinite(number):
            raise yaml.MarkedYAMLError(problem=f"{node.value} is not finite", problem_mark=node.start_mark)
        return number


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.finite_number)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_parameters(file: Path) -> Parameters:
    """Read and check a parameter file.

    Raises a DropnasError if the file is missing or is not YAML, or if a key or value is wrong. The error names the file
    and the field.
    """
    remedy = "give a parameter file such as params/smoke.yaml"
    if file.exists() and not file.is_file():
        raise DropnasError("is not a file", where=file, remedy=remedy)
    try:
        with file.open(encoding="utf-8") as stream:  # from an open file, so that YAML's errors name it
            content = yaml.load(stream, _Loader)
    except OSError as error:
        raise DropnasError(f"cannot be read ({error.strerror})", where=file, remedy=remedy) from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise DropnasError(f"is not valid YAML ({error})", where=file) from error
    parameters: Parameters = parse(Parameters, content, file)
    parts = (_of_datasets, _of_seeds, _of_methods, _of_trainings, _of_lists)
    for field_name, fault, hint in chain.from_iterable(part(parameters) for part in parts):
        raise DropnasError(f"{field_name}: {fault}", where=file, remedy=hint)
    return replace(parameters, architectures=tuple(_read_in(one, file) for one in parameters.architectures))


def write_parameters(parameters: Parameters, file: Path, header: Sequence[str]) -> None:
    """Write a parameter file from which these parameters can be read; defaults are left out, and a comment is added.

    Raises a DropnasError if the file already exists with different content.
    """
    values = TypeAdapter(Parameters).dump_python(parameters, mode="json", exclude_defaults=True)
    text = "".join(f"# {line}".rstrip() + "\n" for line in header)
    text += yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise DropnasError("already exists", where=file, remedy="remove it, or give another with --out")
    write_text(file, text)


def _read_in(architecture: Architecture, file: Path) -> Architecture:
    """Convert the genotype of an architecture to JSON; the path of a file is relative to the parameter file."""
    genotype_file = file.parent / architecture.genotype
    try:
        exists = genotype_file.exists()
    except (OSError, ValueError):  # the genotype is too long for a file name, or contains a NUL character
        exists = False
    try:
        genotype = load_genotype(str(genotype_file) if exists else architecture.genotype)
    except DropnasError as error:
        where = f"{file}: architectures ({architecture.label}).genotype"
        raise DropnasError(str(error), where=where) from error
    return replace(architecture, genotype=json.dumps(genotype.values()))


def _of_datasets(parameters: Parameters) -> Iterator[Fault]:
    for role, dataset in parameters.datasets.items():
        sources = DATASETS[dataset.name].sources
        if dataset.source not in sources:
            fault = f"dataset {dataset.name!r} has no source {dataset.source!r}"
            yield f"datasets.{role}.source", fault, f"its sources: {', '.join(sources)}"
        if dataset.train_images == 1:
            yield f"datasets.{role}.train_images", "one image is not enough", "0 takes all images"
        if "\0" in dataset.path:
            yield f"datasets.{role}.path", "contains a NUL character", "correct the path"
    needed = {role for target in (*parameters.tables, *parameters.figures) for role in TARGETS[target].needs}
    if missing := sorted(needed - set(parameters.datasets)):
        yield "datasets", f"no {' and no '.join(missing)}", "give a data set for it"


def _of_seeds(parameters: Parameters) -> Iterator[Fault]:
    seeds = parameters.seeds
    if isinstance(seeds, Looks):
        if not all(before < after for before, after in pairwise((0, *seeds.looks))):
            yield "seeds.looks", f"{list(seeds.looks)} do not increase", "give more seeds at each look"
        if seeds.looks[-1] > seeds.most:
            yield "seeds.looks", f"has looks above most, {seeds.most}", "increase most, or remove these looks"
        if parameters.seeds_of:
            yield "seeds_of", "cannot be used with looks", "remove it"
        if parameters.seeds_at and not parameters.look:
            yield "seeds_at", "cannot be used with looks", "remove it"
    elif parameters.look:
        yield "look", "has no effect without seeds.looks", "remove it"
    further = [name for name in OF_BEST if name in (*parameters.tables, *parameters.figures)]
    if further and not parameters.best_of_seeds:
        yield ", ".join(further), "need the best of the seeds", "set best_of_seeds: true"


def _of_methods(parameters: Parameters) -> Iterator[Fault]:
    own = "methods, spaces, architectures"
    keys = set(_own_labels(parameters))
    if taken := {"dropnas", RANDOM, *STRATEGIES, *SPACES, *map(slug, published())} & keys:
        yield own, f"the label {', '.join(sorted(taken))} is taken", "choose another"
    if "" in keys:
        yield own, "a label has no letter and no digit", "choose another"
    yield from _of_options(DropoutOptions, parameters.search.options, "search.options")
    for name, value in parameters.search.options.items():
        if name in VARIED and value not in VARIED[name]:
            fault = f"{value!r} is one of the variants that the tables compare"
            yield f"search.options.{name}", fault, "use it in methods"
    for method in parameters.methods:
        where = f"methods ({method.label})"
        if method.strategy not in STRATEGIES and not is_reference(method.strategy):
            hint = f"known: {', '.join(STRATEGIES)}; or package.module:ATTRIBUTE"
            yield f"{where}.strategy", f"no strategy {method.strategy!r}", hint
        if method.strategy in PRESETS:
            yield from _of_options(DropoutOptions, method.options, f"{where}.options")
        if fixed := sorted(PER_SEARCH & set(method.search)):
            yield f"{where}.search", f"{', '.join(fixed)} is set elsewhere", "remove it"
        yield from _of_options(SearchConfig, method.search, f"{where}.search")
    for item in parameters.spaces:
        if item.space not in SPACES and not is_reference(item.space):
            hint = f"known: {', '.join(SPACES)}; or package.module:ATTRIBUTE"
            yield f"spaces ({item.label}).space", f"no space {item.space!r}", hint


def _of_options(kind: type, options: dict[str, Scalar], where: str) -> Iterator[Fault]:
    try:
        parse(kind, options, where)
    except DropnasError as error:
        yield where, error.what, error.remedy


def _own_labels(parameters: Parameters) -> list[str]:
    """The keys of rows and columns of the user's own methods, spaces and architectures."""
    own: list[Method | Space | Architecture]
    own = [*parameters.methods, *parameters.spaces, *parameters.architectures]
    return [slug(item.label) for item in own]


def _of_trainings(parameters: Parameters) -> Iterator[Fault]:
    search, retrain, transfer = parameters.search, parameters.retrain, parameters.transfer
    machine = parameters.machine
    for name in ("space", "strategy", "seed"):
        if getattr(search, name) != getattr(SearchConfig(), name):
            yield f"search.{name}", "is set by the tables", "use methods, spaces or seeds"
    for stage, seed in (("retrain", retrain.seed), ("transfer", transfer.seed)):
        if seed:
            yield f"{stage}.seed", "is set by the seeds", "remove it"
    annealed: SearchConfig | RetrainConfig
    for stage, annealed in (("search", search), ("retrain", retrain)):
        if annealed.learning_rate < annealed.learning_rate_min:
            yield f"{stage}.learning_rate", f"is below learning_rate_min, {annealed.learning_rate_min:g}", ""
    if parameters.select.criterion == "held-out" and not retrain.held_out:
        yield "select.criterion", "held-out needs images that are held out", "set retrain.held_out"
    if parameters.reproduction and retrain.held_out:
        yield "retrain.held_out", "the paper held no images out", "set reproduction: false"
    micro_batches, rest = divmod(transfer.batch_size, transfer.micro_batch)
    if rest:
        yield "transfer.micro_batch", "must divide transfer.batch_size", ""
    if micro_batches % machine.transfer_processes:
        yield "machine.transfer_processes", f"must divide the {micro_batches} micro-batches of a step", ""
    if machine.transfer_processes > 1 and ":" in machine.device:
        yield "machine.device", f"{machine.device} is a single GPU, but transfer_processes needs several", "use cuda"


def _of_lists(parameters: Parameters) -> Iterator[Fault]:
    lists = {name: getattr(parameters, name) for name in ("published", "baselines", "drop_rates", "group_rates")}
    lists["tables, figures"] = (*parameters.tables, *parameters.figures)
    lists["methods, spaces, architectures"] = _own_labels(parameters)
    for name, values in lists.items():
        if len(set(values)) < len(values):
            yield name, "a name or rate appears twice", "remove it"


def slug(text: str) -> str:
    """Reduce a text to lower-case letters, digits and `.+-`, for folder names and for keys of rows and columns."""
    return re.sub(r"[^a-z0-9.+]+", "-", text.lower()).strip("-")


def schema() -> dict[str, Any]:
    """The JSON Schema of a parameter file."""
    return TypeAdapter(Parameters).json_schema()
