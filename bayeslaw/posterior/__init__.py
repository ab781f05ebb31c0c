"""From a density to draws: mode, curvature, NUTS and retries, compiled once for all data of a shape."""
