// Lines and fields of text files: see lines.hpp.
#include "lines.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace vectorshard::text {

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

}  // namespace

LineReader::LineReader(const std::string &path) : path_(path) {
  int fd = open_input(path);
  if (is_xz(fd)) fd = decompress(fd);
  file_ = fdopen(fd, "r");
  if (!file_) throw std::runtime_error("cannot read " + path + ": " + std::strerror(errno));
}

LineReader::~LineReader() {
  std::fclose(file_);
  if (child_ > 0) waitpid(child_, nullptr, 0);
  std::free(line_);
}

bool LineReader::next(std::string_view &line) {
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

void LineReader::fail(const std::string &what) const {
  throw std::runtime_error(path_ + " line " + std::to_string(number_) + ": " + what);
}

int LineReader::decompress(int input) {
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

void LineReader::check_child() {
  if (child_ <= 0) return;
  int status = 0;
  waitpid(child_, &status, 0);
  child_ = -1;
  if (status != 0) throw std::runtime_error("xz cannot decompress " + path_ + " (is xz-utils installed?)");
}

void split(std::string_view line, std::vector<std::string_view> &fields) {
  fields.clear();
  for (;;) {
    const size_t comma = line.find(',');
    fields.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return;
    line.remove_prefix(comma + 1);
  }
}

Header::Header(LineReader &in) : in_(in) {
  std::string_view line;
  if (!in.next(line)) in.fail("the file is empty");
  std::vector<std::string_view> names;
  split(line, names);
  for (size_t i = 0; i < names.size(); i++) columns_[std::string(names[i])] = i;
  width_ = names.size();
}

int Header::find(std::initializer_list<const char *> names) const {
  for (const char *name : names)
    if (auto it = columns_.find(name); it != columns_.end()) return static_cast<int>(it->second);
  return -1;
}

size_t Header::need(std::initializer_list<const char *> names) const {
  const int i = find(names);
  if (i < 0) in_.fail(std::string("the header has no column ") + *names.begin());
  return static_cast<size_t>(i);
}

double number(const LineReader &in, std::string_view text, double min, double max) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= min && value <= max))
    in.fail("\"" + std::string(text) + "\" is not a number from " + std::to_string(min) + " to " + std::to_string(max));
  return value;
}

}  // namespace vectorshard::text
