"""The reference monolith: users, resources, search, jobs and an audit log over one database.

It knows nothing of the toolkit. ``python -m monolith`` starts it, ``python -m monolith.seed`` fills it.
"""
