"""Lists in pages: the parameters that choose one, how it is read, and what is sent."""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, Field
from sqlalchemy import ColumnExpressionArgument, Select, func, select
from sqlalchemy.orm import Session

Item = TypeVar("Item")
Row = TypeVar("Row")


class Paging(BaseModel):
    """Query parameters of every list."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class Page(BaseModel, Generic[Item]):
    """One page of a list; ``total`` counts every page's items."""

    items: list[Item]
    total: int
    limit: int
    offset: int


def fetch(
    session: Session, found: Select[Row], order: ColumnExpressionArgument[Any], paging: Paging
) -> tuple[Sequence[Row], int]:
    """The page's rows in ``order``, and how many rows were found in all."""
    total = session.scalar(select(func.count()).select_from(found.subquery())) or 0
    rows = session.scalars(found.order_by(order).limit(paging.limit).offset(paging.offset)).all()
    return rows, total
