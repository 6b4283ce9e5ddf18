"""python scripts/goldens/make.py [--check] [names]

Regenerates goldens: all of them, or those whose maker's name starts with one of the names. --check writes nothing; it
recomputes every file that is there from its own case and tensors."""

import importlib
import json
import sys
import time

MODULES = ("examples", "rope", "bias", "tables", "two_axes", "older", "positions")


def make(names):
    makers = {}
    for module in MODULES:
        makers.update(importlib.import_module(module).ALL)
    chosen = [n for n in makers if not names or any(n.startswith(x) for x in names)]
    if not chosen:
        sys.exit("no such golden; there are: " + " ".join(makers))
    for name in chosen:
        makers[name]()
    return len(chosen)


def check(names):
    import numpy as np
    from common import EXAMPLES, GOLDEN, load
    from reference import evaluate, rotate

    files = [p for folder in (EXAMPLES, GOLDEN) for p in sorted(folder.glob("*.safetensors"))]
    files = [p for p in files if not names or any(p.stem.startswith(x) for x in names)]
    for path in files:
        tensors, metadata = load(path)
        case = json.loads(metadata["case"])
        if "rotated" in tensors:
            given, ours = tensors["rotated"], rotate(case, tensors["x"].astype(np.float64), tensors["positions"])
        else:
            given, ours = tensors["expected"], evaluate(case, tensors)
        far, peak = np.abs(ours - given).max(), np.abs(given).max()
        # what rounding to float32 leaves; the examples hold float32 results
        limit = float(metadata["naive_error"]) * 1.01 if path.parent == EXAMPLES else 6.1e-8 * peak
        if not far <= limit:
            sys.exit(f"{path.name}: {far:.3g} away from its formula, {limit:.3g} allowed")
    return len(files)


start = time.time()
arguments = sys.argv[1:]
checking = "--check" in arguments
done = (check if checking else make)([a for a in arguments if a != "--check"])
print(f"{done} {'files hold' if checking else 'makers'}, {time.time() - start:.0f} s")
