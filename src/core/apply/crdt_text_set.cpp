// Sets: see crdt_text_set.hpp and crdt.hpp. Must never give a dot twice, nor forget that one was seen.
#include "core/apply/crdt_text_set.hpp"

#include <algorithm>

namespace vectorshard::apply {

namespace {

constexpr size_t kMinSeenBytes = 4, kMinElementBytes = 4, kMinDotBytes = 2, kMinChangeBytes = 2;

template <class T, class K>
auto find_key(std::vector<T> &v, const K &key) {
  return std::lower_bound(v.begin(), v.end(), key, [](const T &x, const K &k) { return x.key < k; });
}

uint64_t seen_of(const TextSet &s, const EntryKey &entry) {
  auto at = std::lower_bound(s.seen.begin(), s.seen.end(), entry,
                             [](const SeenEntry &x, const EntryKey &k) { return x.key < k; });
  return at != s.seen.end() && at->key == entry ? at->number : 0;
}

bool same_state(const TextSet &a, const TextSet &b) {
  return a.birth == b.birth && a.seen == b.seen && a.elements == b.elements;
}

/// Adds to `out` the dots of an element of `a` that `b` has too, or never saw.
void keep_dots(const std::vector<Dot> &dots, const std::vector<Dot> &there, const TextSet &b, std::vector<Dot> &out) {
  for (const Dot &d : dots)
    if (d.number > seen_of(b, d.entry) || std::binary_search(there.begin(), there.end(), d)) out.push_back(d);
}

/// The element with the dots that survive in the join of `a` and `b`.
SetElement join(const SetElement &x, const SetElement &y, const TextSet &a, const TextSet &b) {
  SetElement out{x.key, {}};
  keep_dots(x.dots, y.dots, b, out.dots);
  keep_dots(y.dots, x.dots, a, out.dots);
  std::sort(out.dots.begin(), out.dots.end());
  out.dots.erase(std::unique(out.dots.begin(), out.dots.end()), out.dots.end());
  return out;
}

void put_elements(ByteWriter &out, const TextSet &s) {
  crdt::put_uint(out, s.elements.size());
  for (const SetElement &e : s.elements) {
    crdt::put_text(out, e.key);
    crdt::put_uint(out, e.dots.size());
    for (const Dot &d : e.dots) {
      auto at = std::lower_bound(s.seen.begin(), s.seen.end(), d.entry,
                                 [](const SeenEntry &x, const EntryKey &k) { return x.key < k; });
      crdt::put_uint(out, static_cast<uint64_t>(at - s.seen.begin()));
      crdt::put_uint(out, d.number);
    }
  }
}

bool get_seen(ByteReader &in, TextSet &s) {
  s.seen.resize(crdt::get_count(in, kMinSeenBytes));
  for (size_t i = 0; i < s.seen.size(); i++) {
    s.seen[i].key = crdt::get_key(in);
    s.seen[i].number = crdt::get_uint(in);
    if (!in.ok() || s.seen[i].number == 0 || (i > 0 && !(s.seen[i - 1].key < s.seen[i].key))) return false;
  }
  return in.ok();
}

bool get_dots(ByteReader &in, const TextSet &s, std::vector<Dot> &dots) {
  dots.resize(crdt::get_count(in, kMinDotBytes));
  for (size_t i = 0; i < dots.size(); i++) {
    uint64_t entry = crdt::get_uint(in);
    dots[i].number = crdt::get_uint(in);
    if (!in.ok() || entry >= s.seen.size() || dots[i].number == 0 || dots[i].number > s.seen[entry].number) return false;
    dots[i].entry = s.seen[entry].key;
    if (i > 0 && !(dots[i - 1] < dots[i])) return false;
  }
  return in.ok() && !dots.empty();
}

bool get_elements(ByteReader &in, TextSet &s) {
  s.elements.resize(crdt::get_count(in, kMinElementBytes));
  for (size_t i = 0; i < s.elements.size(); i++) {
    s.elements[i].key = crdt::get_text(in);
    if (!in.ok() || (i > 0 && !(s.elements[i - 1].key < s.elements[i].key))) return false;
    if (!get_dots(in, s, s.elements[i].dots)) return false;
  }
  return in.ok();
}

bool get_pending(ByteReader &in, TextSet &s) {
  s.pending.resize(crdt::get_count(in, kMinChangeBytes));
  for (size_t i = 0; i < s.pending.size(); i++) {
    uint8_t add = in.u8();
    s.pending[i] = {std::string(crdt::get_text(in)), add == 1};
    if (!in.ok() || add > 1 || (i > 0 && !(s.pending[i - 1].key < s.pending[i].key))) return false;
  }
  return in.ok() && !s.pending.empty();
}

}  // namespace

std::vector<std::string> values(const TextSet &s) {
  std::vector<std::string> out;
  auto change = s.pending.begin();
  for (const SetElement &e : s.elements) {
    for (; change != s.pending.end() && change->key < e.key; ++change)
      if (change->add) out.push_back(change->key);
    bool named = change != s.pending.end() && change->key == e.key;
    if (!named || change->add) out.push_back(e.key);
    if (named) ++change;
  }
  for (; change != s.pending.end(); ++change)
    if (change->add) out.push_back(change->key);
  return out;
}

TextSet text_set(std::vector<std::string> texts) {
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  TextSet s;
  if (texts.empty()) return s;
  s.seen.push_back({{}, texts.size()});
  uint64_t number = 0;
  for (std::string &t : texts) s.elements.push_back({std::move(t), {{{}, ++number}}});
  return s;
}

TextSet changed(TextSet s, std::vector<std::string> texts, bool add) {
  for (std::string &t : texts) s.pending.push_back({std::move(t), add});
  std::stable_sort(s.pending.begin(), s.pending.end(), [](auto &x, auto &y) { return x.key < y.key; });
  // Of several changes of a text the last counts.
  auto last = std::unique(s.pending.rbegin(), s.pending.rend(), [](auto &x, auto &y) { return x.key == y.key; });
  s.pending.erase(s.pending.begin(), last.base());
  return s;
}

std::string encode(const TextSet &s) {
  ByteWriter out;
  crdt::put_head(out, CrdtKind::text_set, !s.pending.empty(), s.fresh, s.birth);
  crdt::put_uint(out, s.seen.size());
  for (const SeenEntry &e : s.seen) {
    crdt::put_key(out, e.key);
    crdt::put_uint(out, e.number);
  }
  put_elements(out, s);
  if (s.pending.empty()) return std::move(out).take();
  crdt::put_uint(out, s.pending.size());
  for (const SetChange &c : s.pending) {
    out.u8(c.add ? 1 : 0);
    crdt::put_text(out, c.key);
  }
  return std::move(out).take();
}

Result<TextSet> decode_text_set(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.u8() != static_cast<uint8_t>(CrdtKind::text_set)) return crdt::corrupt("It is no text set.");
  uint8_t flags = in.u8();
  if (flags > (crdt::kPending | crdt::kFresh)) return crdt::corrupt("Its flags are unknown.");
  TextSet s;
  s.fresh = flags & crdt::kFresh;
  s.birth = crdt::get_natural(in);
  if (!get_seen(in, s)) return crdt::corrupt("Its entries are damaged.");
  if (!get_elements(in, s)) return crdt::corrupt("Its elements are damaged.");
  if ((flags & crdt::kPending) && !get_pending(in, s)) return crdt::corrupt("Its pending changes are damaged.");
  if (!in.ok() || !in.at_end()) return crdt::corrupt("There are bytes too few or too many.");
  return s;
}

