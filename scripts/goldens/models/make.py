"""python scripts/goldens/models/make.py [names]

Makes the tiny checkpoints of test/models/checkpoints again, with what the originals compute from them: all, or the families whose name starts
with one of the names."""

import importlib
import os
import sys
import time
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
warnings.filterwarnings("ignore")

MODULES = ("encoders", "decoders", "seq2seq", "images", "own", "retired", "sentences", "strings", "gguf_files", "trained")

start = time.time()
importlib.import_module("transformers").logging.disable_progress_bar()
importlib.import_module("transformers").logging.set_verbosity_error()
names = sys.argv[1:]
makers = {}
for module in MODULES:
    makers.update({f.__name__: f for f in importlib.import_module(module).ALL})
chosen = [n for n in makers if not names or any(n.startswith(x) for x in names)]
if not chosen:
    sys.exit("no such family; there are: " + " ".join(makers))
for name in chosen:
    makers[name]()
print(f"{len(chosen)} families, {time.time() - start:.0f} s")
