def repair_phase(wiring, report, *, apply, max_deletes):
    raise NotImplementedError
