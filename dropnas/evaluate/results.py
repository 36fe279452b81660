"""The files of a finished retraining or transfer: genotype, metrics, result and weights.

Design: every file depends only on the run (no times, no hosts), so that equal runs have equal bytes. The weights are
those after the last epoch, without the auxiliary tower, which is only used in training. network.json and genotype.json
describe the network for these weights.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from dropnas.evaluate import complexity
from dropnas.space.genotype import Genotype
from dropnas.training.metrics import Row, write_csv, write_json

HELD_OUT_ERROR = "held_out_error"  # the column, if training images are held out
Shape = dict[str, Any]  # the content of network.json; `dropnas.evaluate.networks` reads it


def archive(
    out: Path,
    genotype: Genotype,
    shape: Shape,
    network: nn.Module,
    rows: Sequence[Row],
    test_images: int,
) -> None:
    """Fill a run's folder: genotype.json, network.json, metrics.csv, result.json, network.safetensors.

    Args:
        shape: network (`cifar` or `imagenet`), cells, channels, classes, pool_norm, squeeze_excitation, image_size
            (height, width); enough to build the network again from the genotype.
        network: the trained network, moved to the CPU here.
        rows: one for each epoch, with `top1_error` and `top5_error`, and HELD_OUT_ERROR if it was measured.
    """
    from safetensors.torch import save_file  # late: benchmarks also train where it is not installed

    network.cpu().eval()
    write_json(out / "genotype.json", genotype.to_json())
    write_json(out / "network.json", {**shape, "auxiliary": False})
    write_json(out / "result.json", _result(shape, network, rows, test_images))
    write_csv(out / "metrics.csv", rows)
    weights = {
        name: tensor.contiguous()
        for name, tensor in network.state_dict().items()
        if not name.startswith(complexity.AUXILIARY)
    }
    save_file(weights, out / "network.safetensors")


def final_and_best(rows: Sequence[Row], column: str) -> dict[str, float | int] | None:
    """The error after the last epoch, the lowest of any epoch, and the first epoch with it; None if not measured."""
    errors = [(value, int(row["epoch"] or 0)) for row in rows if (value := row[column]) is not None]
    if not errors:
        return None
    best, epoch = min(errors)
    return {"final": errors[-1][0], "best": best, "best_epoch": epoch}


def by_held_out(rows: Sequence[Row]) -> Row:
    """The first epoch with the lowest error on held-out training images, that error, and the epoch's test error."""
    chosen = min(rows, key=lambda row: row[HELD_OUT_ERROR])  # type: ignore[arg-type,return-value]
    return {"epoch": chosen["epoch"], "held_out_error": chosen[HELD_OUT_ERROR], "test_error": chosen["top1_error"]}


def _result(shape: Shape, network: nn.Module, rows: Sequence[Row], test_images: int) -> dict[str, Any]:
    held_out = {"held_out": by_held_out(rows)} if HELD_OUT_ERROR in rows[0] else {}
    return {
        **held_out,
        "top1_error": final_and_best(rows, "top1_error"),
        "top5_error": final_and_best(rows, "top5_error"),
        "epochs": len(rows),
        "classes": shape["classes"],
        "parameters": complexity.parameters(network),
        "parameters_with_auxiliary": complexity.parameters_with_auxiliary(network),
        "multiply_adds": complexity.multiply_adds(network, image_size=tuple(shape["image_size"])),
        "test_images": test_images,
    }
