"""The configurations of the search, derive and sample stages.

This module does not import torch, so that `plan` starts fast. Every default is the paper's value or, where the paper is
silent, the behaviour of the authors' release. docs/decisions.md gives the reasons.
"""

from dataclasses import dataclass, field
from typing import Literal

from dropnas.search.methods import METHODS
from dropnas.training.config import NormWeight, Precision

Scalar = bool | int | float | str


@dataclass(frozen=True)
class DropoutOptions:
    """The options of grouped operation dropout (Section 2.3). The strategies of the paper are presets of these options.

    Attributes:
        rate_parameterised: drop path rate r of the parameterised group O_p; 0 drops nothing.
        rate_non_parameterised: drop path rate r of the non-parameterised group O_np (Table 5 varies both rates).
        drop_probability: `paper` is p_d = r^(1/|group|); `released` is r^(1/4) for a group of any size.
        grouping: `groups` drops operations in two groups, as in the paper. `one-group` treats all operations as one
            group, with the p_d of a group of four. `one-group-own-rate` does the same with p_d = r^(1/|operations|).
        masks: `shared` draws one mask for each kind of cell, `per-cell` one for each cell.
        alpha_adjust: `released` solves Eq. 2 with the current values of the dropped alphas; `equation-3` assumes that
            the dropped alphas did not move; `off` is the ablation.
        decay: `released` decays the parameters in a second step, along the gradient of lambda * ||.||^2; `l2` adds
            lambda * w, or lambda * alpha, to the gradient of a single step.
        decay_scope: `kept` is partial decay; `all` is its ablation, where dropped parameters decay too.
        dropped: `moved` lets momentum move dropped parameters, as in the release; `frozen` keeps them unchanged.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    rate_parameterised: float = field(default=3e-5, metadata={"ge": 0, "lt": 1})
    rate_non_parameterised: float = field(default=3e-5, metadata={"ge": 0, "lt": 1})
    drop_probability: Literal["paper", "released"] = "paper"
    grouping: Literal["groups", "one-group", "one-group-own-rate"] = "groups"
    masks: Literal["shared", "per-cell"] = "shared"
    alpha_adjust: Literal["released", "equation-3", "off"] = "released"
    decay: Literal["released", "l2"] = "released"
    decay_scope: Literal["kept", "all"] = "kept"
    dropped: Literal["moved", "frozen"] = "moved"


RATE_AS_SNAS = 0.875**4  # p_d = 0.875 in groups of four (Section 2.3)
RATE_AS_PROXYLESSNAS = 0.75**4  # p_d = 0.75

PRESETS: dict[str, DropoutOptions] = {
    "dropnas": DropoutOptions(),
    "no-alpha-adjust": DropoutOptions(alpha_adjust="off"),
    "no-partial-decay": DropoutOptions(decay_scope="all"),
    "no-grouping": DropoutOptions(grouping="one-group"),
    "one-level-darts": DropoutOptions(rate_parameterised=0.0, rate_non_parameterised=0.0),
    "drop-rate-0.875": DropoutOptions(rate_parameterised=RATE_AS_SNAS, rate_non_parameterised=RATE_AS_SNAS),
    "drop-rate-0.75": DropoutOptions(
        rate_parameterised=RATE_AS_PROXYLESSNAS, rate_non_parameterised=RATE_AS_PROXYLESSNAS
    ),
}

FIRST_ORDER, SECOND_ORDER = "darts-first-order", "darts-second-order"

STRATEGIES: dict[str, str] = {name: method.code for name, method in METHODS.items()}
BACKENDS = {"triton": "dropnas.search.triton.backend:make_backend"}
Kernels = Literal["torch", "triton"]


@dataclass(frozen=True)
class SearchConfig:
    """One search (Section 4.2, "Architecture Search").

    Attributes:
        space: `original`, `3-skip`, `1-skip`, or `module:ATTRIBUTE` of a SearchSpace in the user's package. Every
            table sets this option for its own searches; further spaces are listed under `spaces` in a parameter file.
        strategy: a name from STRATEGIES, or `module:ATTRIBUTE` of a Strategy in the user's package. Every table
            sets this option for its own searches; further strategies are listed under `methods` in a parameter file.
        options: options of the strategy by name; for a preset, they override individual options of grouped dropout.
        cells: depth of the supernet.
        channels: initial width C of the supernet.
        epochs: number of epochs of the search.
        batch_size: number of images in a step.
        seed: seed of all random numbers of the search. The key `seeds` of a parameter file sets it.
        learning_rate: learning rate of SGD on the weights w in the first epoch.
        learning_rate_min: learning rate that the cosine schedule approaches at the end; the rate is set once per epoch.
        momentum: momentum of SGD on w.
        weight_decay: L2 weight decay of w.
        gradient_clip: maximum norm of the gradient with respect to all weights w.
        alpha_learning_rate: learning rate of Adam on the alphas.
        alpha_beta1: Adam's decay rate for the running mean of the gradients of the alphas.
        alpha_beta2: Adam's decay rate for the running mean of the squared gradients of the alphas.
        alpha_weight_decay: L2 weight decay of the alphas.
        alpha_scale: standard deviation of the normal distribution from which the initial alphas are drawn.
        norm_weight: initial weights of batch norm (in the supernet, only the stem's batch norm has weights): `ones`, or
            `uniform` in (0, 1) as in PyTorch before 1.2.
        crop_padding: pixels of padding around an image before it is cropped at random.
        flip: whether images are flipped horizontally at random.
        precision: precision of the computation; `fp32` is the reference.
        kernels: implementation of the supernet's convolutions on a GPU: `torch` uses torch's own kernels, `triton` uses
            those of this project.
        group_seeds: whether searches that differ only in their seed are trained as groups in one network. Grouping
            changes rounding. It is meant to make better use of the GPU; the effect has not been measured.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    space: str = "original"
    strategy: str = "dropnas"
    options: dict[str, Scalar] = field(default_factory=dict)
    cells: int = field(default=14, metadata={"ge": 1, "le": 1000})
    channels: int = field(default=16, metadata={"ge": 1, "le": 10000})
    epochs: int = field(default=76, metadata={"ge": 1})
    batch_size: int = field(default=96, metadata={"ge": 2, "le": 1000000})
    seed: int = field(default=0, metadata={"ge": 0})
    learning_rate: float = field(default=0.0375, metadata={"gt": 0})
    learning_rate_min: float = field(default=0.0015, metadata={"ge": 0})
    momentum: float = field(default=0.9, metadata={"ge": 0, "lt": 1})
    weight_decay: float = field(default=3e-4, metadata={"ge": 0})
    gradient_clip: float = field(default=3.0, metadata={"gt": 0})
    alpha_learning_rate: float = field(default=3e-4, metadata={"gt": 0})
    alpha_beta1: float = field(default=0.5, metadata={"ge": 0, "lt": 1})
    alpha_beta2: float = field(default=0.999, metadata={"ge": 0, "lt": 1})
    alpha_weight_decay: float = field(default=1e-3, metadata={"ge": 0})
    alpha_scale: float = field(default=1e-3, metadata={"ge": 0})
    norm_weight: NormWeight = "ones"
    crop_padding: int = field(default=4, metadata={"ge": 0, "le": 1000})
    flip: bool = True
    precision: Precision = "fp32"
    kernels: Kernels = "torch"
    group_seeds: bool = False

    @property
    def preset(self) -> DropoutOptions | None:
        """The options of grouped dropout that the strategy starts from; None if it uses no grouped dropout."""
        return PRESETS.get(self.strategy, None if self.strategy in STRATEGIES else DropoutOptions())

    @property
    def code(self) -> dict[str, str]:
        """By option name, the `module:ATTRIBUTE` of the strategy and, unless `kernels` is `torch`, of the kernels."""
        kernels = {"kernels": BACKENDS[self.kernels]} if self.kernels in BACKENDS else {}
        return {"strategy": STRATEGIES.get(self.strategy, self.strategy), **kernels}

    @property
    def numerics(self) -> str:
        """The settings that deliberately change rounding; they are part of the run's identity."""
        return f"{self.precision}, grouped seeds" if self.group_seeds else self.precision


@dataclass(frozen=True)
class DeriveConfig:
    """The options of the derivation of a genotype from alphas (Section 2.1).

    Attributes:
        score: `alpha` ranks operations and edges by the raw alpha, as the release does; `probability` ranks them by p,
            as in the paper's text.
        skips: `separate` ranks operations of the same name (3-skip) one by one; `summed` adds their probabilities.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    score: Literal["alpha", "probability"] = "alpha"
    skips: Literal["separate", "summed"] = "separate"


@dataclass(frozen=True)
class SampleConfig:
    """The options for drawing an architecture at random.

    Attributes:
        space: a key of SPACES, or `module:ATTRIBUTE` of a SearchSpace.
        seed: seed of the draw.
    """

    __pydantic_config__ = {"extra": "forbid", "strict": True}

    space: str = "original"
    seed: int = field(default=0, metadata={"ge": 0})
