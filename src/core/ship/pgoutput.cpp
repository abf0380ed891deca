// Decoder of pgoutput messages: see pgoutput.hpp. Integers are big-endian, names end with a zero byte. Every read is
// checked against what is left; counts are checked before memory is reserved.
#include "core/ship/pgoutput.hpp"

#include <algorithm>
#include <string>

namespace vectorshard::ship {

namespace {

constexpr char kOversized = '!';

class NetworkReader {
 public:
  explicit NetworkReader(std::string_view in) : in_(in) {}

  uint64_t number(size_t bytes) {
    if (in_.size() < bytes) return fail();
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) v = v << 8 | static_cast<uint8_t>(in_[i]);
    in_.remove_prefix(bytes);
    return v;
  }
  uint8_t u8() { return static_cast<uint8_t>(number(1)); }
  uint16_t u16() { return static_cast<uint16_t>(number(2)); }
  uint32_t u32() { return static_cast<uint32_t>(number(4)); }
  uint64_t u64() { return number(8); }

  std::string_view name() {
    size_t end = in_.find('\0');
    if (end == std::string_view::npos) {
      fail();
      return {};
    }
    std::string_view v = in_.substr(0, end);
    in_.remove_prefix(end + 1);
    return v;
  }
  std::string_view raw(size_t n) {
    if (in_.size() < n) {
      fail();
      return {};
    }
    std::string_view v = in_.substr(0, n);
    in_.remove_prefix(n);
    return v;
  }
  uint64_t fail() {
    ok_ = false;
    in_ = {};
    return 0;
  }
  bool ok() const { return ok_; }
  size_t left() const { return in_.size(); }

 private:
  std::string_view in_;
  bool ok_ = true;
};

Error bad(char type) {
  return {Errc::corrupt, std::string("pgoutput message of type \"") + type + "\" does not decode", "", ""};
}

Message begin(NetworkReader &in) {
  BeginMessage m;
  m.commit_lsn = in.u64();
  m.commit_time = static_cast<int64_t>(in.u64());
  m.xid = in.u32();
  return m;
}

Message commit(NetworkReader &in) {
  CommitMessage m;
  in.u8();  // flags, unused
  m.commit_lsn = in.u64();
  m.end_lsn = in.u64();
  m.commit_time = static_cast<int64_t>(in.u64());
  return m;
}

Message relation(NetworkReader &in) {
  RelationMessage m;
  m.id = in.u32();
  m.schema = in.name();
  m.name = in.name();
  in.u8();  // replica identity
  size_t n = in.u16();
  for (size_t i = 0; i < n && in.ok(); i++) {
    RelationColumn c;
    in.u8();  // flags: part of the key
    c.name = in.name();
    c.type = in.u32();
    c.typmod = static_cast<int32_t>(in.u32());
    m.columns.push_back(c);
  }
  return m;
}

std::vector<TupleValue> tuple(NetworkReader &in) {
  size_t n = in.u16();
  std::vector<TupleValue> out;
  out.reserve(std::min(n, in.left()));  // each takes a byte at least
  for (size_t i = 0; i < n && in.ok(); i++) {
    TupleValue v;
    char kind = static_cast<char>(in.u8());
    if (kind != 'n' && kind != 'u' && kind != 't' && kind != 'b') in.fail();
    v.kind = static_cast<TupleValue::Kind>(kind);
    if (kind == 't' || kind == 'b') v.bytes = in.raw(in.u32());
    out.push_back(v);
  }
  return out;
}

Message row(NetworkReader &in, bool update) {
  RowMessage m;
  m.update = update;
  m.relation = in.u32();
  char which = static_cast<char>(in.u8());
  if (update && (which == 'K' || which == 'O')) {
    tuple(in);
    which = static_cast<char>(in.u8());
  }
  if (which != 'N') in.fail();
  m.values = tuple(in);
  return m;
}

}  // namespace

std::string encode(const OversizedMessage &message) {
  std::string out(1, kOversized);
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(message.bytes >> shift);
  return out;
}

Result<Message> decode_message(std::string_view bytes) {
  NetworkReader in(bytes);
  char type = static_cast<char>(in.u8());
  auto whole = [&](Message m) -> Result<Message> {
    if (!in.ok() || in.left() != 0) return bad(type);
    return m;
  };
  switch (type) {
    case 'B': return whole(begin(in));
    case 'C': return whole(commit(in));
    case 'R': return whole(relation(in));
    case 'I': return whole(row(in, false));
    case 'U': return whole(row(in, true));
    case kOversized: return whole(OversizedMessage{in.u64()});
    case 'Y': case 'O': case 'D': case 'T': case 'M': return Message(OtherMessage{type});
    default: return bad(type);
  }
}

}  // namespace vectorshard::ship
