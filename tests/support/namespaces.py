"""Programs in a namespace of file systems of their own, where they may mount what they like."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def namespace(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it there, from the project's root, with this environment alone."""
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", *argv],
        # Of this run: in the common one a user 0 from outside may have a folder of our name.
        env={
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TMPDIR": tempfile.gettempdir(),
            **environ,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def can_mount() -> bool:
    """Whether one can be made here."""
    return shutil.which("unshare") is not None and not namespace("true").returncode


needs_namespace = pytest.mark.skipif(
    not can_mount(), reason="no namespace of file systems can be made here"
)
