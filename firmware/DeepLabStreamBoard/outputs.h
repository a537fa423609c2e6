// The pins that act: each goes off by itself when it must, whatever the program does.
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

// The program's loop has come round.
uint32_t outputs_beat();

// All off, and nothing goes on before the next reset.
void outputs_latch(Cause why);
Cause outputs_latched();

// The pins that are high, as read from the port, a bit each.
uint8_t outputs_high();

// Take the next thing that happened by itself; false: nothing.
bool outputs_event(Event &event);

// Do what is due; return when to be called again at the latest. The clock's, for hal_*.cpp:
// with interrupts held back.
uint32_t outputs_run(uint32_t now_us);
