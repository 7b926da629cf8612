"""The data: capture, relay, apply, backfill, guard and check the rows that both sides hold."""
