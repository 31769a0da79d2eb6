"""Checks a cluster file without any cloud: `python -m search.cluster_check cluster.yaml`."""
