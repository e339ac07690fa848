// Memory that a call works in and that nobody reads after it.
#pragma once
#include <cstdint>

namespace clickwise {

// Two stores of the calling thread: one for a call from Python, one for a task of the pool (the caller runs tasks too).
enum class Scratch { call, task };

// At least `bytes` of uninitialised memory on a 64-byte line. It belongs to the thread and stays until the thread's next
// request for the same store: a training step must not ask the system for the same megabytes again and again.
uint8_t* scratch(Scratch store, int64_t bytes);

}  // namespace clickwise
