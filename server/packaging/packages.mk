# SPDX-License-Identifier: MIT
# What others get: Debian packages and archives, in build/packages. The Makefile at the top includes it.
#   make deb       spate and spate-dev, for the Debian that it runs on
#   make dist      the source, and the program with all that it needs beside it
#   make packages  installs all of these in bare Debian 12 and 13, which debootstrap makes in build/roots, as root;
#                  RELEASE=13 in that alone; KEPT=1 takes what was built before, however old it is
PACKAGES  := build/packages
RELEASE   ?=
NEEDS_DEB := $(NEEDS_BUILD) dpkg-dev debhelper fakeroot
NEEDS_PACKAGES := $(NEEDS_TEST) $(NEEDS_DEB) lintian debootstrap systemd python3-yaml
ARCHITECTURE = $(shell uname -m)

# Those of two Debians bear the same names, and each depends on its own's libraries.
DEBS = $(PACKAGES)/debian$(shell . /etc/os-release && echo $$VERSION_ID)

build-deps:
	@.ci/install $(NEEDS_BUILD)

deb-deps:
	@.ci/install $(NEEDS_DEB)

# Debian's own files belong to the top of a source package; this top has no room for them, so it is built from a copy.
deb:
	$(CHECK) $(NEEDS_DEB)
	@rm -rf build/deb && mkdir -p build/deb/spate $(DEBS)
	@tar -c --exclude=./build --exclude=./.git --exclude=node_modules . | tar -x -C build/deb/spate
	@cp -r server/packaging/debian build/deb/spate/debian
	@[ ! -e build/deps ] || { mkdir build/deb/spate/build && cp -r build/deps build/deb/spate/build/; }
	@cd build/deb/spate && COMMIT='$(COMMIT)' dpkg-buildpackage -b -us -uc -d
	@cp build/deb/*.deb build/deb/*.changes build/deb/*.buildinfo $(DEBS)/

dist: dist-source dist-program

# The same bytes each time, of what is committed.
dist-source:
	@mkdir -p $(PACKAGES)
	@git -c safe.directory='$(CURDIR)' archive --format=tar --prefix=spate-$(VERSION)/ HEAD | gzip -9n > $(PACKAGES)/spate-$(VERSION).tar.gz
	@echo $(PACKAGES)/spate-$(VERSION).tar.gz

# RPATH, not RUNPATH: the libraries find one another by it as well.
DIST_NAME = spate-$(VERSION)-linux-$(ARCHITECTURE)
dist-program:
	$(CHECK) $(NEEDS_BUILD)
	@$(MAKE_IN) all
	@$(MAKE_IN) link-dist
	@server/packaging/archive build/dist/spate $(DIST_NAME) $(PACKAGES)

link-dist: $(PROGRAM)
	@mkdir -p build/dist
	@echo LD build/dist/spate
	@$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o build/dist/spate $^ $(STATIC_LUA) $(filter-out -llua%,$(LDLIBS)) -ldl -Wl,-E \
	  -Wl,--disable-new-dtags -Wl,-rpath,'$$ORIGIN/../lib'

packages:
	$(CHECK) $(NEEDS_PACKAGES)
	@BUILD=$(BUILD) RELEASE=$(RELEASE) KEPT=$(KEPT) $(LUA) /usr/bin/busted -o spec/summary.lua -p _package spec/packages

.PHONY: install-program install-docs install-dev built build-deps deb deb-deps dist dist-source dist-program link-dist packages
