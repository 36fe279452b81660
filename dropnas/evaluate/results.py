"""The files of a finished retraining or transfer: genotype, metrics, result and weights.

Design choices: every file depends only on the run, not on times or hosts, so equal runs write identical files. The
weights are those after the last epoch, without the auxiliary tower, which is only used in training. network.json and
genotype.json describe the network for these weights.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from dropnas.artifacts.metrics_file import MetricsFile, Row
from dropnas.artifacts.training_files import Errors, HeldOut, NetworkFile, TrainingResultFile
from dropnas.evaluate import complexity
from dropnas.space.genotype import Genotype
from dropnas.training.weights_file import save_weights

HELD_OUT_ERROR = "held_out_error"  # column of metrics.csv, present if training images are held out


def archive(
    out: Path, genotype: Genotype, shape: NetworkFile, network: nn.Module, rows: Sequence[Row], test_images: int
) -> None:
    """Write a run's files: genotype.json, network.json, metrics.csv, result.json, network.safetensors.

    Args:
        shape: shape of the network; network.json omits the auxiliary tower.
        network: the trained network; this function moves it to the CPU.
        rows: one row for each epoch, with `top1_error`, `top5_error` and, if measured, HELD_OUT_ERROR.
    """
    network.cpu().eval()
    shape = replace(shape, auxiliary=False)
    genotype.write(out)
    shape.write(out)
    _result(shape, network, rows, test_images).write(out)
    MetricsFile(rows).write(out)
    weights = network.state_dict()
    kept = {name: weights[name] for name in weights if not name.startswith(complexity.AUXILIARY)}
    save_weights(kept, out / "network.safetensors")


def final_and_best(rows: Sequence[Row], column: str) -> Errors | None:
    """Return the final error, the lowest error, and the first epoch that reached it; None if none was measured."""
    errors = [(value, int(row["epoch"] or 0)) for row in rows if (value := row[column]) is not None]
    if not errors:
        return None
    best, epoch = min(errors)
    return Errors(errors[-1][0], best, epoch)


def by_held_out(rows: Sequence[Row]) -> HeldOut:
    """The first epoch with the lowest error on held-out training images, that error, and the epoch's test error."""
    chosen = min(rows, key=lambda row: row[HELD_OUT_ERROR])  # type: ignore[arg-type,return-value]
    return HeldOut(chosen["epoch"], chosen[HELD_OUT_ERROR], chosen["top1_error"])  # type: ignore[arg-type]


def _result(shape: NetworkFile, network: nn.Module, rows: Sequence[Row], test_images: int) -> TrainingResultFile:
    top1 = final_and_best(rows, "top1_error")
    assert top1 is not None, "every epoch is tested"
    return TrainingResultFile(
        top1_error=top1,
        top5_error=final_and_best(rows, "top5_error"),
        epochs=len(rows),
        classes=shape.classes,
        parameters=complexity.parameters(network),
        parameters_with_auxiliary=complexity.parameters_with_auxiliary(network),
        multiply_adds=complexity.multiply_adds(network, image_size=shape.image_size),
        test_images=test_images,
        held_out=by_held_out(rows) if HELD_OUT_ERROR in rows[0] else None,
    )
