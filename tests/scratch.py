"""A registry that forgets what is registered in it."""

import pytest

from crossband import registry


def forget_afterwards(patch: pytest.MonkeyPatch) -> None:
    """Let the registry have, when `patch` is undone, what it has now."""
    for kind in registry.KINDS.values():
        patch.setattr(kind, "_entries", {name: kind[name] for name in kind})
    for kind, folders in registry.FOLDERS.items():
        patch.setitem(registry.FOLDERS, kind, [*folders])
    patch.setattr(registry, "REFERENCES", [*registry.REFERENCES])
    patch.setattr(registry, "_loaded", {**registry._loaded})
    patch.setattr(registry, "plugin_failures", [*registry.plugin_failures])
