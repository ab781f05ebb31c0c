"""A Ray cluster of two nodes on this machine, in a process of its own that ends with its standard input.

It prints the address, kills the node that is not the head when it reads a line, and then says how many are left.
"""

import json
import os
import shutil
import sys
import tempfile

SMALL = {"object_store_memory": 80 << 20}
# The resources of each tell them apart.
HEAD = {"num_cpus": 1, "resources": {"right": 1}, "include_dashboard": False, **SMALL}
OTHER = {"num_cpus": 1, "resources": {"left": 1}, **SMALL}


def main() -> None:
    """Start the nodes, obey, and leave nothing behind."""
    # Sockets lie in this folder, and their paths have to be short.
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp" if os.path.isdir("/tmp") else None)
    os.environ |= {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0", "JAX_PLATFORMS": "cpu"}
    os.environ |= {"RAY_health_check_period_ms": "500", "RAY_health_check_failure_threshold": "3"}
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=HEAD)
    try:
        other = cluster.add_node(**OTHER)
        print(json.dumps({"address": cluster.address}), flush=True)
        for _ in sys.stdin:
            cluster.remove_node(other, allow_graceful=False)
            print(json.dumps({"nodes": 1 + len(cluster.worker_nodes)}), flush=True)
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
