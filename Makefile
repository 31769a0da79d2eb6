.PHONY: check cluster-check paper quickstart

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

paper:  ## the paper's experiments on one corpus: CORPUS=mvsa_single DATA=DIR (none: made-up tweets) MORE=--allow-changed
	for kind in main ablation figure4; do \
		begun=results/$$kind-$(or $(CORPUS),synthetic_mner)/study.yaml; \
		python search/run.py experiments/$$kind/$(or $(CORPUS),synthetic_mner).yaml --yes \
			$(if $(DATA),--data $(DATA)) $$(test -e $$begun && echo --resume) $(MORE) || exit 1; \
	done
