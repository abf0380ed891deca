// Packing of rows: see facts.hpp. Fixed-width fields in the order of the struct, then the counter's own form.
#include "facts.hpp"

#include <array>
#include <cstring>

namespace sim {

const std::shared_ptr<const ship::Table> &table_of(Kind kind) {
  static const auto tables = [] {
    std::array<std::shared_ptr<const ship::Table>, kKinds> out;
    const char *names[] = {"app", "tombstone", "client", "holder", "wish", "node"};
    for (int i = 0; i < kKinds; i++)
      out[static_cast<size_t>(i)] = std::make_shared<ship::Table>(ship::Table{names[i], {{"row", "bytea"}}, 0});
    return out;
  }();
  return tables[static_cast<size_t>(kind)];
}

Kind kind_of(const std::string &table_name) {
  for (int i = 0; i < kKinds; i++)
    if (table_of(static_cast<Kind>(i))->name == table_name) return static_cast<Kind>(i);
  return Kind::node;
}

namespace {

struct Fixed {
  uint8_t kind, client, key, node, planner, state, flag, core;
  int64_t number, version;
};
struct FixedRow {
  int64_t version;
  uint32_t a, b, big;
};

template <class T>
void append(std::string &out, const T &value) {
  out.append(reinterpret_cast<const char *>(&value), sizeof value);
}
template <class T>
T take(std::string_view &in) {
  T out;
  std::memcpy(&out, in.data(), sizeof out);
  in.remove_prefix(sizeof out);
  return out;
}

}  // namespace

std::string pack(const Fact &f) {
  std::string out;
  append(out, Fixed{static_cast<uint8_t>(f.kind), f.client, f.key, f.node, f.planner, static_cast<uint8_t>(f.state), f.flag,
                    f.core, f.number, f.version});
  if (f.kind != Kind::app) return out;
  append(out, FixedRow{f.row.version, f.row.a, f.row.b, f.row.big});
  return out + apply::encode(f.row.n);
}

Fact unpack(std::string_view in) {
  auto x = take<Fixed>(in);
  Fact f{static_cast<Kind>(x.kind), x.client, x.key, x.node, x.planner, static_cast<HolderState>(x.state), x.flag != 0,
         x.core != 0, x.number, x.version, {}};
  if (f.kind != Kind::app) return f;
  auto r = take<FixedRow>(in);
  f.row = {r.version, r.a, r.b, r.big, apply::decode_counter(in).value()};
  return f;
}

const ClientName &client_name(int client) {
  static const std::array<ClientName, kClients> names{"c0", "c1", "c2", "c3", "c4"};
  return names[static_cast<size_t>(client)];
}

int client_number(const ClientName &name) { return name.empty() ? -1 : name[1] - '0'; }

}  // namespace sim
