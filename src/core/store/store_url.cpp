// What the URL of a store says: see store_url.hpp.
#include "core/store/store_url.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include "core/store/file_store.hpp"
#include "core/store/http.hpp"

namespace vectorshard::store {

namespace {

Error bad_url(const std::string &message, const std::string &detail, const std::string &hint) {
  return {Errc::invalid_argument, message, detail, hint};
}

using Options = std::map<std::string, std::string>;

// Names under which secrets go elsewhere: people will try.
constexpr const char *kSecrets[] = {"access_key_id", "secret_access_key", "session_token", "account_key", "sas_token", "sig",
                                    "access_key", "secret_key", "password", "key"};

/// The part after '?'. Values of unknown options are never shown: they may be secrets.
Result<Options> read_options(const std::string &text, const std::map<std::string, std::string> &known) {
  Options out;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    size_t equals = pair.find('=');
    std::string name = percent_decode(pair.substr(0, equals));
    if (std::find(std::begin(kSecrets), std::end(kSecrets), name) != std::end(kSecrets))
      return bad_url("option \"" + name + "\" must not stand in the URL of a store", "Everybody can read the URL of a store.",
                     "Secrets stand in user mappings: CREATE USER MAPPING FOR … SERVER … OPTIONS (…).");
    if (!known.contains(name) || equals == std::string_view::npos) {
      std::string names;
      for (const auto &[n, _] : known) names += (names.empty() ? "" : ", ") + n;
      return bad_url("invalid option \"" + name + "\" in the URL of a store", "", "Valid options here are: " + names + ".");
    }
    out[name] = percent_decode(pair.substr(equals + 1));
  }
  for (const auto &[name, value] : out) {
    std::string choices = known.at(name);
    if (!choices.empty() && (" " + choices + " ").find(" " + value + " ") == std::string::npos)
      return bad_url("invalid value \"" + value + "\" of option \"" + name + "\" in the URL of a store", "",
                     "Valid values are: " + choices + ".");
  }
  return out;
}

struct Endpoint {
  std::string base, path;
};

bool host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
         c == ':' || c == '[' || c == ']';
}

Result<Endpoint> read_endpoint(const std::string &text) {
  const std::string hint = "Give for example endpoint=https://store.example.com:9000.";
  size_t scheme = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
  if (scheme == 0) return bad_url("the endpoint of a store must begin with https:// or http://", "", hint);
  size_t slash = std::min(text.find('/', scheme), text.size());
  std::string authority = text.substr(scheme, slash - scheme);
  Endpoint out{text.substr(0, slash), text.substr(slash)};
  while (out.path.ends_with('/')) out.path.pop_back();
  bool path_ok = out.path.empty() || valid_key(std::string_view(out.path).substr(1));
  // No user:password@, no query: the text is not shown, as it may hold a secret.
  if (authority.empty() || !path_ok || !std::all_of(authority.begin(), authority.end(), host_character))
    return bad_url("the endpoint of a store is no scheme://host:port", "", hint);
  return out;
}

/// Of scheme://host[:port].
std::string host_of(const std::string &base) {
  std::string host = base.substr(std::min(base.size(), base.find("://") + 3));
  return host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':'));
}

/// 127.0.0.1, not 127.0.0.1.example.com
bool is_address(const std::string &host) {
  return host.starts_with('[') || host.find_first_not_of("0123456789.") == std::string::npos;
}

bool bucket_ok(const std::string &name) {
  auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '$';
  };
  return name.size() >= 3 && name.size() <= 63 && name[0] != '.' && std::all_of(name.begin(), name.end(), good);
}

/// "a/b/c" up to '?' as first part and rest.
std::pair<std::string, std::string> split(const std::string &text) {
  size_t at = std::min(text.find('/'), text.size());
  return {text.substr(0, at), at < text.size() ? text.substr(at + 1) : ""};
}

Result<void> read_names(StoreUrl &out, const std::string &bucket, std::string folder, const std::string &hint) {
  while (folder.ends_with('/')) folder.pop_back();
  const char *what = out.kind == StoreKind::s3 ? "bucket" : "container";
  if (!bucket_ok(bucket)) return bad_url("\"" + bucket + "\" is no name for a " + what, "", hint);
  if (!folder.empty() && !valid_key(folder))
    return bad_url("\"" + folder + "\" is no folder in a " + what, "",
                   "Use letters, digits, \"-\", \"_\", \".\", and \"/\" between the parts.");
  out.bucket = bucket;
  out.prefix = folder;
  return {};
}

