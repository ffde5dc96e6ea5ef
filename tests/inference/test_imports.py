"""Text in, text out needs no torch: an engine that does without it can answer at once."""

import pkgutil
import subprocess
import sys

import nmt_cli.inference

MODULES = [f"nmt_cli.inference.{module.name}" for module in pkgutil.iter_modules(nmt_cli.inference.__path__)]


def test_no_module_of_inference_nor_the_interface_of_engines_imports_torch() -> None:
    modules = [*MODULES, "nmt_cli.decoding.config", "nmt_cli.decoding.engine"]
    assert "nmt_cli.inference.translator" in modules
    program = f"import sys, {', '.join(modules)}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
