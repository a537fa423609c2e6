// What the program may ask for.
#pragma once
#include "frames.h"

// Do what a frame asks, and answer it.
void obey(const Frame &frame);

// A frame that can't be believed came: all off until the next HELLO, and say why.
void distrust(Cause why);

// Tell what happened by itself.
void report();
