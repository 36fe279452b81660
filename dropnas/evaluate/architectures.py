"""The architectures stage: computes the sizes of the architectures of Tables 1-3 and compares them with the paper's.

Design choices: the networks are those of Section 4.2. Batch norms are removed before multiply-adds are counted, because
they contribute none but would take half of the counting time. Squeeze-and-excitation is counted separately, because
only the paper's own rows of Table 3 include it. A remark states by how much the computed number differs from the
printed one. It also gives the reason, if that was published or can be computed here.
"""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from dropnas.artifacts.counts_file import Counted, CountsFile
from dropnas.data.config import ROLES
from dropnas.evaluate.complexity import multiply_adds, parameters, release_millions
from dropnas.evaluate.config import ArchitecturesConfig, FixedConfig
from dropnas.evaluate.inspect import paper_shape
from dropnas.evaluate.networks import build
from dropnas.report.count_texts import count_texts
from dropnas.space.genotype import Genotype
from dropnas.space.published import Published, published
from dropnas.workspace import Workspace

NETWORKS = {known.table: name for name, known in ROLES.items()}  # the data set of each table
EXCITED = ".excitation."  # part of the names of squeeze-and-excitation weights
ROUNDING = 0.05  # half of the last printed digit: the paper prints millions with one decimal
SLACK = 1e-9

NO_REASON = "no reason known"
LOGGER = (
    "the release's logger counted the auxiliary tower and divided by 2^20, which gives {released}; the field counts "
    "neither"
)
THIRD_PARTY = "its authors published no genotype, and this third-party transcription does not have the printed size"
EXCITATION = (
    "the paper says 'SE module' and neither its place nor its size; no usual placement gives both 5.7M and 6.1M"
)
REASONS = {
    ("enas_figure", "table1"): "a third-party transcription of a figure, which differs from the cell of the release",
    ("snas_mild", "table3"): "the printed value is that of the cell with the moderate constraint (4.313M)",
    ("darts_plus_c10_third_party", "table1"): THIRD_PARTY,
    ("darts_plus_c100_third_party", "table2"): THIRD_PARTY,
    ("asap", "table2"): "the printed value is the count with 10 classes, as in Table 1 (2.540M)",
    ("xnas", "table3"): (
        "its authors' network has 46 channels after a stem of 56, and squeeze-and-excitation in the first two thirds: "
        "5,258,564 parameters"
    ),
    ("dropnas_c10", "table1"): LOGGER.format(released="4.116"),
    ("dropnas_c100", "table2"): LOGGER.format(released="4.350"),
    ("dropnas_c10", "table3"): EXCITATION,
    ("dropnas_c100", "table3"): EXCITATION,
}


def run(config: ArchitecturesConfig, inputs: Sequence[Path], out: Path, workspace: Workspace) -> dict[str, float]:
    """Write architectures.json (an object for each architecture and table), and the same rows as .md, .csv and .tex."""
    rows = count(config.pool_norm, [_of_user(architecture) for architecture in config.own])
    CountsFile(tuple(rows)).write(out)
    for suffix, text in count_texts(rows, config.pool_norm).items():
        (out / f"architectures.{suffix}").write_text(text, encoding="utf-8")
    workspace.progress(f"{len(rows)} rows of {len({row.architecture for row in rows})} architectures")
    return {}


def _of_user(config: FixedConfig) -> Published:
    """Convert a user's architecture to a `Published` that is in all three tables and has no printed numbers."""
    genotype = Genotype.of_values(config.genotype, config.architecture)
    rows = {table: {"params_m": None} for table in NETWORKS}
    return Published(config.architecture, config.architecture, {"form": None}, "", genotype, rows, "")


def count(pool_norm: bool, own: Sequence[Published] = ()) -> list[Counted]:
    """For each table, apply `count_one` to the published architectures that the table quotes, then to the user's own.

    The published architectures are in the order of their file.
    """
    return [
        count_one(architecture, table, pool_norm)
        for table in NETWORKS
        for architecture in (*published().values(), *own)
        if table in architecture.paper_rows
    ]


def count_one(architecture: Published, table: str, pool_norm: bool) -> Counted:
    """Count the parameters and multiply-adds of an architecture in the network of a table."""
    large = ROLES[NETWORKS[table]].network == "imagenet"
    shape = paper_shape(NETWORKS[table], pool_norm, large)
    network = build(shape, architecture.genotype)
    own = large and architecture.id.startswith("dropnas")
    excitation = sum(weight.numel() for name, weight in network.named_parameters() if EXCITED in name)
    left_out = 0 if own else excitation  # each of these weights is one multiply-add
    weights, released = parameters(network) - left_out, release_millions(network) - left_out / 2**20
    work = multiply_adds(_bare(network), shape.image_size) - left_out
    printed = architecture.paper_rows[table]
    return Counted(
        architecture=architecture.id,
        name=architecture.name,
        table=table,
        network=NETWORKS[table],
        printed=printed,
        parameters=weights,
        as_released=round(released, 6),
        multiply_adds=work,
        squeeze_excitation=own,
        excitation_parameters=excitation,
        remark=remark(architecture.id, table, weights, printed["params_m"]) if architecture.id in published() else "",
    )


def _bare(network: nn.Module) -> nn.Module:
    """The same network, with its batch norms and ReLUs replaced by an identity."""
    identity = nn.Identity()
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d | nn.ReLU):
                setattr(module, name, identity)
    return network


def remark(architecture: str, table: str, parameters: int, printed: float | None) -> str:
    """Say by how many millions the number of parameters differs from the printed one, and why; empty if they agree."""
    if printed is None:
        return "the paper prints no number of parameters"
    difference = parameters / 1e6 - printed
    if abs(difference) <= ROUNDING + SLACK:
        return ""
    reason = REASONS.get((architecture, table), NO_REASON)
    return f"computed {difference:+.2f}M against the printed {printed}M: {reason}"
