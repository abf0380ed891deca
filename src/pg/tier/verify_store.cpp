// Looking after the objects of stores: see verify_store.hpp.
#include "pg/tier/verify_store.hpp"

#include <map>
#include <set>

#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/manifest.hpp"
#include "pg/tier/posix_files.hpp"
#include "pg/tier/segment_digest.hpp"
#include "pg/tier/spool.hpp"
#include "pg/tier/stores.hpp"
extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"
}

namespace vectorshard::tier {

namespace {

using bridge::p_int4;
using bridge::p_text;

std::string in_words(const Error &e) { return e.message + (e.detail.empty() ? "" : ". " + e.detail); }

/// Keeps the bytes of an object in a file. Ends early where the caller is to end: nothing may be raised through the store.
class VerifySink : public HashedFileSink {
 public:
  using HashedFileSink::HashedFileSink;
  Result<void> write(std::string_view bytes) override {
    if (InterruptPending) return Error{Errc::io, "interrupted", "", ""};
    bytes_ += static_cast<int64_t>(bytes.size());
    return HashedFileSink::write(bytes);
  }
  int64_t bytes() const { return bytes_; }

 private:
  int64_t bytes_ = 0;
};

class Verifier {
 public:
  Verifier(std::string name, bool deep, const std::function<void(const Finding &)> &take) : name_(std::move(name)), deep_(deep), take_(take) {}
  void run();

 private:
  struct Known {
    std::string segment, key, content;
    bool live;
  };
  std::vector<Known> known() const;
  void look_at(store::Store &store, const Known &k);
  std::string problem_of(store::Store &store, const Segment &segment, const std::string &content);
  std::string read_problem(store::Store &store, const Segment &segment, const std::string &content);
  void find_strangers(store::Store &store);

