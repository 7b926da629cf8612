"""The runbooks that come with the toolkit, as they are printed in the documentation."""

from tests.acceptance.printed_runbooks import DIRECTORY, printed


def test_the_printed_runbooks_are_as_the_command_prints_them() -> None:
    """To mend: python -m tests.acceptance.printed_runbooks"""
    assert {file.name: file.read_text(encoding="utf-8") for file in DIRECTORY.iterdir()} == printed()
