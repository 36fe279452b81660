"""The command line, `python -m dropnas <verb>`, with a verb for each stage and verbs such as `plan` and `verify`.

This module only handles arguments. Other modules are imported inside the verbs, so that each verb starts fast:
planning, deriving and tabulating never import torch.
"""

import json
import os
import stat
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from typer import Argument, Context, Exit, Option, Typer

from dropnas.data.config import ROLES
from dropnas.errors import DropnasError
from dropnas.machine import account, caches, encoding
from dropnas.machine.faults import reported
from dropnas.pipeline.stages import STAGES

app = Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
stage = partial(app.command, rich_help_panel="Stages")
question = partial(app.command, rich_help_panel="Questions")
sharing = partial(app.command, rich_help_panel="Shared results")
workflow = partial(app.command, rich_help_panel="Workflow")
TO_SNAKEMAKE = {"allow_extra_args": True, "ignore_unknown_options": True}


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        from dropnas.pipeline.shipped import PACKAGE_FOLDER
        from dropnas.runs.environment import git_state

        git = git_state(PACKAGE_FOLDER.parent)
        commit = f", commit {git['commit'][:10]}{' (changed)' if git['dirty'] else ''}" if git["commit"] else ""
        print(f"dropnas {version('dropnas')}{commit}, Python {sys.version.split()[0]}")
        raise Exit


Version = Annotated[bool, Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)]


@app.callback()
def options(version: Version = False) -> None:
    """DropNAS, reproduced: searches, retrainings, transfer and the paper's tables."""


def _share(root: Path) -> Path:
    """If the store's folder is group-writable, make the files that this process creates group-writable as well."""
    if root.is_dir() and root.stat().st_mode & stat.S_IWGRP:
        os.umask(os.umask(0) & ~stat.S_IRWXG)
    return root


Root = Annotated[Path, Option(help="The folder with data/, runs/, scratch/, plans/ and results/.", callback=_share)]
Specs = Annotated[list[Path], Argument(help="Specs of runs, from the folder specs/ of a frozen plan.")]


def _shipped(named: Path | None) -> Path | None:
    """The given parameter file or, if it does not exist, the file of the same name that comes with the package."""
    from dropnas.pipeline.shipped import parameter_file

    return named and parameter_file(named)


def _whole(named: Any) -> Any:
    """If the argument is the folder of a run, check that the run is unchanged."""
    if os.path.isdir(named):
        from dropnas.runs.authenticity import require_whole

        require_whole(Path(named).resolve())
    return named


ParameterFile = Annotated[Path, Argument(help="A parameter file, such as params/smoke.yaml.", callback=_shipped)]
PLAN_HELP = "A parameter file or a frozen plan, plans/<id>."
PlanSource = Annotated[Path, Argument(metavar="PLAN", help=PLAN_HELP, callback=_shipped)]
What = Annotated[list[str] | None, Argument(help="Parameter files, or folders of runs.  [default: all]")]
Targets = Annotated[list[str] | None, Argument(help="Tables and figures.  [default: all]")]
RemoteOption = Annotated[str, Option(help="Name of the DVC remote, instead of the default one.")]
GENOTYPE_HELP = "Id of a published genotype, a file, a run folder, JSON, or the text `Genotype(normal=…)`."
GenotypeArgument = Annotated[str, Argument(help=GENOTYPE_HELP, callback=_whole)]
PictureOption = Annotated[Path | None, Option(help="The picture: .svg, .png or .pdf.  [default: in results/pictures]")]
AsJson = Annotated[bool, Option("--json", help="Print JSON.")]
HERE = Path()
COMPARED_HELP = "A verdicts.json, a folder of results, a store, a profile of this store, or an archive."


def _compute(stage: str, specs: Sequence[Path], root: Path) -> None:
    """Compute runs from their specs. A stop signal from the scheduler ends a training once its state is saved."""
    warned = None
    if STAGES[stage].trains:
        from dropnas.training.signals import obey

        warned = obey()  # called before the imports, because they take seconds
        from dropnas.doctor.examine import show_node

        show_node(root)
    from dropnas.pipeline.execute import execute, never
    from dropnas.pipeline.specs import read_spec

    _finish(execute([read_spec(path, stage) for path in specs], root, _print, warned or never))


