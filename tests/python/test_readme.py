"""The README's Python runs as it stands, and does what it shows."""

import pathlib
import re

README = pathlib.Path(__file__).parents[2] / "README.md"


def test_readme_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(compile(code, str(README), "exec"), {})
    hello, fault = capsys.readouterr().out.splitlines()
    assert hello.startswith("b'hello' MemoryInformation(base_address=")
    assert fault.startswith("STATUS_ACCESS_VIOLATION (0xC0000005): write of 0x")
