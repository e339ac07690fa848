# Everything happens in .venv. The first call of any target sets it up.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

.PHONY: setup kernels asan demo test lint check bench peers clean

setup: $(STAMP)

# torch first, from the constraints file: asked for later by another package it may come with gigabytes of CUDA
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

# The compiled kernels, beside their Python doors. Only what changed is compiled again; without a compiler torch does
# their work.
kernels: $(STAMP)
	mkdir -p build
	$(BIN)/cmake -S . -B build/kernels -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	  -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -DCLICKWISE_IN_SOURCE=ON > build/kernels.log \
	  && $(BIN)/ninja -C build/kernels --quiet \
	  || echo 'clickwise: the kernels were not built (see above); torch will do their work, slower'

# The kernels compiled with the address and undefined-behaviour sanitizers, under their own tests; then as before again.
SANITIZERS = $$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libubsan.so) $$(g++ -print-file-name=libstdc++.so)
asan: kernels
	$(BIN)/cmake -S . -B build/asan -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	  -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -DCLICKWISE_SANITIZE=ON -DCLICKWISE_IN_SOURCE=ON > build/asan.log
	rm -f src/clickwise/native/_kernels*.so
	$(BIN)/ninja -C build/asan --quiet
	LD_PRELOAD="$(SANITIZERS)" ASAN_OPTIONS=detect_leaks=0 \
	  $(BIN)/python -m pytest -p no:cacheprovider tests/unit/native; result=$$?; \
	  rm -f src/clickwise/native/_kernels*.so; $(MAKE) kernels; exit $$result

demo: kernels
	$(BIN)/clickwise demo

test: kernels
	$(BIN)/python -m pytest -n 2

lint: setup
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy

check: lint kernels
	$(BIN)/python -m pytest -n 2 -m "not slow"

bench: kernels
	$(BIN)/python benchmarks/training_rate.py --short

# The libraries that benchmarks/training_rate.py compares with, each in an environment of its own: 5 GB.
peers: setup
	$(BIN)/python benchmarks/make_peers.py

clean:
	rm -rf .venv build dist src/*.egg-info src/clickwise/native/_kernels*.so
