#include "machine/token_counter.hpp"

#include <bit>
#include <cstddef>
#include <cstring>
#include <stdexcept>

namespace clickwise {
namespace {

constexpr std::size_t kFewestSlots = 1024;
constexpr int64_t kFar = 24, kNear = 12;  // cells ahead whose slot, and whose entry, are fetched

template <class T>
T read(const void* from) {
  T x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

int64_t offset(const Text& text, int64_t i) {
  return text.wide ? read<int64_t>(static_cast<const int64_t*>(text.offsets) + i)
                   : read<int32_t>(static_cast<const int32_t*>(text.offsets) + i);
}

bool present(const Text& text, int64_t i) {
  const int64_t bit = text.skip + i;
  return !text.validity || (text.validity[bit >> 3] >> (bit & 7) & 1);
}

// Up to eight bytes as a number, the first in the lowest bits.
uint64_t packed(const Text& text, int64_t begin, uint32_t length) {
  uint64_t word = 0;
  if constexpr (std::endian::native == std::endian::little) {
    if (begin + 8 <= text.size) {
      word = read<uint64_t>(text.bytes + begin);
      return length == 8 ? word : word & ((uint64_t{1} << 8 * length) - 1);
    }
  }
  for (uint32_t i = 0; i < length; i++) word |= static_cast<uint64_t>(text.bytes[begin + i]) << 8 * i;
  return word;
}

}  // namespace

int64_t TokenCounter::add(const Text& text, const uint64_t* hashes, int64_t error) {
  if (++call_ == 0) {  // once in four billion calls
    for (Entry& entry : entries_) entry.seen = 0;
    call_ = 1;
  }
  make_room(0);
  int64_t different = 0;
  for (int64_t i = 0; i < text.n; i++) {
    const std::size_t mask = slots_.size() - 1;
    if (i + kFar < text.n) __builtin_prefetch(&slots_[hashes[i + kFar] >> 32 & mask]);
    if (i + kNear < text.n) {
      const Slot near = slots_[hashes[i + kNear] >> 32 & mask];
      if (near.entry) __builtin_prefetch(&entries_[near.entry - 1], 1);
    }
    const int64_t begin = offset(text, i), length = present(text, i) ? offset(text, i + 1) - begin : 0;
    if (!length) continue;
    if (length > UINT32_MAX) throw std::length_error("a token of 4 GB");
    const uint32_t short_length = static_cast<uint32_t>(length);
    const bool fits = short_length <= kInline;
    const uint64_t word = fits ? packed(text, begin, short_length) : 0;
    std::size_t at = hashes[i] >> 32 & mask;
    for (; slots_[at].entry; at = (at + 1) & mask) {
      if (slots_[at].tag != static_cast<uint32_t>(hashes[i])) continue;
      Entry& entry = entries_[slots_[at].entry - 1];
      if (entry.length != short_length) continue;
      if (fits ? entry.place != word : std::memcmp(&long_[entry.place], text.bytes + begin, short_length) != 0) continue;
      entry.count++;
      different += entry.seen != call_;
      entry.seen = call_;
      break;
    }
    if (slots_[at].entry) continue;
    const uint64_t place = fits ? word : long_.size();
    if (!fits) long_.insert(long_.end(), text.bytes + begin, text.bytes + begin + length);
    entries_.push_back({hashes[i], place, 1, error, short_length, call_});
    slots_[at] = {static_cast<uint32_t>(entries_.size()), static_cast<uint32_t>(hashes[i])};
    bytes_ += length;
    different++;
    make_room(1);
  }
  return different;
}

void TokenCounter::drop(int64_t floor) {
  std::vector<uint8_t> long_before;
  long_before.swap(long_);
  bytes_ = 0;
  std::size_t kept = 0;
  for (Entry entry : entries_) {
    if (entry.count + entry.error <= floor) continue;
    if (entry.length > kInline) {
      const auto from = long_before.begin() + static_cast<int64_t>(entry.place);
      entry.place = long_.size();
      long_.insert(long_.end(), from, from + entry.length);
    }
    bytes_ += entry.length;
    entries_[kept++] = entry;
  }
  entries_.resize(kept);
  index(slots_.size());
}

void TokenCounter::counts(int64_t* counts, int64_t* errors) const {
  for (const Entry& entry : entries_) {
    *counts++ = entry.count;
    *errors++ = entry.error;
  }
}

void TokenCounter::tokens(int64_t* offsets, uint8_t* bytes) const {
  int64_t at = 0;
  for (const Entry& entry : entries_) {
    *offsets++ = at;
    if (entry.length > kInline)
      std::memcpy(bytes + at, &long_[entry.place], entry.length);
    else
      for (uint32_t i = 0; i < entry.length; i++) bytes[at + i] = static_cast<uint8_t>(entry.place >> 8 * i);
    at += entry.length;
  }
  *offsets = at;
}

void TokenCounter::make_room(int64_t more) {
  if (slots_.empty()) index(kFewestSlots);
  if ((entries_.size() + more) * 3 > slots_.size() * 2) {
    if (slots_.size() > UINT32_MAX / 2) throw std::length_error("too many tokens");
    index(slots_.size() * 2);
  }
}

void TokenCounter::index(std::size_t slots) {
  slots_.assign(slots, Slot{0, 0});
  for (std::size_t i = 0; i < entries_.size(); i++) {
    std::size_t at = entries_[i].hash >> 32 & (slots - 1);
    while (slots_[at].entry) at = (at + 1) & (slots - 1);
    slots_[at] = {static_cast<uint32_t>(i + 1), static_cast<uint32_t>(entries_[i].hash)};
  }
}

}  // namespace clickwise
