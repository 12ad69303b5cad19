"""Salt's own loader with the project's modules synced, run in the calling thread."""

import os
from pathlib import Path

import salt._logging
import salt.config
import salt.loader

try:
    from salt.utils.secret import hide
except ImportError:  # before 3008

    def hide(pillar):
        return pillar


# Nothing configures Salt's logging here: its stand-in would write all out again at the end.
salt._logging.shutdown_temp_handler()

ROOT = Path(__file__).resolve().parents[2]
NO_PILLAR = object()
_SYNCED = ("_modules", "_states", "_utils")


def _options(directory):
    roots = directory / "roots"
    for name in ("roots", "cache", "root/var", "pki", "pillar"):
        (directory / name).mkdir(parents=True)
    # Only what is synced: the repository itself may hold a virtual environment.
    for name in _SYNCED:
        os.symlink(ROOT / name, roots / name)
    options = salt.config.minion_config(None)
    options.update(
        id="server",
        local=True,
        file_client="local",
        file_roots={"base": [str(roots), str(ROOT / "states")]},
        pillar_roots={"base": [str(directory / "pillar")]},
        root_dir=str(directory / "root"),
        cachedir=str(directory / "cache"),
        extension_modules=str(directory / "cache" / "extmods"),
        pki_dir=str(directory / "pki"),
        pillar={},
        test=False,
        # Both look far afield, and the lab has neither graphics nor name servers.
        enable_gpu_grains=False,
        enable_fqdns_grains=False,
    )
    return options


class Minion:
    """A masterless minion whose modules and states are called as Python functions.

    ``pillar`` is what stands under ``multihoming``, None included; without it there is no such key.
    """

    def __init__(self, directory):
        self._options = _options(Path(directory))
        self._options["grains"] = salt.loader.grains(self._options)
        self.synced = self._load()[0]["saltutil.sync_all"]()
        self._loaded = {}

    def _loaders(self, *given):
        """Return the loaders for a pillar; those of the last two runs are kept."""
        key = repr(given)
        if key not in self._loaded:
            self._loaded = dict([*self._loaded.items()][-1:])
            self._loaded[key] = self._load(*given)
        return self._loaded[key]

    def _load(self, pillar=NO_PILLAR, test=False):
        there = {} if pillar is NO_PILLAR else {"multihoming": pillar}
        options = {**self._options, "pillar": hide(there), "test": test}
        utils = salt.loader.utils(options)
        modules = salt.loader.minion_mods(options, utils=utils)
        return modules, salt.loader.states(options, modules, utils, None)

    def modules(self, pillar=NO_PILLAR):
        """Return the execution modules."""
        return self._loaders(pillar)[0]

    def call(self, function, *args, pillar=NO_PILLAR, **kwargs):
        """Return what a function of the module ``multihoming`` returns."""
        return self.modules(pillar)[f"multihoming.{function}"](*args, **kwargs)

    def state(self, function, name, pillar=NO_PILLAR, test=False, **kwargs):
        """Return what a function of the state module ``multihoming`` returns."""
        return self._loaders(pillar, test)[1][f"multihoming.{function}"](name, **kwargs)
