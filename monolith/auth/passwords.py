"""Password hashes: PBKDF2-SHA256, written as ``pbkdf2_sha256$ITERATIONS$SALT$HASH``."""

import hashlib
import hmac

# Far below what OWASP asks for, because the reference must survive a load test of logins on one core.
ITERATIONS = 10_000


def hash_password(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """The text to store; ``salt`` should be 16 random bytes."""
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    return f"pbkdf2_sha256${iterations}${salt.hex()}${digest.hex()}"


def verify_password(password: str, stored: str) -> bool:
    """Whether ``password`` made ``stored``."""
    _, iterations, salt, _ = stored.split("$")
    return hmac.compare_digest(hash_password(password, bytes.fromhex(salt), int(iterations)), stored)