  std::string name_;
  bool deep_;
  const std::function<void(const Finding &)> &take_;
};

std::vector<Verifier::Known> Verifier::known() const {
  AsOwner owner;
  bridge::Spi spi;
  std::vector<Known> out;
  bridge::Rows rows = spi.query_kept("SELECT segment, object_key, content, state = 'live' FROM vectorshard.segment WHERE store = $1 AND home = $2 ORDER BY segment",
                                     {p_text(name_), p_int4(bridge::self_node())});
  for (size_t i = 0; i < rows.size(); i++) out.push_back({rows.at(i, 0), rows.at(i, 1), rows.at(i, 2), rows.boolean(i, 3)});
  return out;
}

/// What is wrong with the bytes and rows of the object; empty: nothing.
std::string Verifier::read_problem(store::Store &store, const Segment &segment, const std::string &content) {
  ensure_spool();
  SpoolFile file(spool_file("verify"));
  {
    VerifySink sink(file.path());
    Result<void> got = store.get(segment.key, sink);
    bridge::pg_call([] { CHECK_FOR_INTERRUPTS(); });
    if (!got.ok()) return in_words(got.error());
    std::string found = sink.sha256();
    if (found != segment.sha256)
      return "its " + std::to_string(sink.bytes()) + " bytes are not those that were written: their SHA-256 is " + found + ", the manifest says " + segment.sha256;
  }
  RowDigest found = stored_digest(file.path(), segment.columns);
  if (found.hex() == content && found.rows == segment.rows) return "";
  return "its rows are not those that were written: " + std::to_string(found.rows) + " with digest " + found.hex() + ", the manifest says " +
         std::to_string(segment.rows) + ", " + content;
}

std::string Verifier::problem_of(store::Store &store, const Segment &segment, const std::string &content) {
  auto head = store.head(segment.key);
  if (!head.ok() && head.error().code == Errc::not_found) return "it is not in the store";
  if (!head.ok()) return in_words(head.error());
  if (head.value().bytes != segment.bytes)
    return "it has " + std::to_string(head.value().bytes) + " bytes, the manifest says " + std::to_string(segment.bytes);
  return deep_ ? read_problem(store, segment, content) : "";
}

void Verifier::look_at(store::Store &store, const Known &k) {
  Finding f{name_, k.segment, k.key, "", true, ""};
  Segment segment = find_segment(k.segment);
  auto state = store.state(k.key);
  bool online = !state.ok() || state.value().availability == store::Availability::online;
  if (online) {
    auto id = store.key_id(k.key);
    if (id.ok()) f.key_id = id.value();
    f.problem = problem_of(store, segment, k.content);
    f.ok = f.problem.empty();
  } else {
    f.problem = "it lies in an archive: it is there, and was not read";
  }
  take_(f);
}

/// Objects in this node's folder that no segment names, dead or alive, and no move that is under way.
void Verifier::find_strangers(store::Store &store) {
  std::string after;
  while (true) {
    auto objects = store.list(own_folder(), after);
    if (!objects.ok()) {
      take_({name_, "", "", "", false, in_words(objects.error())});
      return;
    }
    AsOwner owner;
    bridge::Spi spi;
    for (const store::ObjectInfo &o : objects.value()) {
      after = o.key;
      bool named = spi.query_kept("SELECT EXISTS (SELECT FROM vectorshard.segment WHERE store = $1 AND object_key = $2) OR EXISTS (SELECT FROM "
                                  "vectorshard.tier_move WHERE state NOT IN ('done', 'failed') AND detail -> 'objects' ? $2)",
                                  {p_text(name_), p_text(o.key)})
                       .boolean(0, 0);
      if (!named) take_({name_, "", o.key, "", false, "no segment names it (" + std::to_string(o.bytes) + " bytes, " + std::to_string(o.age_s) + " s old)"});
    }
    if (objects.value().size() < store::kListMax) return;
  }
}

void Verifier::run() {
  auto opened = try_open_store(name_, store_entry(name_));
  std::vector<Known> segments = known();
  if (!opened.ok()) {
    // A node that never uses a store needs no credentials for it.
    if (!segments.empty()) take_({name_, "", "", "", false, in_words(opened.error())});
    return;
  }
  store::Store &store = *opened.value();
  for (const Known &k : segments) {
    bridge::pg_call([] { CHECK_FOR_INTERRUPTS(); });
    if (k.live) look_at(store, k);
  }
  find_strangers(store);
}

}  // namespace

void verify_store(const std::string &store, bool deep, const std::function<void(const Finding &)> &take) {
  std::vector<std::string> names;
  if (!store.empty()) {
    (void)open_store(store, Patience::little);  // raises
    names.push_back(store);
  } else {
    AsOwner owner;
    bridge::Spi spi;
    bridge::Rows rows = spi.query_kept("SELECT store FROM vectorshard.store ORDER BY store");
    for (size_t i = 0; i < rows.size(); i++) names.push_back(rows.at(i, 0));
  }
  for (const std::string &name : names) Verifier(name, deep, take).run();
}

}  // namespace vectorshard::tier

using namespace vectorshard;

/// verify_store(store, deep) → (store_name, segment, object_key, key_id, ok, problem)
VECTORSHARD_FUNCTION(vectorshard_verify_store) {
  return bridge::entry([&]() -> Datum {
    std::string store = PG_ARGISNULL(0) ? "" : bridge::text_argument(fcinfo, 0);
    bool deep = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    bridge::pg_call([&] { InitMaterializedSRF(fcinfo, 0); });
    tier::verify_store(store, deep, [&](const tier::Finding &f) {
      bridge::pg_call([&] {
        Datum values[] = {CStringGetTextDatum(f.store.c_str()), CStringGetTextDatum(f.segment.c_str()), CStringGetTextDatum(f.key.c_str()),
                          CStringGetTextDatum(f.key_id.c_str()), BoolGetDatum(f.ok), CStringGetTextDatum(f.problem.c_str())};
        bool nulls[] = {false, f.segment.empty(), f.key.empty(), f.key_id.empty(), false, f.problem.empty()};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
      });
    });
    return PointerGetDatum(nullptr);
  });
}
