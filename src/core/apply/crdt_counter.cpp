// Counters: see crdt_counter.hpp and crdt.hpp. Must never give one entry to two writers, nor move an entry back.
#include "core/apply/crdt_counter.hpp"

#include <algorithm>

namespace vectorshard::apply {

namespace {

constexpr size_t kMinEntryBytes = 5;

Error out_of_range() {
  return {Errc::invalid_argument, "counter is out of range", "A counter counts within the range of bigint.", ""};
}

bool same_state(const Counter &a, const Counter &b) {
  return a.birth == b.birth && a.base == b.base && a.entries == b.entries;
}

}  // namespace

CounterValue value(const Counter &c) {
  CounterValue v = static_cast<CounterValue>(c.base) + c.pending;
  for (const CounterEntry &e : c.entries) v += static_cast<CounterValue>(e.plus) - static_cast<CounterValue>(e.minus);
  return v;
}

Result<Counter> plus(Counter c, int64_t n) {
  if (__builtin_add_overflow(c.pending, n, &c.pending)) return out_of_range();
  return c;
}

std::string encode(const Counter &c) {
  ByteWriter out;
  crdt::put_head(out, CrdtKind::counter, c.pending != 0, c.fresh, c.birth);
  crdt::put_int(out, c.base);
  crdt::put_uint(out, c.entries.size());
  for (const CounterEntry &e : c.entries) {
    crdt::put_key(out, e.key);
    crdt::put_uint(out, e.plus);
    crdt::put_uint(out, e.minus);
  }
  if (c.pending != 0) crdt::put_int(out, c.pending);
  return std::move(out).take();
}

Result<Counter> decode_counter(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.u8() != static_cast<uint8_t>(CrdtKind::counter)) return crdt::corrupt("It is no counter.");
  uint8_t flags = in.u8();
  if (flags > (crdt::kPending | crdt::kFresh)) return crdt::corrupt("Its flags are unknown.");
  Counter c;
  c.fresh = flags & crdt::kFresh;
  c.birth = crdt::get_natural(in);
  c.base = crdt::get_int(in);
  c.entries.resize(crdt::get_count(in, kMinEntryBytes));
  for (size_t i = 0; i < c.entries.size(); i++) {
    CounterEntry &e = c.entries[i];
    e.key = crdt::get_key(in);
    e.plus = crdt::get_uint(in);
    e.minus = crdt::get_uint(in);
    if (!in.ok() || (e.plus == 0 && e.minus == 0) || (i > 0 && !(c.entries[i - 1].key < e.key)))
      return crdt::corrupt("Its entries are damaged.");
  }
  if (flags & crdt::kPending) {
    c.pending = crdt::get_int(in);
    if (c.pending == 0) in.fail();
  }
  if (!in.ok() || !in.at_end()) return crdt::corrupt("There are bytes too few or too many.");
  return c;
}

Counter merge(const Counter &a, const Counter &b) {
  Counter out;
  if (a.birth != b.birth) {
    out = a.birth > b.birth ? a : b;
  } else {
    out.birth = a.birth;
    out.base = std::max(a.base, b.base);  // equal, unless two nodes gave one birth different values
    out.entries = crdt::join_sorted(a.entries, b.entries, [](const CounterEntry &x, const CounterEntry &y) {
      return CounterEntry{x.key, std::max(x.plus, y.plus), std::max(x.minus, y.minus)};
    });
  }
  out.pending = 0;
  out.fresh = false;
  return out;
}

Counter ended(const Counter &c, Version deleted) {
  Counter empty;
  empty.birth = deleted;
  return merge(c, empty);
}

CrdtWrite classify(const Counter &was, const Counter &now) {
  if (now.fresh) return CrdtWrite::assign;
  // A value not born yet could be any literal: only the very state that stands there is a state to add to.
  bool counted_on = was.birth == now.birth && (was.birth != 0 || same_state(was, now));
  if (counted_on) return now.pending == was.pending ? CrdtWrite::same : CrdtWrite::grow;
  return value(was) == value(now) ? CrdtWrite::same : CrdtWrite::assign;
}

Result<Counter> grown(const Counter &was, const Counter &now, const EntryKey &entry) {
  Counter out = was;
  out.pending = 0;
  out.fresh = false;
  int64_t by = now.pending;
  if (by == 0) return out;
  auto at = std::lower_bound(out.entries.begin(), out.entries.end(), entry,
                             [](const CounterEntry &e, const EntryKey &k) { return e.key < k; });
  if (at == out.entries.end() || at->key != entry) at = out.entries.insert(at, {entry, 0, 0});
  uint64_t size = by > 0 ? static_cast<uint64_t>(by) : ~static_cast<uint64_t>(by) + 1;
  uint64_t &sum = by > 0 ? at->plus : at->minus;
  if (__builtin_add_overflow(sum, size, &sum)) return out_of_range();
  return out;
}

Result<Counter> born(const Counter &now, Version birth) {
  CounterValue v = value(now);
  if (v > INT64_MAX || v < INT64_MIN) return out_of_range();
  Counter out;
  out.birth = birth;
  out.base = static_cast<int64_t>(v);
  return out;
}

}  // namespace vectorshard::apply
