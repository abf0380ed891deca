// How far a replay is: a bar that is redrawn on a terminal, a line now and then elsewhere.
#pragma once
#include <chrono>
#include <string>

namespace vectorshard::demo {

class Progress {
 public:
  explicit Progress(std::string title);
  ~Progress() { finish(); }
  /// `share` from 0 to 1, `facts` what else to say.
  void show(double share, const std::string &facts);
  void finish();

 private:
  std::string title_;
  bool terminal_;
  bool open_ = false;
  std::chrono::steady_clock::time_point last_line_;
};

/// A line of the story, with the seconds since the program started.
void say(const std::string &text);

}  // namespace vectorshard::demo
