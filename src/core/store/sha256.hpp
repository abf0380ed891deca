// SHA-256 over a stream of bytes, in lower-case hex. Objects are named and verified by it.
#pragma once
#include <memory>
#include <string>
#include <string_view>

namespace vectorshard::store {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256 &) = delete;
  Sha256 &operator=(const Sha256 &) = delete;
  void add(std::string_view bytes);
  /// The digest; call once.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vectorshard::store
