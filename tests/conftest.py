"""What holds for all tests: hypothesis judges results, not how long they took on a busy machine."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
