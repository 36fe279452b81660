"""What holds for all tests: one thread a process, and no limit of time for hypothesis.

Design choices: tests run side by side, a worker a core, and start processes of their own; with torch's default, a
thread for each core in every process, these would wait for each other in each small operation. hypothesis judges
results, not how long they took on a busy machine; where it is missing, as it may be on a machine that has a GPU but no
network, the tests that do without it run still.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported

try:
    from hypothesis import settings
except ModuleNotFoundError:
    pass
else:
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")
