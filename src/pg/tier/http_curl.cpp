// HTTP by libcurl: see http_curl.hpp.
#include "pg/tier/http_curl.hpp"

#include <curl/curl.h>
#include <signal.h>
#include <strings.h>

#include <exception>

#include "core/store/store_url.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/tier/progress.hpp"
extern "C" {
#include "common/pg_prng.h"
#include "pgstat.h"
#include "storage/latch.h"
}

namespace vectorshard::tier {

namespace {

using store::HttpFault;
using store::HttpRequest;
using store::HttpResponse;

constexpr long kConnectMostMs = 10000;
constexpr int kLookEveryMs = 100;  // for cancel

/// What the callbacks of one request fill. No exception may pass libcurl's frames: `thrown` keeps it.
struct Exchange {
  CURL *easy = nullptr;
  const HttpRequest *request = nullptr;
  HttpResponse response;
  std::exception_ptr thrown;
  bool begun = false, refused = false;

  bool to_sink() const { return request->sink && (response.status == 200 || response.status == 206); }
  bool begin() {
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    if (begun || !to_sink()) return true;
    begun = true;
    refused = !request->sink->begin(response).ok();
    return !refused;
  }
};

void add_header(HttpResponse &r, std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) r.headers.clear();  // of an interim answer
  size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string name(line.substr(0, colon));
  for (char &c : name) c = static_cast<char>(pg_ascii_tolower(static_cast<unsigned char>(c)));
  line.remove_prefix(colon + 1);
  while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
  r.headers.emplace_back(std::move(name), std::string(line));
}

size_t on_header(char *data, size_t, size_t n, void *to) {
  auto *e = static_cast<Exchange *>(to);
  try {
    add_header(e->response, {data, n});
    return n;
  } catch (...) {
    e->thrown = std::current_exception();
    return 0;
  }
}

size_t on_body(char *data, size_t, size_t n, void *to) {
  auto *e = static_cast<Exchange *>(to);
  try {
    if (!e->begin()) return 0;
    if (e->to_sink()) {
      count_bytes(Phase::loading, n);
      e->refused = !e->request->sink->write({data, n}).ok();
      return e->refused ? 0 : n;
    }
    e->response.body.append(data, std::min(n, store::kBodyMax - std::min(store::kBodyMax, e->response.body.size())));
    return n;
  } catch (...) {
    e->thrown = std::current_exception();
    return 0;
  }
}

HttpFault fault_of(CURLcode code) {
  switch (code) {
    case CURLE_OK: return HttpFault::none;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return HttpFault::resolve;
    case CURLE_COULDNT_CONNECT: return HttpFault::refused;
    case CURLE_OPERATION_TIMEDOUT: return HttpFault::timeout;
    case CURLE_PARTIAL_FILE: return HttpFault::short_body;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING: return HttpFault::reset;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR: return HttpFault::tls;
    default: return HttpFault::other;
  }
}

/// libcurl's resolver runs in a thread of its own, which must never be given a signal of this process: it inherits this.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

/// The handles of this process: kept, for their connections.
struct Handles {
  CURLM *multi = nullptr;
  CURL *easy = nullptr;
};

Handles &handles() {
  static Handles h;
  if (h.easy) return h;
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw std::bad_alloc();
  h.multi = curl_multi_init();
  h.easy = curl_easy_init();
  if (!h.multi || !h.easy) throw std::bad_alloc();
  return h;
}

/// The easy handle among the running ones, for a scope: leaving it early closes the connection.
struct Running {
  explicit Running(Handles &handles) : h(handles) { curl_multi_add_handle(h.multi, h.easy); }
  ~Running() { curl_multi_remove_handle(h.multi, h.easy); }
  Handles &h;
};

class CurlHttp : public store::HttpPort {
 public:
  explicit CurlHttp(std::string ca_file) : ca_file_(std::move(ca_file)) {}
  HttpResponse send(const HttpRequest &request) override;
  int64_t unix_s() override { return static_cast<int64_t>(time(nullptr)); }
  double steady_s() override { return bridge::steady_s(); }
  double random() override { return pg_prng_double(&pg_global_prng_state); }
  void wait(double seconds) override;

