"""The README's Python runs as it stands and does what it shows; so does the example in it."""

import pathlib
import re
import runpy

ROOT = pathlib.Path(__file__).parents[2]
README = ROOT / "README.md"


def test_readme_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(compile(code, str(README), "exec"), {})
    hello, fault, states = capsys.readouterr().out.splitlines()
    assert hello.startswith("b'hello' MemoryInformation(base_address=")
    assert fault.startswith("STATUS_ACCESS_VIOLATION (0xC0000005): write of 0x")
    assert states == "['RESERVE', 'COMMIT']"


def test_readme_shows_what_the_example_prints(capsys):
    runpy.run_path(str(ROOT / "examples" / "life_of_a_page.py"), run_name="__main__")
    assert f"```\n{capsys.readouterr().out}```\n" in README.read_text()
