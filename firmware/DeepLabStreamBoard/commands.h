// Commands of the program.
#pragma once
#include "frames.h"

// Execute the command of a frame, and answer it.
void obey(const Frame &frame);

// After a damaged frame: all off until the next HELLO, and report why.
void distrust(Cause why);

// Report what happened without a command.
void report();
