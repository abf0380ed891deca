// Text files of lines and of comma-separated fields with a header line, plain or compressed with xz (recognised by its first
// bytes and piped through the xz program). Throws std::runtime_error that names file and line; skips nothing silently.
#pragma once
#include <sys/types.h>

#include <cstdio>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vectorshard::text {

/// A text file, decompressed on the way if need be. A path /dev/fd/N is read from the inherited descriptor N.
class LineReader {
 public:
  explicit LineReader(const std::string &path);
  ~LineReader();
  LineReader(const LineReader &) = delete;
  LineReader &operator=(const LineReader &) = delete;

  /// The next line without its end; it lives until the next call.
  bool next(std::string_view &line);
  [[noreturn]] void fail(const std::string &what) const;

 private:
  int decompress(int input);
  void check_child();

  std::string path_;
  FILE *file_ = nullptr;
  pid_t child_ = -1;
  char *line_ = nullptr;
  size_t capacity_ = 0;
  size_t number_ = 0;
};

/// Splits at commas. The fields point into `line`.
void split(std::string_view line, std::vector<std::string_view> &fields);

/// Column positions by name, from the header line.
class Header {
 public:
  explicit Header(LineReader &in);
  /// Position of the first of `names` that is there, or -1.
  int find(std::initializer_list<const char *> names) const;
  size_t need(std::initializer_list<const char *> names) const;
  size_t width() const { return width_; }

 private:
  LineReader &in_;
  std::map<std::string, size_t, std::less<>> columns_;
  size_t width_ = 0;
};

/// A number from `min` to `max`, or fails.
double number(const LineReader &in, std::string_view text, double min, double max);

}  // namespace vectorshard::text