Result<StoreUrl> read_s3(const std::string &names, const std::string &options) {
  const std::string hint = "For example s3://bucket/folder?region=eu-central-1.";
  StoreUrl out;
  out.kind = StoreKind::s3;
  auto [bucket, folder] = split(names);
  if (auto r = read_names(out, bucket, folder, hint); !r.ok()) return r.error();
  auto read = read_options(options, {{"endpoint", ""}, {"region", ""}, {"style", "path virtual"}, {"class", ""},
                                     {"thaw", "Expedited Standard Bulk"}, {"thaw_days", ""}});
  if (!read.ok()) return read.error();
  Options o = read.value();
  for (const char *word : {"region", "class"})
    if (!std::all_of(o[word].begin(), o[word].end(), host_character))
      return bad_url(std::string("invalid value of option \"") + word + "\" in the URL of a store", "", hint);
  out.region = o["region"].empty() ? "us-east-1" : o["region"];
  out.tier = o["class"];
  out.thaw = o["thaw"].empty() ? "Standard" : o["thaw"];
  if (const std::string &days = o["thaw_days"]; !days.empty()) {
    auto [end, bad] = std::from_chars(days.data(), days.data() + days.size(), out.thaw_days);
    if (bad != std::errc() || end != days.data() + days.size() || out.thaw_days < 1 || out.thaw_days > 3650)
      return bad_url("invalid value \"" + days + "\" of option \"thaw_days\" in the URL of a store", "",
                     "Give a whole number of days from 1 to 3650.");
  }
  bool own = !o["endpoint"].empty();
  auto endpoint = read_endpoint(own ? o["endpoint"] : "https://s3." + out.region + ".amazonaws.com");
  if (!endpoint.ok()) return endpoint.error();
  out.base = endpoint.value().base;
  out.base_path = endpoint.value().path;
  // A certificate for *.host does not cover names with more dots.
  bool path_style = o["style"].empty() ? own || bucket.find('.') != std::string::npos : o["style"] == "path";
  if (!path_style && is_address(host_of(out.base)))
    return bad_url("style=virtual needs an endpoint with a name",
                   "The bucket's name stands before that of the host, which is an address here.",
                   "Give the host's name in endpoint=…, or style=path.");
  if (path_style)
    out.base_path += "/" + bucket;
  else
    out.base.insert(out.base.find("://") + 3, bucket + ".");
  return out;
}

Result<StoreUrl> read_azure(const std::string &names, const std::string &options) {
  const std::string hint = "For example azure://account/container/folder.";
  StoreUrl out;
  out.kind = StoreKind::azure;
  auto [account, rest] = split(names);
  auto [container, folder] = split(rest);
  if (!bucket_ok(account)) return bad_url("\"" + account + "\" is no name for a storage account", "", hint);
  out.account = account;
  if (auto r = read_names(out, container, folder, hint); !r.ok()) return r.error();
  auto read = read_options(options, {{"endpoint", ""}, {"tier", "Hot Cool Cold Archive"}, {"thaw", "Standard High"}});
  if (!read.ok()) return read.error();
  Options o = read.value();
  out.tier = o["tier"];
  out.thaw = o["thaw"].empty() ? "Standard" : o["thaw"];
  auto endpoint = read_endpoint(o["endpoint"].empty() ? "https://" + account + ".blob.core.windows.net" : o["endpoint"]);
  if (!endpoint.ok()) return endpoint.error();
  out.base = endpoint.value().base;
  out.base_path = endpoint.value().path + "/" + container;
  return out;
}

}  // namespace

Result<StoreUrl> read_store_url(const std::string &url) {
  for (StoreKind kind : {StoreKind::s3, StoreKind::azure}) {
    std::string scheme = kind == StoreKind::s3 ? "s3://" : "azure://";
    if (!url.starts_with(scheme)) continue;
    size_t question = std::min(url.find('?'), url.size());
    std::string names = url.substr(scheme.size(), question - scheme.size());
    std::string options = question < url.size() ? url.substr(question + 1) : "";
    return kind == StoreKind::s3 ? read_s3(names, options) : read_azure(names, options);
  }
  auto path = path_of_url(url);
  if (!path.ok()) return path.error();
  StoreUrl out;
  out.path = path.value();
  return out;
}

bool over_network(const std::string &base) {
  std::string host = host_of(base);
  bool four = host.starts_with("127.") && is_address(host);
  // Names in localhost are asked of nobody: libcurl gives them this machine's addresses.
  return !(four || host == "localhost" || host.ends_with(".localhost") || host == "[::1]");
}

bool exposed(const StoreUrl &url) { return url.base.starts_with("http://") && over_network(url.base); }

}  // namespace vectorshard::store
