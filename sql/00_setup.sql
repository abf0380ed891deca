-- The single-node fabric that all regression tests share: the server has the library preloaded.
SET client_min_messages = warning;
CREATE EXTENSION vectorshard CASCADE;
SELECT vectorshard.self_node();
SELECT vectorshard.create_fabric('alone', ST_SetSRID(ST_MakePoint(-122.4, 37.8), 4326));
SELECT vectorshard.self_node();
SELECT node, name, kind, state, is_self, registrar FROM vectorshard.nodes;
