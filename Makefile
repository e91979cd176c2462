# `make demo` and `make test` are all that a fresh machine with Python 3.11+ needs.

PYTHON ?= python3
BIN := .venv/bin
# Tests start thousands of interpreters. Each would compile the package, and Dask, once more.
unexport PYTHONDONTWRITEBYTECODE
# The other Pythons that tests run on, where they are found; with a t, without the GIL.
OTHERS := 3.12 3.13 3.14 3.15 3.13t
# Those of them that can be made here, the longest first.
NEWER := 3.13t 3.14 3.15
# Those without which the tests fail. What can be made of them is, if it is missing.
REQUIRED :=
MADE = $(filter $(REQUIRED),$(NEWER))

.PHONY: demo demo-resume test test-all lint types layers checks ray alone unit coverage quick dist wheel wheel-own wheel-types pythons bench bench-page bench-check bench-record format clean
.PHONY: docs docs-check reference pictures dist-check test-here test-oldest
.DEFAULT_GOAL := help

help:
	@echo "make demo    run the main job on real sequences"
	@echo "make demo-resume   kill a map in the middle, and resume it"
	@echo "make test    run everything that must pass: lint, types, layers, tests, wheel"
	@echo "make test-all   and nearly all tests on every Python, which it makes first: as root on Debian"
	@echo "make quick   run the tests that take seconds: simulation, options, pure parts"
	@echo "make bench   measure against other libraries on this machine"
	@echo "make bench-page, bench-check, bench-record   see docs/benchmarks.md"
	@echo "make docs    build the site, in .cache/site; make docs-check   and check it"
	@echo "make pictures   draw those of the command and of a report anew"
	@echo "make dist-check   build what is released, install each in a clean environment, run the demo"
	@echo "make test-here, test-oldest   the tests on PYTHON; with the oldest dependencies"
	@echo "make format  format the code"
	@echo "make clean   remove what the other targets made"

demo: .venv/demo.stamp
	@$(BIN)/metainformant map examples/demo.py:demo \
	  examples/data/ls_orchid.fasta examples/data/trouble.fasta examples/data/lambda_virus.fa \
	  --timeout 2 --output-format tsv || [ $$? = 1 ]  # 1: some records failed, as they should

demo-resume: .venv/demo.stamp
	@$(BIN)/python examples/durable.py

test: lint checks alone bench-check

test-all: pythons
	$(MAKE) test WHOLE=yes

lint: .venv/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/dev.stamp
	$(BIN)/mypy
	$(BIN)/pyright

layers: .venv/dev.stamp
	$(BIN)/lint-imports

# The tests of the sources and those of the wheel, in parts that run at the same time: they mostly
# wait, but must not wait for each other. The longest start first, so that none runs on alone at the end.
# What a part prints is shown when it has ended.
TOGETHER = +@$(MAKE) --no-print-directory --keep-going --jobs 6 \
  $(if $(filter output-sync,$(.FEATURES)),--output-sync)

# The tests of Ray, which is a dozen processes, mostly wait: one other thing at a time runs beside them.
checks: .venv/dev.stamp dist
	$(BIN)/coverage erase
	$(TOGETHER) --jobs 2 ray types wheel-types layers wheel-own
	$(TOGETHER) $(if $(MADE),pythons) $(UNIT) $(WHEELS)
	@$(MAKE) --no-print-directory coverage

# What all kinds of workers have in common, what is special about each, the command, what signals do to it, and
# what is shown in a browser, where one is installed (sh tools/install_programs.sh).
PARTS := behaviour workers processes command rest checkpoint signals browser
TESTS_behaviour := tests/backends/test_*.py
TESTS_processes := tests/backends/processes
TESTS_workers := tests/backends --ignore-glob='tests/backends/test_*.py' --ignore $(TESTS_processes)
TESTS_signals := tests/cli/test_process.py
TESTS_command := tests/cli --ignore $(TESTS_signals)
TESTS_checkpoint := tests/checkpoint
TESTS_browser := tests/browser
TESTS_rest := tests --ignore tests/backends --ignore tests/cli --ignore tests/checkpoint --ignore tests/browser
UNIT := $(addprefix unit-,$(PARTS))
# What workers do in an interpreter of their own is measured in the other parts: here, one is started for
# nearly each test, and each would show the same lines.
$(addprefix unit-,behaviour command rest checkpoint browser): export STARTED := fork

