"""What can be wrong with the facade's configuration. Every message says where, and what to do."""


class FacadeError(Exception):
    """The facade cannot be configured as asked."""


class RouteError(FacadeError):
    """A route's path template cannot be compiled."""


class RoutingKeyError(FacadeError):
    """A routing key is not written as the facade understands it."""


class TlsError(FacadeError):
    """A certificate, a key or a file of authorities cannot be used."""


class AddressError(FacadeError):
    """A URL or a listen address cannot be used."""
