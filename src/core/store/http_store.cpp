// What stores that speak HTTP have in common: see http_store.hpp.
#include "core/store/http_store.hpp"

#include <algorithm>
#include <charconv>

#include "core/store/complaints.hpp"
#include "core/store/sha256.hpp"
#include "core/store/web_time.hpp"

namespace vectorshard::store {

namespace {

int64_t number(std::string_view text, int64_t otherwise) {
  int64_t value = 0;
  auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
  return bad == std::errc() && end == text.data() + text.size() ? value : otherwise;
}

/// An entity tag without its quotes.
std::string bare_tag(std::string tag) {
  if (tag.starts_with("W/")) tag.erase(0, 2);
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') return tag.substr(1, tag.size() - 2);
  return tag;
}

Error changed(const std::string &key) {
  return {Errc::conflict, "object \"" + key + "\" has changed while it was read", "The store has another version of it now.", "Retry the statement."};
}

struct ContentRange {
  int64_t first = -1, last = -1, total = -1;
};

/// "bytes 5-9/100"; -1 where it says nothing.
ContentRange content_range(const HttpResponse &r) {
  std::string text = r.header("content-range");
  ContentRange out;
  if (!text.starts_with("bytes ")) return out;
  std::string_view rest = std::string_view(text).substr(6);
  size_t dash = rest.find('-'), slash = rest.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return out;
  out.first = number(rest.substr(0, dash), -1);
  out.last = number(rest.substr(dash + 1, slash - dash - 1), -1);
  out.total = number(rest.substr(slash + 1), -1);
  return out;
}

Error bad_key(const std::string &key) { return {Errc::invalid_argument, "invalid object key \"" + key + "\"", "", ""}; }

Error odd_answer(const std::string &key, const std::string &detail) {
  return {Errc::io, "could not read object \"" + key + "\"", detail, "Check the store, and what stands between it and here."};
}

/// A whole object that comes in one or more answers: each goes on where the one before broke off.
class Continued : public BodySink {
 public:
  explicit Continued(ByteSink &sink) : sink_(sink) {}
  Result<void> begin(const HttpResponse &head) override {
    if (head.status == 200 && at_ == 0) {
      total_ = number(head.header("content-length"), -1);
      return {};
    }
    ContentRange range = content_range(head);
    if (head.status != 206 || range.first != at_ || (total_ >= 0 && range.total != total_))
      return refuse({Errc::io, "the store does not go on with an object where it was asked to", "",
                     "Check the store, and what stands between it and here."});
    total_ = range.total;
    return {};
  }
  Result<void> write(std::string_view bytes) override {
    Result<void> done = sink_.write(bytes);
    if (done.ok()) at_ += static_cast<int64_t>(bytes.size());
    if (!done.ok()) return refuse(done.error());
    return {};
  }
  int64_t at() const { return at_; }
  bool whole() const { return total_ < 0 || at_ == total_; }
  const std::optional<Error> &refused() const { return refused_; }

 private:
  Error refuse(const Error &error) {
    refused_ = error;
    return error;
  }

  ByteSink &sink_;
  int64_t at_ = 0, total_ = -1;
  std::optional<Error> refused_;
};

class HashSink : public ByteSink {
 public:
  Result<void> write(std::string_view bytes) override {
    sha_.add(bytes);
    bytes_ += static_cast<int64_t>(bytes.size());
    return {};
  }
  int64_t bytes() const { return bytes_; }
  std::string sha256() { return sha_.hex(); }

