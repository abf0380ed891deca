// HTTP for tests of stores: answers that are set beforehand, then those of a small bucket in memory that speaks S3. Time passes
// only by waiting.
#pragma once
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/store/digests.hpp"
#include "core/store/http.hpp"

namespace vectorshard::store {

inline HttpResponse answer(int status, std::string body = "", Pairs headers = {}) {
  HttpResponse r;
  r.status = status;
  r.body = std::move(body);
  r.headers = std::move(headers);
  return r;
}
inline HttpResponse broken(HttpFault fault) {
  HttpResponse r;
  r.fault = fault;
  r.fault_text = "test";
  return r;
}
inline HttpResponse complains(int status, const std::string &code) {
  return answer(status, "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>no</Message></Error>");
}

class FakeHttp : public HttpPort {
 public:
  struct Object {
    std::string bytes;
    Pairs headers;
  };
  std::deque<std::optional<HttpResponse>> script;  // nothing: the bucket answers
  bool do_it_anyway = false;                       // the bucket does what is asked though the answer is the script's
  bool no_conditions = false;                      // as Swift
  size_t cut_after = SIZE_MAX;                     // the next body is cut here
  size_t page = 1000;
  std::vector<HttpRequest> sent;
  std::vector<double> waits;
  std::map<std::string, Object> objects;  // by path
  std::map<std::string, std::map<int, std::string>> uploads;
  double now = 0;
  int64_t unix_now = 1600000000;

  HttpResponse send(const HttpRequest &request) override {
    sent.push_back(request);
    std::optional<HttpResponse> set;
    if (!script.empty()) {
      set = script.front();
      script.pop_front();
    }
    if (set && !do_it_anyway) return *set;
    HttpResponse r = serve(request);
    if (set) return *set;
    return deliver(request, std::move(r));
  }
  int64_t unix_s() override { return unix_now; }
  double steady_s() override { return now; }
  double random() override { return 0.5; }
  void wait(double seconds) override {
    waits.push_back(seconds);
    now += seconds;
  }
  int count(const std::string &method) const {
    int n = 0;
    for (const HttpRequest &r : sent) n += r.method == method;
    return n;
  }
  static std::string header(const HttpRequest &r, const std::string &name) {
    for (const auto &[n, v] : r.headers)
      if (n == name) return v;
    return "";
  }
  static std::string query(const HttpRequest &r, const std::string &name) {
    for (const auto &[n, v] : r.query)
      if (n == name) return v.empty() ? "yes" : v;
    return "";
  }

