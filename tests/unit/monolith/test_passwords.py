from monolith.auth.passwords import hash_password, verify_password


def test_a_password_is_verified_by_the_iterations_it_was_stored_with() -> None:
    stored = hash_password("pässword", b"salt", iterations=3)
    assert stored.startswith("pbkdf2_sha256$3$")
    assert verify_password("pässword", stored)
    assert not verify_password("password", stored)


def test_the_salt_makes_equal_passwords_differ() -> None:
    assert hash_password("p", b"1", 1) != hash_password("p", b"2", 1)