def _finish(failures: int) -> None:
    if failures:
        raise Exit(1)


def _report_problems(problems: Sequence[str]) -> None:
    for line in problems:
        print(line, file=sys.stderr)
    _finish(len(problems))


def _print(line: str) -> None:
    print(line, flush=True)


def _add_stage(name: str) -> None:
    @stage(STAGES[name].verb, help=STAGES[name].does)
    def verb(specs: Specs, root: Root = HERE) -> None:
        _compute(name, specs, root)


for _name in STAGES:
    if _name not in ("data", "transfer"):  # these two have additional options and are defined below
        _add_stage(_name)


@stage(help=STAGES["transfer"].does)
def transfer(
    specs: Specs,
    root: Root = HERE,
    processes: Annotated[int, Option(min=1, help="Processes that train one network, one for each GPU.")] = 1,
) -> None:
    if processes == 1:
        return _compute("transfer", specs, root)
    from dropnas.pipeline.specs import read_spec
    from dropnas.training.distributed_launch import launch

    for path in specs:  # so that a wrong spec is reported once, not by each process
        read_spec(path, "transfer")
    sys.exit(launch(processes, ["dropnas", "transfer", "--root", str(root), *map(str, specs)]))


@stage()
def data(
    names: Annotated[list[str] | None, Argument(help="Names of datasets, or specs of runs.")] = None,
    parameters: Annotated[
        Path | None, Option("--params", help="File that declares them.  [default: paper.yaml]")
    ] = None,
    path: Annotated[str, Option(help="Path of the source, instead of the one in the file.")] = "",
    checksum: Annotated[Path | None, Option(help="Print the checksum of a source and exit.")] = None,
    root: Root = HERE,
) -> None:
    """Prepare datasets: `data digits`, or `data cifar10 --params params/cifar-cpu.yaml --path FOLDER`."""
    if checksum is not None:
        from dropnas.data.sources import source_checksum

        print(source_checksum(checksum))
        return
    from dropnas.pipeline.execute import execute
    from dropnas.pipeline.specs import dataset_specs, read_spec

    if not names:
        raise DropnasError("no dataset is given", remedy="give one, for example `data digits`")
    specs = [read_spec(Path(name), "data") for name in names if name.endswith(".json")]
    specs += dataset_specs([name for name in names if not name.endswith(".json")], parameters, path)
    _finish(execute(specs, root, _print))


