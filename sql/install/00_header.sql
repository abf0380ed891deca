\echo Use "CREATE EXTENSION vectorshard CASCADE" to load this file. \quit
