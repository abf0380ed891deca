// Judging greetings: see greeting.hpp.
#include "core/ship/greeting.hpp"

#include <algorithm>
#include <charconv>

namespace vectorshard::ship {

namespace {

std::string hex(uint64_t n) {
  char out[17];
  auto end = std::to_chars(out, out + sizeof out, n, 16).ptr;
  return std::string(out, end);
}

bool take_hex(std::string_view text, uint64_t &out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string to_text(const StartChain &chain) {
  std::string out;
  for (const Start &s : chain) out += (out.empty() ? "" : " ") + hex(s.token) + "@" + hex(s.position);
  return out;
}

Result<StartChain> parse_chain(std::string_view text) {
  StartChain out;
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    size_t at = word.find('@');
    Start s;
    if (at == std::string_view::npos || out.size() == kChainMax || !take_hex(word.substr(0, at), s.token) ||
        !take_hex(word.substr(at + 1), s.position))
      return Error{Errc::corrupt, "not a chain of starts", "Not understood: \"" + std::string(word.substr(0, 40)) + "\".",
                   "Run the same release of vectorshard on all nodes."};
    out.push_back(s);
  }
  return out;
}

void add_start(StartChain &chain, Start start) {
  if (chain.size() >= kChainMax) chain.erase(chain.begin(), chain.end() - static_cast<ptrdiff_t>(kChainMax - 1));
  chain.push_back(start);
}

Standing judge(const Greeting &greeting, const std::optional<Heard> &heard) {
  if (!heard || greeting.incarnation > heard->incarnation) return Standing::started;
  if (greeting.incarnation < heard->incarnation || greeting.chain.empty()) return Standing::past;
  auto same = std::find_if(greeting.chain.begin(), greeting.chain.end(),
                           [&](const Start &s) { return s.token == heard->token; });
  if (same == greeting.chain.end()) return Standing::past;
  // What was heard from that start had to be there when the next one began.
  auto next = same + 1;
  if (next == greeting.chain.end()) return greeting.position < heard->position ? Standing::past : Standing::known;
  return next->position < heard->position ? Standing::past : Standing::started;
}

}  // namespace vectorshard::ship
