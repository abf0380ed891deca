// Waits until queries give true, one after the other, each as a statement of its own: nothing that runs meanwhile is kept
// from cleaning up by our snapshot. Looks every few milliseconds; a query that fails counts as false. Prints when that was,
// in seconds of the epoch: when the last query that had to be asked more than once came true, so that a long look which
// only confirms what the others found is no part of the time.
//   wait CONNINFO SECONDS QUERY…      exit code 1 when the time is up
#include <libpq-fe.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  using Clock = std::chrono::steady_clock;
  constexpr auto kLookEvery = std::chrono::milliseconds(4);
  const auto until = Clock::now() + std::chrono::seconds(std::atoi(argv[2]));
  PGconn *conn = PQconnectdb(argv[1]);
  auto done = std::chrono::system_clock::now();
  bool first_look = true;
  for (int i = 3; i < argc;) {
    PGresult *r = PQexec(conn, argv[i]);
    bool yes = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1 && PQgetvalue(r, 0, 0)[0] == 't';
    PQclear(r);
    if (yes) {
      if (!first_look || i == 3) done = std::chrono::system_clock::now();
      first_look = true;
      i++;
      continue;
    }
    first_look = false;
    if (Clock::now() > until) {
      std::fprintf(stderr, "wait: still not true after %s s: %s %s\n", argv[2], argv[i], PQerrorMessage(conn));
      return 1;
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  PQfinish(conn);
  std::printf("%.6f\n", std::chrono::duration<double>(done.time_since_epoch()).count());
}