 private:
  HttpResponse deliver(const HttpRequest &request, HttpResponse r) {
    bool cut = r.body.size() > cut_after && request.method == "GET";
    if (cut) r.body.resize(std::exchange(cut_after, SIZE_MAX));
    if (request.sink && (r.status == 200 || r.status == 206)) {
      if (!request.sink->begin(r).ok() || !request.sink->write(r.body).ok()) return broken(HttpFault::sink);
      r.body.clear();
    }
    if (cut) r.fault = HttpFault::short_body;
    return r;
  }
  HttpResponse serve(const HttpRequest &r) {
    if (!query(r, "uploads").empty() || !query(r, "uploadId").empty()) return multipart(r);
    if (!query(r, "list-type").empty()) return list(r);
    auto at = objects.find(r.path);
    if (r.method == "PUT") return put(r, r.body);
    if (r.method == "DELETE") return objects.erase(r.path), answer(204);
    if (at == objects.end()) return r.method == "HEAD" ? answer(404) : complains(404, "NoSuchKey");
    return read(r, at->second);
  }
  HttpResponse put(const HttpRequest &r, const std::string &bytes) {
    if (!header(r, "if-none-match").empty() && no_conditions) return complains(501, "NotImplemented");
    if (!header(r, "if-none-match").empty() && objects.contains(r.path)) return complains(412, "PreconditionFailed");
    std::string digest = header(r, "content-md5");
    if (!digest.empty() && digest != base64(md5(r.body))) return complains(400, "BadDigest");
    Pairs headers;
    for (const auto &h : r.headers)
      if (h.first.starts_with("x-amz-meta-")) headers.push_back(h);
    objects[r.path] = {bytes, headers};
    return answer(200, "", {{"etag", "\"" + hex(md5(bytes)) + "\""}});
  }
  static HttpResponse read(const HttpRequest &r, const Object &o) {
    HttpResponse out = answer(200, r.method == "HEAD" ? "" : o.bytes, o.headers);
    size_t first = 0, last = o.bytes.size();
    std::string range = header(r, "range");
    if (!range.empty()) {
      first = std::stoul(range.substr(6));
      size_t dash = range.find('-');
      if (first >= o.bytes.size()) return complains(416, "InvalidRange");
      if (dash + 1 < range.size()) last = std::min(last, std::stoul(range.substr(dash + 1)) + 1);
      out.status = 206;
      out.body = o.bytes.substr(first, last - first);
      out.headers.emplace_back("content-range", "bytes " + std::to_string(first) + "-" + std::to_string(last - 1) + "/" +
                                                    std::to_string(o.bytes.size()));
    }
    out.headers.emplace_back("content-length", std::to_string(last - first));
    out.headers.emplace_back("last-modified", "Sun, 13 Sep 2020 12:26:30 GMT");  // 10 s before unix_now
    return out;
  }
  HttpResponse list(const HttpRequest &r) {
    std::string prefix = query(r, "prefix"), after = query(r, "start-after"), token = query(r, "continuation-token"), items, last;
    size_t n = 0;
    bool more = false;
    for (const auto &[path, object] : objects) {
      std::string name = path.substr(path.find('/', 1) + 1);
      if (!name.starts_with(prefix) || name <= std::max(after, token)) continue;
      if (n == page) more = true;
      if (n++ >= page) continue;
      last = name;
      items += "<Contents><Key>" + percent_encode(name, true) + "</Key><Size>" + std::to_string(object.bytes.size()) +
               "</Size><LastModified>2020-09-13T12:26:30.000Z</LastModified></Contents>";
    }
    return answer(200, "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url"
                       "</EncodingType><IsTruncated>" + std::string(more ? "true" : "false") + "</IsTruncated>" +
                       (more ? "<NextContinuationToken>" + last + "</NextContinuationToken>" : "") + items + "</ListBucketResult>");
  }
  HttpResponse multipart(const HttpRequest &r) {
    std::string id = query(r, "uploadId");
    if (!query(r, "uploads").empty() && r.method == "GET") {
      std::string items;
      for (const auto &[upload, parts] : uploads)
        items += "<Upload><Key>" + begun_.path.substr(begun_.path.find('/', 1) + 1) + "</Key><UploadId>" + upload + "</UploadId></Upload>";
      return answer(200, "<?xml version=\"1.0\"?><ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" + items +
                             "<Upload><Key>pre/other/x</Key><UploadId>foreign</UploadId></Upload></ListMultipartUploadsResult>");
    }
    if (!query(r, "uploads").empty()) {
      begun_ = r;
      uploads["u1"];
      return answer(200, "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>");
    }
    if (!uploads.contains(id)) return complains(404, "NoSuchUpload");
    if (r.method == "DELETE") return uploads.erase(id), answer(204);
    if (r.method == "PUT") {
      uploads[id][std::stoi(query(r, "partNumber"))] = r.body;
      return answer(200, "", {{"etag", "\"" + hex(md5(r.body)) + "\""}});
    }
    std::string whole;
    for (const auto &[number, bytes] : uploads[id]) whole += bytes;
    if (!header(r, "if-none-match").empty() && no_conditions) return complains(501, "NotImplemented");
    HttpRequest as_put = begun_;
    as_put.body = whole;
    put(as_put, whole);
    uploads.erase(id);
    return answer(200, "<CompleteMultipartUploadResult><ETag>x-2</ETag></CompleteMultipartUploadResult>");
  }
  HttpRequest begun_;
};

}  // namespace vectorshard::store
