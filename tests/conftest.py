"""What holds for all tests."""

from hypothesis import settings

settings.register_profile("belltower", deadline=None)  # how long an example takes is the machine's matter
settings.load_profile("belltower")
