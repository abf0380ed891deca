// Pieces of keys: see key_piece.hpp.
#include "core/tier/key_piece.hpp"

#include <algorithm>
#include <cstring>

namespace vectorshard::tier {

namespace {

constexpr size_t kUuidBytes = 16;

int digit_of(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

/// The text form of a uuid as its bytes, appended; false if it is none.
bool append_uuid(std::string_view text, std::string *out) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); i += 2) {
    if (i == 8 || i == 13 || i == 18 || i == 23)
      if (text[i++] != '-') return false;
    int high = digit_of(text[i]), low = digit_of(text[i + 1]);
    if (high < 0 || low < 0) return false;
    out->push_back(static_cast<char>(high << 4 | low));
  }
  return true;
}

/// The distance between numbers, which can be more than int64 holds.
uint64_t distance(int64_t from, int64_t to) { return static_cast<uint64_t>(to) - static_cast<uint64_t>(from); }

size_t bytes_for(uint64_t most) {
  size_t bytes = 0;
  for (; most > 0; most >>= 8) bytes++;
  return bytes;
}

void append_number(uint64_t number, size_t bytes, std::string *out) {
  for (size_t b = 0; b < bytes; b++) out->push_back(static_cast<char>(number >> (8 * b)));
}

uint64_t mixed(uint64_t h) {
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93;
  h ^= h >> 29;
  return h;
}

uint64_t hash_bytes(uint64_t h, std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); i += 8) {
    uint64_t word = 0;
    memcpy(&word, bytes.data() + i, std::min<size_t>(8, bytes.size() - i));
    h = mixed(h * 0x9e3779b97f4a7c15 + word);
  }
  return mixed(h + bytes.size());
}

bool is_text(CellKind kind) { return kind == CellKind::text; }
bool is_uuid(CellKind kind) { return kind == CellKind::output; }

}  // namespace

bool KeyPiece::takes(CellKind kind) {
  switch (kind) {
    case CellKind::boolean:
    case CellKind::int2:
    case CellKind::int4:
    case CellKind::int8:
    case CellKind::date:
    case CellKind::timestamp:
    case CellKind::timestamptz:
    case CellKind::decimal:
    case CellKind::text:
    case CellKind::output: return true;
    default: return false;  // floats: -0 equals 0
  }
}

KeyPiece::KeyPiece(std::vector<CellKind> kinds) {
  for (CellKind k : kinds) columns_.push_back({k});
}

bool KeyPiece::add_cell(Column *column, const Cell &cell) {
  if (is_uuid(column->kind)) {
    if (!cell.null) return append_uuid(cell.bytes, &column->bytes);
    column->bytes.append(kUuidBytes, 0);
  } else if (is_text(column->kind)) {
    if (!cell.null) column->bytes += cell.bytes;
    if (column->bytes.size() > UINT32_MAX) return false;
    column->ends.push_back(static_cast<uint32_t>(column->bytes.size()));
  } else {
    column->numbers.push_back(cell.number);
  }
  return true;
}

bool KeyPiece::add(const std::vector<std::vector<Cell>> &columns, size_t n) {
  if (rows_ + n > kRowsMax) return false;
  nulls_.resize(rows_ + n, false);
  for (size_t c = 0; c < columns_.size(); c++)
    for (size_t r = 0; r < n; r++) {
      const Cell &cell = columns[c][r];
      if (cell.null) nulls_[rows_ + r] = true;
      if (!add_cell(&columns_[c], cell)) return false;
    }
  rows_ += n;
  return true;
}

