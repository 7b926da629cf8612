"""What is searched for, and in what: both case-folded by Python, because databases fold differently."""


def searchable(title: str, body: str | None) -> str:
    """The text in which terms are looked for. No term spans title and body: terms hold no white space."""
    return f"{title}\n{body or ''}".casefold()


def terms(query: str) -> tuple[str, ...]:
    """The distinct terms of a query, in order: ``"Oak  OAK chair"`` → ``("oak", "chair")``."""
    return tuple(dict.fromkeys(query.casefold().split()))
