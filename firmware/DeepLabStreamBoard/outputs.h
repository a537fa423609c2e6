// Output pins: each goes off at its limit, whatever the program does.
#pragma once
#include <stdint.h>

#include "protocol.h"

struct Event {
  uint8_t pin, cause;
  uint32_t time_us;
};

// Switch all off, forget all pins, and allow them again after a trip. They stay driven low.
void outputs_reset();

bool outputs_own(uint8_t pin);
Status outputs_configure(uint8_t pin, bool pwm, uint32_t longest_on_us,
                         uint16_t watchdog_ms);

// Level 0 is off. `time_us` gets the moment at which the pin was written.
Status outputs_set(uint8_t pin, uint8_t level, uint32_t &time_us);
Status outputs_train(uint8_t pin, uint8_t level, uint32_t width_us, uint32_t period_us,
                     uint32_t count, uint32_t &time_us);
uint32_t outputs_all_off();

// Heartbeat of the program's loop.
uint32_t outputs_beat();

// All off; nothing can be switched on before the next reset.
void outputs_latch(Cause why);
Cause outputs_latched();

// The pins that are high, as read from the port, a bit each.
uint8_t outputs_high();

// Take the next report of what happened without a command; false: none.
bool outputs_event(Event &event);

// Do what is due; return the latest time of the next call. Called by the clock of hal_*.cpp
// with interrupts disabled.
uint32_t outputs_run(uint32_t now_us);
