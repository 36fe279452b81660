"""What holds for all tests: hypothesis judges results, not how long they took on a busy machine.

Where it is missing, as it may be on a machine that has a GPU but no network, the tests that do without it run still.
"""

try:
    from hypothesis import settings
except ModuleNotFoundError:
    pass
else:
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")
