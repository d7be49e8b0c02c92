"""The development server, started by a benchmark."""

import contextlib
import re
import subprocess
import sys


@contextlib.contextmanager
def running(model_dir):
    """Starts the server on a free port: (process, address) once it answers; ended at the end."""
    line = [sys.executable, "-u", "-m", "serving.server", f"--model_dir={model_dir}", "--port=0"]
    process = subprocess.Popen(line, text=True, stdout=subprocess.PIPE)
    try:
        for printed in process.stdout:
            if match := re.match(r"serving \S+ version \d+ on (\S+)$", printed):
                break
        else:
            raise SystemExit("the server didn't start")
        yield process, match[1]
    finally:
        process.terminate()
        process.wait()
