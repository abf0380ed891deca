// Reading trajectories: see trace.hpp.
#include "trace.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <map>
#include <numeric>
#include <stdexcept>

#include "lines.hpp"

namespace vectorshard::sim {

namespace {

using text::Header;
using text::LineReader;
using text::number;

class Names {
 public:
  explicit Names(Trace &trace) : trace_(trace) {}
  uint32_t id(std::string_view name) {
    auto it = ids_.find(name);
    if (it == ids_.end()) {
      it = ids_.emplace(name, static_cast<uint32_t>(trace_.clients.size())).first;
      trace_.clients.emplace_back(name);
    }
    return it->second;
  }

 private:
  Trace &trace_;
  std::map<std::string, uint32_t, std::less<>> ids_;
};

/// "2008-10-23 02:53:04" or with a T between and a Z behind, in UTC.
double utc_seconds(const LineReader &in, std::string_view words) {
  std::string s(words);
  std::tm t{};
  double second = 0;
  char between = 0;
  if (std::sscanf(s.c_str(), "%d-%d-%d%c%d:%d:%lf", &t.tm_year, &t.tm_mon, &t.tm_mday, &between, &t.tm_hour, &t.tm_min, &second) != 7)
    in.fail("\"" + s + "\" is not a time like 2008-10-23 02:53:04");
  t.tm_year -= 1900;
  t.tm_mon -= 1;
  return static_cast<double>(timegm(&t)) + second;
}

void read_csv(const std::string &path, Trace &trace) {
  LineReader in(path);
  const Header header(in);
  const size_t client = header.need({"client", "cab", "user", "taxi"}), lat = header.need({"lat"}), lon = header.need({"lon"});
  const int utc = header.find({"time_utc"});
  const size_t time = header.need({"unix_time", "time_utc"});
  const bool words = header.find({"unix_time"}) < 0 && utc >= 0;
  const int speed = header.find({"speed", "speed_mps"}), heading = header.find({"heading", "heading_deg"});
  Names names(trace);
  std::string_view line;
  std::vector<std::string_view> f;
  auto optional = [&](int column, double max) {
    return column < 0 || f[static_cast<size_t>(column)].empty() ? -1.0F : static_cast<float>(number(in, f[static_cast<size_t>(column)], 0, max));
  };
  while (in.next(line)) {
    if (line.empty()) continue;
    text::split(line, f);
    if (f.size() != header.width()) in.fail("the number of fields differs from the header's");
    Fix x;
    x.at_s = words ? utc_seconds(in, f[time]) : number(in, f[time], 0, 1e11);
    x.stand_at(number(in, f[lat], -90, 90), number(in, f[lon], -180, 180));
    x.speed_mps = optional(speed, 1e4);
    x.heading_deg = optional(heading, 360);
    x.client = names.id(f[client]);
    trace.fixes.push_back(x);
  }
}

/// Six lines of header, then lat,lon,0,altitude,days since 1899-12-30,date,time (GMT).
void read_plt(const std::filesystem::path &path, uint32_t client, Trace &trace) {
  LineReader in(path.string());
  std::string_view line;
  std::vector<std::string_view> f;
  for (int i = 0; i < 6; i++)
    if (!in.next(line)) in.fail("it ends within the six lines of the header");
  while (in.next(line)) {
    if (line.empty()) continue;
    text::split(line, f);
    if (f.size() != 7) in.fail("a line of a .plt file has seven fields");
    Fix x;
    // Some files have latitudes like 400.17: they are left out as everybody does who uses these files.
    const double lat = number(in, f[0], -1000, 1000), lon = number(in, f[1], -1000, 1000);
    if (std::fabs(lat) > 90 || std::fabs(lon) > 180) continue;
    x.at_s = utc_seconds(in, std::string(f[5]) + " " + std::string(f[6]));
    x.stand_at(lat, lon);
    x.client = client;
    trace.fixes.push_back(x);
  }
}

void read_folder(const std::filesystem::path &root, Trace &trace) {
  std::vector<std::filesystem::path> files;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(root))
    if (entry.is_regular_file() && entry.path().extension() == ".plt") files.push_back(entry.path());
  if (files.empty()) throw std::runtime_error("no .plt files below " + root.string());
  std::sort(files.begin(), files.end());
  Names names(trace);
  for (const auto &file : files) {
    auto folder = file.parent_path();
    if (folder.filename() == "Trajectory") folder = folder.parent_path();
    read_plt(file, names.id(folder.filename().string()), trace);
  }
}

}  // namespace

void Fix::stand_at(double lat, double lon) {
  lat_e7 = static_cast<int32_t>(std::lround(lat * 1e7));
  lon_e7 = static_cast<int32_t>(std::lround(lon * 1e7));
}

void sort_by_time(Trace &trace) {
  std::stable_sort(trace.fixes.begin(), trace.fixes.end(),
                   [](const Fix &a, const Fix &b) { return a.at_s != b.at_s ? a.at_s < b.at_s : a.client < b.client; });
}

Trace read_trace(const std::string &path) {
  Trace trace;
  if (std::filesystem::is_directory(path))
    read_folder(path, trace);
  else
    read_csv(path, trace);
  if (trace.fixes.empty()) throw std::runtime_error(path + ": no reports");
  sort_by_time(trace);
  auto same = [](const Fix &a, const Fix &b) { return a.at_s == b.at_s && a.client == b.client; };
  trace.fixes.erase(std::unique(trace.fixes.begin(), trace.fixes.end(), same), trace.fixes.end());
  return trace;
}

void thin(Trace &trace, double seconds) {
  std::vector<double> last(trace.clients.size(), -1e300);
  std::erase_if(trace.fixes, [&](const Fix &x) {
    if (x.at_s - last[x.client] < seconds) return true;
    last[x.client] = x.at_s;
    return false;
  });
}

void keep_part(Trace &trace, uint32_t rest, uint32_t parts) {
  std::vector<uint32_t> order(trace.clients.size()), rank(trace.clients.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return trace.clients[a] < trace.clients[b]; });
  for (uint32_t i = 0; i < order.size(); i++) rank[order[i]] = i;
  std::erase_if(trace.fixes, [&](const Fix &x) { return rank[x.client] % parts != rest; });
}

}  // namespace vectorshard::sim
