"""The example of docs/predict.md, unchanged, on a network that was briefly trained."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import dropnas
from dropnas.artifacts.dataset_file import Dataset
from dropnas.config import Machine
from dropnas.data.config import DatasetConfig
from dropnas.evaluate.config import FixedConfig, RetrainConfig
from dropnas.pipeline.execute import execute
from dropnas.pipeline.specs import spec
from dropnas.pipeline.stages import code_of
from dropnas.runs.identity import Run
from dropnas.space.published import load_genotype
from tests.unit.docs.commands import REPOSITORY

EXAMPLE = re.search(r"```python\n(.*?)```", (REPOSITORY / "docs" / "predict.md").read_text(encoding="utf-8"), re.DOTALL)
DATA = DatasetConfig(name="digits", source="bundled", train_images=48, test_images=20)
FIXED = FixedConfig("dropnas_c10", load_genotype("dropnas_c10").values())
RETRAIN = RetrainConfig(cells=3, channels=2, epochs=1, batch_size=16, crop_padding=1, flip=False, cutout=2)


def test_the_example_predicts_as_the_network_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = Run("data", "digits", DATA, (), code_of("data", DATA))
    fixed = Run("fixed", "five", FIXED, (), code_of("fixed", FIXED))
    retrained = Run("retrain", "digits-seed0", RETRAIN, (data, fixed), code_of("retrain", RETRAIN))
    runs = [spec(run, "test", Machine(device="cpu")) for run in (data, fixed, retrained)]
    assert execute(runs, tmp_path, lambda line: None) == 0
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert EXAMPLE
    exec(EXAMPLE[1], {})
    shown = capsys.readouterr().out

    dataset = Dataset.read(tmp_path / data.folder)
    pixels = np.load(tmp_path / data.folder / "test_images.npy")[0].astype(np.float64) / 255  # (8, 8, 1)
    channels = [(pixels[..., 0] - mean) / std for mean, std in zip(dataset.mean, dataset.std, strict=True)]
    network = dropnas.load(tmp_path / retrained.folder).network
    with torch.no_grad():
        scores = torch.exp(network(torch.tensor(np.stack(channels)[None], dtype=torch.float32))[0][0].double())
    best = int(scores.argmax())
    assert shown == f"class {best}, {float(scores[best] / scores.sum()):.0%}\n"
