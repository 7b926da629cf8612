"""Every mapped class, so that the metadata is whole wherever migrations or the seed need it."""

from monolith.audit.models import AuditEntry
from monolith.auth.models import User, UserSession
from monolith.base import Base
from monolith.jobs.models import Job
from monolith.resources.models import File, Resource, ResourceTag, Tag
from monolith.search.models import SavedSearch

__all__ = [
    "AuditEntry",
    "Base",
    "File",
    "Job",
    "Resource",
    "ResourceTag",
    "SavedSearch",
    "Tag",
    "User",
    "UserSession",
]
