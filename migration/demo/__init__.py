"""The reference migration, walked under live traffic: `strangler demo`."""
