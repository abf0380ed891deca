// Commit-to-visible lag: one thread commits a row every few milliseconds on one server and notes when COMMIT returned,
// another looks every 0.3 ms which is the newest one that the other server shows. Prints median and 99th percentile in
// microseconds. A late row delays no later one, so that slow moments count as often as they last.
//   lag WRITER_CONNINFO READER_CONNINFO SECONDS FIRST_ID
#include <libpq-fe.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kWriteEvery = std::chrono::microseconds(5000), kLookEvery = std::chrono::microseconds(300);
constexpr auto kPatience = std::chrono::seconds(20);

PGconn *connect(const char *conninfo) {
  PGconn *conn = PQconnectdb(conninfo);
  if (PQstatus(conn) == CONNECTION_OK) return conn;
  std::fprintf(stderr, "lag: %s", PQerrorMessage(conn));
  std::exit(1);
}

PGresult *checked(PGconn *conn, PGresult *r) {
  if (PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK) return r;
  std::fprintf(stderr, "lag: %s", PQerrorMessage(conn));
  std::exit(1);
}

void prepare(PGconn *conn, const char *sql) { PQclear(checked(conn, PQprepare(conn, "s", sql, 0, nullptr))); }

}  // namespace

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  PGconn *writer = connect(argv[1]), *reader = connect(argv[2]);
  const long first = std::atol(argv[4]);
  const auto count = static_cast<size_t>(std::chrono::seconds(std::atoi(argv[3])) / kWriteEvery);
  prepare(writer, "INSERT INTO trip (client, id, note) VALUES ('probe', $1, 'probe')");
  prepare(reader, "SELECT id FROM ONLY trip WHERE client = 'probe' ORDER BY client DESC, id DESC LIMIT 1");
  std::vector<Clock::time_point> committed(count), visible(count);
  std::atomic<bool> failed = false;
  std::thread look([&] {
    const auto until = Clock::now() + std::chrono::seconds(std::atoi(argv[3])) + kPatience;
    for (size_t next = 0; next < count && Clock::now() < until; std::this_thread::sleep_for(kLookEvery)) {
      PGresult *r = checked(reader, PQexecPrepared(reader, "s", 0, nullptr, nullptr, nullptr, 0));
      long newest = PQntuples(r) == 1 ? std::atol(PQgetvalue(r, 0, 0)) : 0;
      PQclear(r);
      const auto now = Clock::now();
      for (; next < count && newest >= first + static_cast<long>(next); next++) visible[next] = now;
      if (next == count) return;
    }
    failed = true;
  });
  const auto start = Clock::now();
  for (size_t i = 0; i < count; i++) {
    std::this_thread::sleep_until(start + kWriteEvery * i);
    const std::string id = std::to_string(first + static_cast<long>(i));
    const char *values[] = {id.c_str()};
    PQclear(checked(writer, PQexecPrepared(writer, "s", 1, values, nullptr, nullptr, 0)));
    committed[i] = Clock::now();
  }
  look.join();
  if (failed) {
    std::fprintf(stderr, "lag: the last row is not there after %ld s\n", static_cast<long>(kPatience.count()));
    return 1;
  }
  std::vector<long> lags;
  for (size_t i = 0; i < count; i++)
    lags.push_back(std::max<long>(0, std::chrono::duration_cast<std::chrono::microseconds>(visible[i] - committed[i]).count()));
  std::sort(lags.begin(), lags.end());
  std::printf("%ld %ld\n", lags[count / 2], lags[count * 99 / 100]);
  PQfinish(writer);
  PQfinish(reader);
}
