// Registers that keep the largest, or the smallest, number written since their birth. Numbers are exact decimals in one
// canonical text form. Writing a number offers it; a register that was offered nothing yet is empty. Laws: crdt.hpp.
#pragma once
#include <string>

#include "core/apply/crdt_entry.hpp"

namespace vectorshard::apply {

struct Register {
  CrdtKind kind = CrdtKind::max_register;
  Version birth = 0;
  std::string number;  // canonical decimal; empty: nothing offered yet
  bool fresh = false;
  bool operator==(const Register &) const = default;
};

/// "[-]digits[.digits]" without leading or trailing zeros: the one form of each number. Errors: invalid_argument.
Result<std::string> canonical_decimal(std::string_view text);
/// Negative, 0 or positive as a <, = or > b by number. Both canonical.
int compare_decimals(std::string_view a, std::string_view b);
/// As compare_decimals, with the empty register before all numbers (max) or after them (min). Of one kind.
int compare(const Register &a, const Register &b);

std::string encode(const Register &r);
/// Errors: corrupt.
Result<Register> decode_register(std::string_view bytes);

/// Both of one kind.
Register merge(const Register &a, const Register &b);
Register ended(const Register &r, Version deleted);
CrdtWrite classify(const Register &was, const Register &now);
Result<Register> grown(const Register &was, const Register &now, const EntryKey &entry);
Result<Register> born(const Register &now, Version birth);

}  // namespace vectorshard::apply
