"""Seconds that ``import bayeslaw`` and ``bayeslaw --help`` take above the bare interpreter, alternating; target 0.5.

uv run python benchmarks/startup.py
"""

import argparse
import statistics
import subprocess
import sys
import time

TARGET_SECONDS = 0.5
HEAVY = ("jax", "numpyro", "pandas", "xarray", "transformers", "matplotlib")
HELP = "import sys; sys.argv = ['bayeslaw', '--help']; from bayeslaw.cli import main; main()"
PROGRAMS = {"bare interpreter": "pass", "import bayeslaw": "import bayeslaw", "bayeslaw --help": HELP}


def seconds(program: str) -> float:
    """Wall time of one run of a program in a new interpreter."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> int:
    """Print medians over alternating runs; return 1 where a heavy package is loaded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(runs):
        for name, program in PROGRAMS.items():
            times[name].append(seconds(program))
    bare = statistics.median(times["bare interpreter"])
    print(f"median of {runs} alternating runs; bare interpreter {bare:.3f} s")
    for name in list(PROGRAMS)[1:]:
        above = statistics.median(times[name]) - bare
        print(
            f"{name}: {above:.3f} s above it (target {TARGET_SECONDS}) {'ok' if above < TARGET_SECONDS else 'missed'}"
        )
    loaded = subprocess.run(
        [sys.executable, "-c", f"import bayeslaw, bayeslaw.cli, sys; print(*set({HEAVY!r}) & set(sys.modules))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    print(f"heavy packages loaded: {', '.join(loaded) or 'none'}")
    return int(bool(loaded))


if __name__ == "__main__":
    sys.exit(main())
