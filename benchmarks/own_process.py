"""A way of doing the work, measured in a process of its own: no way inherits another's memory or warm caches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def peak_mib() -> float:
    """Peak resident memory of this process, MiB. `ru_maxrss` would not do: it begins with the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def in_own_process(*arguments: str) -> Any:
    """What this benchmark says, as JSON in its last line, when it is started anew with other arguments."""
    command = [sys.executable, str(Path(sys.argv[0]).resolve()), *arguments]
    # Without bytecode on disk, compiling would count.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(result.stdout.splitlines()[-1])
