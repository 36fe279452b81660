"""The configurations of the retrain, select and transfer stages. No torch here: the plan reads it.

Every default is the paper's value or, where the paper is silent, the release's behaviour; docs/decisions.md says why.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from dropnas.precision import Precision


@dataclass(frozen=True)
class RetrainConfig:
    """One retraining on CIFAR (Section 4.2, "Architecture Evaluation").

    Attributes:
        cells, channels: depth and initial width C of the evaluation network.
        epochs, batch_size, seed: length, images a step, seed of everything random.
        learning_rate, learning_rate_min: cosine from the first to the second, one value an epoch.
        momentum, weight_decay, gradient_clip: of SGD.
        crop_padding, flip, cutout, autoaugment: augmentation; `cutout` is the side of the hole in pixels, 0 is off.
        auxiliary_weight: weight of the auxiliary tower's loss; 0 builds no tower.
        drop_path: final rate of drop-path, reached linearly over the epochs; 0 is off.
        pool_norm: batch norm after pooling, as released; DARTS' own network has none.
        held_out: training images that are not trained on but choose the epoch, and among seeds the best; 0 is none, as
            in the paper, which chose both on the test set.
        precision: how the numbers are computed; fp32 is the reference.
        deterministic: false lets cuDNN choose its kernels by timing them, also ones that sum in no fixed order: a GPU's
            results then differ from start to start.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    cells: int = field(default=20, metadata={"ge": 1, "le": 1000})
    channels: int = field(default=36, metadata={"ge": 1, "le": 10000})
    epochs: int = field(default=600, metadata={"ge": 1})
    batch_size: int = field(default=192, metadata={"ge": 2, "le": 1000000})
    seed: int = field(default=0, metadata={"ge": 0})
    learning_rate: float = field(default=0.05, metadata={"gt": 0})
    learning_rate_min: float = field(default=0.0, metadata={"ge": 0})
    momentum: float = field(default=0.9, metadata={"ge": 0, "lt": 1})
    weight_decay: float = field(default=3e-4, metadata={"ge": 0})
    gradient_clip: float = field(default=3.0, metadata={"gt": 0})
    crop_padding: int = field(default=4, metadata={"ge": 0, "le": 1000})
    flip: bool = True
    cutout: int = field(default=16, metadata={"ge": 0, "le": 10000})
    autoaugment: bool = False
    auxiliary_weight: float = field(default=0.4, metadata={"ge": 0})
    drop_path: float = field(default=0.2, metadata={"ge": 0, "lt": 1})
    pool_norm: bool = True
    held_out: int = field(default=0, metadata={"ge": 0})
    precision: Precision = "fp32"
    deterministic: bool = True


@dataclass(frozen=True)
class TransferConfig:
    """One training on ImageNet (Section 4.2, last paragraph).

    Attributes:
        cells, channels: depth and initial width C of the ImageNet network.
        image_size: side of the square input in pixels.
        epochs, seed: length and seed of everything random.
        batch_size: images a step over all GPUs together; it stays whatever their number.
        micro_batch: images a forward pass; a step accumulates batch_size / micro_batch of them over GPUs and time.
            Batch norm sees this many images, so it is part of the identity. 256 is the authors' 2,048 on 8 GPUs.
        learning_rate, warmup_epochs, schedule: linear warm-up, then `cosine` or `linear` to zero, one value an epoch.
        momentum, weight_decay, gradient_clip: of SGD.
        label_smoothing, mixup: smoothing epsilon; mixup's Beta parameter, 0 is off.
        autoaugment: the ImageNet policy of AutoAugment.
        squeeze_excitation: a squeeze-and-excitation module on each cell's output.
        auxiliary_weight, drop_path, pool_norm: as in RetrainConfig.
        precision: how the numbers are computed; fp32 is the reference.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    cells: int = field(default=14, metadata={"ge": 1, "le": 1000})
    channels: int = field(default=48, metadata={"ge": 2, "le": 10000})
    image_size: int = field(default=224, metadata={"ge": 32, "le": 10000})
    epochs: int = field(default=600, metadata={"ge": 1})
    seed: int = field(default=0, metadata={"ge": 0})
    batch_size: int = field(default=2048, metadata={"ge": 2, "le": 1000000})
    micro_batch: int = field(default=256, metadata={"ge": 2, "le": 1000000})
    learning_rate: float = field(default=0.8, metadata={"gt": 0})
    warmup_epochs: int = field(default=5, metadata={"ge": 0})
    schedule: Literal["cosine", "linear"] = "cosine"
    momentum: float = field(default=0.9, metadata={"ge": 0, "lt": 1})
    weight_decay: float = field(default=3e-5, metadata={"ge": 0})
    gradient_clip: float = field(default=3.0, metadata={"gt": 0})
    label_smoothing: float = field(default=0.1, metadata={"ge": 0, "lt": 1})
    mixup: float = field(default=0.2, metadata={"ge": 0})
    autoaugment: bool = True
    squeeze_excitation: bool = True
    auxiliary_weight: float = field(default=0.4, metadata={"ge": 0})
    drop_path: float = field(default=0.0, metadata={"ge": 0, "lt": 1})
    pool_norm: bool = True
    precision: Precision = "fp32"


@dataclass(frozen=True)
class SelectConfig:
    """The choice of the best of several seeds, which Tables 1-3 build on.

    Attributes:
        criterion: `best` takes the lowest test error of any epoch, as the paper did; `final` that of the last epoch;
            `held-out` the lowest error of any epoch on images held out of the training set, which looks at no test
            image.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    criterion: Literal["best", "final", "held-out"] = "best"


@dataclass(frozen=True)
class PeerConfig:
    """A published architecture.

    Attributes:
        architecture: its id.
        genotype: its two cells, as genotype.json holds them.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    architecture: str
    genotype: dict[str, Any]


@dataclass(frozen=True)
class ArchitecturesConfig:
    """Parameters and multiply-adds of all published architectures, in the networks of the tables that print them.

    Attributes:
        pool_norm: batch norm after pooling, as in RetrainConfig.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    pool_norm: bool = True
