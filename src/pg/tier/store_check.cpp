// What operators ask of a store: see store_check.hpp.
#include "pg/tier/store_check.hpp"

#include "core/store/check.hpp"
#include "core/store/store_url.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/tier/manifest.hpp"
#include "pg/tier/stores.hpp"
#include "pg/tier/thaws.hpp"

namespace vectorshard::tier {

namespace {

std::string in_words(const Error &e) {
  std::string out = e.message;
  if (!e.detail.empty()) out += ". " + e.detail;
  if (!e.hint.empty()) out += (out.ends_with('.') ? " " : ". ") + e.hint;
  return out;
}

}  // namespace

void check_store(const std::string &name, const std::function<void(const std::string &, bool, const std::string &)> &take) {
  StoreEntry entry = store_entry(name);
  if (entry.url.empty()) (void)open_store(name);  // raises
  auto store = try_open_store(name, entry, Patience::little);
  take("credentials", store.ok(), store.ok() ? "" : in_words(store.error()));
  if (!store.ok()) return;
  for (const store::StoreCheck &check : store::check_store(*store.value(), probe_key()))
    take(check.step, check.result.ok(), check.result.ok() ? "" : in_words(check.result.error()));
}

std::string thaw(const std::string &segment) {
  Segment s = find_segment(segment);
  std::unique_ptr<store::Store> store = open_store(s.store);
  bridge::value_or_raise(store->thaw(s.key));
  note_thaw(s.key);
  switch (bridge::value_or_raise(store->state(s.key)).availability) {
    case store::Availability::online: return "online";
    case store::Availability::thawing: return "thawing";
    case store::Availability::archived: return "archived";
  }
  return "";
}

}  // namespace vectorshard::tier
