"""The command line, with draws kept so often that a kill finds some: ``python killed_fits.py fit ...``."""

from bayeslaw.cli import main
from bayeslaw.posterior import kept_draws as checkpoint

if __name__ == "__main__":
    checkpoint.SECONDS_BETWEEN = 0.05
    main()
