#!/usr/bin/env python3
"""The style as a test: layout, dependency direction, sizes, pairing of tests with expected output, documentation.

Prints "ok NAME" or "not ok NAME" for each rule, with the places that break it. Reads files only, needs nothing else.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
STAGES = ["telemetry", "predict", "place", "ship", "apply", "tier", "read"]
FILE_LINES_MAX = 500
TEST_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
failures = {}


def files(*globs):
    return sorted(p for g in globs for p in ROOT.glob(g) if p.is_file() and "build/" not in str(p.relative_to(ROOT)))


def fail(rule, path, text):
    failures.setdefault(rule, []).append(f"{path.relative_to(ROOT)}: {text}")


def includes(path):
    return re.findall(r'^\s*#include "([^"]+)"', path.read_text(), re.M)


def rule_core_is_pure(rule):
    for p in files("src/core/**/*.?pp"):
        for inc in includes(p):
            if not inc.startswith("core/"):
                fail(rule, p, f"includes {inc}")
        for header in re.findall(r"^\s*#include <([^>]+)>", p.read_text(), re.M):
            if header in ("thread", "mutex", "fstream", "iostream", "filesystem") or header.startswith(("sys/", "unistd")):
                fail(rule, p, f"includes <{header}>: time, files, sockets and threads come through ports")


def rule_dependencies(rule):
    order = {s: i for i, s in enumerate(STAGES)}
    for p in files("src/core/**/*.?pp"):
        stage = p.relative_to(ROOT / "src/core").parts[0]
        for inc in includes(p):
            parts = inc.split("/")
            other = parts[1] if len(parts) > 2 else ""
            if other in ("base", stage):
                continue
            if other == "store" and stage in ("tier", "read"):
                continue
            if stage in order and other in order and order[other] < order[stage] and parts[-1] == "types.hpp":
                continue
            fail(rule, p, f"includes {inc}")
    for p in files("src/pg/*/*.?pp"):
        stage = p.relative_to(ROOT / "src/pg").parts[0]
        for inc in includes(p):
            parts = inc.split("/")
            if parts[0] != "pg" or len(parts) < 3 or parts[1] in ("bridge", stage) or parts[-1] == "api.hpp":
                continue
            if stage == "fabric" and p.name == "init.cpp" and parts[-1] == "init.hpp":
                continue
            fail(rule, p, f"includes {inc}")


def rule_postgres_header(rule):
    for p in files("src/**/*.?pp"):
        if p.name != "postgres.hpp" and '#include "postgres.h"' in p.read_text():
            fail(rule, p, 'includes "postgres.h" itself; use pg/bridge/postgres.hpp')


def rule_file_length(rule):
    for p in files("src/**/*.?pp", "demo/*.?pp", "sim/**/*.?pp"):
        n = len(p.read_text().splitlines())
        if n > FILE_LINES_MAX:
            fail(rule, p, f"{n} lines")
    for p in files("test/**/*.cpp", "test/**/*.pl", "test/**/*.pm", "sql/*.sql"):
        n = len(p.read_text().splitlines())
        if n > TEST_LINES_MAX:
            fail(rule, p, f"{n} lines")


def rule_function_length(rule):
    start = re.compile(r"^(\s*)[A-Za-z_].*\)\s*(const|noexcept|override|mutable|->\s*[\w:<> *&]+|\s)*\{$")
    for p in files("src/**/*.?pp", "demo/*.?pp", "sim/**/*.?pp"):
        lines = p.read_text().splitlines()
        for i, line in enumerate(lines):
            m = start.match(line)
            if not m or line.lstrip().startswith(("if", "for", "while", "switch", "namespace", "}", "else", "do")):
                continue
            indent = m.group(1)
            for j in range(i + 1, len(lines)):
                if lines[j].startswith(indent + "}"):
                    if j - i + 1 > FUNCTION_LINES_MAX:
                        fail(rule, p, f"line {i + 1}: function of {j - i + 1} lines")
                    break


def rule_header_comment(rule):
    for p in files("src/**/*.?pp", "demo/*.?pp", "sim/**/*.?pp", "test/**/*.cpp"):
        if not p.read_text().startswith("//"):
            fail(rule, p, "does not open with a comment")
    for p in files("scripts/*", "test/multinode/*.pl", "test/lib/*.pm", "test/isolation/specs/*.spec", "sql/install/*.sql"):
        if p.name == "ORDER" or p.name == "00_header.sql":
            continue
        head = p.read_text().splitlines()[:2]
        if not any(h.startswith(("# ", "--", "package")) for h in head):
            fail(rule, p, "does not open with a comment")


def rule_expected_output(rule):
    for a, b, ext_a, ext_b in [("sql", "expected", ".sql", ".out"),
                               ("test/isolation/specs", "test/isolation/expected", ".spec", ".out")]:
        left = {p.stem for p in files(f"{a}/*{ext_a}")}
        right = {p.stem for p in files(f"{b}/*{ext_b}")}
        for name in sorted(left - right):
            fail(rule, ROOT / a / (name + ext_a), f"no {b}/{name}{ext_b}")
        for name in sorted(right - left):
            fail(rule, ROOT / b / (name + ext_b), f"no {a}/{name}{ext_a}")


def rule_settings(rule):
    gucs = ROOT / "src/pg/bridge/gucs.cpp"
    names = re.findall(r'"(vectorshard\.[a-z0-9_]+)"', gucs.read_text())
    if names != sorted(names):
        fail(rule, gucs, "settings are not in alphabetical order")
    reference = (ROOT / "docs/reference.md").read_text() if (ROOT / "docs/reference.md").exists() else ""
    for name in names:
        if f"`{name}`" not in reference:
            fail(rule, gucs, f"{name} is not in docs/reference.md")


def install_sql():
    order = (ROOT / "sql/install/ORDER").read_text().split()
    return [(ROOT / "sql/install" / n, (ROOT / "sql/install" / n).read_text()) for n in order]


def rule_sql_parts(rule):
    listed = set((ROOT / "sql/install/ORDER").read_text().split())
    for p in files("sql/install/*.sql"):
        if p.name not in listed:
            fail(rule, p, "is not in sql/install/ORDER")


def rule_sql_comments(rule):
    text = "\n".join(t for _, t in install_sql())
    for p, t in install_sql():
        for kind, name in re.findall(r"^CREATE (?:OR REPLACE )?(FUNCTION|PROCEDURE|VIEW|TABLE|TYPE|AGGREGATE) vectorshard\.(\w+)",
                                     t, re.M):
            if not re.search(rf"COMMENT ON (FUNCTION|PROCEDURE|VIEW|TABLE|TYPE|AGGREGATE|FOREIGN TABLE) vectorshard\.{name}\b", text):
                fail(rule, p, f"{kind.lower()} {name} has no COMMENT ON")


def rule_search_path(rule):
    for p, t in install_sql():
        for m in re.finditer(r"^CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) vectorshard\.(\w+)\b(.*?);\s*$", t, re.M | re.S):
            body = m.group(2)
            language = re.search(r"LANGUAGE\s+'?(\w+)", body, re.I)
            if language and language.group(1).lower() in ("plpgsql", "sql") and "BEGIN ATOMIC" not in body.upper():
                if "search_path" not in body.split("$")[0] and "search_path" not in body:
                    fail(rule, p, f"{m.group(1)} has no pinned search_path")


def public_objects():
    """Functions and views that docs/reference.md must have: all but those marked internal in their COMMENT."""
    text = "\n".join(t for _, t in install_sql())
    names = set(re.findall(r"^CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE|VIEW) vectorshard\.(\w+)", text, re.M))
    internal = set(re.findall(r"COMMENT ON (?:FUNCTION|PROCEDURE|VIEW) vectorshard\.(\w+)[^;]*?IS\s*\n?\s*'internal", text, re.S))
    return names - internal


def rule_reference(rule):
    reference = ROOT / "docs/reference.md"
    text = reference.read_text() if reference.exists() else ""
    for name in sorted(public_objects()):
        if f"`{name}" not in text and f"vectorshard.{name}" not in text:
            fail(rule, ROOT / "docs/reference.md", f"{name} is not documented")


def rule_promises(rule):
    promises = ROOT / "docs/promises.md"
    if not promises.exists():
        fail(rule, promises, "missing")
        return
    for name in re.findall(r"`((?:test|sql)/[\w/.]+)`", promises.read_text()):
        if not (ROOT / name).exists():
            fail(rule, promises, f"names {name}, which does not exist")


def rule_no_sleep(rule):
    for p in files("test/multinode/*.pl"):
        for i, line in enumerate(p.read_text().splitlines(), 1):
            if re.search(r"^\s*(sleep|usleep)\b", line):
                fail(rule, p, f"line {i}: sleeps; poll for a condition instead")


def rule_no_todo(rule):
    for p in files("src/**/*.?pp", "demo/*", "sim/**/*.?pp", "sql/**/*.sql", "scripts/*", "test/**/*.pl", "test/**/*.pm", "test/unit/*.cpp"):
        for i, line in enumerate(p.read_text().splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                fail(rule, p, f"line {i}: {line.strip()}")


def rule_no_disabled_test(rule):
    for p in files("test/**/*.cpp", "test/**/*.pl", "sql/*.sql"):
        for word in ("GTEST_SKIP", "DISABLED_", "skip_all", "EXPECT_TRUE(true)"):
            if word in p.read_text():
                fail(rule, p, f"contains {word}")


def rule_every_stage_is_there(rule):
    readme = ROOT / "src/README.md"
    text = readme.read_text() if readme.exists() else ""
    for s in STAGES:
        for d in ("src/core", "src/pg"):
            if not list((ROOT / d / s).glob("*.?pp")):
                fail(rule, ROOT / d / s, "is empty")
        if s not in text:
            fail(rule, readme, f"does not name {s}")


def main():
    rules = {n[5:].replace("_", " "): f for n, f in globals().items() if n.startswith("rule_")}
    for name, check in rules.items():
        check(name)
        if name in failures:
            print(f"not ok {name}")
            for line in failures[name]:
                print(f"    {line}")
        else:
            print(f"ok {name}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
