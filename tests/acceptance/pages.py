"""What the README and the pages below ``docs/`` say: their code blocks, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPOKEN = re.compile(r"`(strangler [^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Said:
    """A command as a page gives it: its words without comment, and whether it can be typed as it stands."""

    page: Path
    words: tuple[str, ...]
    typed: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}: {' '.join(self.words)}"


def blocks(page: Path, language: str) -> list[str]:
    """The page's fenced blocks of a language."""
    return [text for found, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def section(page: Path, title: str) -> str:
    """The text below a heading of the second level, up to the next."""
    _, _, rest = page.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    assert rest, f"{page.name} has no section {title!r}"
    return rest.partition("\n## ")[0]


def typed(block: str) -> list[str]:
    """The lines of a console block that a reader types, without their comments."""
    lines = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s+# .*$", "", line).strip() for line in lines]


def strangler_commands() -> Iterator[Said]:
    """Every command of ``strangler`` on every page, in blocks and in sentences."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for language, block in _BLOCK.findall(text):
            if language == "console":
                for line in typed(block):
                    if words := _of_strangler(line):
                        yield Said(page, words, typed=True)
        for spoken in _SPOKEN.findall(_BLOCK.sub("", text)):
            if words := _of_strangler(spoken):
                yield Said(page, words, typed=False)


def _of_strangler(line: str) -> tuple[str, ...] | None:
    words = shlex.split(line.removesuffix("&"))
    if "strangler" not in words:
        return None
    words = words[words.index("strangler") + 1 :]
    ends = [at for at, word in enumerate(words) if word in {"|", ">", "&&", "2>"}]
    return tuple(words[: min(ends, default=len(words))])
