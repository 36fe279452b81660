"""What stands under the plan's table: on what the hours rest, what is not in them, and what they cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dropnas.monitor.estimate import Basis, Estimate, Known
from dropnas.monitor.totals import Hours, authors_days, number
from dropnas.pipeline.plan import Plan

NOT_IN_THEM = "Queueing, start-up and what trains nothing are not in them"
READY_IMAGES = "the probe's transfers neither decode nor augment their images"


@dataclass(frozen=True)
class Prices:
    """What a device-hour costs: money (of whatever currency) and watts; 0 where nobody said."""

    money: float = 0.0
    watts: float = 0.0


def notes(
    plan: Plan, known: Known, runs: Sequence[dict[str, Any]], estimates: Mapping[str, Estimate], to_go: Hours, p: Prices
) -> list[str]:
    """Lines for a person.

    Args:
        runs: of the plan without what is on request.
        to_go: hours of those that are not done.
        p: money and watts.
    """
    basis = Counter(estimates[run["id"]].basis for run in runs)
    lines = [*_basis(known, basis), *_unknown(basis)]
    if not to_go.unknown:
        lines += _prices(to_go.known, p)
    if plan.parameters.reproduction:
        days = authors_days(runs)
        lines.append(
            f"At the authors' speed the whole takes {days:,.0f} V100-days: 0.6 or 0.7 a search (Tables 1, 2) and, as "
            "users of such networks report, one a retraining of 600 epochs. Of ImageNet they say nothing."
        )
    return lines


def _basis(known: Known, basis: Counter[Basis]) -> list[str]:
    if known.device is None:
        return []
    runs = basis["equal runs"] + basis["same kind"]
    parts = [
        f"{basis['took']} done runs as they took" if basis["took"] else "",
        f"{runs} by finished runs of their kind" if runs else "",
        f"{basis['probe']} by the probe of {known.measured[-1].date[:10]}" if basis["probe"] else "",
    ]
    told = ", ".join(filter(None, parts))
    left_out = f"{NOT_IN_THEM}; {READY_IMAGES}." if basis["probe"] else f"{NOT_IN_THEM}."
    others = f" Also known (--device): {', '.join(other.name for other in known.others)}." if known.others else ""
    return [f"Hours on {known.device.label}: {told}. {left_out}{others}"] if told else []


def _unknown(basis: Counter[Basis]) -> list[str]:
    count = basis["unknown"]
    return [f"The hours of {count} trainings are unknown; run plan --measure (about a minute)."] if count else []


def _prices(hours: float, prices: Prices) -> list[str]:
    money = f"{hours * prices.money:,.2f} at {prices.money:g} an hour" if prices.money else ""
    energy = f"{hours * prices.watts / 1000:,.1f} kWh at {prices.watts:g} W" if prices.watts else ""
    told = " and ".join(filter(None, (money, energy)))
    return [f"To go: {number(hours)} device-hours, {told}."] if told else []
