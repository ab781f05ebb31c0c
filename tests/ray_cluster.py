"""A Ray cluster of two workers' nodes on this machine, in a process of its own that ends with its standard input.

It prints the address, and then answers each line of its input: ``remove NUMBER`` kills a node, ``add`` starts one.
"""

import json
import os
import shutil
import sys
import tempfile

SMALL = {"object_store_memory": 80 << 20}
NODES = ({"left": 1}, {"right": 1})


def main() -> None:
    """Start the nodes, obey, and leave nothing behind."""
    # Sockets lie in this folder, and their paths have to be short.
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp" if os.path.isdir("/tmp") else None)
    os.environ |= {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0", "JAX_PLATFORMS": "cpu"}
    os.environ |= {"RAY_health_check_period_ms": "500", "RAY_health_check_failure_threshold": "3"}
    from ray.cluster_utils import Cluster

    # Nothing is scored on the head, where the driver connects.
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **SMALL})
    try:
        nodes = [cluster.add_node(num_cpus=1, resources=custom, **SMALL) for custom in NODES]
        print(json.dumps({"address": cluster.address}), flush=True)
        for line in sys.stdin:
            match line.split():
                case ["remove", number]:
                    cluster.remove_node(nodes[int(number)], allow_graceful=False)
                case ["add"]:
                    nodes.append(cluster.add_node(num_cpus=1, **SMALL))
            print(json.dumps({"nodes": len(cluster.worker_nodes)}), flush=True)
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