@question()
def inspect(
    genotype: GenotypeArgument,
    network: Annotated[str, Option(help=f"{', '.join(ROLES)}.")] = "cifar10",
    pool_norm: Annotated[bool, Option(help="Batch norm after pooling.")] = True,
    squeeze_excitation: Annotated[bool, Option(help="ImageNet only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the number of parameters and multiply-adds of a genotype in one of the paper's evaluation networks."""
    from dropnas.evaluate.inspect import describe
    from dropnas.space.published import load_genotype

    facts = describe(load_genotype(genotype), network, pool_norm=pool_norm, squeeze_excitation=squeeze_excitation)
    text = json.dumps(facts, indent=2)
    print(text if as_json else yaml.safe_dump(json.loads(text), sort_keys=False, default_flow_style=None, width=110))


@question()
def draw(genotype: GenotypeArgument, out: PictureOption = None) -> None:
    """Draw the two cells of a genotype, as Figure 3 does."""
    from dropnas.report.figures.single_pictures import draw_cells

    print(draw_cells(genotype, out))


@question()
def convert(
    genotype: GenotypeArgument,
    to: Annotated[Literal["json", "text"], Option(help="text: the form that DARTS prints.")] = "json",
) -> None:
    """Print a genotype as JSON, or as the text that DARTS and its descendants print."""
    from dropnas.space.genotype_text import to_genotype_text
    from dropnas.space.published import load_genotype

    found = load_genotype(genotype)
    print(json.dumps(found.values()) if to == "json" else to_genotype_text(found))


@question()
def trajectory(
    folder: Annotated[Path, Argument(metavar="SEARCH", help="Folder of a finished search.", callback=_whole)],
    out: PictureOption = None,
) -> None:
    """Draw the alphas of a search over its epochs: p, entropy, skip-connects, changes."""
    from dropnas.report.figures.single_pictures import draw_trajectory

    print(draw_trajectory(folder, out))


@question()
def plan(
    parameters: ParameterFile,
    as_json: AsJson = False,
    each: Annotated[bool, Option("--runs", help="Show a line for each run.")] = False,
    everything: Annotated[bool, Option("--all", help="Include targets that are built only on request.")] = False,
    measure: Annotated[bool, Option("--measure", help="First measure this machine, in about a minute.")] = False,
    gpu_hours: Annotated[
        float | None, Option(min=0, help="Show the part that fits into these device-hours, and what it leaves open.")
    ] = None,
    out: Annotated[Path | None, Option(help="Write the part that --gpu-hours selects to this parameter file.")] = None,
    ladder: Annotated[bool, Option("--ladder", help="Show the steps of the ladder: hours, looks, power.")] = False,
    why: Annotated[str, Option(metavar="RUN", help="Show why a run is missing: what changed.")] = "",
    root: Root = HERE,
) -> None:
    """Show every table and figure with its runs (shared, done, running, missing) and its device-hours."""
    from dropnas.monitor.plan_view import answer
    from dropnas.monitor.screen import show

    how = {"as_json": as_json, "each": each, "everything": everything, "measure": measure, "ladder": ladder}
    for part in answer(parameters, root, budget=gpu_hours, out=out, why=why, **how):
        show(part, raw=as_json or each)


@question()
def watch(
    plan_source: PlanSource,
    targets: Targets = None,
    once: Annotated[bool, Option("--once", help="Show it once, even if runs are not finished.")] = False,
    root: Root = HERE,
) -> None:
    """Watch a plan's runs until all are done: show running and failed runs, remaining hours, last and next result."""
    from dropnas.monitor.display import show
    from dropnas.monitor.watch import Watch
    from dropnas.pipeline.freeze import read_plan

    show(Watch(read_plan(plan_source, root), root, targets or ()), once=once)


@question()
def verify(root: Root = HERE) -> None:
    """Check every finished run: its files, its inputs, its data set; report the tables that a damaged run affects."""
    from dropnas.runs.verify import verify as verify_store

    found = verify_store(root)
    if not found.runs and not found.problems:
        raise DropnasError("there is no finished run here", where=root, remedy="give the folder that contains runs/")
    print(f"{found.runs} runs verified, {len(found.problems)} problems")
    if found.light:
        print(f"{found.light} of them are here without weights or images")
    if found.unchecked:
        print(f"{found.unchecked} inputs could not be compared, because they are not here")
    for name, machines in found.moved.items():
        print(f"{name}: computed on {', then on '.join(machines)}: no single machine gives the same bytes")
    tainted = [f"{name}: tainted, because it depends on {source}" for name, source in found.tainted.items()]
    _report_problems([*found.problems, *tainted])


@question()
def report(
    plan_source: PlanSource,
    out: Annotated[Path | None, Option(help="The file to write.  [default: results/<profile>/report.html]")] = None,
    compare: Annotated[str, Option(metavar="B", help=f"Compare with another one. {COMPARED_HELP}")] = "",
    root: Root = HERE,
) -> None:
    """Make the report page of a plan, one HTML file, from the current content of the store."""
    from dropnas.archive.compare_view import other_store
    from dropnas.monitor.costs import page_cost
    from dropnas.pipeline.freeze import read_plan
    from dropnas.report.page.write import write_page

    plan = read_plan(plan_source, root)
    other = other_store(compare, plan["profile"], root) if compare else None
    file, written = write_page(plan, root, out, plan_source, page_cost, other)
    print(f"{file}{'' if written else ': nothing has changed'}")


@question()
def compare(
    first: Annotated[str, Argument(metavar="A", help=COMPARED_HELP)],
    second: Annotated[str, Argument(metavar="B", help="The other one.")],
    as_json: AsJson = False,
    root: Root = HERE,
) -> None:
    """Compare two stores: show which of their numbers differ, by how much, and with which p-value."""
    from dropnas.archive.compare_view import comparison

    print(comparison(first, second, root, as_json=as_json))


@sharing()
def prune(
    parameters: Annotated[list[Path], Argument(help="Parameter files whose runs are kept.")],
    yes: Annotated[bool, Option("--yes", help="Remove them; without this option they are only shown.")] = False,
    root: Root = HERE,
) -> None:
    """Show runs, resume states and frozen starts that the plans of these files do not need; with --yes, remove them."""
    from dropnas.config import read_parameters
    from dropnas.pipeline.plan import make_plan
    from dropnas.pipeline.starts import starts
    from dropnas.runs.prune import PRUNED_KINDS, remove, unwanted

    files = [one for file in parameters for one in starts(file, root)]
    found = unwanted(root, [make_plan(read_parameters(file)).runs for file in files])
    for one in found:
        print(f"{one.kind:7} {one.size / 1e6:12,.1f} MB  {one.folder}")
    gone = remove(found, root) if yes else found
    kinds = ", ".join(f"{sum(one.kind == kind for one in gone)} {name}" for kind, name in PRUNED_KINDS.items())
    size = f"{sum(one.size for one in gone) / 1e6:,.1f} MB"
    print(f"removed: {kinds}, {size}" if yes else f"not needed: {kinds}, {size}; use --yes to remove them")


@sharing()
def push(what: What = None, remote: RemoteOption = "", root: Root = HERE) -> None:
    """Send finished runs to the DVC remote, even while the workflow is running."""
    from dropnas.pipeline.starts import wanted
    from dropnas.sharing.push import push as push_runs

    done = push_runs(root, wanted(what or (), root), remote, _print)
    print(f"{done.sent} runs pushed, {done.present} were there, {done.light} are here without weights or images")
    _report_problems(done.problems)


@sharing()
def pull(
    what: What = None,
    heavy: Annotated[bool, Option("--heavy", help="Also weights and images.")] = False,
    remote: RemoteOption = "",
    root: Root = HERE,
) -> None:
    """Fetch finished runs from the DVC remote, without weights and images, which stages fetch when they need them."""
    from dropnas.pipeline.starts import wanted
    from dropnas.sharing.pull import pull as pull_runs

    done = pull_runs(root, wanted(what or (), root), remote, _print, heavy=heavy)
    absent = f", {done.absent} requested runs are neither here nor on the remote" if done.absent else ""
    print(f"{done.new} runs pulled, {done.completed} completed, {done.present} were here{absent}")
    _report_problems(done.problems)


@sharing()
def archive(
    plan_source: Annotated[Path, Argument(metavar="PLAN", help=PLAN_HELP)],
    out: Annotated[Path | None, Option(help="The file to write.  [default: <profile>.crate.zip]")] = None,
    root: Root = HERE,
) -> None:
    """Write one file to publish: runs without weights, results, frozen plan, page, and metadata as an RO-Crate."""
    from dropnas.archive.pack import pack
    from dropnas.monitor.costs import page_cost

    done = pack(plan_source, root, out, page_cost)
    print(f"{done.file}: {done.runs} of {done.planned} runs, {done.size / 1e6:,.1f} MB")


@sharing()
def adopt(parameters: ParameterFile, root: Root = HERE) -> None:
    """After a refactoring, give finished trainings their new identities if a trial shows that no byte changed."""
    from dropnas.pipeline.adoption.adopt import adopt as adopt_runs

    done = adopt_runs(parameters, root, _print)
    print(f"{done.adopted} runs adopted, {done.computed} computed, {len(done.refused)} refusals")
    _report_problems(done.refused)


@workflow()
def freeze(parameters: ParameterFile, root: Root = HERE) -> None:
    """Write a frozen start (plan, parameters, source) and print its folder."""
    from dropnas.pipeline.freeze import freeze as freeze_plan

    print(freeze_plan(parameters, root))


@workflow(context_settings=TO_SNAKEMAKE)
def run(
    context: Context,
    parameters: ParameterFile,
    targets: Annotated[bool, Option("--list", help="List the tables and figures, and exit.")] = False,
    verbose: Annotated[bool, Option("--verbose", help="Show Snakemake's output instead of the progress.")] = False,
    root: Root = HERE,
) -> None:
    """Freeze the plan of a parameter file, run it and show the progress; further options go to Snakemake."""
    if targets:
        from dropnas.monitor.plan_view import targets as listed

        print(*listed(parameters, root), sep="\n")
        return
    from dropnas.config import read_parameters
    from dropnas.doctor.examine import require_ready
    from dropnas.pipeline.start import require_targets

    settings = read_parameters(parameters)
    require_targets(settings, context.args)
    require_ready(parameters, context.args, root, _print)
    if settings.looks and not settings.look:
        from dropnas.pipeline.looks import run_looks  # imports statistical code, needed only here

        start = partial(_start, options=context.args, root=root, verbose=verbose)
        sys.exit(run_looks(parameters, root, start, _print))
    sys.exit(_start(parameters, context.args, root, verbose))


def _start(parameters: Path, options: Sequence[str], root: Path, verbose: bool) -> int:
    from dropnas.pipeline.start import prepare, run_query

    start = prepare(parameters, options, root)
    if start.is_query:
        run_query(start)
    from dropnas.monitor.live_run import run as run_plan  # imports pandas, which `run_query` does not need

    return run_plan(start, parameters, root, verbose=verbose)


@workflow(context_settings=TO_SNAKEMAKE)
def doctor(
    context: Context,
    parameters: Annotated[Path | None, Argument(help="Also check what its runs need.", callback=_shipped)] = None,
    as_json: AsJson = False,
    root: Root = HERE,
) -> None:
    """Check this machine, the container image and the cluster, and suggest remedies. Accepts the options of `run`."""
    from dropnas.doctor.examine import examine, report, situation, stops

    options = context.args
    if parameters and str(parameters).startswith("-"):  # options for Snakemake without a parameter file
        parameters, options = None, [str(parameters), *options]
    checks = examine(situation(parameters, options, root))
    print(report(checks, as_json=as_json))
    _finish(stops(checks))


@workflow()
def results(
    plan_source: Annotated[Path | None, Argument(metavar="[PLAN]", help=PLAN_HELP, callback=_shipped)] = None,
    targets: Targets = None,
    archived: Annotated[Path | None, Option("--from", metavar="ARCHIVE", help="Rebuild them from an archive.")] = None,
    root: Root = HERE,
) -> None:
    """Copy a plan's finished tables to results/<profile>/, make its page, and show the tables in short form."""
    from dropnas.monitor.costs import page_cost

    if archived is not None:
        from dropnas.archive.rebuild import rebuild

        named = [str(plan_source)] if plan_source else []  # an archive has one plan, so every argument is a target
        print(rebuild(archived, root, page_cost, _print, [*named, *(targets or ())]))
        return
    if plan_source is None:
        raise DropnasError("no plan is given", remedy="give a parameter file, plans/<id>, or an archive with --from")
    from dropnas.pipeline.freeze import freeze as freeze_plan
    from dropnas.pipeline.publish_results import publish
    from dropnas.pipeline.starts import current

    folder = freeze_plan(current(plan_source, root), root) if plan_source.is_file() else plan_source
    print(publish(root / folder, root, page_cost, targets or ()))


@workflow()
def schema() -> None:
    """Print the JSON Schema of a parameter file."""
    from dropnas.config import schema as parameter_schema

    print(json.dumps(parameter_schema(), indent=2))


def main() -> None:
    """Run the command line. An error that the user can correct is reported in one line, with exit status 1."""
    if not os.environ.get("PYTHONSAFEPATH"):
        sys.path.insert(0, os.getcwd())  # for importing a user's package from the working directory
    encoding.replace_missing_signs()
    account.use_name()
    try:
        with reported():
            caches.use_own()
            app()
    except DropnasError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
