// The text that stands for a number, the same as in training (see features/tokens.py).
#pragma once
#include <string_view>

namespace clickwise {

constexpr int kNumberText = 32;  // bytes that a fraction takes at most

// The token of a finite number: a whole number where it is one and fits 64 bits, else the shortest decimal that reads back
// the same, as Python prints it. Written to `to` [kNumberText]; gives its length.
int real_text(double x, char* to);

// The same of a number of JSON that has a fraction or an exponent; 0 where it is too large for 64 bits of floating point.
int fraction_text(std::string_view number, char* to);

}  // namespace clickwise
