// Stores: see stores.hpp.
#include "pg/tier/stores.hpp"

#include "core/store/azure_store.hpp"
#include "core/store/check.hpp"
#include "core/store/encrypted_store.hpp"
#include "core/store/file_store.hpp"
#include "core/store/s3_store.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/http_curl.hpp"
#include "pg/tier/posix_files.hpp"
#include "pg/tier/store_keys.hpp"
#include "pg/tier/store_server.hpp"
extern "C" {
#include "catalog/pg_authid.h"
#include "common/pg_prng.h"
}

namespace vectorshard::tier {

namespace {

std::string temporary_tag() { return std::to_string(MyProcPid); }

store::RetryRules retry_rules(Patience patience) {
  store::RetryRules rules;
  rules.patience_s = bridge::guc::store_timeout_ms / 1000.0;
  if (patience == Patience::little) {
    rules.max_tries = 2;
    rules.patience_s = 1;
  }
  return rules;
}

/// A store together with the transport that it speaks by.
template <class Base>
class WithHttp : private std::unique_ptr<store::HttpPort>, public Base {
 public:
  template <class... Rest>
  explicit WithHttp(std::unique_ptr<store::HttpPort> http, Rest &&...rest)
      : std::unique_ptr<store::HttpPort>(std::move(http)),
        Base(*static_cast<std::unique_ptr<store::HttpPort> &>(*this), std::forward<Rest>(rest)...) {}
};

Result<std::unique_ptr<store::Store>> open_plain(const std::string &name, const std::string &url, Patience patience) {
  auto read = store::read_store_url(url);
  if (!read.ok()) return read.error();
  store::StoreUrl u = read.value();
  if (u.kind == store::StoreKind::file)
    return std::unique_ptr<store::Store>(new store::FileStore(posix_files(), u.path, temporary_tag()));
  StoreServer server = store_server(name);
  if (store::exposed(u) && !server.allow_http())
    return Error{Errc::invalid_argument, "store \"" + name + "\" would be spoken to without encryption",
                 "The endpoint in its URL begins with http://, and is not on this machine.",
                 "Use https://, or where the network can be trusted ALTER SERVER … OPTIONS (ADD allow_http 'on')."};
  std::unique_ptr<store::HttpPort> http = open_http(server.option("sslrootcert"));
  store::RetryRules rules = retry_rules(patience);
  if (u.kind == store::StoreKind::s3) {
    store::AwsCredentials c{server.secret("access_key_id"), server.secret("secret_access_key"), server.secret("session_token")};
    if (c.access_key_id.empty() || c.secret_access_key.empty()) return no_credentials(name, server, false);
    return std::unique_ptr<store::Store>(new WithHttp<store::S3Store>(std::move(http), u, c, rules));
  }
  store::AzureCredentials c{server.secret("account_key"), server.secret("sas_token")};
  if (c.account_key.empty() && c.sas_token.empty()) return no_credentials(name, server, true);
  return std::unique_ptr<store::Store>(new WithHttp<store::AzureStore>(std::move(http), u, c, rules));
}

}  // namespace

StoreEntry store_entry(const std::string &name) {
  AsOwner owner;
  bridge::Spi spi;
  bridge::Rows rows = spi.query_kept("SELECT url, encrypted FROM vectorshard.store WHERE store = $1", {bridge::p_text(name)}, true);
  return rows.empty() ? StoreEntry{} : StoreEntry{rows.at(0, 0), rows.boolean(0, 1)};
}

Result<std::unique_ptr<store::Store>> try_open_store(const std::string &name, const StoreEntry &entry, Patience patience) {
  if (entry.url.empty())
    return Error{Errc::not_found, "store \"" + name + "\" does not exist", "", "Make it with vectorshard.create_store(name, url)."};
  auto plain = open_plain(name, entry.url, patience);
  if (!plain.ok() || !entry.encrypted) return plain;
  auto keys = store_keys(name);
  if (!keys.ok()) return keys.error();
  return std::unique_ptr<store::Store>(new store::EncryptedStore(std::move(plain).value(), std::move(keys).value()));
}

std::unique_ptr<store::Store> open_store(const std::string &name, Patience patience) {
  return bridge::value_or_raise(try_open_store(name, store_entry(name), patience));
}

void probe_store(const std::string &name, const StoreEntry &entry) {
  auto store = bridge::value_or_raise(try_open_store(name, entry, Patience::little));
  for (const store::StoreCheck &check : store::check_store(*store, probe_key())) {
    if (check.result.ok()) continue;
    Error e = check.result.error();
    if (!entry.url.starts_with("file:")) {
      e.message = "store \"" + name + "\" cannot be used: " + e.message;
      bridge::raise(e);
    }
    e.detail = e.message + (e.detail.empty() ? "" : " " + e.detail);
    e.detail[0] = static_cast<char>(toupper(e.detail[0]));
    e.detail += ".";
    e.message = "store \"" + name + "\" cannot be written";
    if (e.code == Errc::not_found || e.code == Errc::denied) e.code = Errc::io;  // of the directory, not of an SQL object
    if (e.hint.empty()) e.hint = "Make the directory and give it to the operating system user of the server.";
    bridge::raise(e);
  }
}

std::string probe_key() {
  uint64_t number = pg_prng_uint64(&pg_global_prng_state);
  return own_folder() + "/probe-" + temporary_tag() + "-" + std::to_string(number);
}

std::string own_folder() { return "node" + std::to_string(bridge::self_node()); }

AsOwner::AsOwner() {
  GetUserIdAndSecContext(&user_, &context_);
  SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
}

AsOwner::~AsOwner() { SetUserIdAndSecContext(user_, context_); }

}  // namespace vectorshard::tier
