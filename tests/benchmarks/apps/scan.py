"""How long Hydra takes to find its plugins, which is all that an installed plugin adds to an app's start."""

import time

import hydra  # noqa: F401 - what it imports is not the plugins' doing
from hydra.core.plugins import Plugins

started = time.perf_counter()
Plugins.instance()
print(time.perf_counter() - started)
