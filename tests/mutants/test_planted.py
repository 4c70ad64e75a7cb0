"""tests/mutants/planted.txt: each mistake fits the file as it is, so that ci/soak can plant it."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import run  # noqa: E402

MISTAKES = run.read_mistakes(pathlib.Path(run.__file__).with_name("planted.txt"))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_fits_its_file(mistake):
    text = (run.ROOT / mistake.file).read_text()
    assert text.count(mistake.text(mistake.old)) == 1
    assert mistake.old != mistake.new
