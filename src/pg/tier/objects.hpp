// Objects of this node in stores: written from rows, stored, read back and compared, and removed when nothing needs
// them. Nothing here changes the manifest.
#pragma once
#include <string>
#include <vector>

#include "pg/tier/manifest.hpp"

namespace vectorshard::tier {

/// The live columns of a relation as a select list, quoted, in attnum order.
std::string select_list(Oid relid);

/// Writes what `source` gives into a file of the spool directory and describes it as segment `name` of `store`; false
/// if there are no rows. Needs an open transaction. The caller removes the file.
bool write_segment(const RowSource &source, const std::string &table, const std::string &store, const std::string &name,
                   NewSegment *out, std::string *path);

/// Puts the file into its store under its key. Durable when it returns. Raises.
void put_segment(const NewSegment &segment, const std::string &path);

/// Reads the stored object in full, through the conversions that queries use, and raises unless it holds exactly the
/// rows that were written. Needs an open transaction.
void verify_segment(const NewSegment &segment, Oid relid);

/// Removes an object and the name under which it was read, unless a segment of the manifest has the same bytes; as far as the store lets it: what stays is
/// an orphan, which collect_objects() finds. Needs an open transaction.
void remove_object(const std::string &store, const std::string &key, const std::string &sha256);

/// Removes an object and every copy of it that this node keeps. Raises unless they are gone. Needs an open transaction.
void destroy_object(const std::string &store, const std::string &key, const std::string &sha256);

/// Removes the objects that this node made and nothing names, however young they are. For the tiering worker alone, between moves. Raises if
/// a store in which there may be some cannot be asked. Own transactions.
void destroy_orphans();

/// Removes copies of objects whose segments are no more. Own transaction.
void purge_unknown_copies();

/// Removes segments that have been dead for `dead_s` wall-clock seconds, with their objects, copies and manifest rows. Gives how many others are as old,
/// but may still be read by a snapshot. Own transactions.
size_t remove_dead_segments(int64_t dead_s);

/// Removes objects that this node made, no manifest row and no unfinished move names and that are `dead_s` seconds old, and copies of what is no more.
/// Own transactions.
void collect_objects(int64_t dead_s);

}  // namespace vectorshard::tier
