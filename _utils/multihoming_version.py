"""The version of this package: here and nowhere else, so that a minion has it with the rest."""

VERSION = "0.1.0"
