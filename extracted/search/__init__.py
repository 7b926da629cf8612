"""The search service: answers the monolith's search routes from a database and a schema of its own.

``documents``, ``labels`` and ``document_labels`` are fed from the monolith, which goes on owning what they
show; ``saved_queries`` becomes the service's own. ``python -m extracted.search`` starts it.
"""
