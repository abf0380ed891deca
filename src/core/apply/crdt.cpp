// One value of any kind: see crdt.hpp. Dispatches to the kinds and knows nothing of them.
#include "core/apply/crdt.hpp"

namespace vectorshard::apply {

namespace {

template <class T>
Result<Crdt> as_crdt(Result<T> r) {
  if (!r.ok()) return r.error();
  return Crdt(std::move(r).value());
}

bool same_kind(const Crdt &a, const Crdt &b) { return kind_of(a) == kind_of(b); }

Error kinds_differ() { return {Errc::invalid_argument, "values of different types do not merge", "", ""}; }

/// `f` of two values of the same kind.
template <class Out, class F>
Result<Out> with_both(const Crdt &a, const Crdt &b, F &&f) {
  if (!same_kind(a, b)) return kinds_differ();
  return std::visit([&](const auto &x) -> Result<Out> { return f(x, std::get<std::decay_t<decltype(x)>>(b)); }, a);
}

}  // namespace

CrdtKind kind_of(const Crdt &value) {
  if (const auto *r = std::get_if<Register>(&value)) return r->kind;
  return std::holds_alternative<Counter>(value) ? CrdtKind::counter : CrdtKind::text_set;
}

std::string encode(const Crdt &value) {
  return std::visit([](const auto &v) { return encode(v); }, value);
}

Result<Crdt> decode_crdt(std::string_view bytes) {
  if (bytes.empty()) return crdt::corrupt("It is empty.");
  switch (static_cast<CrdtKind>(bytes.front())) {
    case CrdtKind::counter: return as_crdt(decode_counter(bytes));
    case CrdtKind::text_set: return as_crdt(decode_text_set(bytes));
    case CrdtKind::max_register:
    case CrdtKind::min_register: return as_crdt(decode_register(bytes));
  }
  return crdt::corrupt("Its kind is unknown.");
}

Result<Crdt> merge(const Crdt &a, const Crdt &b) {
  return with_both<Crdt>(a, b, [](const auto &x, const auto &y) { return Crdt(merge(x, y)); });
}

Result<bool> contains(const Crdt &a, const Crdt &b) {
  return with_both<bool>(a, b, [](const auto &x, const auto &y) { return merge(x, y) == merge(x, x); });
}

Crdt ended(const Crdt &value, Version deleted) {
  return std::visit([&](const auto &v) { return Crdt(ended(v, deleted)); }, value);
}

Result<CrdtWrite> classify(const Crdt &was, const Crdt &now) {
  return with_both<CrdtWrite>(was, now, [](const auto &x, const auto &y) { return classify(x, y); });
}

Result<Crdt> grown(const Crdt &was, const Crdt &now, const EntryKey &entry) {
  return with_both<Crdt>(was, now, [&](const auto &x, const auto &y) { return as_crdt(grown(x, y, entry)); });
}

Result<Crdt> born(const Crdt &now, Version birth) {
  return std::visit([&](const auto &v) { return as_crdt(born(v, birth)); }, now);
}

Result<Crdt> fresh(const Crdt &now) {
  Result<Crdt> out = born(now, 0);
  if (out.ok()) std::visit([](auto &v) { v.fresh = true; }, out.value());
  return out;
}

Version birth_of(const Crdt &value) {
  return std::visit([](const auto &v) { return v.birth; }, value);
}

size_t entries(const Crdt &value) {
  if (const auto *c = std::get_if<Counter>(&value)) return c->entries.size();
  if (const auto *s = std::get_if<TextSet>(&value)) return s->seen.size();
  return 0;
}

}  // namespace vectorshard::apply