 private:
  void prepare(CURL *easy, Exchange &exchange, curl_slist **headers, char *error);

  std::string ca_file_;
};

void CurlHttp::prepare(CURL *easy, Exchange &x, curl_slist **headers, char *error) {
  const HttpRequest &r = *x.request;
  curl_easy_reset(easy);
  curl_easy_setopt(easy, CURLOPT_URL, r.url().c_str());
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, r.base.starts_with("https:") ? "https" : "http");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // a look-up of a name must not hold up a cancel
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, std::min<long>(kConnectMostMs, bridge::guc::store_timeout_ms));
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, static_cast<long>((bridge::guc::store_timeout_ms + 999) / 1000));
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
  if (!store::over_network(r.base)) curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  if (!ca_file_.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file_.c_str());
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &x);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &x);
  if (r.method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  bool body = r.method == "PUT" || r.method == "POST";
  if (body) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, r.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(r.body.size()));
  }
  if (r.method != "HEAD") curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r.method.c_str());
  // What libcurl adds by itself is not signed: Expect would cost a round trip, a form is not what is sent.
  *headers = curl_slist_append(*headers, "Expect:");
  bool typed = false;
  for (const auto &[name, value] : r.headers) {
    if (name == "host") continue;  // libcurl makes the same of the URL
    typed = typed || name == "content-type";
    *headers = curl_slist_append(*headers, (name + ": " + value).c_str());
  }
  if (body && !typed) *headers = curl_slist_append(*headers, "Content-Type:");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *headers);
}

/// Runs until the transfer is through. Raises what interrupts raise.
CURLcode run(Handles &h) {
  Running running(h);
  while (true) {
    int active = 0;
    {
      SignalsBlocked blocked;
      curl_multi_perform(h.multi, &active);
    }
    int left = 0;
    while (CURLMsg *m = curl_multi_info_read(h.multi, &left))
      if (m->msg == CURLMSG_DONE && m->easy_handle == h.easy) return m->data.result;
    if (active == 0) return CURLE_FAILED_INIT;
    bridge::pg_call([] { CHECK_FOR_INTERRUPTS(); });
    pgstat_report_wait_start(PG_WAIT_EXTENSION);
    curl_multi_poll(h.multi, nullptr, 0, kLookEveryMs, nullptr);
    pgstat_report_wait_end();
  }
}

HttpResponse CurlHttp::send(const HttpRequest &request) {
  Handles &h = handles();
  Exchange x;
  x.easy = h.easy;
  x.request = &request;
  char error[CURL_ERROR_SIZE] = "";
  struct List {
    curl_slist *list = nullptr;
    CURL *easy;
    ~List() {
      curl_easy_reset(easy);  // it must not point at what is freed here
      curl_slist_free_all(list);
    }
  } headers{nullptr, h.easy};
  prepare(h.easy, x, &headers.list, error);
  CURLcode code = run(h);
  if (x.thrown) std::rethrow_exception(x.thrown);
  if (code == CURLE_OK && !x.begin()) code = CURLE_WRITE_ERROR;  // an answer without a body
  x.response.fault = x.refused ? HttpFault::sink : fault_of(code);
  if (code != CURLE_OK) x.response.fault_text = *error ? error : curl_easy_strerror(code);
  return std::move(x.response);
}

void CurlHttp::wait(double seconds) {
  double until = steady_s() + seconds;
  while (true) {
    bridge::pg_call([] { CHECK_FOR_INTERRUPTS(); });
    long left = static_cast<long>((until - steady_s()) * 1000);
    if (left <= 0) return;
    // Whoever owns the latch must still see that it was set: so it is not reset, and the pause goes on without it.
    long now = std::min<long>(left, kLookEveryMs);
    bridge::pg_call([&] {
      pgstat_report_wait_start(PG_WAIT_EXTENSION);
      pg_usleep(now * 1000);
      pgstat_report_wait_end();
    });
  }
}

}  // namespace

std::unique_ptr<store::HttpPort> open_http(const std::string &ca_file) { return std::make_unique<CurlHttp>(ca_file); }

}  // namespace vectorshard::tier
