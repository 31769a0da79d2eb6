.PHONY: check cluster-check quickstart

check:  ## what .ci/run checks, without the slow tests
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	pytest

quickstart:  ## the first command of the README
	python search/run.py

cluster-check:  ## the cluster files as shipped; FILES=cluster.yaml checks one that you filled in
	python -m search.cluster_check $(or $(FILES),--template cluster.yaml clusters/local.yaml clusters/kuberay.yaml)
