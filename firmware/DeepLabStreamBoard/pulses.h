// Numbered pulses: a camera's exposures, counted, and those that start exposures, generated.
#pragma once
#include <stdint.h>

#include "protocol.h"

struct NumberedPulse {
  uint8_t pin;
  uint32_t number, time_us;
};

// Stop counting and generating, and forget the pins.
void pulses_reset();

bool pulses_own(uint8_t pin);

// Count pulses from 0 on, or stop with NO_COUNT. Edges within dead_us of a pulse are ignored.
Status pulses_count(uint8_t pin, uint8_t side, uint16_t dead_us);

// Generate pulses, or stop with a period of 0. Each is up to dither_us late, at random.
Status pulses_generate(uint8_t pin, uint32_t period_ns, uint32_t width_us,
                       uint16_t dither_us, uint16_t seed);

// Do what is due; return when to call it again. Only with interrupts disabled.
uint32_t pulses_run(uint32_t now_us);

// To be called once in each turn of loop(): a pin with 120 edges between two calls is noisy,
// and is counted no more.
void pulses_turn();

// The oldest pulse that was not reported; false: none.
bool pulses_next(NumberedPulse &pulse);
