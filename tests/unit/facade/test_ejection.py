from facade.ejection import ERRORS, FIRST_PAUSE, LONGEST_PAUSE, Ejection


def ejected(now: float = 0.0) -> Ejection:
    state = Ejection()
    for _ in range(ERRORS):
        assert state.admits(now)
        state.failed(now)
    return state


def test_consecutive_errors_eject_and_one_success_forgets_them() -> None:
    state = Ejection()
    for _ in range(ERRORS - 1):
        state.failed(0)
    state.succeeded()
    state.failed(0)
    assert state.admits(0)
    assert not ejected().admits(0.1)


def test_after_the_pause_one_probe_is_let_through() -> None:
    state = ejected()
    assert state.admits(FIRST_PAUSE)
    assert not state.admits(FIRST_PAUSE)
    state.succeeded()
    assert state.admits(FIRST_PAUSE)


def test_to_ask_whether_it_refuses_takes_no_probe() -> None:
    state = ejected()
    assert state.refuses(0.1)
    assert not state.refuses(FIRST_PAUSE)
    assert state.admits(FIRST_PAUSE)
    assert state.refuses(FIRST_PAUSE)
    state.succeeded()
    assert not state.refuses(FIRST_PAUSE)


def test_failed_probes_wait_longer_up_to_a_limit() -> None:
    state, now = ejected(), 0.0
    for _ in range(10):
        now = state.until
        assert state.admits(now)
        state.failed(now)
    assert state.until - now == LONGEST_PAUSE


def test_what_fails_beside_a_probe_does_not_put_the_next_one_off() -> None:
    state = ejected()
    for _ in range(20):
        state.failed(0.1)
    assert state.admits(FIRST_PAUSE)
    state.failed(FIRST_PAUSE)
    for _ in range(20):
        state.failed(FIRST_PAUSE)
    assert state.admits(FIRST_PAUSE + 2 * FIRST_PAUSE)
