// How often each token was seen. One thread at a time may use a counter.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "machine/text.hpp"

namespace clickwise {

class TokenCounter {
 public:
  // Count the cells of `text`; nulls and empty cells are no tokens. A token that is new here gets this `error`.
  //   hashes [n]: XXH64 of each cell, seed 0. Tokens are equal when their bytes are.
  // Gives how many different tokens `text` has.
  int64_t add(const Text& text, const uint64_t* hashes, int64_t error);

  // Forget the tokens whose count + error is at most `floor`.
  void drop(int64_t floor);

  int64_t size() const { return static_cast<int64_t>(entries_.size()); }
  int64_t bytes() const { return bytes_; }

  // In order of first appearance: counts [size], errors [size].
  void counts(int64_t* counts, int64_t* errors) const;

  // The tokens, one behind the other: offsets [size + 1], bytes [bytes()].
  void tokens(int64_t* offsets, uint8_t* bytes) const;

 private:
  static constexpr uint32_t kInline = 8;  // bytes of a token that are kept in its entry

  struct Entry {
    uint64_t hash;
    uint64_t place;  // the bytes themselves, little end first, of up to kInline; else where they begin in `long_`
    int64_t count;
    int64_t error;
    uint32_t length;
    uint32_t seen;  // the call that saw it last
  };
  struct Slot {
    uint32_t entry;  // its number + 1; 0: empty
    uint32_t tag;    // the lower half of its hash
  };

  void make_room(int64_t more);
  void index(std::size_t slots);

  std::vector<Entry> entries_;
  std::vector<Slot> slots_;  // open addressing; a power of two, at most 2/3 full
  std::vector<uint8_t> long_;
  int64_t bytes_ = 0;
  uint32_t call_ = 0;
};

}  // namespace clickwise
