"""The configurations of the retrain, transfer, select, fixed and architectures stages.

No torch here: `plan` must start fast. Every default is the paper's value or, where the paper is
silent, the release's behaviour; docs/decisions.md gives the reasons.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from dropnas.training.config import NormWeight, Precision

MemoryFormat = Literal["contiguous", "channels_last"]


@dataclass(frozen=True)
class RetrainConfig:
    """One retraining on CIFAR (Section 4.2, "Architecture Evaluation").

    Attributes:
        cells: depth of the evaluation network.
        channels: initial width C of the evaluation network.
        epochs: number of training epochs.
        batch_size: number of images in a step.
        seed: seed for all random numbers of the training. The key `seeds` of a parameter file sets it.
        learning_rate: learning rate of SGD in the first epoch.
        learning_rate_min: final learning rate of the cosine schedule, which has one value for each epoch.
        momentum: momentum of SGD.
        weight_decay: L2 weight decay of SGD.
        gradient_clip: maximum norm of the gradient; larger gradients are clipped.
        crop_padding: pixels of padding around an image before it is cropped at random.
        flip: whether images are flipped horizontally at random.
        cutout: side of the square that Cutout erases, in pixels; 0 disables Cutout.
        autoaugment: whether the policy of AutoAugment is applied.
        auxiliary_weight: weight of the auxiliary tower's loss; 0 builds no tower.
        drop_path: final rate of drop-path, reached linearly over the epochs; 0 disables drop-path.
        pool_norm: whether batch norm follows pooling, as in the release; in DARTS' own evaluation network, it does not.
        norm_weight: initial weights of batch norm: `ones`, or `uniform` in (0, 1) as in PyTorch before 1.2.
        held_out: number of training images that are held out to choose the epoch and the best of several seeds. The
            default is 0, because the paper chose both on the test set.
        precision: precision of the computation; `fp32` is the reference.
        deterministic: whether repeated runs on a GPU give the same bits; `false` lets cuDNN choose its kernels by
            timing, including kernels that sum in no fixed order.
        memory_format: layout of images and weights in a GPU's memory; `channels_last` selects other kernels, which
            round differently. This is meant to save time; the effect has not been measured. It is rejected on a CPU,
            where torch's kernels for it write outside their memory.
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
    norm_weight: NormWeight = "ones"
    held_out: int = field(default=0, metadata={"ge": 0})
    precision: Precision = "fp32"
    deterministic: bool = True
    memory_format: MemoryFormat = "contiguous"

    @property
    def numerics(self) -> str:
        """Names the settings that are meant to change rounding. This text is part of the run's identity."""
        return _numerics(self.precision, self.memory_format)


@dataclass(frozen=True)
class TransferConfig:
    """One training on ImageNet (Section 4.2, last paragraph).

    Attributes:
        cells: depth of the ImageNet network.
        channels: initial width C of the ImageNet network.
        image_size: side of the square input in pixels.
        epochs: number of training epochs.
        seed: seed for all random numbers of the training. The key `seeds` of a parameter file sets it.
        batch_size: number of images in a step, over all GPUs together; the number of GPUs does not change it.
        micro_batch: number of images in a forward pass. Batch norm computes its statistics over these images. A step
            adds up the gradients of batch_size / micro_batch passes. The default of 256 corresponds to the authors'
            2,048 on 8 GPUs.
        learning_rate: learning rate of SGD after the warm-up.
        warmup_epochs: number of epochs over which the learning rate grows linearly.
        schedule: how the learning rate decays to zero after the warm-up; the rate is constant within an epoch.
        momentum: momentum of SGD.
        weight_decay: L2 weight decay of SGD.
        gradient_clip: maximum norm of the gradient; larger gradients are clipped.
        label_smoothing: epsilon of label smoothing; 0 disables label smoothing.
        mixup: parameter of mixup's Beta distribution; 0 disables mixup.
        autoaugment: whether the ImageNet policy of AutoAugment is applied.
        squeeze_excitation: whether each cell's output goes through a squeeze-and-excitation module.
        auxiliary_weight: weight of the auxiliary tower's loss; 0 builds no tower.
        drop_path: final rate of drop-path, reached linearly over the epochs; 0 disables drop-path.
        pool_norm: whether batch norm follows pooling.
        norm_weight: as in RetrainConfig.
        precision: precision of the computation; `fp32` is the reference.
        memory_format: the layout of images and weights in a GPU's memory, as in RetrainConfig.
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
    norm_weight: NormWeight = "ones"
    precision: Precision = "fp32"
    memory_format: MemoryFormat = "contiguous"

    @property
    def numerics(self) -> str:
        """Names the settings that are meant to change rounding. This text is part of the run's identity."""
        return _numerics(self.precision, self.memory_format)


@dataclass(frozen=True)
class SelectConfig:
    """How the best of several seeds is chosen for Tables 1-3.

    Attributes:
        criterion: `best` takes the lowest test error of any epoch, as the paper did. `final` takes the test error of
            the last epoch. `held-out` takes the lowest error of any epoch on held-out training images.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    criterion: Literal["best", "final", "held-out"] = "best"


@dataclass(frozen=True)
class FixedConfig:
    """A genotype that is given in the configuration: a published one, or the user's own.

    Attributes:
        architecture: id of the genotype.
        genotype: the two cells of the genotype, in the format of genotype.json.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    architecture: str
    genotype: dict[str, Any]


@dataclass(frozen=True)
class ArchitecturesConfig:
    """Parameters and multiply-adds of all published architectures, in the networks of the tables that print them.

    Attributes:
        pool_norm: whether batch norm follows pooling, as in RetrainConfig.
        own: the user's own architectures, counted in the networks of all three tables.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    pool_norm: bool = True
    own: tuple[FixedConfig, ...] = ()


def _numerics(precision: Precision, memory_format: MemoryFormat) -> str:
    return f"{precision}, channels last" if memory_format == "channels_last" else precision