 private:
  Sha256 sha_;
  int64_t bytes_ = 0;
};

}  // namespace

struct PartReader::State {
  ByteSource &source;
  ObjectContent content;
  Sha256 sha;
  int64_t bytes = 0;
};

PartReader::PartReader(ByteSource &source, const ObjectContent &content)
    : state_(new State{source, content, {}, 0}) {}
PartReader::~PartReader() = default;

Result<std::string> PartReader::next(size_t max) {
  std::string out(max, '\0');
  size_t got = 0;
  while (got < max) {
    auto n = state_->source.read(out.data() + got, max - got);
    if (!n.ok()) return n.error();
    if (n.value() == 0) break;
    got += n.value();
  }
  out.resize(got);
  state_->sha.add(out);
  state_->bytes += static_cast<int64_t>(got);
  return out;
}

Result<void> PartReader::check() {
  if (state_->bytes == state_->content.bytes && state_->sha.hex() == state_->content.sha256) return {};
  return Error{Errc::corrupt, "the bytes to store changed while they were stored",
               std::to_string(state_->bytes) + " bytes came, " + std::to_string(state_->content.bytes) + " were announced.", ""};
}

size_t part_bytes(int64_t object_bytes) { return std::max(kPartBytes, static_cast<size_t>(object_bytes / 9000 + 1)); }

HttpRequest HttpStore::request(const std::string &method, const std::string &key) const {
  HttpRequest out;
  out.method = method;
  out.base = url_.base;
  out.path = percent_encode(url_.base_path, true);
  if (!key.empty()) out.path += "/" + percent_encode(name_of(key), true);
  if (out.path.empty()) out.path = "/";
  return out;
}

HttpResponse HttpStore::send(HttpRequest r) { return send(std::move(r), worth_retrying); }

HttpResponse HttpStore::send(HttpRequest r, const std::function<bool(const HttpResponse &)> &again) {
  return send_patiently(port_, rules_, std::move(r), [&](HttpRequest &next) { return sign(next, port_.unix_s()); }, again);
}

Error HttpStore::failure(const HttpResponse &response, const std::string &doing, const std::string &key) const {
  std::string object = key.empty() ? (url_.kind == StoreKind::s3 ? "bucket \"" : "container \"") + url_.bucket + "\""
                                   : "object \"" + key + "\"";
  return error_of(response, "could not " + doing + " " + object, port_.unix_s(), secrets_);
}

Result<HttpStore::Found> HttpStore::find(const std::string &key) {
  if (!valid_key(key)) return bad_key(key);
  HttpResponse r = send(request("HEAD", key));
  if (!r.success()) return failure(r, "look at", key);
  Found out;
  out.bytes = number(r.header("content-length"), -1);
  if (out.bytes < 0) return odd_answer(key, "The store does not tell how long it is.");
  auto written = read_time(r.header("last-modified")), now = read_time(r.header("date"));
  out.age_s = written ? now.value_or(port_.unix_s()) - *written : 0;
  out.sha256 = r.header(sha256_header());
  out.version = bare_tag(r.header("etag"));
  out.state = state_of(r);
  return out;
}

Result<ObjectInfo> HttpStore::head(const std::string &key) {
  auto found = find(key);
  if (!found.ok()) return found.error();
  return ObjectInfo{key, found.value().bytes, found.value().age_s, found.value().version};
}

Result<ObjectState> HttpStore::state(const std::string &key) {
  auto found = find(key);
  if (!found.ok()) return found.error();
  return found.value().state;
}

Result<void> HttpStore::check_same(const std::string &key, const ObjectContent &content) {
  auto found = find(key);
  if (!found.ok()) return found.error();
  int64_t bytes = found.value().bytes;
  std::string sha256 = found.value().sha256;
  if (bytes == content.bytes && sha256.empty()) {
    HashSink sink;
    if (auto r = get(key, sink); !r.ok()) return r;
    sha256 = sink.sha256();
  }
  if (bytes == content.bytes && sha256 == content.sha256) return {};
  return Error{Errc::conflict, "object \"" + key + "\" exists with other content",
               "It has " + std::to_string(bytes) + " bytes, the new one " + std::to_string(content.bytes) + ".",
               "Somebody else writes into this store, or the object is damaged: look at it, then remove it."};
}

Result<void> HttpStore::put(const std::string &key, ByteSource &source, const ObjectContent &content) {
  if (!valid_key(key)) return bad_key(key);
  auto there = find(key);
  if (there.ok()) return check_same(key, content);
  // A key that may not list hears "denied" of what is not there.
  if (there.error().code != Errc::not_found && there.error().code != Errc::denied) return there.error();
  Result<void> done;
  if (content.bytes <= static_cast<int64_t>(kPartBytes)) {
    PartReader reader(source, content);
    auto bytes = reader.next(kPartBytes + 1);
    if (!bytes.ok()) return bytes.error();
    if (auto r = reader.check(); !r.ok()) return r;
    done = put_whole(key, std::move(bytes).value(), content);
  } else {
    done = put_parts(key, source, content);
  }
  if (!done.ok() && done.error().code == Errc::conflict) return check_same(key, content);
  return done;
}

Result<void> HttpStore::get(const std::string &key, ByteSink &sink) {
  if (!valid_key(key)) return bad_key(key);
  Continued body(sink);
  HttpRequest r = request("GET", key);
  r.sink = &body;
  auto prepare = [&](HttpRequest &next) {
    if (body.at() > 0) next.set_header("range", "bytes=" + std::to_string(body.at()) + "-");
    return sign(next, port_.unix_s());
  };
  auto again = [&](const HttpResponse &answer) { return worth_retrying(answer) || (answer.success() && !body.whole()); };
  HttpResponse answer = send_patiently(port_, rules_, std::move(r), prepare, again);
  if (body.refused()) return *body.refused();
  if (!answer.success()) return failure(answer, "read", key);
  if (!body.whole()) return odd_answer(key, "Only " + std::to_string(body.at()) + " bytes came.");
  return {};
}

Result<std::string> HttpStore::get_range(const std::string &key, int64_t offset, size_t length) { return get_range_of(key, "", offset, length); }

Result<std::string> HttpStore::get_range_of(const std::string &key, const std::string &version, int64_t offset, size_t length) {
  if (!valid_key(key)) return bad_key(key);
  std::string out;
  while (out.size() < length) {
    size_t want = std::min(length - out.size(), kBodyMax);
    auto piece = get_piece(key, version, offset + static_cast<int64_t>(out.size()), want);
    if (!piece.ok()) return piece;
    out += piece.value();
    if (piece.value().size() < want) break;
  }
  return out;
}

/// At most kBodyMax bytes, by one request.
Result<std::string> HttpStore::get_piece(const std::string &key, const std::string &version, int64_t offset, size_t length) {
  int64_t last = offset + static_cast<int64_t>(length) - 1;
  HttpRequest r = request("GET", key);
  r.set_header("range", "bytes=" + std::to_string(offset) + "-" + std::to_string(last));
  if (!version.empty()) r.set_header("if-match", "\"" + version + "\"");
  auto expected = [](const HttpResponse &a) { ContentRange c = content_range(a); return c.last - c.first + 1; };
  auto again = [&](const HttpResponse &a) {
    return worth_retrying(a) || (a.status == 206 && static_cast<int64_t>(a.body.size()) < expected(a));
  };
  HttpResponse answer = send(std::move(r), again);
  if (!version.empty() && answer.fault == HttpFault::none && answer.status == 412) return changed(key);
  if (answer.fault == HttpFault::none && answer.status == 416) return std::string();  // it ends before
  if (!answer.success()) return failure(answer, "read", key);
  // Not every store knows the condition.
  if (std::string now = bare_tag(answer.header("etag")); !version.empty() && !now.empty() && now != version) return changed(key);
  ContentRange range = content_range(answer);
  if (answer.status != 206 || range.first != offset || range.last > last ||
      static_cast<int64_t>(answer.body.size()) != range.last - range.first + 1 ||
      (range.last < last && range.last + 1 != range.total))
    return odd_answer(key, "Asked for bytes " + std::to_string(offset) + " to " + std::to_string(last) +
                               ", the store sent status " + std::to_string(answer.status) + ", range \"" +
                               answer.header("content-range") + "\", " + std::to_string(answer.body.size()) + " bytes.");
  return answer.body;
}

Result<void> HttpStore::remove(const std::string &key) {
  if (!valid_key(key)) return bad_key(key);
  HttpResponse r = send(request("DELETE", key));
  if (r.success()) return {};
  Error e = failure(r, "remove", key);
  if (e.code == Errc::not_found) return {};
  return e;
}

std::string HttpStore::folder_name(const std::string &prefix) const { return name_of(prefix) + "/"; }

void HttpStore::add_listed(std::vector<ObjectInfo> &out, const Listed &listed, const std::string &after, const HttpResponse &response) const {
  size_t skip = url_.prefix.empty() ? 0 : url_.prefix.size() + 1;
  if (listed.name.size() <= skip) return;
  std::string key = listed.name.substr(skip);
  if (key <= after || !valid_key(key)) return;
  int64_t now = read_time(response.header("date")).value_or(port_.unix_s());
  out.push_back({key, number(listed.bytes, 0), now - read_time(listed.written).value_or(now), bare_tag(listed.version)});
}

}  // namespace vectorshard::store
