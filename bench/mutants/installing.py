"""A mutant in the place of a module that is imported already: no interpreter starts anew for it."""

from __future__ import annotations

import gc
import inspect
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from types import CodeType, FunctionType, ModuleType, UnionType
from typing import Any

Key = tuple[str, int]


def install(module: ModuleType, code: CodeType) -> None:
    """From here on the module does what `code` says: `code` is its source with one change.

    Functions keep their identity and get other bodies, wherever they are registered. A change outside of them is a
    constant, which is set wherever it was imported to, or a default. Raises LookupError for any other change.
    """
    found = functions(module)
    changed = [(key, body) for key, body in bodies(code) if any(each.__code__ != body for each in found[key])]
    for key, body in changed:
        for function in found[key]:
            function.__code__ = body
    if not changed and not _set_values(module, code):
        raise LookupError(f"the change of {module.__name__} is in no function, constant or default")


def bodies(code: CodeType) -> Iterator[tuple[Key, CodeType]]:
    """The code of functions of the module and of its classes; what is inside of them goes with them."""
    for each in code.co_consts:
        if isinstance(each, CodeType) and each.co_flags & inspect.CO_OPTIMIZED:
            yield (each.co_qualname, each.co_firstlineno), each
        elif isinstance(each, CodeType):
            yield from bodies(each)


@cache
def functions(module: ModuleType) -> Mapping[Key, list[FunctionType]]:
    """All that are alive, registered or wrapped wherever; asked for before the forks, it is searched for once."""
    found: dict[Key, list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename == module.__file__:
            found[each.__code__.co_qualname, each.__code__.co_firstlineno].append(each)
    return found


def _set_values(module: ModuleType, code: CodeType) -> bool:
    fresh: dict[str, Any] = {"__name__": module.__name__, "__file__": module.__file__}
    exec(code, fresh)
    # One constant may be made of another one: all are set.
    return sum(_set(module, name, new) for name, new in fresh.items() if not name.startswith("__")) > 0


def _set(module: ModuleType, name: str, new: Any) -> bool:
    old = vars(module)[name]
    if isinstance(new, FunctionType):
        return _set_defaults(old, new)
    if isinstance(new, type):
        return new.__module__ == module.__name__ and _set_in_class(old, new)
    if isinstance(new, ModuleType | UnionType) or new == old:
        return False
    for place in list(sys.modules.values()):
        if getattr(place, "__dict__", {}).get(name) is old:
            setattr(place, name, new)
    return True


def _set_in_class(old: type, new: type) -> bool:
    """Its own methods, the one that makes it among them; a method may be wrapped."""
    here: Mapping[str, Any] = vars(old)
    pairs = [(here[name], each) for name, each in vars(new).items() if name in here]
    unwrapped = [(getattr(a, "__func__", a), getattr(b, "__func__", b)) for a, b in pairs]
    return sum(_set_defaults(a, b) for a, b in unwrapped if isinstance(b, FunctionType)) > 0


def _set_defaults(old: Any, new: FunctionType) -> bool:
    if (old.__defaults__, old.__kwdefaults__) == (new.__defaults__, new.__kwdefaults__):
        return False
    old.__defaults__, old.__kwdefaults__ = new.__defaults__, new.__kwdefaults__
    return True
