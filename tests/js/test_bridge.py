"""The tests of the JavaScript bridge, which Node's own test runner runs."""

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def test_the_bridge_passes_its_tests_under_node():
    node = shutil.which("node")
    assert node, "The tests of websocketbridge.js need Node 20 or later: put 'node' on the PATH."
    result = subprocess.run(
        [node, "--test", *map(str, sorted(HERE.glob("*.test.mjs")))],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "# pass 0\n" not in result.stdout
