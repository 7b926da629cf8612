"""Reports one can put in front of the team: self-contained HTML pages, and tables for the screen."""

from migration.report.check import render_check
from migration.report.demo import render_demo
from migration.report.shadow import render_shadow

__all__ = ["render_check", "render_demo", "render_shadow"]
