"""cnn3: how far a network of exactly three convolutions gets on CIFAR-10, in pure-functional JAX.

The public names are listed in `__init__.pyi`. Each is imported when it is first used, so that `import cnn3` and the
`--help` of its commands do not wait for JAX.
"""

from importlib import import_module
from pkgutil import iter_modules

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# Packages of commands that have the name of a function: imported later, they would take its place in this namespace.
for _module in iter_modules(__path__):
    if _module.ispkg and _module.name in __all__:
        import_module(f"{__name__}.{_module.name}")
        del globals()[_module.name]