PYTEST := -m pytest --quiet -p no:cacheprovider
# Tests that judge by times run when all others have ended.
BESIDE := -m 'not alone and not ray'
# Under coverage, Hypothesis tries a quarter of its examples: all of them are tried on other Pythons.
PROFILE := --hypothesis-profile quick

unit: .venv/dev.stamp
	$(BIN)/coverage erase
	$(TOGETHER) $(UNIT)
	@$(MAKE) --no-print-directory coverage

unit-%: .venv/dev.stamp
	$(BIN)/coverage run $(PYTEST) $(BESIDE) $(PROFILE) $(TESTS_$*)

ray: .venv/dev.stamp
	$(BIN)/python $(PYTEST) -m ray tests/backends tests/cli/test_cluster.py

alone: .venv/dev.stamp
	$(BIN)/python $(PYTEST) -m alone tests/report tests/test_services.py

# A file that no test has imported counts as one that was not run.
coverage: .venv/dev.stamp
	$(BIN)/coverage run --source metainformant -m metainformant --version >/dev/null
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# What says within 20 s whether an idea holds: simulated workers, options, pure parts, and what the
# command does within this process. Hypothesis tries a tenth of its examples.
QUICK := engine host backends/ipc backends/isolated \
  checkpoint/test_codec.py checkpoint/test_fingerprint.py checkpoint/test_keys.py \
  cli/test_function.py cli/test_inputs.py cli/test_sequences.py \
  maps/test_arguments.py maps/test_compat.py worker/test_frames.py \
  test_describe.py test_failures.py test_functions.py test_options.py test_pickles.py \
  test_public_surface.py test_rate.py

quick: .venv/dev.stamp
	$(BIN)/python -m pytest --quiet --hypothesis-profile brief $(addprefix tests/,$(QUICK))

# The wheel is what users get, so it is tested apart from the sources, on all Pythons that are found: by a
# few tests that say whether it is complete, and by those of what is special about a version. On 3.14 begin
# interpreters, and fork servers by default; without the GIL, threads do run at the same time. In test-all,
# each runs nearly all: the command is tested there by its examples.
FOUND = $(foreach version,$(OTHERS),$(if $(shell sh tools/find_python.sh $(version)),$(version)))
WHEELS = $(foreach version,$(filter $(FOUND) $(REQUIRED),$(OTHERS)),$(addprefix wheel-$(version)-,$(PARTS_$(version))))
ifdef WHOLE
$(foreach version,$(OTHERS),$(eval PARTS_$(version) := behaviour processes workers rest))
else
PARTS_3.12 := few
PARTS_3.13 := few
PARTS_3.14 := few interpreters processes
PARTS_3.15 := few interpreters
PARTS_3.13t := few engine threads
endif
TESTS_few := tests/worker tests/maps tests/cli/test_examples.py \
  $(addprefix tests/test_,functions.py options.py pickles.py public_surface.py rate.py)
# On the Python of the sources, only whether it is complete.
TESTS_own := tests/cli/test_examples.py tests/test_functions.py tests/test_public_surface.py
TESTS_engine := tests/engine tests/runner
TESTS_interpreters := tests/backends -k interpreters
TESTS_threads := tests/backends -k threads

wheel: dist
	$(TOGETHER) $(WHEELS) wheel-own

dist: .venv/dev.stamp
	@sh tools/check_pythons.sh $(filter-out $(REQUIRED),$(OTHERS))
	rm -rf dist .cache/wheel
	$(BIN)/python -m build --wheel --outdir dist >/dev/null

