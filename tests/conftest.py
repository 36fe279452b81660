"""What holds for all tests: one thread a process, and no limit of time for hypothesis.

Design choices: tests run side by side, a worker a core, and start processes of their own; with torch's default, a
thread for each core in every process, these would wait for each other in each small operation. hypothesis judges
results, not how long they took on a busy machine.
"""

import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
