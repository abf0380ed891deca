#!/usr/bin/env python3
"""Runs one statement in DuckDB's library by itself, for tests that need Parquet files that the extension has not written.

write_parquet.py LIBRARY STATEMENT
"""
import ctypes
import sys

lib = ctypes.CDLL(sys.argv[1])
database, connection = ctypes.c_void_p(), ctypes.c_void_p()


class Result(ctypes.Structure):
    _fields_ = [("fields", ctypes.c_uint64 * 16)]


result = Result()
lib.duckdb_result_error.restype = ctypes.c_char_p
if lib.duckdb_open(None, ctypes.byref(database)) or lib.duckdb_connect(database, ctypes.byref(connection)):
    sys.exit("no database")
if lib.duckdb_query(connection, sys.argv[2].encode(), ctypes.byref(result)):
    sys.exit(lib.duckdb_result_error(ctypes.byref(result)).decode())
