# git-certs: build, try, test, measure. `make demo` and `make test` install what they need.

CARGO ?= cargo

.PHONY: help build install demo test test-action test-deps docs pictures lint lint-yaml image bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

build: ## build the release binary
	$(CARGO) build --release --locked

install: ## install git-certs into ~/.cargo/bin, so that `git certs` works
	$(CARGO) install --locked --path .

demo: ## issue certificates in a throw-away lab of real servers
	@scripts/install-test-deps --demo
	@echo "building: takes minutes the first time"
	@$(CARGO) test --locked --quiet --test demo

test: test-deps ## run all tests against real servers
	$(CARGO) test --locked

test-action: test-deps ## run the action, the example workflow and the release, with act on real servers
	$(CARGO) test --locked --test it -- act:: action:: examples:: release::

test-deps: ## install the servers that demo and test need
	@scripts/install-test-deps

docs: ## write the pages of docs/ that are made from the program
	UPDATE_DOCS=1 $(CARGO) test --locked --quiet --lib -- the_page_of_the the_schema_of
	UPDATE_DOCS=1 $(CARGO) test --locked --quiet --test it docs::the_page_of_the

pictures: ## draw the pictures of README.md
	@scripts/install-test-deps --pictures
	@scripts/pictures

lint: ## formatting, clippy, documentation, scripts
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items
	shellcheck .ci/run action/comment action/install action/run scripts/*

lint-yaml: ## workflows, action, GitLab example, Dockerfile; linters from PyPI
	@scripts/lint-yaml

image: build ## build, measure and try the container images (as root)
	@scripts/install-test-deps --image
	@scripts/check-image target/release/git-certs
	$(CARGO) test --locked --test it -- --ignored the_images_renew

bench: ## measure git-certs and its peers side by side, into docs/benchmarks.md, and large configurations
	@scripts/install-test-deps --bench
	$(CARGO) bench --locked --bench peers
	$(CARGO) bench --locked --features fuzzing --bench dnsconfig
	$(CARGO) bench --locked --bench held
	$(CARGO) bench --locked --bench verify

clean: ## remove what was built
	$(CARGO) clean
