"""`python -m tests.hostile --cases 2000 --seed 0`: counts hostile cases; the status is 1 if there was a fault."""

import argparse
import math
import sys
import tempfile
from pathlib import Path

from tests.hostile.bench import bench_of, make_store
from tests.hostile.cases import KINDS, SLOW
from tests.hostile.trial import attempt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000, help="number of cases of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append", help="try only this kind; may be repeated")
    options = parser.parse_args()
    kinds, faults = options.kind or list(KINDS), 0
    share = 1 / sum(1 / SLOW.get(kind, 1) for kind in kinds)
    with tempfile.TemporaryDirectory(prefix="dropnas-hostile-") as folder:
        make_store(root := Path(folder, "store"))
        bench = bench_of(root)
        print(f"{'kind':12} {'tried':>6} {'refused':>8} {'unharmed':>9} {'faults':>7}")
        for kind in kinds:
            count = attempt(bench, kind, math.ceil(options.cases * share / SLOW.get(kind, 1)), options.seed)
            found = [count.counts[name] for name in ("tried", "refused", "unharmed")]
            print(f"{kind:12} {found[0]:6} {found[1]:8} {found[2]:9} {len(count.faults):7}", flush=True)
            for fault in count.faults:
                print(f"    {fault}", file=sys.stderr, flush=True)
            faults += len(count.faults)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
