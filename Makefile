# vectorshard: the extension (PGXS), its tests and the demo.
#
#   make && make install     build and install the extension
#   make check               install what is missing, build, run every test; last line "N passed, N failed"
#   make test-histories      install what is missing, build, histories on three servers with faults (SEED=, HISTORIES=, OPERATIONS=)
#   make sim [HISTORIES=n]  random histories of the protocol over the core; SEED=n replays one
#   make demo                install what is missing, build, run the main job on this machine
#   make vectorshard-sim     the placement simulator (docs/simulator.md)
#   make bench-place         placement policies side by side (DATA=folder with trajectories and sites)
#   make bench-ship          shipping and merging against logical replication and pglogical (about 25 minutes)
#   make bench-navigator     one pass of the navigator over a million made-up clients, on one core (CLIENTS=)
#   make bench-read          reads against plain tables and postgres_fdw (about 5 minutes)
#   make bench-tier          partitions in a store against the same rows in a heap (about 10 minutes)
#   make test-oracle         install what is missing, build, queries at random against plain tables (ORACLE_QUERIES=500000, SEED=)
#   make test-soak           the same, ten minutes of count(*) and a hash while clients are moved at random (SOAK_S=600, SEED=)
#   make test-tier-types     install what is missing, build, a million rows of every type to a store and back (ROWS=)
#   make test-rgw            installs Ceph, and moves clients to its S3 gateway and back
#   make bench-telemetry     taking reports against writing them into a PostGIS table (about 5 minutes)
#
# The core library alone builds with CMake (CMakeLists.txt), without PostgreSQL.
EXTENSION  = vectorshard vectorshard_mobilitydb
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" vectorshard.control)
MODULE_big = vectorshard
CORE_SRCS  = $(sort $(wildcard src/core/*/*.cpp))
PG_SRCS    = $(sort $(wildcard src/pg/*.cpp) $(wildcard src/pg/*/*.cpp))
OBJS       = $(CORE_SRCS:.cpp=.o) $(PG_SRCS:.cpp=.o)
DATA       = $(wildcard sql/update/*.sql) $(wildcard sql/mobilitydb/*.sql)
DATA_built = build/vectorshard--$(EXTVERSION).sql
EXTRA_CLEAN = build $(OBJS:.o=.d)

# Debian's PGXS would build LLVM bitcode with clang 14, which cannot compile libstdc++ 12 <ranges> views.
# This line must stand before the include.
override with_llvm = no

PG_CXXFLAGS = -std=c++20 -fvisibility=hidden -fvisibility-inlines-hidden -Wall -Wextra -Wno-register \
              -Wno-missing-field-initializers -Wno-unused-parameter -MMD -MP
PG_CPPFLAGS = -Isrc -isystem third_party/duckdb $(shell pkg-config --cflags libxml-2.0) -I$(shell $(PG_CONFIG) --includedir)
SHLIB_LINK  = -lstdc++ -lpq -lcurl -lxml2 -lcrypto -llz4 -lzstd -ldl
PG_CONFIG  ?= /usr/lib/postgresql/15/bin/pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)

# PGXS calls its own regression runner `check`; ours runs everything through scripts/check.
ifneq ($(filter check demo bench-ship bench-place vectorshard-sim bench-navigator bench-read bench-tier bench-telemetry test-oracle test-soak test-rgw test-tier-matrix test-tier-types bootstrap test-histories sim,$(MAKECMDGOALS)),)
.PHONY: check demo bench-ship bench-place vectorshard-sim bench-navigator bench-read bench-tier bench-telemetry test-oracle test-soak test-rgw test-tier-matrix test-tier-types bootstrap test-histories sim
bootstrap:
	scripts/bootstrap
check: bootstrap
	scripts/check
demo: bootstrap
	scripts/demo
test-histories: bootstrap
	scripts/histories
bench-ship:
	scripts/bootstrap pglogical
	scripts/bench-ship
bench-telemetry: bootstrap
	scripts/bench-telemetry
bench-read: bootstrap
	scripts/bench-read
bench-tier: bootstrap
	scripts/bench-tier
test-oracle: bootstrap
	ORACLE_QUERIES=$(or $(ORACLE_QUERIES),500000) scripts/check oracle
test-soak: bootstrap
	SOAK_S=$(or $(SOAK_S),600) scripts/check soak
test-tier-types: bootstrap
	ROWS=$(or $(ROWS),1000000) scripts/check tier-types
test-rgw:
	scripts/bootstrap rgw
	scripts/check rgw
test-tier-matrix: bootstrap
	CELLS=$(or $(CELLS),all) scripts/check tier-matrix
bench-place: bootstrap
	scripts/bench-place
bench-navigator:
	@cmake -S . -B build/unit -G Ninja >/dev/null && ninja -C build/unit bench_navigator >/dev/null
	@echo "a city, where every area is near:" && build/unit/bench_navigator $(or $(CLIENTS),1000000) 0.03
	@build/unit/bench_navigator $(or $(CLIENTS),1000000)
vectorshard-sim:
	@cmake -S . -B build/unit -G Ninja >/dev/null && ninja -C build/unit vectorshard-sim >/dev/null
sim:
	@cmake -S . -B build/unit -G Ninja >/dev/null && ninja -C build/unit vectorshard-check-sim >/dev/null
	@HISTORIES=$(HISTORIES) SEED=$(SEED) FIRST=$(FIRST) PLANTED=$(PLANTED) PROFILE=$(PROFILE) build/unit/vectorshard-check-sim
else
include $(PGXS)

# One precompiled header for all of src/pg: parsing the server's headers is most of what a file costs.
PCH = src/pg/bridge/precompiled.hpp
EXTRA_CLEAN += $(PCH).gch $(PCH).gch.sum $(PCH).d
$(PCH).gch: $(PCH) src/pg/bridge/postgres.hpp
	$(CXX) $(CXXFLAGS) $(CPPFLAGS) -x c++-header -o $@ $<
	@cat $^ | sha256sum > $@.sum
$(PG_SRCS:.cpp=.o): override CPPFLAGS += -include $(PCH)
$(PG_SRCS:.cpp=.o): $(PCH).gch

# The install script: the parts in ORDER, without OR REPLACE, so that an object which somebody created
# beforehand makes CREATE EXTENSION fail instead of being adopted.
build/vectorshard--$(EXTVERSION).sql: sql/install/ORDER $(wildcard sql/install/*.sql)
	@mkdir -p build
	cd sql/install && sed 's/ OR REPLACE / /' $$(cat ORDER) > $(CURDIR)/$@

-include $(OBJS:.o=.d)
endif