# Not a type of what users get is left to be inferred.
wheel-types: .venv/dev.stamp
	sh tools/check_types.sh $(BIN) .cache/wheel/types dist/*.whl

wheel-own: .cache/wheel/own/stamp
	sh tools/test_wheel.sh $(BIN)/python $(<D) $(BESIDE) $(PROFILE) $(TESTS_own)

.cache/wheel/own/stamp:
	sh tools/make_test_venv.sh $(BIN)/python $(@D) dist/*.whl
	@touch $@

define WHEEL_RULES
wheel-$(1)-%: .cache/wheel/$(1)/stamp
	sh tools/run_with.sh $(1) test_wheel.sh $$(<D) $$(BESIDE) $$(TESTS_$$*)

.cache/wheel/$(1)/stamp: $(if $(filter $(1),$(MADE)),| pythons)
	sh tools/run_with.sh $(1) make_test_venv.sh $$(@D) dist/*.whl
	@touch $$@
endef
$(foreach version,$(OTHERS),$(eval $(call WHEEL_RULES,$(version))))

# Draw the pictures of the command and of a report anew, where a browser is installed.
pictures: .venv/dev.stamp
	PATH="$(abspath $(BIN)):$$PATH" PYTHONPATH=. $(BIN)/python tools/pictures.py

# Make those of the other Pythons that are missing, if that can be done here.
pythons:
	@sh tools/pythons.sh $(or $(MADE),$(NEWER))

# The other libraries are kept away from what the tests use. ONLY="tiny sleeps" for some of it.
bench: .cache/bench/stamp
	.cache/bench/bin/python -m benchmarks run $(ONLY)

# Write docs/benchmarks.md from the results on file.
bench-page: .cache/bench/stamp
	.cache/bench/bin/python -m benchmarks page

bench-check: .venv/dev.stamp
	$(BIN)/python -m benchmarks check

bench-record: .venv/dev.stamp
	$(BIN)/python -m benchmarks record

# The site, of the Markdown and the docstrings: see docs/conf.py. Everything that it shows is in it.
docs: .venv/docs.stamp
	rm -rf .cache/site
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going --nitpicky \
	  -c docs -d .cache/site-doctrees . .cache/site
	@echo "the site is .cache/site/index.html"

# Links and anchors, nothing from elsewhere, every example, the pages that are made from the code, and all of
# them in a browser, where one is installed.
docs-check: docs
	$(BIN)/python tools/check_site.py .cache/site
	SITE=.cache/site $(BIN)/python $(PYTEST) tests/test_documents.py tests/test_reference.py tests/browser/test_site.py

# Write the pages of the reference that follow from the code.
reference: .venv/dev.stamp
	$(BIN)/python tools/reference.py

# What is released: the sources and the wheel, in .cache/dist.
dist-check: .cache/release/stamp
	sh tools/check_dist.sh .cache/release/bin/python .cache/dist

# The sources on one Python that is neither this nor one of the others, as in the forge's CI.
# ONLY="tests/maps" for some of them.
test-here:
	sh tools/test_sources.sh $(PYTHON) .cache/test/here --quiet $(PROFILE) $(if $(ONLY),$(ONLY),tests)

# What the libraries that users bring must be at least.
test-oldest:
	sh tools/test_oldest.sh $(PYTHON) .cache/test/oldest --quiet $(PROFILE)

format: .venv/dev.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv .cache dist build .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/pip.stamp:
	sh tools/make_venv.sh $(PYTHON) .venv
	@touch $@

.venv/demo.stamp: .venv/pip.stamp pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[cli]'
	@touch $@

.venv/dev.stamp: .venv/demo.stamp
	$(BIN)/python -m pip install --quiet --no-compile --group dev
	@touch $@

.venv/docs.stamp: .venv/dev.stamp
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

.cache/release/stamp: pyproject.toml
	sh tools/make_venv.sh $(PYTHON) .cache/release
	.cache/release/bin/python -m pip install --quiet --group release
	@touch $@

.cache/bench/stamp: pyproject.toml
	sh tools/make_venv.sh $(PYTHON) .cache/bench
	.cache/bench/bin/python -m pip install --quiet --editable '.[cli]' --group bench
	@touch $@
