// Registers: see crdt_register.hpp and crdt.hpp.
#include "core/apply/crdt_register.hpp"

#include <algorithm>

namespace vectorshard::apply {

namespace {

constexpr size_t kMaxDigits = 160000;  // numeric has at most 131072 digits before and 16383 after the point

bool digits(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

struct Decimal {
  bool negative = false;
  std::string_view whole, fraction;
};

Decimal parts(std::string_view s) {
  Decimal d;
  if (!s.empty() && s.front() == '-') {
    d.negative = true;
    s.remove_prefix(1);
  }
  size_t point = s.find('.');
  d.whole = s.substr(0, point);
  if (point != std::string_view::npos) d.fraction = s.substr(point + 1);
  return d;
}

int sign(int order) { return order < 0 ? -1 : order > 0 ? 1 : 0; }

bool better(const Register &a, const Register &b) {
  int order = compare(a, b);
  return a.kind == CrdtKind::max_register ? order > 0 : order < 0;
}

}  // namespace

Result<std::string> canonical_decimal(std::string_view text) {
  Decimal d = parts(text);
  bool point = text.find('.') != std::string_view::npos;
  if (text.size() > kMaxDigits || !digits(d.whole) || (point && !digits(d.fraction)))
    return Error{Errc::invalid_argument, "not a finite decimal number", "", ""};
  while (d.whole.size() > 1 && d.whole.front() == '0') d.whole.remove_prefix(1);
  while (!d.fraction.empty() && d.fraction.back() == '0') d.fraction.remove_suffix(1);
  std::string out(d.whole);
  if (!d.fraction.empty()) out.append(".").append(d.fraction);
  return d.negative && out != "0" ? "-" + out : out;
}

int compare_decimals(std::string_view a, std::string_view b) {
  Decimal x = parts(a), y = parts(b);
  if (x.negative != y.negative) return x.negative ? -1 : 1;
  int order = 0;
  if (x.whole.size() != y.whole.size())
    order = x.whole.size() < y.whole.size() ? -1 : 1;
  else if ((order = sign(x.whole.compare(y.whole))) == 0)
    order = sign(x.fraction.compare(y.fraction));
  return x.negative ? -order : order;
}

int compare(const Register &a, const Register &b) {
  if (a.number.empty() || b.number.empty()) {
    int order = static_cast<int>(!a.number.empty()) - static_cast<int>(!b.number.empty());
    return a.kind == CrdtKind::max_register ? order : -order;
  }
  return compare_decimals(a.number, b.number);
}

std::string encode(const Register &r) {
  ByteWriter out;
  crdt::put_head(out, r.kind, false, r.fresh, r.birth);
  crdt::put_text(out, r.number);
  return std::move(out).take();
}

Result<Register> decode_register(std::string_view bytes) {
  ByteReader in(bytes);
  Register r;
  r.kind = static_cast<CrdtKind>(in.u8());
  if (r.kind != CrdtKind::max_register && r.kind != CrdtKind::min_register) return crdt::corrupt("It is no register.");
  uint8_t flags = in.u8();
  if (flags != 0 && flags != crdt::kFresh) return crdt::corrupt("Its flags are unknown.");
  r.fresh = flags & crdt::kFresh;
  r.birth = crdt::get_natural(in);
  r.number = crdt::get_text(in);
  if (!in.ok() || !in.at_end()) return crdt::corrupt("There are bytes too few or too many.");
  if (r.number.empty()) return r;
  Result<std::string> canonical = canonical_decimal(r.number);
  if (!canonical.ok() || canonical.value() != r.number) return crdt::corrupt("Its number is damaged.");
  return r;
}

Register merge(const Register &a, const Register &b) {
  Register out = a.birth != b.birth ? (a.birth > b.birth ? a : b) : better(b, a) ? b : a;
  out.fresh = false;
  return out;
}

Register ended(const Register &r, Version deleted) {
  Register empty;
  empty.kind = r.kind;
  empty.birth = deleted;
  return merge(r, empty);
}

CrdtWrite classify(const Register &was, const Register &now) {
  if (now.fresh) return CrdtWrite::assign;
  return better(now, was) ? CrdtWrite::grow : CrdtWrite::same;
}

Result<Register> grown(const Register &was, const Register &now, const EntryKey &) {
  Register out = was;
  out.number = now.number;
  return out;
}

Result<Register> born(const Register &now, Version birth) {
  Register out = now;
  out.birth = birth;
  out.fresh = false;
  return out;
}

}  // namespace vectorshard::apply
