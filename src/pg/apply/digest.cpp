// The digest of a client: SHA-256 over (table, key, version) of its rows and tombstones in sorted order. Two nodes that
// hold the same versions compute the same text, whatever order their heaps are in. It never looks at contents: a
// version stands for one content.
#include <openssl/evp.h>

#include "core/base/bytes.hpp"
#include "core/base/version.hpp"
#include "pg/apply/api.hpp"
#include "pg/apply/client_rows.hpp"
#include "pg/apply/scopes.hpp"
#include "pg/apply/tombstone.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "utils/builtins.h"
}

namespace vectorshard::apply {

namespace {

// Key columns come as the table has them, so only whole lists need an order.
constexpr const char *kTombstones = R"(
  SELECT table_name, array_to_string(key, E'\x1f', E'\x1e'), _version FROM vectorshard.tombstone
   WHERE client = $1 AND _version > $2)";

std::string entry(char kind, std::string_view table, std::string_view key, Version version) {
  ByteWriter out;
  out.u8(static_cast<uint8_t>(kind));
  out.str(table);
  out.str(key);
  out.i64(version);
  return std::move(out).take();
}

std::string joined(const std::vector<std::string> &key) {
  std::string out;
  for (const std::string &k : key) out += (&k == key.data() ? "" : "\x1f") + k;
  return out;
}

void add_rows(const bridge::EnrolledTable &table, std::string_view client, std::vector<std::string> *entries) {
  std::string what;
  AttrNumber last = 0;
  for (AttrNumber k : table.key) {
    for (const auto &c : table.columns)
      if (c.attnum == k) what += std::string(bridge::pg_call([&] { return quote_identifier(c.name.c_str()); })) + ", ";
    last = std::max(last, k);
  }
  std::vector<Datum> by_attnum(static_cast<size_t>(last), 0);
  for_each_row(table, client, what + "_version", [&](const Datum *values) {
    for (size_t i = 0; i < table.key.size(); i++) by_attnum[table.key[i] - 1] = values[i];
    Version version = DatumGetInt64(values[table.key.size()]);
    entries->push_back(entry('r', table.name, joined(bridge::key_text(table, by_attnum.data())), version));
  });
}

/// Tombstones that a node may have collected do not count. In coarse steps, so that two nodes rarely disagree.
Version counted_after() {
  Version step = std::max<Version>(int64_t{bridge::guc::tombstone_retention_s} * 1000 / 16, 1000)
                 << (kVersionNodeBits + kVersionCounterBits);
  return (tombstone_horizon() / step + 1) * step;
}

std::string sha256_hex(const std::vector<std::string> &entries) {
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX *)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  bool ok = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  for (const std::string &e : entries) ok = ok && EVP_DigestUpdate(context.get(), e.data(), e.size());
  if (!ok || !EVP_DigestFinal_ex(context.get(), bytes, &length))
    bridge::raise({Errc::unavailable, "SHA-256 is not available", {}, "Check the OpenSSL library of this machine."});
  std::string out;
  for (unsigned int i = 0; i < length; i++) {
    out.push_back("0123456789abcdef"[bytes[i] >> 4]);
    out.push_back("0123456789abcdef"[bytes[i] & 15]);
  }
  return out;
}

}  // namespace

std::string client_digest(std::string_view client) {
  UserScope owner(extension_owner(), false);
  std::vector<std::string> entries;
  for (const bridge::EnrolledTable &table : client_tables()) add_rows(table, client, &entries);
  {
    bridge::Spi spi;
    bridge::Rows dead =
        spi.query_kept(kTombstones, {bridge::p_text(client), bridge::p_int8(counted_after())}, true);
    for (size_t i = 0; i < dead.size(); i++)
      entries.push_back(entry('t', dead.at(i, 0), dead.at(i, 1), dead.int8(i, 2)));
  }
  std::sort(entries.begin(), entries.end());
  return sha256_hex(entries);
}

VECTORSHARD_FUNCTION(vectorshard_client_digest) {
  return bridge::entry([&]() -> Datum {
    text *client = bridge::pg_call([&] { return PG_GETARG_TEXT_PP(0); });
    std::string digest = client_digest({VARDATA_ANY(client), static_cast<size_t>(VARSIZE_ANY_EXHDR(client))});
    return bridge::pg_call([&] { return PointerGetDatum(cstring_to_text(digest.c_str())); });
  });
}

}  // namespace vectorshard::apply
