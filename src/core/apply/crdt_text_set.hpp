// A set of texts that several nodes add to and remove from at once (observed-remove set without tombstones): each
// addition is a dot (entry, number), `seen` says up to which number a state knows each entry. A dot that a state has
// seen and does not hold was removed there. So a removal takes what it saw, and an addition made elsewhere survives it.
// The elements of the birth have dots of the entry that is all zero. Laws: crdt.hpp.
#pragma once
#include <string>
#include <vector>

#include "core/apply/crdt_entry.hpp"

namespace vectorshard::apply {

struct Dot {
  EntryKey entry;
  uint64_t number = 0;
  auto operator<=>(const Dot &) const = default;
};

struct SeenEntry {
  EntryKey key;
  uint64_t number = 0;  // the largest seen, not 0
  bool operator==(const SeenEntry &) const = default;
};

struct SetElement {
  std::string key;  // the text
  std::vector<Dot> dots;  // sorted; not empty
  bool operator==(const SetElement &) const = default;
};

struct SetChange {
  std::string key;  // the text
  bool add = false;
  bool operator==(const SetChange &) const = default;
};

struct TextSet {
  Version birth = 0;  // 0: not born yet
  std::vector<SeenEntry> seen;       // sorted by key
  std::vector<SetElement> elements;  // sorted by bytes
  std::vector<SetChange> pending;    // sorted by bytes: the last change of each text, not attributed to a node yet
  bool fresh = false;
  bool operator==(const TextSet &) const = default;
};

/// The texts in the set, the pending changes among them, sorted by bytes.
std::vector<std::string> values(const TextSet &s);
/// A set that is not born yet. Texts may repeat.
TextSet text_set(std::vector<std::string> texts);
/// `s` with a pending change of each text.
TextSet changed(TextSet s, std::vector<std::string> texts, bool add);

std::string encode(const TextSet &s);
/// Errors: corrupt.
Result<TextSet> decode_text_set(std::string_view bytes);

TextSet merge(const TextSet &a, const TextSet &b);
TextSet ended(const TextSet &s, Version deleted);
CrdtWrite classify(const TextSet &was, const TextSet &now);
Result<TextSet> grown(const TextSet &was, const TextSet &now, const EntryKey &entry);
Result<TextSet> born(const TextSet &now, Version birth);

}  // namespace vectorshard::apply
