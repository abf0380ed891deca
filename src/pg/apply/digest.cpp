// Digests of what this node holds: see digest.hpp. Two nodes that hold the same rows, with the same versions and the same
// contents, compute the same text, whatever order their heaps and columns are in. Reads only.
#include "pg/apply/digest.hpp"

#include <openssl/evp.h>

#include "core/base/bytes.hpp"
#include "core/base/version.hpp"
#include "pg/apply/api.hpp"
#include "pg/apply/canonical.hpp"
#include "pg/apply/client_rows.hpp"
#include "pg/apply/scopes.hpp"
#include "pg/apply/tombstone.hpp"
#include "pg/bridge/client_column.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/scan.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
}

namespace vectorshard::apply {

namespace {

constexpr const char *kTombstones = R"(
  SELECT table_name, key, _version FROM vectorshard.tombstone
   WHERE client = $1 AND _version > $2 AND ($3 = '' OR table_name = $3))";

class Hasher {
 public:
  RowHash hash(std::string_view bytes) {
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    bool ok = context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) &&
              EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) &&
              EVP_DigestFinal_ex(context_.get(), out, &length);
    if (!ok) bridge::raise({Errc::unavailable, "SHA-256 is not available", {}, "Check the OpenSSL library of this machine."});
    return row_hash(out);
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX *)> context_{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

/// Tombstones that a node may have collected do not count. In coarse steps, so that two nodes rarely disagree.
Version counted_after() {
  Version step = std::max<Version>(int64_t{bridge::guc::tombstone_retention_s} * 1000 / 16, 1000)
                 << (kVersionNodeBits + kVersionCounterBits);
  return (tombstone_horizon() / step + 1) * step;
}

std::vector<std::string> text_array(Datum array) {
  Datum *elements = nullptr;
  int n = 0;
  bridge::pg_call([&] {
    deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, nullptr, &n);
  });
  std::vector<std::string> out;
  for (int i = 0; i < n; i++) {
    auto *t = reinterpret_cast<text *>(DatumGetPointer(elements[i]));
    out.emplace_back(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
  }
  return out;
}

using Visitor = std::function<void(const HashedRow &)>;

/// Hashes the rows of `table` that meet `condition`.
void hash_table(Hasher &hasher, const bridge::EnrolledTable &table, const std::string &condition,
                const std::vector<bridge::Param> &params, bool with_keys, const Visitor &row) {
  CanonicalRow canonical(table);
  StableOutput stable;
  std::string bytes;
  std::vector<std::string> key;
  bridge::scan("SELECT " + canonical.columns() + " FROM ONLY " + table.name + " WHERE " + condition, params,
               [&](const Datum *values, const bool *nulls) {
                 ByteWriter head;
                 head.u8('r');
                 head.str(table.name);
                 bytes = std::move(head).take();
                 canonical.append(values, nulls, bytes);
                 if (with_keys) key = canonical.key(values);
                 row({table.name, key, canonical.version(values), false, hasher.hash(bytes)});
                 return true;
               });
}

void hash_tombstones(Hasher &hasher, const std::string &client, const std::string &table, const Visitor &row) {
  bridge::scan(kTombstones, {bridge::p_text(client), bridge::p_int8(counted_after()), bridge::p_text(table)},
               [&](const Datum *values, const bool *) {
                 text *t = bridge::pg_call([&] { return DatumGetTextPP(values[0]); });
                 std::string name(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
                 std::vector<std::string> key = text_array(values[1]);
                 ByteWriter out;
                 out.u8('t');
                 out.str(name);
                 for (const std::string &k : key) out.str(k);
                 out.i64(DatumGetInt64(values[2]));
                 row({name, key, DatumGetInt64(values[2]), true, hasher.hash(out.bytes())});
                 return true;
               });
}

bridge::EnrolledTable table_named(const std::string &name, bool reference) {
  auto t = bridge::table_to_read(name);
  if (!t || t->reference != reference)
    bridge::raise({Errc::not_found, "table " + name + " is not a " + (reference ? "reference" : "vector-shard") +
                   " table of this node", "", "Look at vectorshard.shard_table."});
  return *t;
}

}  // namespace

void hash_rows(const std::string &client, const std::string &table, bool with_keys, const Visitor &row) {
  UserScope owner(extension_owner(), false);
  Hasher hasher;
  if (client.empty()) {
    hash_table(hasher, table_named(table, true), "true", {}, with_keys, row);
  } else {
    for (const bridge::EnrolledTable &t : client_tables()) {
      std::string condition = bridge::client_condition(t, client);
      if (!condition.empty()) hash_table(hasher, t, condition, {bridge::p_text(client)}, with_keys, row);
    }
  }
  hash_tombstones(hasher, client, table, row);
}

std::string client_digest(std::string_view client) {
  Digest digest;
  hash_rows(std::string(client), {}, false, [&](const HashedRow &row) { digest.add(row.hash); });
  return digest.hex();
}

std::string digest_between(const std::string &client, const std::string &table, const bridge::KeyRange &range) {
  UserScope owner(extension_owner(), false);
  bridge::EnrolledTable t = table_named(table, client.empty());
  std::string condition = client.empty() ? "TRUE" : bridge::client_condition(t, client);
  Digest digest;
  if (!condition.empty()) {
    Hasher hasher;
    hash_table(hasher, t, condition + " AND " + bridge::key_within(t, range, 2),
               {bridge::p_text(client), bridge::p_text_array(range.after), bridge::p_text_array(range.upto)}, false,
               [&](const HashedRow &row) { digest.add(row.hash); });
  }
  return std::to_string(digest.rows) + " " + digest.hex();
}

}  // namespace vectorshard::apply
