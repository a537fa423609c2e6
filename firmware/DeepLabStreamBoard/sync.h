// A sync signal that other recorders see too: random pulses, or 32-bit barcodes.
#pragma once
#include "inputs.h"
#include "protocol.h"

// Stop the signal and forget its pin.
void sync_reset();

bool sync_owns(uint8_t pin);

// Start a pattern, or stop it with NO_SYNC. `first`: number of the first code, or seed.
Status sync_start(uint8_t pin, uint8_t pattern, uint32_t first, uint32_t period_us);

// Do what is due; return when to call it again. Only with interrupts disabled.
uint32_t sync_run(uint32_t now_us);

// To be called by loop(): draws the next interval, so that sync_run takes little time.
// Whether an edge is to be reported.
bool sync_waits();

// The oldest edge that was not reported; false: none.
bool sync_edge(Change &change);
