// Reading CSV. Compressed files are recognised by their first bytes and piped through the xz program.
#include "input.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>
#include <string_view>

namespace vectorshard::demo {
namespace {

int open_input(const std::string &path) {
  constexpr std::string_view kInherited = "/dev/fd/";
  const int fd = path.starts_with(kInherited) ? dup(std::atoi(path.c_str() + kInherited.size()))
                                              : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("cannot read " + path + ": " + std::strerror(errno));
  return fd;
}

bool is_xz(int fd) {
  char magic[6] = {};
  return pread(fd, magic, sizeof magic, 0) == sizeof magic && std::memcmp(magic, "\xFD" "7zXZ", 6) == 0;
}

/// A text file, decompressed on the way if need be.
class LineReader {
 public:
  explicit LineReader(const std::string &path) : path_(path) {
    int fd = open_input(path);
    if (is_xz(fd)) fd = decompress(fd);
    file_ = fdopen(fd, "r");
    if (!file_) throw std::runtime_error("cannot read " + path + ": " + std::strerror(errno));
  }
  ~LineReader() {
    std::fclose(file_);
    if (child_ > 0) waitpid(child_, nullptr, 0);
    std::free(line_);
  }
  LineReader(const LineReader &) = delete;
  LineReader &operator=(const LineReader &) = delete;

  bool next(std::string_view &line) {
    const ssize_t n = getline(&line_, &capacity_, file_);
    if (n < 0) {
      check_child();
      return false;
    }
    number_++;
    line = {line_, static_cast<size_t>(n)};
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    return true;
  }
  [[noreturn]] void fail(const std::string &what) const {
    throw std::runtime_error(path_ + " line " + std::to_string(number_) + ": " + what);
  }

 private:
  int decompress(int input) {
    int pipe_fds[2];
    if (pipe(pipe_fds) != 0) throw std::runtime_error("cannot make a pipe");
    child_ = fork();
    if (child_ == 0) {
      dup2(input, STDIN_FILENO);
      dup2(pipe_fds[1], STDOUT_FILENO);
      close(pipe_fds[0]);
      execlp("xz", "xz", "-dc", nullptr);
      _exit(127);
    }
    close(pipe_fds[1]);
    close(input);
    return pipe_fds[0];
  }
  void check_child() {
    if (child_ <= 0) return;
    int status = 0;
    waitpid(child_, &status, 0);
    child_ = -1;
    if (status != 0) throw std::runtime_error("xz cannot decompress " + path_ + " (is xz-utils installed?)");
  }

  std::string path_;
  FILE *file_ = nullptr;
  pid_t child_ = -1;
  char *line_ = nullptr;
  size_t capacity_ = 0;
  size_t number_ = 0;
};

void split(std::string_view line, std::vector<std::string_view> &fields) {
  fields.clear();
  for (;;) {
    const size_t comma = line.find(',');
    fields.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return;
    line.remove_prefix(comma + 1);
  }
}

/// Column positions by name, from the header line.
class Header {
 public:
  explicit Header(LineReader &in) : in_(in) {
    std::string_view line;
    if (!in.next(line)) in.fail("the file is empty");
    std::vector<std::string_view> names;
    split(line, names);
    for (size_t i = 0; i < names.size(); i++) columns_[std::string(names[i])] = i;
    width_ = names.size();
  }
  /// Position of the first of `names` that is there, or -1.
  int find(std::initializer_list<const char *> names) const {
    for (const char *name : names)
      if (auto it = columns_.find(name); it != columns_.end()) return static_cast<int>(it->second);
    return -1;
  }
  int need(std::initializer_list<const char *> names) const {
    const int i = find(names);
    if (i < 0) in_.fail(std::string("the header has no column ") + *names.begin());
    return i;
  }
  size_t width() const { return width_; }

 private:
  LineReader &in_;
  std::map<std::string, size_t> columns_;
  size_t width_ = 0;
};

double number(const LineReader &in, std::string_view text, double min, double max) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= min && value <= max))
    in.fail("\"" + std::string(text) + "\" is not a number from " + std::to_string(min) + " to " +
            std::to_string(max));
  return value;
}

double optional_number(const LineReader &in, const std::vector<std::string_view> &fields, int column, double max) {
  if (column < 0 || fields[static_cast<size_t>(column)].empty()) return kUnknown;
  return number(in, fields[static_cast<size_t>(column)], 0, max);
}

}  // namespace

std::vector<Track> read_trajectories(const std::string &path) {
  LineReader in(path);
  const Header header(in);
  const auto client = static_cast<size_t>(header.need({"client", "cab"}));
  const auto lat = static_cast<size_t>(header.need({"lat"}));
  const auto lon = static_cast<size_t>(header.need({"lon"}));
  const auto time = static_cast<size_t>(header.need({"unix_time"}));
  const int speed = header.find({"speed", "speed_mps"});
  const int heading = header.find({"heading", "heading_deg"});
  std::map<std::string, std::vector<Report>, std::less<>> by_client;
  std::string_view line;
  std::vector<std::string_view> fields;
  while (in.next(line)) {
    if (line.empty()) continue;
    split(line, fields);
    if (fields.size() != header.width()) in.fail("the number of fields differs from the header's");
    auto it = by_client.find(fields[client]);
    if (it == by_client.end()) it = by_client.emplace(fields[client], std::vector<Report>()).first;
    it->second.push_back({number(in, fields[time], 0, 1e11),
                          {number(in, fields[lat], -90, 90), number(in, fields[lon], -180, 180)},
                          optional_number(in, fields, speed, 1e4),
                          optional_number(in, fields, heading, 360)});
  }
  std::vector<Track> tracks;
  for (auto &[name, reports] : by_client) {
    std::stable_sort(reports.begin(), reports.end(),
                     [](const Report &a, const Report &b) { return a.unix_s < b.unix_s; });
    auto same_time = [](const Report &a, const Report &b) { return a.unix_s == b.unix_s; };
    reports.erase(std::unique(reports.begin(), reports.end(), same_time), reports.end());
    tracks.push_back({name, std::move(reports)});
  }
  if (tracks.empty()) in.fail("no reports");
  return tracks;
}

std::vector<Point> read_sites(const std::string &path) {
  LineReader in(path);
  const Header header(in);
  const auto lat = static_cast<size_t>(header.need({"lat"}));
  const auto lon = static_cast<size_t>(header.need({"lon"}));
  std::vector<Point> sites;
  std::string_view line;
  std::vector<std::string_view> fields;
  while (in.next(line)) {
    if (line.empty()) continue;
    split(line, fields);
    if (fields.size() != header.width()) in.fail("the number of fields differs from the header's");
    sites.push_back({number(in, fields[lat], -90, 90), number(in, fields[lon], -180, 180)});
  }
  if (sites.empty()) in.fail("no sites");
  return sites;
}

}  // namespace vectorshard::demo
