// Commands of the program.
#pragma once
#include "frames.h"

// Execute the command of a frame, and answer it.
void obey(const Frame &frame);

// Whether no command has arrived for SILENCE_US: the program has died, or is suspended. Only
// with interrupts disabled.
bool commands_silent(uint32_t now_us);

// After a damaged frame: all off until the next HELLO, and report why.
void distrust(Cause why);

// Report what happened without a command.
void report();
