"""The `wakedeck` command, and `python -m wakedeck`.

Our three packages have plain names; another program's of the same names may come first on Python's
path. So they are found beside this file and nowhere else.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

ROOMS = ("services", "tui", "widgets")
HERE = Path(__file__).resolve().parent


class _Ours:
    """Finds our packages, and leaves every other name to those that follow."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(HERE)]) if name in ROOMS else None


def main() -> None:
    """Run the command line."""
    for name in ROOMS:
        held = getattr(sys.modules.get(name), "__file__", None)
        if held is not None and HERE not in Path(held).resolve().parents:
            sys.exit(
                f"wakedeck: Another package called “{name}” was loaded first ({held}). "
                "Run wakedeck in an environment of its own: pipx install wakedeck."
            )
    sys.meta_path.insert(0, _Ours)
    from tui.start import main as start

    start()


if __name__ == "__main__":
    main()