/// Numbers as what they are above the smallest one.
void KeyPiece::pack() {
  for (Column &c : columns_) {
    if (is_text(c.kind)) {
      c.bytes.shrink_to_fit();
      c.ends.shrink_to_fit();
      continue;
    }
    bool any = false;
    int64_t max = 0;
    for (size_t r = 0; r < c.numbers.size(); r++) {
      if (nulls_[r]) continue;
      c.min = any ? std::min(c.min, c.numbers[r]) : c.numbers[r];
      max = any ? std::max(max, c.numbers[r]) : c.numbers[r];
      any = true;
    }
    c.width = is_uuid(c.kind) ? kUuidBytes : bytes_for(distance(c.min, max));
    width_ += c.width;
  }
  fixed_.reserve(rows_ * width_);
  for (size_t r = 0; r < rows_; r++)
    for (const Column &c : columns_) {
      if (is_uuid(c.kind))
        fixed_.append(c.bytes, r * kUuidBytes, kUuidBytes);
      else if (!is_text(c.kind))
        append_number(distance(c.min, c.numbers[r]), c.width, &fixed_);
    }
  for (Column &c : columns_) {
    std::vector<int64_t>().swap(c.numbers);
    if (is_uuid(c.kind)) std::string().swap(c.bytes);
  }
}

std::string_view KeyPiece::string_of(const Column &c, size_t row) const {
  const size_t begin = row ? c.ends[row - 1] : 0;
  return std::string_view(c.bytes).substr(begin, c.ends[row] - begin);
}

uint64_t KeyPiece::hash_of(const char *fixed, const std::vector<std::string_view> &strings) const {
  uint64_t h = hash_bytes(0, {fixed, width_});
  for (std::string_view s : strings) h = hash_bytes(h, s);
  return h;
}

namespace {

size_t place_of_hash(uint64_t hash, size_t places) { return static_cast<size_t>((hash >> 32) * places >> 32); }

}  // namespace

void KeyPiece::seal() {
  pack();
  first_.assign(std::max<size_t>(rows_, 1), 0);
  next_.assign(rows_, 0);
  std::vector<std::string_view> strings;
  for (size_t r = rows_; r-- > 0;) {  // so that chains rise
    if (nulls_[r]) continue;
    strings.clear();
    for (const Column &c : columns_)
      if (is_text(c.kind)) strings.push_back(string_of(c, r));
    uint16_t &first = first_[place_of_hash(hash_of(fixed_.data() + r * width_, strings), first_.size())];
    next_[r] = first;
    first = static_cast<uint16_t>(r + 1);
  }
  std::vector<bool>().swap(nulls_);
}

/// The fixed part of a key; false if no row can have it.
bool KeyPiece::packed(const std::vector<Value> &key, std::string *out) const {
  for (size_t i = 0; i < columns_.size(); i++) {
    const Column &c = columns_[i];
    if (key[i].null) return false;
    if (is_text(c.kind)) continue;
    if (is_uuid(c.kind)) {
      if (!append_uuid(key[i].bytes, out)) return false;
      continue;
    }
    if (key[i].number < c.min || bytes_for(distance(c.min, key[i].number)) > c.width) return false;
    append_number(distance(c.min, key[i].number), c.width, out);
  }
  return true;
}

void KeyPiece::find(const std::vector<Value> &key, std::vector<uint32_t> *rows) const {
  std::string fixed;
  if (!packed(key, &fixed)) return;
  std::vector<std::string_view> strings;
  for (size_t i = 0; i < columns_.size(); i++)
    if (is_text(columns_[i].kind)) strings.push_back(key[i].bytes);
  for (size_t r = first_[place_of_hash(hash_of(fixed.data(), strings), first_.size())]; r > 0; r = next_[r - 1]) {
    bool same = memcmp(fixed_.data() + (r - 1) * width_, fixed.data(), width_) == 0;
    size_t s = 0;
    for (const Column &c : columns_)
      if (is_text(c.kind)) same = same && string_of(c, r - 1) == strings[s++];
    if (same) rows->push_back(static_cast<uint32_t>(r - 1));
  }
}

size_t KeyPiece::bytes() const {
  size_t out = sizeof(KeyPiece) + fixed_.capacity() + sizeof(uint16_t) * (first_.capacity() + next_.capacity());
  for (const Column &c : columns_) out += sizeof(Column) + c.bytes.capacity() + sizeof(int64_t) * c.numbers.capacity() + sizeof(uint32_t) * c.ends.capacity();
  return out;
}

}  // namespace vectorshard::tier