TextSet merge(const TextSet &a, const TextSet &b) {
  TextSet out;
  if (a.birth != b.birth) {
    out = a.birth > b.birth ? a : b;
    out.pending.clear();
    out.fresh = false;
    return out;
  }
  out.birth = a.birth;
  out.seen = crdt::join_sorted(a.seen, b.seen, [](const SeenEntry &x, const SeenEntry &y) {
    return SeenEntry{x.key, std::max(x.number, y.number)};
  });
  size_t i = 0, j = 0;
  while (i < a.elements.size() || j < b.elements.size()) {
    bool first = j == b.elements.size() || (i < a.elements.size() && a.elements[i].key <= b.elements[j].key);
    bool second = i == a.elements.size() || (j < b.elements.size() && b.elements[j].key <= a.elements[i].key);
    const std::string &text = first ? a.elements[i].key : b.elements[j].key;
    SetElement joined = join(first ? a.elements[i] : SetElement{text, {}}, second ? b.elements[j] : SetElement{text, {}}, a, b);
    if (!joined.dots.empty()) out.elements.push_back(std::move(joined));
    i += first;
    j += second;
  }
  return out;
}

TextSet ended(const TextSet &s, Version deleted) {
  TextSet empty;
  empty.birth = deleted;
  return merge(s, empty);
}

CrdtWrite classify(const TextSet &was, const TextSet &now) {
  if (now.fresh) return CrdtWrite::assign;
  // A value not born yet could be any literal: only the very state that stands there is a state to change.
  bool changed_from = was.birth == now.birth && (was.birth != 0 || same_state(was, now));
  if (changed_from) return now.pending == was.pending ? CrdtWrite::same : CrdtWrite::grow;
  return values(was) == values(now) ? CrdtWrite::same : CrdtWrite::assign;
}

Result<TextSet> grown(const TextSet &was, const TextSet &now, const EntryKey &entry) {
  TextSet out;
  out.birth = was.birth;
  out.seen = was.seen;
  uint64_t number = seen_of(was, entry);
  auto element = was.elements.begin();
  for (const SetChange &c : now.pending) {
    while (element != was.elements.end() && element->key < c.key) out.elements.push_back(*element++);
    if (element != was.elements.end() && element->key == c.key) ++element;
    if (c.add) out.elements.push_back({c.key, {{entry, ++number}}});
  }
  out.elements.insert(out.elements.end(), element, was.elements.end());
  if (number == seen_of(was, entry)) return out;
  auto mine = find_key(out.seen, entry);
  if (mine == out.seen.end() || mine->key != entry) mine = out.seen.insert(mine, {entry, 0});
  mine->number = number;
  return out;
}

Result<TextSet> born(const TextSet &now, Version birth) {
  TextSet out = text_set(values(now));
  out.birth = birth;
  return out;
}

}  // namespace vectorshard::apply
